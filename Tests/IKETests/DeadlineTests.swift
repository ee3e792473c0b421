import IKE
import Octets
import Simulation
import Testing

@Suite("Nothing is stuck")
struct DeadlineTests {
    /// How long each state may last, and a way to get into it.
    static let table: [(state: ConnectionStatus.State, passes: Bool)] = [
        (.idle, false), (.waiting, false), (.connecting, true), (.up, false), (.retrying, true), (.failed, false),
    ]

    private func pair(in state: ConnectionStatus.State) async -> Pair {
        switch state {
        case .idle: return await Pair(seed: 1, start: .none)
        case .waiting: return await Pair(seed: 1, start: .demand)
        case .connecting: return await Pair(seed: 1, conditions: NetworkConditions(loss: 1))
        case .up: return await Pair.established(seed: 1)
        case .retrying:
            let pair = await Pair(seed: 1, right: { $0.localIdentity = .fqdn("x.example") })
            await pair.world.run(for: .milliseconds(500))
            return pair
        case .failed:
            let pair = await Pair(seed: 1, start: .none, right: { $0.localIdentity = .fqdn("x.example") })
            await pair.initiate()
            await pair.world.run(for: .milliseconds(500))
            return pair
        }
    }

    @Test("The table has every state")
    func complete() {
        #expect(Self.table.map(\.state) == ConnectionStatus.State.allCases)
    }

    @Test("A state that is to pass says when it ends, and the endpoint wakes by then", arguments: table)
    func timers(state: ConnectionStatus.State, passes: Bool) async throws {
        let pair = await pair(in: state)
        let status = try #require(pair.left.status("site"))
        try #require(status.state == state)
        #expect((status.deadline != nil) == passes)
        guard let deadline = status.deadline else { return }
        let wakes = try #require(pair.left.endpoint.nextDeadline)
        #expect(wakes <= deadline)
        await pair.world.run(for: deadline - pair.world.now)
        let later = try #require(pair.left.status("site"))
        #expect(later.state != state || later.deadline.map { $0 > pair.world.now } == true)
    }

    @Test(
        "In bad weather no connection is ever in a passing state beyond its time",
        arguments: 1...6 as ClosedRange<UInt64>)
    func always(seed: UInt64) async {
        let pair = await Pair(
            seed: seed,
            conditions: NetworkConditions(loss: 0.6, duplication: 0.1, delay: .milliseconds(1) ... .seconds(2)),
            left: {
                $0.start = .boot
                $0.timing.rekeyAfter = .seconds(60)
                $0.timing.livenessInterval = .seconds(5)
            }, right: { $0.timing.livenessInterval = .seconds(5) })
        let end = pair.world.now + .seconds(1800)
        while await pair.world.step(until: end) {
            for host in [pair.left, pair.right] {
                for status in host.endpoint.status() {
                    guard let deadline = status.deadline else { continue }
                    #expect(deadline >= pair.world.now, "\(host.name) is \(status.state): \(status.reason)")
                    #expect(host.endpoint.nextDeadline.map { $0 <= deadline } == true)
                }
            }
        }
    }

    @Test("Whichever computation never ends, both sides are up again and nothing is left behind", arguments: 0..<16)
    func lostJob(number: Int) async throws {
        let changes: (inout ConnectionConfiguration) -> Void = {
            $0.children[0].espProposals = $0.children[0].espProposals.map { proposal in
                var proposal = proposal
                proposal.keyExchange = [.curve25519]
                return proposal
            }
        }
        let pair = await Pair(seed: 7, left: changes, right: changes)
        pair.world.lostJobs = number < 3 ? [number] : []
        if number < 3 {
            // The jobs of the first exchange are begun with the pair; another attempt has those that follow.
            await pair.terminate("left")
            await pair.world.run(for: .seconds(1))
            pair.world.lostJobs = [pair.world.jobCount + number]
            await pair.initiate()
        }
        _ = await pair.world.run(atMost: .seconds(400)) { pair.isUp }
        if number >= 3 {
            pair.world.lostJobs = [pair.world.jobCount + number % 3]
            switch number {
            case 3..<6: await pair.rekeyChild("left")
            case 6..<9: await pair.rekeyIKE("left")
            case 9..<12: await pair.rekeyChild("right")
            default: await pair.rekeyIKE("right")
            }
        }
        await pair.world.run(for: .seconds(600))
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(200)) { pair.agrees() })
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees())
        #expect(pair.left.endpoint.saCount == 1 && pair.right.endpoint.saCount == 1)
        #expect(pair.left.endpoint.ikeSPICount == 1 && pair.right.endpoint.ikeSPICount == 1)
        #expect(pair.faults.isEmpty)
    }

    @Test("A connection whose peer's name cannot be resolved tries again, and is called once it can")
    func unresolved() async throws {
        let pair = await Pair(seed: 9, start: .none)
        var configuration = Pair.configuration(isLeft: true, start: .boot) { $0.fingerprint = "named" }
        let addresses = configuration.remoteAddresses
        configuration.remoteAddresses = []
        await pair.world.act("left") { endpoint, now in endpoint.apply([configuration], at: now) }
        #expect(pair.left.status("site")?.state == .retrying)
        await pair.world.act("left") { endpoint, now in
            endpoint.remoteAddressUnknown(
                of: "site", "gw.example.org cannot be resolved", lookedUpAgainAt: now + .seconds(30), at: now)
        }
        let status = try #require(pair.left.status("site"))
        #expect(status.state == .retrying)
        #expect(status.reason == "gw.example.org cannot be resolved")
        #expect(status.refusal?.cause == .unresolvedName)
        await pair.world.run(for: .seconds(500))
        #expect(pair.left.status("site")?.state == .retrying)
        await pair.world.act("left") { endpoint, now in endpoint.updateRemoteAddresses(of: "site", addresses, at: now) }
        await pair.world.run(for: .seconds(1))
        #expect(pair.isUp)
    }
}

@Suite("What a caller may change")
struct CallerTests {
    @Test("A caller that does not prove its identity is reported apart from the connection's own attempts")
    func stranger() async {
        let pair = await Pair.established(seed: 1)
        let world = pair.world
        var stranger = Pair.configuration(isLeft: true, start: .boot)
        stranger.localAddresses = []
        stranger.localAuthentication = .preSharedKey(SecretOctets([1, 2, 3]))
        let before = pair.right.events.count
        _ = await world.add("stranger", "192.0.2.99", [stranger])
        await world.act("right") { endpoint, now in
            var open = Pair.configuration(isLeft: false, start: .none)
            open.name = "open"
            open.acceptsAnyRemoteAddress = true
            endpoint.apply([Pair.configuration(isLeft: false, start: .none), open], at: now)
        }
        await world.run(for: .seconds(20))
        let events = pair.right.events.dropFirst(before)
        #expect(events.contains { if case .callerRefused = $0 { true } else { false } })
        #expect(!events.contains { if case .failed = $0 { true } else { false } })
        let narratives = events.compactMap { if case .negotiated(_, let narrative) = $0 { narrative } else { nil } }
        #expect(!narratives.isEmpty && narratives.allSatisfy(\.isFromStranger))
        #expect(pair.agrees())
    }

    @Test("Messages that are not taken are counted by reason, IKEv1 among them")
    func counters() async throws {
        let pair = await Pair.established(seed: 2)
        let sample = try #require(pair.world.sent.first)
        func inject(_ change: (inout [UInt8]) -> Void) async -> MessageCounters {
            var octets = sample.octets
            change(&octets)
            pair.world.inject(
                IKEDatagram(octets: octets, local: sample.local, remote: sample.remote, nonESPMarker: false))
            let count = pair.world.sent.count
            await pair.world.run(for: .milliseconds(100))
            answers = pair.world.sent.count - count
            return pair.right.endpoint.messageCounters
        }
        var answers = 0
        #expect(await inject { $0[17] = 0x10 }[.ikev1] == 1)
        #expect(answers == 0)
        #expect(await inject { $0[17] = 0x30 }[.badVersion] == 1)
        #expect(answers == 1)
        #expect(await inject { $0.removeLast() }[.malformed] == 1)
        #expect(await inject { $0.removeSubrange(20...) }[.malformed] == 2)
        #expect(
            await inject {
                $0[18] = 37; $0[8] = 1
            }[.unknownSPI] == 1)
        let last = try #require(pair.world.sent.last { pair.isFromLeft($0) && $0.header?.exchangeType == .ikeAuth })
        var octets = last.octets
        octets[23] = 2
        octets[octets.count - 1] ^= 1
        pair.world.inject(
            IKEDatagram(octets: octets, local: last.local, remote: last.remote, nonESPMarker: last.nonESPMarker))
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.endpoint.messageCounters[.notAuthentic] == 1)
    }
}

@Suite("Negotiations under way")
struct UnderWayTests {
    @Test("An attempt that waits for its answer says so")
    func silent() async throws {
        let pair = await Pair(seed: 1, conditions: NetworkConditions(loss: 1))
        await pair.world.run(for: .seconds(2))
        let under = try #require(pair.left.endpoint.negotiationsUnderWay(of: "site").first)
        #expect(under.waitsFor == "the peer's answer to IKE_SA_INIT, sent 3 times of 9")
        #expect(under.until.map { $0 > pair.world.now } == true)
        #expect(!under.narrative.isFinished)
        #expect(under.narrative.lines.contains { $0.kind == .sent })
    }

    @Test("When nothing is negotiated there is none")
    func none() async {
        let pair = await Pair.established(seed: 2)
        #expect(pair.left.endpoint.negotiationsUnderWay(of: "site").isEmpty)
        #expect(pair.right.endpoint.negotiationsUnderWay(of: "site").isEmpty)
    }
}
