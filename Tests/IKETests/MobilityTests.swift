import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("MOBIKE (RFC 4555)")
struct MobilityTests {
    private static let elsewhere = SocketAddress(IPAddress(v4: 0xcb00_7109), port: 4500)
    private static let home = SocketAddress(IPAddress(v4: 0xc000_0201), port: 4500)

    /// A pair whose left side may have any address.
    private static func pair(
        seed: UInt64, left: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        right: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Pair {
        await Pair.established(
            seed: seed,
            left: {
                $0.localAddresses = []
                left(&$0)
            }, right: right)
    }

    /// Protected messages in the order they were sent from now on: who, whether an answer, and the notifications.
    private final class Record {
        struct Line: Equatable {
            let isFromLeft: Bool
            let isAnswer: Bool
            let types: Set<UInt16>
            let datagram: IKEDatagram

            func has(_ type: NotifyType) -> Bool { types.contains(type.rawValue) }
        }

        private let pair: Pair
        private let start: Int

        init(_ pair: Pair) {
            self.pair = pair
            start = pair.world.sent.count
        }

        var lines: [Line] {
            pair.world.sent.dropFirst(start).compactMap { datagram in
                guard let header = datagram.header, let payloads = pair.wiretap.payloads(of: datagram.octets) else {
                    return nil
                }
                let types = payloads.compactMap {
                    if case .notify(let notify) = $0 { notify.type.rawValue } else { nil }
                }
                return Line(
                    isFromLeft: header.flags.contains(.initiator), isAnswer: header.flags.contains(.response),
                    types: Set(types), datagram: datagram)
            }
        }
    }

    // MARK: Agreement

    @Test("Both sides say in IKE_AUTH that they take part, and IKE goes on at port 4500 while ESP stays without UDP")
    func agreement() async throws {
        let pair = await Self.pair(seed: 1)
        #expect(pair.agrees())
        for isAnswer in [false, true] {
            let message = try #require(
                pair.world.sent.first { $0.header?.exchangeType == .ikeAuth && $0.isResponse == isAnswer })
            let payloads = try #require(pair.wiretap.payloads(of: message.octets))
            #expect(payloads.contains(NotifyType.mobikeSupported))
            #expect(payloads.contains(NotifyType.noAdditionalAddresses))
            #expect(message.nonESPMarker && message.remote.port == 4500)
        }
        #expect(pair.left.inbound.values.allSatisfy { !$0.isEncapsulatedInUDP })
        #expect(pair.faults.isEmpty)
    }

    @Test("Where one side does not take part, an SA stays where it is", arguments: [true, false])
    func disagreement(isLeftWilling: Bool) async throws {
        let pair = await Self.pair(
            seed: 2, left: { $0.mobility = isLeftWilling }, right: { $0.mobility = !isLeftWilling })
        let record = Record(pair)
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(5))
        #expect(record.lines.isEmpty)
        #expect(pair.right.outbound[1]?.remote.address == Self.home.address)
        let answer = try #require(pair.world.sent.first { $0.isResponse(.ikeAuth) })
        #expect(pair.wiretap.payloads(of: answer.octets)?.contains(NotifyType.mobikeSupported) == false)
    }

    @Test("Addresses within the protected networks are not told; others are, at most eight")
    func addressList() async throws {
        let pair = await Self.pair(seed: 3)
        let record = Record(pair)
        await pair.world.move(
            "left", to: ["192.0.2.1", "10.1.0.1", "2001:db8::7"] + (1...20).map { "203.0.113.\($0)" })
        await pair.world.run(for: .seconds(1))
        let message = try #require(record.lines.first { !$0.isAnswer })
        let payloads = try #require(pair.wiretap.payloads(of: message.datagram.octets))
        var told: [IPAddress] = []
        for case .notify(let notify) in payloads {
            if let address = IPAddress(octets: notify.data) { told.append(address) }
        }
        #expect(told.count == 8)
        #expect(told.first == IPAddress("2001:db8::7"))
        #expect(!told.contains { $0 == IPAddress("10.1.0.1") || $0 == IPAddress("192.0.2.1") })
    }

    // MARK: The initiator moves

    @Test("The initiator moves: update, answer, check of the new address, and only then packets go there")
    func initiatorMoves() async throws {
        let pair = await Self.pair(seed: 4)
        let record = Record(pair)
        await pair.world.move("left", to: ["203.0.113.9"])
        // left's own packets go from the new address at once.
        #expect(pair.left.outbound[1]?.local == Self.elsewhere)
        _ = await pair.world.run(atMost: .seconds(5)) { record.lines.count == 3 }
        #expect(pair.right.outbound[1]?.remote.address == Self.home.address)
        await pair.world.run(for: .seconds(1))
        let lines = record.lines
        try #require(lines.count == 4)
        // left → right: UPDATE_SA_ADDRESSES, COOKIE2, NO_ADDITIONAL_ADDRESSES, NAT detection
        #expect(lines[0].isFromLeft && !lines[0].isAnswer)
        #expect(lines[0].has(.updateSAAddresses) && lines[0].has(.cookie2) && lines[0].has(.noAdditionalAddresses))
        #expect(lines[0].has(.natDetectionSourceIP) && lines[0].has(.natDetectionDestinationIP))
        #expect(lines[0].datagram.local == Self.elsewhere)
        // right → left: the cookie and right's NAT detection, to where the request came from
        #expect(
            !lines[1].isFromLeft && lines[1].isAnswer && lines[1].has(.cookie2) && lines[1].has(.natDetectionSourceIP))
        #expect(lines[1].datagram.remote == Self.elsewhere)
        // right → left: COOKIE2, and its return
        #expect(!lines[2].isFromLeft && !lines[2].isAnswer && lines[2].types == [NotifyType.cookie2.rawValue])
        #expect(lines[3].isFromLeft && lines[3].isAnswer && lines[3].has(.cookie2))
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        #expect(pair.left.status("site")?.ikeSAs.first?.local == "203.0.113.9:4500")
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A responder that is configured so believes at once")
    func unchecked() async {
        let pair = await Self.pair(seed: 5, right: { $0.checksReturnRoutability = false })
        let record = Record(pair)
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(1))
        #expect(record.lines.count == 2)
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
    }

    @Test("While messages are lost, the SA still follows through several moves, back to the first address")
    func movesUnderLoss() async {
        let pair = await Self.pair(seed: 6)
        pair.world.conditions = NetworkConditions(loss: 0.3)
        for address in ["203.0.113.9", "203.0.113.10", "2001:db8::5", "203.0.113.9"] {
            await pair.world.move("left", to: [address])
            await pair.world.run(for: .milliseconds(700))
        }
        pair.world.conditions = NetworkConditions()
        await pair.world.run(for: .seconds(60))
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        await pair.world.move("left", to: ["192.0.2.1"])
        await pair.world.run(for: .seconds(10))
        #expect(pair.right.outbound[1]?.remote == Self.home)
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A request that is under way goes on from the new address")
    func requestUnderWay() async {
        let pair = await Self.pair(seed: 7)
        await pair.rekeyChild("left")
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        #expect(pair.left.outbound[1]?.local == Self.elsewhere)
    }

    @Test("After rekeys by the responder the first initiator still decides", arguments: ["left", "right"])
    func afterRekey(by name: String) async {
        let pair = await Self.pair(seed: 8)
        await pair.rekeyIKE(name)
        await pair.rest()
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        await pair.rekeyIKE(name)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.right.status("site")?.ikeSAs.first?.remote == "203.0.113.9:4500")
    }

    @Test("A rekey that crosses the move loses neither")
    func rekeyCrosses() async {
        let pair = await Self.pair(seed: 9)
        await pair.rekeyIKE("right")
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(30))
        #expect(pair.agrees())
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        #expect(pair.right.status("site")?.ikeSAs.first?.remote == "203.0.113.9:4500")
    }

    @Test("Off the network for a while, the SA goes on where the host comes back")
    func away() async {
        let pair = await Self.pair(seed: 10)
        await pair.world.move("left", to: [])
        await pair.world.run(for: .seconds(40))
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees())
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        #expect(pair.left.narratives.count == 1)
    }

    // MARK: NATs

    /// A NAT before one of left's addresses.
    private static func hide(_ inside: IPAddress, as outside: SocketAddress, in pair: Pair) {
        pair.world.tap = { datagram in
            var datagram = datagram
            if datagram.local.address == inside { datagram.local = outside }
            if datagram.remote == outside { datagram.remote = SocketAddress(inside, port: 4500) }
            return [datagram]
        }
    }

    @Test("Moving behind a NAT puts ESP into UDP, and out of it again")
    func behindNAT() async throws {
        let pair = await Self.pair(seed: 11)
        let outside = SocketAddress(IPAddress(v4: 0xcb00_7105), port: 34500)
        Self.hide(try #require(IPAddress("192.168.7.7")), as: outside, in: pair)
        await pair.world.move("left", to: ["192.168.7.7"])
        await pair.world.run(for: .seconds(2))
        #expect(pair.left.inbound.values.allSatisfy { $0.isEncapsulatedInUDP })
        #expect(pair.right.outbound[1]?.isEncapsulatedInUDP == true)
        #expect(pair.right.outbound[1]?.remote == outside)
        #expect(pair.left.status("site")?.ikeSAs.first?.isBehindNAT == true)
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(2))
        #expect(pair.left.inbound.values.allSatisfy { !$0.isEncapsulatedInUDP })
        #expect(pair.right.outbound[1]?.isEncapsulatedInUDP == false)
        #expect(pair.right.outbound[1]?.remote == Self.elsewhere)
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A new mapping of the NAT shows in the answers to signs of life, and is told")
    func newMapping() async throws {
        let pair = await Self.pair(seed: 12, left: { $0.timing.livenessInterval = .seconds(5) })
        let inside = try #require(IPAddress("192.168.7.7"))
        Self.hide(inside, as: SocketAddress(IPAddress(v4: 0xcb00_7105), port: 34500), in: pair)
        await pair.world.move("left", to: ["192.168.7.7"])
        await pair.world.run(for: .seconds(2))
        let next = SocketAddress(IPAddress(v4: 0xcb00_7105), port: 34999)
        Self.hide(inside, as: next, in: pair)
        let record = Record(pair)
        await pair.world.run(for: .seconds(20))
        #expect(record.lines.contains { $0.isFromLeft && $0.has(.updateSAAddresses) })
        #expect(pair.right.outbound[1]?.remote == next)
    }

    @Test(
        "A new mapping is found out by the first sign of life, though none before it can tell of the old one",
        arguments: [true, false])
    func newMappingAtFirst(isRekeyed: Bool) async {
        let nat = NAT(outside: "203.0.113.5")
        let pair = await Pair(seed: 14, behind: nat, left: { $0.timing.livenessInterval = .seconds(20) })
        _ = await pair.world.run(atMost: .seconds(3)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        if isRekeyed {
            await pair.rekeyIKE("left")
            await pair.world.run(for: .seconds(1))
        }
        // No packet tells of it either.
        pair.world.conditions.reportLoss = 1
        await pair.world.rebind(nat)
        #expect(!pair.carries)
        #expect(await pair.world.run(atMost: .seconds(25)) { pair.carries })
        #expect(pair.faults.isEmpty)
    }

    @Test("ESP of a peer behind a NAT: another port is followed at once, another address when it has answered there")
    func espFromElsewhere() async throws {
        let pair = await Self.pair(seed: 13)
        let inside = try #require(IPAddress("192.168.7.7"))
        let outside = IPAddress(v4: 0xcb00_7105)
        Self.hide(inside, as: SocketAddress(outside, port: 34500), in: pair)
        await pair.world.move("left", to: ["192.168.7.7"])
        await pair.world.run(for: .seconds(2))
        func report(_ remote: SocketAddress) async {
            let spi = pair.right.inbound.keys.first ?? 0
            await pair.world.act("right") { $0.handle(.peerMoved(spi: spi, remote: remote), at: $1) }
        }
        await report(SocketAddress(outside, port: 34999))
        #expect(pair.right.outbound[1]?.remote == SocketAddress(outside, port: 34999))
        let thief = SocketAddress(IPAddress(v4: 0x0a09_0807), port: 4500)
        await report(thief)
        await pair.world.run(for: .seconds(60))
        #expect(pair.right.outbound[1]?.remote.address == outside)
        let next = SocketAddress(IPAddress(v4: 0xcb00_7106), port: 34500)
        Self.hide(inside, as: next, in: pair)
        await report(next)
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.outbound[1]?.remote == next)
        #expect(pair.agrees())
    }

    @Test("ESP from another address moves nothing at the side that decides, though the peer is behind a NAT")
    func espFromElsewhereAtInitiator() async throws {
        let visible = try #require(IPAddress("203.0.114.9"))
        let pair = await Pair(
            seed: 24, rightBehind: NAT(outside: "203.0.114.9", server: "198.51.100.2"),
            left: { $0.remoteAddresses = [visible] })
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        // Right's own packets would lead back at once.
        pair.world.carriesTraffic = false
        let spi = try #require(pair.left.inbound.keys.first)
        await pair.world.act("left") {
            $0.handle(.peerMoved(spi: spi, remote: SocketAddress(IPAddress(v4: 0x0a09_0807), port: 4500)), at: $1)
        }
        #expect(pair.left.outbound[1]?.remote.address == visible)
        await pair.world.run(for: .seconds(10))
        #expect(pair.left.outbound[1]?.remote.address == visible)
        #expect(pair.carries)
    }

    // MARK: Dead ways

    @Test(
        "When the peer does not answer where it was, its other addresses are tried, and the SA goes on at one of them")
    func deadWay() async throws {
        let pair = await Self.pair(
            seed: 14, left: { $0.timing.livenessInterval = .seconds(5) }, right: { $0.localAddresses = [] })
        await pair.world.move("right", to: ["198.51.100.2", "198.51.100.3"])
        await pair.world.run(for: .seconds(1))
        let dead = try #require(IPAddress("198.51.100.2"))
        pair.world.tap = { $0.remote.address == dead || $0.local.address == dead ? [] : [$0] }
        await pair.world.run(for: .seconds(30))
        #expect(pair.left.outbound[1]?.remote.address == IPAddress("198.51.100.3"))
        #expect(pair.right.outbound[1]?.local.address == IPAddress("198.51.100.3"))
        #expect(pair.agrees())
        #expect(pair.left.narratives.count == 1)
    }

    @Test("A responder that has another address says so from there, and the initiator goes over")
    func responderMoves() async {
        let pair = await Self.pair(seed: 15, right: { $0.localAddresses = [] })
        let record = Record(pair)
        await pair.world.move("right", to: ["198.51.100.2", "198.51.100.3"])
        await pair.world.run(for: .seconds(1))
        #expect(record.lines.first.map { !$0.isFromLeft && $0.has(.additionalIP4Address) } == true)
        #expect(pair.left.outbound[1]?.remote.address == IPAddress("198.51.100.2"))
        await pair.world.move("right", to: ["198.51.100.3"])
        await pair.world.run(for: .seconds(2))
        #expect(record.lines.contains { $0.isFromLeft && $0.has(.updateSAAddresses) })
        #expect(pair.left.outbound[1]?.remote.address == IPAddress("198.51.100.3"))
        #expect(pair.right.outbound[1]?.local.address == IPAddress("198.51.100.3"))
        #expect(pair.agrees())
    }

    @Test("A responder that is called at an address it has not been told of yet stays there")
    func unheardOfAddress() async {
        let pair = await Pair(
            seed: 23, start: .none, left: { $0.localAddresses = [] }, right: { $0.localAddresses = [] })
        await pair.world.act("right") { endpoint, now in
            endpoint.updateOwnAddresses([IPAddress(v4: 0xc633_6403)], at: now)
        }
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.outbound[1]?.local.address == pair.right.address)
    }

    // MARK: What is not to be believed

    @Test("An update whose source was changed on the way diverts no packets, and the SA lives on")
    func changedSource() async {
        let pair = await Self.pair(seed: 16)
        let thief = SocketAddress(IPAddress(v4: 0x0a09_0807), port: 4500)
        var isFirst = true
        pair.world.tap = { datagram in
            guard isFirst, datagram.local == Self.elsewhere else { return [datagram] }
            isFirst = false
            var changed = datagram
            changed.local = thief
            return [changed]
        }
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(10))
        #expect(pair.right.outbound[1]?.remote.address == Self.home.address)
        #expect(pair.right.endpoint.saCount == 1)
        await pair.world.move("left", to: ["203.0.113.10"])
        await pair.world.run(for: .seconds(150))
        #expect(pair.right.outbound[1]?.remote.address == IPAddress("203.0.113.10"))
        #expect(pair.agrees())
    }

    @Test("A request without an update is answered to where it came from and moves nothing: it may test a way")
    func testOfAWay() async {
        let pair = await Self.pair(seed: 17)
        let other = SocketAddress(IPAddress(v4: 0xcb00_7142), port: 4500)
        pair.world.tap = { datagram in
            guard pair.isFromLeft(datagram) else { return [datagram] }
            var changed = datagram
            changed.local = other
            return [changed]
        }
        let record = Record(pair)
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(400))
        #expect(record.lines.contains { !$0.isFromLeft && $0.isAnswer && $0.datagram.remote == other })
        #expect(pair.right.outbound[1]?.remote.address == Self.home.address)
    }

    /// What right answers to an INFORMATIONAL request that left might have sent, to its address `to`.
    private func answer(
        of pair: Pair, to payloads: [Payload], at address: String = "198.51.100.2", from remote: SocketAddress = home
    ) async -> [Payload]? {
        let sa = pair.left.status("site")?.ikeSAs.first
        let used = pair.world.sent.compactMap(\.header).filter {
            $0.flags.contains(.initiator) && !$0.flags.contains(.response)
        }
        let header = IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: .informational,
            flags: .initiator, messageID: (used.map(\.messageID).max() ?? 0) + 1)
        guard let octets = pair.wiretap.seal(header, payloads, iv: 1 << 40) else { return nil }
        let start = pair.world.sent.count
        pair.world.inject(
            IKEDatagram(
                octets: octets, local: remote, remote: SocketAddress(IPAddress(address) ?? remote.address, port: 4500),
                nonESPMarker: true))
        await pair.world.run(for: .milliseconds(100))
        let answers = pair.world.sent.dropFirst(start).filter { $0.isResponse(.informational) && !pair.isFromLeft($0) }
        return answers.first.flatMap { pair.wiretap.payloads(of: $0.octets) }
    }

    @Test("An update that came through a NAT its sender does not allow is answered UNEXPECTED_NAT_DETECTED")
    func unexpectedNAT() async throws {
        let update = Payload.notify(.plain(.updateSAAddresses))
        // Source 192.0.2.9, destination 198.51.100.2, both at port 4500.
        let ends: [UInt8] = [192, 0, 2, 9, 198, 51, 100, 2, 0x11, 0x94, 0x11, 0x94]
        let prohibition = Payload.notify(.plain(.noNATsAllowed, ends))
        let pair = await Self.pair(seed: 18)
        let refused = try #require(await answer(of: pair, to: [update, prohibition]))
        #expect(refused.contains(NotifyType.unexpectedNATDetected))
        let other = await Self.pair(seed: 18)
        let there = SocketAddress(IPAddress(v4: 0xc000_0209), port: 4500)
        let accepted = try #require(await answer(of: other, to: [update, prohibition], from: there))
        #expect(!accepted.contains(NotifyType.unexpectedNATDetected))
    }

    @Test("An update to an address that the connection does not have is answered UNACCEPTABLE_ADDRESSES")
    func unacceptable() async throws {
        let pair = await Self.pair(seed: 19)
        await pair.world.move("right", to: ["198.51.100.2", "198.51.100.3"])
        let refused = try #require(
            await answer(of: pair, to: [.notify(.plain(.updateSAAddresses))], at: "198.51.100.3"))
        #expect(refused.contains(NotifyType.unacceptableAddresses))
        #expect(pair.right.outbound[1]?.local.address == IPAddress("198.51.100.2"))
    }

    @Test("A cookie is returned as it came if its length is allowed", arguments: [7, 8, 64, 65])
    func cookie(count: Int) async throws {
        let pair = await Self.pair(seed: 20)
        let cookie = (0..<count).map { UInt8($0) }
        let answer = try #require(
            await answer(of: pair, to: [.notify(.plain(.cookie2, cookie))]))
        #expect(answer.contains(NotifyType.cookie2) == (8...64).contains(count))
    }

    @Test("An answer that does not return the cookie ends the SA")
    func wrongCookie() async throws {
        let pair = await Self.pair(seed: 21)
        let held = Held(pair.world) { $0.isResponse }
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .milliseconds(100))
        let request = try #require(
            pair.world.sent.last { $0.isRequest(.informational) && $0.local == Self.elsewhere }?.header)
        let header = IKEHeader(
            initiatorSPI: request.initiatorSPI, responderSPI: request.responderSPI, exchangeType: .informational,
            flags: .response, messageID: request.messageID)
        let wrong = Payload.notify(.plain(.cookie2, [UInt8](repeating: 1, count: 32)))
        let octets = try #require(pair.wiretap.seal(header, [wrong], iv: 1 << 40))
        let before = pair.ikeSPI
        pair.world.inject(
            IKEDatagram(
                octets: octets, local: SocketAddress(pair.right.address, port: 4500), remote: Self.elsewhere,
                nonESPMarker: true))
        await pair.world.run(for: .milliseconds(100))
        #expect(!held.datagrams.isEmpty)
        #expect(pair.left.status("site")?.ikeSAs.contains { $0.localSPI == before } == false)
    }

    @Test("Lists without end are remembered up to a limit, and what is no address is passed over")
    func longList() async throws {
        let pair = await Self.pair(seed: 22)
        var payloads: [Payload] = (0..<60).map {
            .notify(.plain(.additionalIP4Address, [203, 0, 113, UInt8($0)]))
        }
        payloads.insert(.notify(.plain(.additionalIP4Address, [1, 2, 3])), at: 0)
        payloads.insert(.notify(.plain(.additionalIP6Address, [1, 2, 3, 4])), at: 0)
        payloads.insert(.notify(.plain(.additionalIP4Address, [0, 0, 0, 0])), at: 0)
        #expect(await answer(of: pair, to: payloads) != nil)
        #expect(pair.agrees())
        // right's requests find nobody where left was: it tries what it remembers, and nowhere else.
        let start = pair.world.sent.count
        pair.world.tap = { pair.isFromLeft($0) ? [] : [$0] }
        await pair.rekeyChild("right")
        await pair.world.run(for: .seconds(20))
        let tried = Set(pair.world.sent.dropFirst(start).filter { !pair.isFromLeft($0) }.map(\.remote.address))
        #expect((2...16).contains(tried.count))
        #expect(!tried.contains(.unspecified(.v4)))
    }
}

extension NotifyPayload {
    /// A notification that concerns no SA but the one it is sent in.
    fileprivate static func plain(_ type: NotifyType, _ data: [UInt8] = []) -> NotifyPayload {
        NotifyPayload(protocolID: .none, spi: [], type: type, data: data)
    }
}
