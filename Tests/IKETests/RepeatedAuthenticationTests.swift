import IKE
import IKEMessage
import Octets
import Simulation
import Testing

@Suite("Repeated authentication (RFC 4478)")
struct RepeatedAuthenticationTests {
    private func lifetime(_ seconds: Int) -> (inout ConnectionConfiguration) -> Void {
        { $0.timing.reauthenticateAfter = .seconds(seconds) }
    }

    /// Lets `duration` pass; the longest time in which packets did not get through both ways.
    private func longestGap(_ pair: Pair, over duration: Duration) async -> Duration {
        var gap: Duration = .zero
        var since: Instant?
        let end = pair.world.now + duration
        while await pair.world.step(until: end) {
            if pair.carries {
                since = nil
            } else {
                let begin = since ?? pair.world.now
                since = begin
                gap = max(gap, pair.world.now - begin)
            }
        }
        return gap
    }

    @Test("The initiator sets up a new IKE SA before the lifetime the responder told ends, without a break in traffic")
    func asTheResponderWants() async {
        let pair = await Pair.established(seed: 1, right: lifetime(100))
        let first = pair.ikeSPI
        let established = pair.world.now
        #expect(await longestGap(pair, over: .seconds(101)) == .zero)
        #expect(pair.ikeSPI != first)
        #expect(pair.agrees())
        #expect(pair.world.now - established < .seconds(102))
        #expect(pair.faults.isEmpty)
    }

    @Test("The responder's AUTH_LIFETIME has four octets, in seconds")
    func notification() async throws {
        let pair = await Pair.established(seed: 2, right: lifetime(3600))
        let response = try #require(
            pair.world.sent.first { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        let data = response.compactMap { payload -> [UInt8]? in
            if case .notify(let notify) = payload, notify.type == .authLifetime { notify.data } else { nil }
        }
        #expect(data == [[0, 0, 0x0e, 0x10]])
    }

    @Test("The initiator's own configuration counts where the responder tells nothing")
    func asTheInitiatorWants() async {
        let pair = await Pair.established(seed: 3, left: lifetime(50))
        let first = pair.ikeSPI
        #expect(await longestGap(pair, over: .seconds(60)) == .zero)
        #expect(pair.ikeSPI != first)
        #expect(pair.agrees())
    }

    @Test("A responder ends an IKE SA whose initiator has not authenticated again")
    func notRepeated() async {
        let pair = await Pair.established(seed: 4, right: lifetime(60))
        // Nothing new gets through.
        pair.world.tap = { $0.isRequest(.ikeSAInit) ? [] : [$0] }
        await pair.world.run(for: .seconds(59))
        #expect(pair.right.status("site")?.ikeSAs.count == 1)
        await pair.world.run(for: .seconds(10))
        #expect(pair.right.status("site")?.ikeSAs.isEmpty ?? false)
        pair.world.tap = nil
        #expect(await pair.world.run(atMost: .seconds(90)) { pair.isUp })
    }

    @Test("An attempt that fails is made again while the old IKE SA serves")
    func triedAgain() async {
        let pair = await Pair.established(seed: 5, left: lifetime(100))
        let first = pair.ikeSPI
        var lost = 0
        pair.world.tap = { datagram in
            guard datagram.isRequest(.ikeSAInit), lost < 9 else { return [datagram] }
            lost += 1
            return []
        }
        #expect(await longestGap(pair, over: .seconds(300)) == .zero)
        #expect(lost == 9)
        #expect(pair.ikeSPI != first)
        #expect(pair.agrees())
    }

    @Test("Rekeying the IKE SA does not put the next authentication off")
    func survivesRekey() async {
        let pair = await Pair.established(seed: 6, right: lifetime(100))
        await pair.world.run(for: .seconds(60))
        await pair.rekeyIKE("right")
        await pair.rest()
        let rekeyed = pair.ikeSPI
        #expect(await longestGap(pair, over: .seconds(35)) == .zero)
        #expect(pair.ikeSPI != rekeyed)
        #expect(pair.agrees())
        let requests = pair.world.sent.filter { $0.isRequest(.ikeSAInit) && pair.isFromLeft($0) }
        #expect(requests.count == 2)
    }
}
