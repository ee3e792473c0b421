import Credentials
import IKE
import Simulation
import Testing

@Suite("How many peers a connection takes")
struct PeerLimitTests {
    @Test("A connection of many peers takes only so many, those it has may come again, and there is room when one goes")
    func limited() async {
        let pair = await Pair(
            seed: 1, start: .none,
            right: {
                $0.acceptsAnyRemoteAddress = true
                $0.remoteIdentity = nil
            }, endpoint: { $0.peerLimit = 1 })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.isUp)
        let other = Pair.configuration(isLeft: true, start: .boot) {
            $0.localAddresses = []
            $0.localIdentity = .fqdn("other.example")
        }
        let second = await pair.world.add("other", "192.0.2.77", [other])
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.status("site")?.ikeSAs.map(\.remoteIdentity) == ["left.example"])
        #expect(pair.right.refusals.first?.reason == "site has 1 peers already")
        #expect(second.refusals.first?.cause == .authenticationFailed)
        // Neither a new key nor a new call makes it two.
        await pair.rekeyIKE("left")
        let again = await pair.restarted(left: true, after: .seconds(1))
        await again.initiate()
        #expect(await again.world.run(atMost: .seconds(5)) { again.left.isUp("site") })
        await again.terminate("left")
        #expect(await again.world.run(atMost: .seconds(90)) { second.status("site")?.ikeSAs.isEmpty == false })
        #expect(pair.right.status("site")?.ikeSAs.map(\.remoteIdentity) == ["other.example"])
    }

    @Test("A peer that spells its name in another way is no other peer")
    func spellings() async {
        let pair = await Pair(
            seed: 2,
            right: {
                $0.acceptsAnyRemoteAddress = true
                $0.remoteIdentity = nil
            })
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        let other = Pair.configuration(isLeft: true, start: .boot) {
            $0.localAddresses = []
            $0.localIdentity = .fqdn("LEFT.example")
        }
        let second = await pair.world.add("other", "192.0.2.77", [other])
        #expect(await pair.world.run(atMost: .seconds(1)) { second.isUp("site") })
        #expect(pair.right.status("site")?.ikeSAs.map(\.instance) == [1])
    }
}
