import Credentials
import IKE
import IPPacket
import IPsecPolicy
import Octets

/// Two gateways with matching configurations: where most tests begin.
public struct Pair {
    public let world: World
    public let left: Host
    public let right: Host

    public static let secret = SecretOctets(Array("correct horse battery staple".utf8))

    /// A connection of one side, the other side's being its mirror image.
    public static func configuration(
        isLeft: Bool, start: StartPolicy, change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        let origin = Origin(file: isLeft ? "left.yaml" : "right.yaml", line: 2, column: 3, key: "connections.site")
        let leftID = Identity.fqdn("left.example"), rightID = Identity.fqdn("right.example")
        var connection = ConnectionConfiguration(
            name: "site", origin: origin, localIdentity: isLeft ? leftID : rightID,
            remoteIdentity: isLeft ? rightID : leftID, localAuthentication: .preSharedKey(secret),
            remoteAuthentication: .preSharedKey(secret))
        connection.localAddresses = [IPAddress(v4: isLeft ? 0xc000_0201 : 0xc633_6402)]
        connection.remoteAddresses = [IPAddress(v4: isLeft ? 0xc633_6402 : 0xc000_0201)]
        connection.start = start
        let leftNet = selector("10.1.0.0/16"), rightNet = selector("10.2.0.0/16")
        connection.children = [
            ChildConfiguration(
                name: "net", origin: origin, policyID: 1, localSelectors: isLeft ? leftNet : rightNet,
                remoteSelectors: isLeft ? rightNet : leftNet)
        ]
        change(&connection)
        return connection
    }

    public static func selector(_ text: String) -> [TrafficSelector] {
        IPPrefix(text).map { [TrafficSelector($0)] } ?? []
    }

    /// Left calls right when `start` is `.boot`.
    public init(
        seed: UInt64, start: StartPolicy = .boot, conditions: NetworkConditions = NetworkConditions(),
        left changeLeft: (inout ConnectionConfiguration) -> Void = { _ in },
        right changeRight: (inout ConnectionConfiguration) -> Void = { _ in },
        endpoint: (inout EndpointConfiguration) -> Void = { _ in }
    ) async {
        world = World(seed: seed)
        world.conditions = conditions
        right = await world.add(
            "right", "198.51.100.2", [Self.configuration(isLeft: false, start: .none, change: changeRight)],
            configure: endpoint)
        left = await world.add(
            "left", "192.0.2.1", [Self.configuration(isLeft: true, start: start, change: changeLeft)],
            configure: endpoint)
    }

    /// Both sides up, and packets of the policy pass both ways.
    public var isUp: Bool {
        left.isUp("site") && right.isUp("site") && carries
    }

    public var carries: Bool { left.reaches(right, policy: 1) && right.reaches(left, policy: 1) }
    public var faults: [String] { left.faults + right.faults }
}
