import Credentials
import IKE
import IPPacket
import IPsecPolicy
import Octets

/// A gateway with many peers, some of which crash, sleep or are cut off. What happens to one must touch no other.
public struct StarRun {
    public let seed: UInt64
    public private(set) var complaints: [String] = []
    public private(set) var exchanges = 0
    public private(set) var digest: UInt64 = 0
    private let count: Int
    private var random: SeededGenerator

    /// - Parameter count: of the peers, at most 200.
    public init(seed: UInt64, peers count: Int) {
        self.seed = seed
        self.count = min(count, 200)
        random = SeededGenerator(seed: seed &* 0xd134_2543_de82_ef95)
    }

    private func configuration(of peer: Int, isHub: Bool) -> ConnectionConfiguration {
        let origin = Origin(file: isHub ? "hub.yaml" : "peer.yaml", line: 1, column: 1, key: "connections.\(peer)")
        let hubID = Identity.fqdn("hub.example"), peerID = Identity.fqdn("peer\(peer).example")
        let secret = SecretOctets(Array("the secret of peer \(peer)".utf8))
        var connection = ConnectionConfiguration(
            name: "peer\(peer)", origin: origin, localIdentity: isHub ? hubID : peerID,
            remoteIdentity: isHub ? peerID : hubID,
            localAuthentication: .preSharedKey(secret), remoteAuthentication: .preSharedKey(secret))
        let hub = IPAddress(v4: 0xc633_6401), own = IPAddress(v4: 0xc000_0200 + UInt32(peer + 1))
        connection.localAddresses = [isHub ? hub : own]
        connection.remoteAddresses = [isHub ? own : hub]
        connection.start = isHub ? .none : .boot
        connection.timing.rekeyAfter = .seconds(120)
        connection.timing.jitter = 0.5
        connection.timing.overtime = 0.5
        connection.timing.livenessInterval = .seconds(20)
        connection.timing.retransmission.limit = .seconds(3)
        let inner = Pair.selector("10.2.0.0/16"), outer = Pair.selector("10.1.\(peer).0/24")
        var child = ChildConfiguration(
            name: "net", origin: origin, policyID: UInt32(isHub ? peer + 1 : 1), localSelectors: isHub ? inner : outer,
            remoteSelectors: isHub ? outer : inner)
        child.lifetime.rekeyAfter = .seconds(40)
        child.lifetime.jitter = 0.5
        child.lifetime.overtime = 0.5
        connection.children = [child]
        return connection
    }

    public mutating func run() async {
        let world = World(seed: seed)
        world.isRehearsing = true
        world.audits = true
        world.historyLimit = 64
        world.conditions = NetworkConditions(duplication: 0.05, delay: .milliseconds(1) ... .milliseconds(60))
        var settings = EndpointConfiguration()
        // Few, so that they are waited for: nobody may be held up by who is silent.
        settings.negotiationLimit = 3
        let hub = await world.add(
            "hub", "198.51.100.1", (0..<count).map { configuration(of: $0, isHub: true) }, settings: settings)
        for peer in 0..<count {
            await world.add("peer\(peer)", "192.0.2.\(peer + 1)", [configuration(of: peer, isHub: false)])
        }
        if !(await world.run(atMost: .seconds(60), until: { (0..<count).allSatisfy { carries($0, hub, world) } })) {
            complaints.append("not all peers came up within a minute")
        }
        // A third has an accident each; the others must not notice.
        let victims = (0..<count).filter { $0 % 3 == 0 }
        for victim in victims {
            let name = "peer\(victim)"
            switch Int.random(in: 0...3, using: &random) {
            case 0: world.kill(name)
            case 1: world.suspend(name, for: .seconds(200))
            case 2:
                // An impostor with the wrong secret, where the peer was.
                world.kill(name)
                var impostor = configuration(of: victim, isHub: false)
                impostor.localAuthentication = .preSharedKey(SecretOctets(Array("wrong".utf8)))
                await world.add(name, "192.0.2.\(victim + 1)", [impostor])
            default: await world.act(name) { endpoint, now in endpoint.shutDown(at: now) }
            }
        }
        let end = world.now + .seconds(240)
        var missing: Set<Int> = []
        while await world.step(until: end) {
            for peer in 0..<count where peer % 3 != 0 && !missing.contains(peer) && !carries(peer, hub, world) {
                missing.insert(peer)
                complaints.append("\(world.now): peer \(peer), which nothing has happened to, is cut off")
            }
        }
        for victim in victims {
            world.kill("peer\(victim)")
            await world.add("peer\(victim)", "192.0.2.\(victim + 1)", [configuration(of: victim, isHub: false)])
        }
        if !(await world.run(atMost: .seconds(240), until: { (0..<count).allSatisfy { carries($0, hub, world) } })) {
            complaints.append("not all peers came back")
        }
        for peer in 0..<count {
            await world.act("peer\(peer)") { endpoint, now in try? endpoint.terminate("peer\(peer)", at: now) }
            await world.act("hub") { endpoint, now in try? endpoint.terminate("peer\(peer)", at: now) }
        }
        await world.run(for: .seconds(120))
        for host in world.hosts.values.sorted(by: { $0.name < $1.name }) { complaints += host.leavings + host.faults }
        complaints += world.faults
        exchanges = world.exchangeCount
        digest = world.digest
    }

    private func carries(_ peer: Int, _ hub: Host, _ world: World) -> Bool {
        guard let host = world.hosts["peer\(peer)"] else { return false }
        return world.carries(from: host, to: hub, policy: 1)
            && world.carries(from: hub, to: host, policy: UInt32(peer + 1))
    }
}
