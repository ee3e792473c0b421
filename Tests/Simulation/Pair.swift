import Credentials
import IKE
import IPPacket
import IPsecPolicy
import Octets

/// Two gateways with matching configurations: where most tests begin.
public struct Pair {
    public let world: World
    public private(set) var left: Host
    public private(set) var right: Host
    private let addLeft: () async -> Host
    private let addRight: () async -> Host

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
        // Fewer messages, of which tests count many.
        connection.ikeProposals = IKEProposal.classical
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
    ///
    /// - Parameters:
    ///   - nat: what left is behind; right then takes calls from everywhere.
    ///   - rightNAT: what right is behind; it must be one that lets calls in.
    ///   - prepare: sets up the world before there is anybody in it.
    public init(
        seed: UInt64, start: StartPolicy = .boot, conditions: NetworkConditions = NetworkConditions(),
        behind nat: NAT? = nil,
        rightBehind rightNAT: NAT? = nil, prepare: (World) -> Void = { _ in },
        left changeLeft: (inout ConnectionConfiguration) -> Void = { _ in },
        right changeRight: (inout ConnectionConfiguration) -> Void = { _ in },
        endpoint: (inout EndpointConfiguration) -> Void = { _ in }
    ) async {
        let world = World(seed: seed)
        world.conditions = conditions
        prepare(world)
        let leftConfiguration = Self.configuration(isLeft: true, start: start, change: changeLeft)
        let rightConfiguration = Self.configuration(isLeft: false, start: .none) {
            if nat != nil {
                $0.acceptsAnyRemoteAddress = true
                $0.remoteAddresses = []
            }
            changeRight(&$0)
        }
        var settings = EndpointConfiguration()
        endpoint(&settings)
        let common = settings
        addLeft = { await world.add("left", "192.0.2.1", behind: nat, [leftConfiguration], settings: common) }
        addRight = {
            await world.add("right", "198.51.100.2", behind: rightNAT, [rightConfiguration], settings: common)
        }
        self.world = world
        right = await addRight()
        left = await addLeft()
    }

    /// One side crashes, stays away for a while, and begins anew with nothing but its configuration.
    public func restarted(left isLeft: Bool, after pause: Duration) async -> Pair {
        var next = self
        world.kill(isLeft ? "left" : "right")
        await world.run(for: pause)
        if isLeft { next.left = await addLeft() } else { next.right = await addRight() }
        return next
    }

    /// Both sides up, and packets of the policy pass both ways.
    public var isUp: Bool {
        left.isUp("site") && right.isUp("site") && carries
    }

    public var carries: Bool {
        world.carries(from: left, to: right, policy: 1) && world.carries(from: right, to: left, policy: 1)
    }
    public var faults: [String] { world.faults + left.faults + right.faults }

    /// Puts octets on their way from left to right, at port 500.
    public func inject(_ octets: [UInt8]) {
        world.inject(
            IKEDatagram(
                octets: octets, local: SocketAddress(left.address, port: 500),
                remote: SocketAddress(right.address, port: 500), nonESPMarker: false))
    }

    /// Reads and forges messages, if the endpoints export their keys.
    public var wiretap: Wiretap { Wiretap { [world] in world.hosts.values.sorted { $0.name < $1.name } } }
}
