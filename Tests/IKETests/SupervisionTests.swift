import Credentials
import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Connections kept up")
struct SupervisionTests {
    @Test("A side that crashed and starts again is back within two seconds", arguments: [true, false])
    func restart(isLeft: Bool) async {
        let start: (inout ConnectionConfiguration) -> Void = { $0.start = .boot }
        let pair = await Pair.established(seed: 1, left: start, right: start)
        let next = await pair.restarted(left: isLeft, after: .seconds(3))
        #expect(await next.world.run(atMost: .seconds(2)) { next.isUp })
        await next.world.run(for: .seconds(5))
        #expect(next.agrees())
        #expect(next.faults.isEmpty)
    }

    @Test("A crashed responder is called again by the other side once it is found dead")
    func responderRestart() async {
        let pair = await Pair.established(
            seed: 2,
            left: {
                $0.timing.livenessInterval = .seconds(5)
                $0.timing.retransmission.tries = 3
            })
        let next = await pair.restarted(left: false, after: .seconds(3))
        #expect(await next.world.run(atMost: .seconds(30)) { next.isUp })
    }

    @Test(
        "Two sides that call each other at once end with one SA, and packets pass",
        arguments: 1...10 as ClosedRange<UInt64>)
    func simultaneous(seed: UInt64) async {
        let pair = await Pair(seed: seed, left: { $0.start = .boot }, right: { $0.start = .boot })
        await pair.world.run(for: .seconds(5))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("The first packet brings a connection up that waits for it")
    func acquire() async {
        let pair = await Pair(seed: 3, start: .demand)
        await pair.world.run(for: .seconds(5))
        #expect(pair.world.sent.isEmpty)
        #expect(pair.left.status("site")?.state == .waiting)
        for _ in 0..<3 {
            await pair.world.act("left") { endpoint, now in
                endpoint.handle(.acquire(policyID: 1, description: "10.1.0.1 to 10.2.0.1"), at: now)
            }
        }
        #expect(await pair.world.run(atMost: .seconds(1)) { pair.isUp })
        #expect(pair.agrees())
    }

    @Test("A packet brings up a child that the connection lacks")
    func acquireChild() async {
        let more: (Bool) -> ChildConfiguration = { isLeft in
            var child = ChildConfiguration(
                name: "more", origin: Origin(file: "x", line: 1, column: 1, key: "x"), policyID: 2,
                localSelectors: Pair.selector(isLeft ? "10.3.0.0/16" : "10.4.0.0/16"),
                remoteSelectors: Pair.selector(isLeft ? "10.4.0.0/16" : "10.3.0.0/16"))
            child.start = .demand
            return child
        }
        let pair = await Pair.established(
            seed: 4, left: { $0.children.append(more(true)) }, right: { $0.children.append(more(false)) })
        #expect(pair.agrees(children: 1))
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(.acquire(policyID: 2, description: "a packet"), at: now)
        }
        await pair.world.run(for: .seconds(1))
        #expect(pair.agrees(children: 2))
    }

    @Test("A child asked for while the connection is being set up follows it")
    func askedLate() async {
        let pair = await Pair(
            seed: 5, start: .none,
            left: { connection in
                var more = connection.children[0]
                more.name = "more"
                more.policyID = 2
                connection.children.append(more)
            },
            right: { connection in
                var more = connection.children[0]
                more.name = "more"
                more.policyID = 2
                connection.children.append(more)
            })
        await pair.initiate(child: "net")
        await pair.initiate(child: "more")
        await pair.world.run(for: .seconds(1))
        #expect(pair.left.status("site")?.children.map(\.name).sorted() == ["more", "net"])
    }

    @Test(
        "Applying the same configuration again changes nothing, another one sets the connection up anew, none ends it")
    func apply() async {
        let pair = await Pair.established(seed: 6, left: { $0.fingerprint = "1" })
        let old = pair.ikeSPI
        var configuration = Pair.configuration(isLeft: true, start: .boot) { $0.fingerprint = "1" }
        await pair.world.act("left") { endpoint, now in endpoint.apply([configuration], at: now) }
        await pair.world.run(for: .seconds(1))
        #expect(pair.ikeSPI == old)
        configuration.fingerprint = "2"
        await pair.world.act("left") { endpoint, now in endpoint.apply([configuration], at: now) }
        await pair.world.run(for: .seconds(1))
        #expect(pair.ikeSPI != old)
        #expect(pair.agrees())
        await pair.world.act("left") { endpoint, now in endpoint.apply([], at: now) }
        await pair.world.run(for: .seconds(40))
        #expect(pair.left.endpoint.status().isEmpty)
        #expect(pair.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test("What a person takes down stays down, and can be brought up again at once")
    func downAndUp() async {
        let pair = await Pair.established(seed: 7)
        await pair.terminate("left")
        await pair.world.run(for: .seconds(100))
        #expect(pair.left.status("site")?.state == .idle)
        #expect(pair.isEmpty)
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.agrees())
        await pair.terminate("left")
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(pair.agrees())
    }

    @Test("What the peer takes down is called again where it is to be kept up")
    func peerTakesDown() async {
        let pair = await Pair.established(seed: 8)
        await pair.terminate("right")
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.left.status("site")?.state == .retrying)
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.isUp })
    }

    @Test("A child that the peer deletes is asked for again where it is to be kept up")
    func childDeleted() async {
        let pair = await Pair.established(seed: 9)
        let old = pair.childSPIs
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(50))
        #expect(pair.left.outbound.isEmpty && pair.right.outbound.isEmpty)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.childSPIs != old)
    }

    @Test("Of several connections the one for the peer's identity is chosen")
    func chosenByIdentity() async {
        let world = World(seed: 10)
        let other = Pair.configuration(isLeft: false, start: .none) {
            $0.name = "other"
            $0.remoteIdentity = .fqdn("other.example")
            $0.remoteAuthentication = .preSharedKey(.init([1]))
        }
        let right = await world.add(
            "right", "198.51.100.2", [other, Pair.configuration(isLeft: false, start: .none)])
        let left = await world.add("left", "192.0.2.1", [Pair.configuration(isLeft: true, start: .boot)])
        await world.run(for: .seconds(1))
        #expect(left.isUp("site"))
        #expect(right.isUp("site"))
        #expect(!right.isUp("other"))
    }

    @Test("A peer whose identity no connection expects is refused, with the lines that would have to differ")
    func unknownIdentity() async {
        let pair = await Pair(seed: 11, start: .none, left: { $0.localIdentity = .fqdn("stranger.example") })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.refusals.first?.cause == .authenticationFailed)
        #expect(pair.right.refusals.first?.reason.contains("stranger.example") == true)
        #expect(pair.right.refusals.first?.origins.isEmpty == false)
        #expect(pair.right.inbound.isEmpty)
    }

    @Test("A responder that is somebody else is refused by the initiator")
    func wrongResponder() async {
        let pair = await Pair(
            seed: 12, start: .none, left: { $0.remoteIdentity = nil }, right: { $0.localIdentity = .fqdn("x.example") })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.isUp)
        let other = await Pair(seed: 12, start: .none, right: { $0.localIdentity = .fqdn("x.example") })
        await other.initiate()
        await other.world.run(for: .seconds(1))
        #expect(other.left.refusals.first?.cause == .authenticationFailed)
        #expect(other.left.inbound.isEmpty)
    }

    @Test("INITIAL_CONTACT makes the peer drop what it had, without a word to the old SA")
    func initialContact() async {
        let pair = await Pair.established(seed: 13)
        let next = await pair.restarted(left: true, after: .seconds(15))
        let before = next.world.sent.count
        await next.world.run(for: .seconds(5))
        #expect(next.agrees())
        #expect(next.right.endpoint.saCount == 1)
        #expect(!next.world.sent.dropFirst(before).contains { !next.isFromLeft($0) && !$0.isResponse })
    }

    @Test("A shutdown tells the peer and leaves nothing")
    func shutdown() async {
        let pair = await Pair.established(seed: 14)
        await pair.world.act("left") { endpoint, now in endpoint.shutDown(at: now) }
        #expect(pair.left.inbound.isEmpty && pair.left.endpoint.saCount == 0)
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.inbound.isEmpty)
        await pair.world.run(for: .seconds(60))
        #expect(pair.isEmpty)
    }

    @Test("What cannot be done is said so")
    func errors() async {
        let pair = await Pair(
            seed: 15, start: .none,
            right: {
                $0.remoteAddresses = []; $0.acceptsAnyRemoteAddress = true
            })
        await pair.world.act("left") { endpoint, now in
            #expect(throws: ControlError.unknownConnection("x")) { try endpoint.initiate("x", at: now) }
            #expect(throws: ControlError.unknownChild("x", connection: "site")) {
                try endpoint.initiate("site", child: "x", at: now)
            }
            #expect(throws: ControlError.notUp("site")) { try endpoint.rekey("site", at: now) }
        }
        await pair.world.act("right") { endpoint, now in
            #expect(throws: ControlError.noRemoteAddress("site")) { try endpoint.initiate("site", at: now) }
        }
    }
}
