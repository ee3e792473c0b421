import IKE
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

/// Children that packets ask for.
struct FirstPacketTests {
    private static func packet(_ local: String, _ remote: String) -> TriggerPacket? {
        guard let local = IPAddress(local), let remote = IPAddress(remote),
            let source = TrafficSelector(ipProtocol: 6, firstPort: 4000, lastPort: 4000, first: local, last: local),
            let target = TrafficSelector(ipProtocol: 6, firstPort: 80, lastPort: 80, first: remote, last: remote)
        else { return nil }
        return TriggerPacket(local: source, remote: target)
    }

    private static func acquire(_ pair: Pair, _ packet: TriggerPacket?, policy: UInt32 = 1) async {
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(.acquire(policyID: policy, description: "a packet", packet: packet), at: now)
        }
        await pair.world.run(for: .seconds(1))
    }

    /// Two children that halve the left side's network between them.
    private static func halves(_ connection: inout ConnectionConfiguration) {
        var second = connection.children[0]
        second.name = "upper"
        second.policyID = 2
        connection.children[0].remoteSelectors = Pair.selector("10.1.0.0/17")
        second.remoteSelectors = Pair.selector("10.1.128.0/17")
        connection.children.append(second)
    }

    /// A second child beside the one of the pair.
    private static func more(isLeft: Bool) -> ChildConfiguration {
        let origin = Origin(file: "x.yaml", line: 9, column: 1, key: "more")
        let near = Pair.selector("10.3.0.0/16"), far = Pair.selector("10.4.0.0/16")
        return ChildConfiguration(
            name: "more", origin: origin, policyID: 2, localSelectors: isLeft ? near : far,
            remoteSelectors: isLeft ? far : near)
    }

    @Test("The packet's selectors go before the child's in the offer, and the child covers all of them")
    func order() async {
        let pair = await Pair(seed: 1, start: .demand)
        await Self.acquire(pair, Self.packet("10.1.0.7", "10.2.0.9"))
        #expect(pair.isUp)
        let offered = pair.left.narratives.flatMap(\.lines).map(\.text).filter { $0.contains("===") }
        #expect(offered.contains { $0.contains("10.1.0.7 tcp/4000, 10.1.0.0/16 === 10.2.0.9 tcp/80, 10.2.0.0/16") })
        #expect(pair.left.status("site")?.children.first?.localSelectors == "10.1.0.0/16")
    }

    @Test("A packet outside the child's subnets is not put into the offer")
    func outside() async {
        let pair = await Pair(seed: 2, start: .demand)
        await Self.acquire(pair, Self.packet("10.9.0.7", "10.2.0.9"))
        #expect(pair.isUp)
        #expect(!pair.left.narratives.flatMap(\.lines).contains { $0.text.contains("10.9.0.7") })
    }

    @Test("A responder that could narrow to either of two children takes the one that carries the packet")
    func responderChoosesByPacket() async {
        let pair = await Pair(seed: 3, start: .demand, right: Self.halves)
        await Self.acquire(pair, Self.packet("10.1.200.1", "10.2.0.9"))
        #expect(pair.right.status("site")?.children.map(\.name) == ["upper"])
        // The other half is asked for by a packet of its own.
        await Self.acquire(pair, Self.packet("10.1.3.1", "10.2.0.9"))
        #expect(Set(pair.right.status("site")?.children.map(\.name) ?? []) == ["upper", "net"])
        #expect(pair.left.status("site")?.children.count == 2)
    }

    @Test("When the peer replaces the older of two children with other selectors, packets go on by the new one")
    func olderReplaced() async throws {
        let pair = await Pair(seed: 6, start: .demand, right: Self.halves)
        pair.world.carriesTraffic = false
        await Self.acquire(pair, Self.packet("10.1.3.1", "10.2.0.9"))
        await Self.acquire(pair, Self.packet("10.1.200.1", "10.2.0.9"))
        let old = pair.left.status("site")?.children ?? []
        #expect(old.map(\.localSelectors) == ["10.1.0.0/17", "10.1.128.0/17"])
        await pair.rekeyChild("right")
        await pair.rest()
        let children = pair.left.status("site")?.children ?? []
        #expect(children.count == 2)
        let next = try #require(children.first { $0.localSelectors == "10.1.0.0/17" })
        #expect(next.inboundSPI != old.first?.inboundSPI)
        #expect(pair.left.activated.contains { $0.inboundSPI == next.inboundSPI })
    }

    @Test("Packets that no child of the peer's will ever carry do not make one child after another")
    func bounded() async {
        let pair = await Pair(
            seed: 4, start: .demand,
            right: { $0.children[0].remoteSelectors = Pair.selector("10.1.0.0/24") })
        await Self.acquire(pair, Self.packet("10.1.0.7", "10.2.0.9"))
        for number in 1...40 { await Self.acquire(pair, Self.packet("10.1.\(number).1", "10.2.0.9")) }
        #expect((2...4).contains(pair.left.status("site")?.children.count ?? 0))
        #expect(pair.right.inbound.count <= 4)
    }

    @Test("A child whose packet comes while the tunnel is being set up follows it at once")
    func meanwhile() async {
        let pair = await Pair(
            seed: 5, start: .demand, left: { $0.children.append(Self.more(isLeft: true)) },
            right: { $0.children.append(Self.more(isLeft: false)) })
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(.acquire(policyID: 1, description: "one", packet: nil), at: now)
            endpoint.handle(
                .acquire(policyID: 2, description: "two", packet: Self.packet("10.3.0.1", "10.4.0.1")), at: now)
        }
        await pair.world.run(for: .seconds(1))
        #expect(Set(pair.left.status("site")?.children.map(\.name) ?? []) == ["net", "more"])
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
    }
}
