import IKE
import Simulation
import Testing

@Suite("Configurations that no longer hold")
struct RevocationTests {
    /// Left has begun an SA with right, and its IKE_AUTH is on the way.
    private func begun(_ seed: UInt64) async throws -> Pair {
        let pair = await Pair(seed: seed, start: .none)
        try await pair.world.act("left") { endpoint, now in try endpoint.initiate("site", at: now) }
        await pair.world.run(for: .milliseconds(8))
        #expect(pair.right.endpoint.halfOpenCount == 1)
        return pair
    }

    @Test("What a peer has begun before its connection is removed does not get in afterwards")
    func removed() async throws {
        let pair = try await begun(41)
        await pair.world.act("right") { endpoint, now in endpoint.apply([], at: now) }
        await pair.world.run(for: .seconds(3))
        #expect(pair.right.endpoint.saCount == 0)
        #expect(pair.right.inbound.isEmpty)
        #expect(!pair.left.isUp("site"))
    }

    @Test("What a peer has begun with a secret that has been replaced does not get in afterwards")
    func replaced() async throws {
        let pair = try await begun(42)
        let changed = Pair.configuration(isLeft: false, start: .none) {
            $0.remoteAuthentication = .preSharedKey(.init(Array("another".utf8)))
            $0.fingerprint = "changed"
        }
        await pair.world.act("right") { endpoint, now in endpoint.apply([changed], at: now) }
        await pair.world.run(for: .seconds(3))
        #expect(pair.right.inbound.isEmpty)
        #expect(!pair.right.isUp("site"))
    }
}
