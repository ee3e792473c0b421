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
}
