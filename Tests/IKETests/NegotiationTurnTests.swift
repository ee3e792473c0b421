import IKE
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Turns of negotiations")
struct NegotiationTurnTests {
    private static let hubAddress = "198.51.100.1"

    /// A hub that calls many peers at once. Peers beyond `present` are not there.
    private func star(peers count: Int, present: Int, seed: UInt64, turns: Int = 2) async -> (world: World, hub: Host) {
        let world = World(seed: seed)
        world.isRehearsing = true
        world.audits = true
        for peer in 0..<present { await world.add("peer\(peer)", address(peer), [configuration(peer, isHub: false)]) }
        var settings = EndpointConfiguration()
        settings.negotiationLimit = turns
        let hub = await world.add(
            "hub", Self.hubAddress, (0..<count).map { configuration($0, isHub: true) }, settings: settings)
        return (world, hub)
    }

    private func address(_ peer: Int) -> String { "192.0.2.\(peer + 1)" }

    private func configuration(_ peer: Int, isHub: Bool) -> ConnectionConfiguration {
        let hub = Pair.selector("10.0.0.0/24"), own = Pair.selector("10.1.\(peer).0/24")
        return Pair.configuration(isLeft: isHub, start: isHub ? .boot : .none) {
            $0.name = "peer\(peer)"
            $0.localAddresses = [IPAddress(isHub ? Self.hubAddress : address(peer))].compactMap(\.self)
            $0.remoteAddresses = [IPAddress(isHub ? address(peer) : Self.hubAddress)].compactMap(\.self)
            $0.children[0].policyID = UInt32(isHub ? peer + 1 : 1)
            $0.children[0].localSelectors = isHub ? hub : own
            $0.children[0].remoteSelectors = isHub ? own : hub
        }
    }

    @Test("All peers are called in the end, and never more at once than there are turns")
    func limit() async {
        let (world, hub) = await star(peers: 20, present: 20, seed: 1)
        var most = 0
        let end = world.now + .seconds(20)
        while await world.step(until: end) {
            most = max(most, hub.endpoint.status().count { $0.state == .connecting && $0.reason.hasPrefix("calling") })
        }
        #expect(most == 2)
        #expect((0..<20).allSatisfy { hub.isUp("peer\($0)") })
        #expect(world.faults.isEmpty)
    }

    @Test("Who waits for a turn says so")
    func said() async throws {
        let (_, hub) = await star(peers: 5, present: 0, seed: 2)
        let status = try #require(hub.status("peer4"))
        #expect(status.state == .connecting)
        #expect(status.reason == "waits for its turn to call 192.0.2.5: 2 others are being called")
    }

    @Test("Peers that do not answer hold up nobody: their turn ends when their request is repeated")
    func silent() async {
        let (world, hub) = await star(peers: 40, present: 0, seed: 3)
        await world.add("peer39", address(39), [configuration(39, isHub: false)])
        let isUp = await world.run(atMost: .seconds(15)) { hub.isUp("peer39") }
        #expect(isUp)
        #expect((0..<39).allSatisfy { hub.status("peer\($0)")?.reason.hasPrefix("calling") == true })
    }

    @Test("A connection that is taken down while it waits is not called")
    func takenDown() async throws {
        let (world, hub) = await star(peers: 5, present: 5, seed: 4)
        try await world.act("hub") { endpoint, now in try endpoint.terminate("peer4", at: now) }
        await world.run(for: .seconds(10))
        #expect(hub.status("peer4")?.state == .idle)
        #expect(world.sent.allSatisfy { $0.remote.address != IPAddress(address(4)) })
        #expect((0..<4).allSatisfy { hub.isUp("peer\($0)") })
    }

    @Test(
        "There are fewer turns where answers come late, but never none, and as many as before when they come in time again"
    )
    func adapted() async throws {
        let (world, hub) = await star(peers: 30, present: 30, seed: 6, turns: 20)
        await world.run(for: .seconds(20))
        #expect(hub.endpoint.turnCount == 20)
        func replaceKeys() async throws {
            try await world.act("hub") { endpoint, now in
                for peer in 0..<30 { try endpoint.rekey("peer\(peer)", child: "net", at: now) }
            }
            await world.run(for: .seconds(30))
        }
        // A way there and back that takes longer than the first pause before a repetition.
        world.conditions.delay = .milliseconds(400) ... .milliseconds(400)
        for _ in 0..<4 { try await replaceKeys() }
        #expect(hub.endpoint.turnCount == 8)
        world.conditions.delay = .milliseconds(5) ... .milliseconds(5)
        for _ in 0..<4 { try await replaceKeys() }
        #expect(hub.endpoint.turnCount == 20)
    }

    @Test("Silence takes no turns away")
    func silenceIsNoLoad() async {
        let (world, hub) = await star(peers: 40, present: 0, seed: 7, turns: 20)
        await world.run(for: .seconds(60))
        #expect(hub.endpoint.turnCount == 20)
    }

    @Test("What needs no turn, such as a Delete, does not wait behind what does")
    func deletedMeanwhile() async throws {
        let (world, hub) = await star(peers: 6, present: 6, seed: 8)
        await world.run(for: .seconds(20))
        try await world.act("hub") { endpoint, now in
            // The first two take both turns.
            for peer in 0..<6 { try endpoint.rekey("peer\(peer)", child: "net", at: now) }
            try endpoint.terminate("peer5", at: now)
        }
        await world.run(for: .milliseconds(20))
        #expect(hub.status("peer5")?.ikeSAs.isEmpty == true)
        await world.run(for: .seconds(20))
        #expect((0..<5).allSatisfy { hub.isUp("peer\($0)") })
        #expect(world.faults.isEmpty)
    }

    @Test("When all keys are replaced at once, no request is repeated for want of a turn")
    func storm() async throws {
        let (world, hub) = await star(peers: 20, present: 20, seed: 5)
        await world.run(for: .seconds(20))
        let before = world.sent.count
        try await world.act("hub") { endpoint, now in
            for peer in 0..<20 { try endpoint.rekey("peer\(peer)", child: "net", at: now) }
        }
        await world.run(for: .seconds(20))
        // A request and an answer for each new pair, and for the deletion of each old one.
        #expect(world.sent.count - before == 80)
        let rekeyed = hub.events.count { if case .childRekeyed = $0 { true } else { false } }
        #expect(rekeyed == 20)
    }
}
