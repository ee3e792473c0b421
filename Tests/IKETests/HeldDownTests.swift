import IKE
import Simulation
import Testing

@Suite("Taken down")
struct HeldDownTests {
    @Test("What a person has taken down stays down whatever packets come, until a person brings it up")
    func stays() async throws {
        let pair = await Pair(seed: 31)
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        try await pair.world.act("left") { endpoint, now in try endpoint.terminate("site", at: now) }
        await pair.world.run(for: .seconds(5))
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(.acquire(policyID: 1, description: "a ping"), at: now)
        }
        await pair.world.run(for: .seconds(5))
        #expect(!pair.left.isUp("site"))
        try await pair.world.act("left") { endpoint, now in try endpoint.initiate("site", at: now) }
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
    }

    @Test(
        "A child that a person has taken down stays down, though it is to be up from boot, until a person brings it up")
    func childStays() async throws {
        let pair = await Pair.established(seed: 32)
        await pair.terminate("left", child: "net")
        await pair.world.run(for: .seconds(60))
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(.acquire(policyID: 1, description: "a ping"), at: now)
        }
        await pair.world.run(for: .seconds(5))
        #expect(pair.left.inbound.isEmpty)
        await pair.initiate(child: "net")
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
    }
}
