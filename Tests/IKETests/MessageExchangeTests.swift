import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Requests and answers")
struct MessageExchangeTests {
    @Test("Whichever message is lost, it is sent again and the connection comes up", arguments: 0..<4)
    func lost(number: Int) async {
        let pair = await Pair(seed: 1)
        var count = 0
        pair.world.tap = { datagram in
            count += 1
            return count == number + 1 ? [] : [datagram]
        }
        // The first message has left already.
        if number == 0 { pair.world.tap = nil }
        #expect(await pair.world.run(atMost: .seconds(2)) { pair.isUp })
        #expect(pair.faults.isEmpty)
    }

    @Test("A network that doubles every message changes nothing but the number of answers")
    func duplicates() async {
        let pair = await Pair(
            seed: 2, start: .none,
            conditions: NetworkConditions(duplication: 1, delay: .milliseconds(1) ... .milliseconds(50)),
            endpoint: { $0.exportsKeys = true })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.isUp)
        await pair.rekeyChild("left")
        await pair.rest()
        await pair.rekeyIKE("right")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        await pair.terminate("left")
        await pair.world.run(for: .seconds(60))
        #expect(pair.isEmpty)
    }

    @Test("A repeated request is answered with the very same octets, and handled once")
    func cachedAnswer() async {
        let pair = await Pair.established(seed: 3)
        await pair.rekeyChild("left")
        await pair.rest()
        let requests = pair.world.sent.filter { pair.isFromLeft($0) && $0.header?.messageID ?? 0 >= 2 }
        guard let last = requests.last else { return }
        let before = pair.world.sent.count
        let children = pair.childSPIs
        for _ in 0..<3 { pair.world.inject(last) }
        await pair.world.run(for: .seconds(1))
        let answers = pair.world.sent.dropFirst(before)
        #expect(answers.count == 3)
        #expect(Set(answers.map(\.octets)).count == 1)
        #expect(pair.childSPIs == children)
    }

    @Test("A message repeated by somebody else moves nothing and proves no life")
    func replayed() async {
        let pair = await Pair.established(seed: 4, left: { $0.encapsulation = .udp })
        #expect(pair.right.status("site")?.ikeSAs.first?.isPeerBehindNAT == true)
        await pair.rekeyChild("left")
        await pair.rest()
        guard var copy = pair.world.sent.last(where: { pair.isFromLeft($0) && !$0.isResponse }) else { return }
        copy.local = SocketAddress(IPAddress(v4: 0x0a09_0807), port: 4500)
        let before = pair.right.status("site")?.ikeSAs.first?.remote
        pair.world.inject(copy)
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.status("site")?.ikeSAs.first?.remote == before)
        #expect(pair.world.sent.last?.remote == copy.local)
    }

    @Test("An older request is not answered")
    func older() async {
        let pair = await Pair.established(seed: 5)
        await pair.rekeyChild("left")
        await pair.rest()
        guard let auth = pair.world.sent.first(where: { $0.isRequest(.ikeAuth) }) else { return }
        let before = pair.world.sent.count
        pair.world.inject(auth)
        await pair.world.run(for: .seconds(1))
        #expect(pair.world.sent.count == before)
    }

    @Test("A silent peer is tried at each of its addresses, with pauses that grow up to the limit")
    func silence() async {
        let pair = await Pair(
            seed: 6,
            left: {
                $0.remoteAddresses = [IPAddress(v4: 0xcb00_7101), IPAddress(v4: 0xcb00_7102)]
                $0.timing.retransmission.tries = 1
                $0.timing.retryLimit = .seconds(10)
            })
        await pair.world.run(for: .seconds(200))
        #expect(pair.left.refusals.allSatisfy { $0.cause == .peerSilent })
        #expect(pair.left.status("site")?.state == .retrying)
        let addresses = pair.world.sent.map { $0.remote.address }
        #expect(Set(addresses).count == 2)
        // 1.4 s of trying and 10 s of pause at the end: neither more often nor given up.
        #expect((15...40).contains(pair.left.refusals.count))
        #expect(pair.left.endpoint.ikeSPICount <= 1)
    }

    @Test("A peer that falls silent is found dead, and called again for ever")
    func deadPeer() async {
        let pair = await Pair.established(
            seed: 7,
            left: {
                $0.timing.livenessInterval = .seconds(5)
                $0.timing.retransmission.tries = 3
            })
        pair.world.tap = { _ in [] }
        await pair.world.run(for: .seconds(20))
        #expect(pair.left.events.contains { if case .peerDead = $0 { true } else { false } })
        #expect(pair.left.inbound.isEmpty)
        #expect(pair.left.status("site")?.state != .up)
        pair.world.tap = nil
        #expect(await pair.world.run(atMost: .seconds(70)) { pair.isUp })
        await pair.world.run(for: .seconds(1))
        #expect(pair.agrees())
    }

    @Test("A quiet connection is asked for a sign of life, a busy one is not", arguments: [true, false])
    func liveness(isBusy: Bool) async {
        let pair = await Pair.established(
            seed: 8, left: { $0.timing.livenessInterval = .seconds(10) }, right: { $0.timing.livenessInterval = nil })
        let before = pair.world.sent.count
        for _ in 0..<12 {
            await pair.world.run(for: .seconds(5))
            if isBusy {
                for spi in pair.left.inbound.keys {
                    await pair.world.act("left") { endpoint, now in endpoint.handle(.inboundActivity(spi: spi), at: now)
                    }
                }
            }
        }
        #expect((pair.world.sent.count == before) == isBusy)
    }

    @Test("A deletion whose answer is lost is answered again")
    func deletionAnswerLost() async {
        let pair = await Pair.established(seed: 9, left: { $0.start = .none })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        var swallowed = 0
        pair.world.tap = { datagram in
            guard datagram.isResponse(.informational), swallowed < 2 else { return [datagram] }
            swallowed += 1
            return []
        }
        await pair.terminate("left")
        await pair.world.run(for: .seconds(4))
        #expect(pair.left.endpoint.saCount == 0)
        #expect(pair.left.status("site")?.state == .idle)
        await pair.world.run(for: .seconds(40))
        #expect(pair.isEmpty)
        #expect(!pair.left.events.contains { if case .peerDead = $0 { true } else { false } })
    }

    @Test("A refusal whose message is lost is repeated")
    func refusalLost() async {
        let pair = await Pair(
            seed: 10, start: .none, right: { $0.remoteAuthentication = .preSharedKey(.init([1, 2, 3])) })
        var swallowed = false
        pair.world.tap = { datagram in
            guard datagram.isResponse(.ikeAuth), !swallowed else { return [datagram] }
            swallowed = true
            return []
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        #expect(swallowed)
        #expect(pair.left.refusals.first?.cause == .authenticationFailed)
        await pair.world.run(for: .seconds(40))
        #expect(pair.isEmpty)
    }

    @Test("A request that overtakes the end of IKE_AUTH is not lost")
    func hasty() async {
        // Right's answer to IKE_AUTH is held back; right takes the child down at once.
        let pair = await Pair(seed: 11, start: .none)
        let held = Held(pair.world) { $0.isResponse(.ikeAuth) }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(50))
        await pair.terminate("right")
        await pair.world.run(for: .milliseconds(50))
        held.release()
        await pair.world.run(for: .milliseconds(300))
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        await pair.world.run(for: .seconds(1))
        #expect(pair.left.status("site")?.ikeSAs.isEmpty == true)
        #expect(pair.right.endpoint.saCount == 0)
    }

    @Test("Results of computations that come after the SA has ended are ignored")
    func lateResults() async {
        let pair = await Pair(seed: 12, start: .none)
        pair.world.jobTime = .milliseconds(200) ... .milliseconds(200)
        await pair.initiate()
        await pair.world.run(for: .milliseconds(100))
        await pair.terminate("left")
        #expect(pair.left.endpoint.saCount == 0)
        await pair.world.run(for: .seconds(1))
        #expect(pair.world.sent.isEmpty)
        #expect(pair.left.status("site")?.state == .idle)
        // And in the middle of a rekey.
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(pair.isUp)
        await pair.rekeyIKE("left")
        await pair.world.run(for: .milliseconds(100))
        await pair.world.act("left") { endpoint, now in endpoint.shutDown(at: now) }
        await pair.world.run(for: .seconds(60))
        #expect(pair.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test("The last message ID begins no exchange, so that none comes twice (RFC 7296 section 2.2)")
    func lastMessageID() {
        var window = RequestWindow()
        window.nextID = .max - 1
        #expect(!window.isExhausted)
        window.nextID += 1
        #expect(window.isExhausted)
        window.expectedID = .max - 1
        #expect(window.classify(request: .max - 1) == .new)
        window.answered(with: [[0]])
        #expect(window.classify(request: .max - 1) == .repeated)
        #expect(window.classify(request: .max) == .exhausted)
        #expect(window.classify(request: 0) == .outside)
    }
}
