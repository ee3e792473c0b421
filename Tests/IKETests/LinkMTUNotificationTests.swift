import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

// draft-liu-ipsecme-ikev2-mtu-dect
@Suite("Link MTU notifications")
struct LinkMTUNotificationTests {
    private static func pair(
        seed: UInt64, left: LinkMTUPolicy? = LinkMTUPolicy(), right: LinkMTUPolicy? = LinkMTUPolicy(),
        _ change: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Pair {
        func configured(_ policy: LinkMTUPolicy?) -> (inout ConnectionConfiguration) -> Void {
            {
                $0.linkMTUNotification = policy
                $0.timing.livenessInterval = nil
                change(&$0)
            }
        }
        return await Pair.established(seed: seed, left: configured(left), right: configured(right))
    }

    private static func fragments(_ packets: Int, of octets: Int) -> ArrivalSummary {
        var arrivals = ArrivalSummary()
        for _ in 0..<packets { arrivals.note(size: 3000, fragment: octets, limit: .max) }
        return arrivals
    }

    private static let right = IPAddress(v4: 0xc000_0202)

    // MARK: Form

    @Test("LMAP_AND_PTB_SUPPORTED has eight octets, in the request of IKE_AUTH and its answer")
    func supported() async throws {
        let pair = await Self.pair(seed: 1)
        for isResponse in [false, true] {
            let datagram = try #require(
                pair.world.sent.first { $0.header?.exchangeType == .ikeAuth && $0.isResponse == isResponse })
            let payloads = try #require(pair.wiretap.payloads(of: datagram.octets))
            #expect(payloads.octets(of: .supported) == [[0, 0, 0, 8, 0, 0, 0xa0, 0x29]])
        }
    }

    @Test("LMAP has the IP version and the length of a fragment in four octets")
    func largestAtomicPacket() async {
        let pair = await Self.pair(seed: 2)
        await pair.see(Self.fragments(8, of: 1396), at: "left")
        #expect(pair.reports(of: .lmap) == [[0x40, 0, 0x05, 0x74]])
        #expect(pair.reports(of: .ptb) == [])
    }

    @Test(
        "PTB has the link's MTU and the largest packet in eight octets, and comes alone where there were no fragments")
    func packetTooBig() async {
        let pair = await Self.pair(seed: 3, left: LinkMTUPolicy(linkMTU: 1500, largestPacket: 9000))
        var arrivals = Self.fragments(9, of: 1396)
        arrivals.note(size: 9001, fragment: nil, limit: 9000)
        await pair.see(arrivals, at: "left")
        #expect(pair.reports(of: .ptb) == [[0, 0, 0x05, 0xdc, 0, 0, 0x23, 0x28]])
        #expect(pair.reports(of: .lmap) == [])
    }

    @Test("For one packet that is too large and came in fragments both are sent, in one message")
    func both() async {
        let pair = await Self.pair(seed: 4, left: LinkMTUPolicy(linkMTU: nil, largestPacket: 2000))
        var arrivals = ArrivalSummary()
        arrivals.note(size: 3000, fragment: 1396, limit: 2000)
        await pair.see(arrivals, at: "left")
        #expect(pair.requests().map { $0.map(\.type) } == [[.notify, .notify]])
        #expect(pair.reports(of: .lmap) == [[0x40, 0, 0x05, 0x74]])
        #expect(pair.reports(of: .ptb) == [[0, 0, 0x05, 0xdc, 0, 0, 0x07, 0xd0]])
        #expect(pair.limit("right") == 1396)
    }

    @Test("The answer to a report is empty")
    func answer() async throws {
        let pair = await Self.pair(seed: 5)
        await pair.see(Self.fragments(8, of: 1396), at: "left")
        let answer = try #require(pair.world.sent.last { $0.isResponse(.informational) })
        #expect(pair.wiretap.payloads(of: answer.octets)?.isEmpty == true)
    }

    @Test("Numbers may be configured")
    func codePoints() async {
        let pair = await Pair(
            seed: 6, left: { $0.linkMTUNotification = LinkMTUPolicy() },
            right: { $0.linkMTUNotification = LinkMTUPolicy() },
            endpoint: {
                $0.exportsKeys = true
                $0.codePoints[.largestAtomicPacket] = 45002
            })
        await pair.rest()
        await pair.see(Self.fragments(8, of: 1396), at: "left")
        #expect(pair.reports(of: NotifyType(rawValue: 45002)).count == 1)
        #expect(pair.limit("right") == 1396)
    }

    // MARK: Agreement

    @Test("Nothing is told, nor done about what is told, unless both sides have said that they can")
    func agreement() async {
        for (left, right) in [(true, true), (true, false), (false, true), (false, false)] {
            let pair = await Self.pair(
                seed: 7, left: left ? LinkMTUPolicy() : nil, right: right ? LinkMTUPolicy() : nil)
            let isAgreed = left && right
            for side in ["left", "right"] {
                #expect(pair.host(side).status("site")?.ikeSAs.first?.notifiesLinkMTU == isAgreed)
                #expect(pair.path(side)?.mayBeFragmented == isAgreed)
                await pair.see(Self.fragments(50, of: 1396), at: side)
            }
            #expect(pair.reports(of: .lmap).count == (isAgreed ? 2 : 0))
            await pair.tell([.lmap([0x40, 0, 0x05, 0])])
            #expect(pair.limit("right") == (isAgreed ? 1280 : nil))
            #expect(pair.agrees())
            #expect(pair.faults.isEmpty)
        }
    }

    @Test("A peer that nothing is asked of is not told that we can")
    func silence() async {
        let pair = await Self.pair(seed: 8, left: nil)
        let auth = pair.world.sent.filter { $0.header?.exchangeType == .ikeAuth }
        #expect(auth.allSatisfy { pair.wiretap.payloads(of: $0.octets)?.contains(NotifyType.supported) == false })
    }

    @Test("An announcement with data or an SPI is none, twice it is one", arguments: 0..<3)
    func malformedAnnouncement(form: Int) async {
        let pair = await Self.pair(seed: 9)
        pair.rewrite {
            pair.isFromLeft($0) && $0.isRequest(.ikeAuth)
        } change: { payloads in
            payloads.flatMap { payload -> [Payload] in
                guard case .notify(var notify) = payload, notify.type == .supported else { return [payload] }
                switch form {
                case 0: notify.data = [1]
                case 1: (notify.protocolID, notify.spi) = (.esp, [1, 2, 3, 4])
                default: return [payload, payload]
                }
                return [.notify(notify)]
            }
        }
        await pair.terminate("left")
        await pair.rest()
        await pair.initiate()
        await pair.rest()
        #expect(pair.right.status("site")?.ikeSAs.first?.notifiesLinkMTU == (form == 2))
        #expect(pair.left.status("site")?.ikeSAs.first?.notifiesLinkMTU == (form == 2))
    }

    @Test("Over a network that loses and doubles, a report arrives")
    func loss() async {
        for seed in 10...13 as ClosedRange<UInt64> {
            let pair = await Self.pair(seed: seed)
            pair.world.conditions = NetworkConditions(loss: 0.3, duplication: 0.2)
            await pair.see(Self.fragments(8, of: 1396), at: "left")
            await pair.world.run(for: .seconds(60))
            #expect(pair.limit("right") == 1396)
        }
    }

    // MARK: How often

    @Test("Fewer than eight packets within ten seconds are not worth a report")
    func threshold() async {
        let pair = await Self.pair(seed: 14)
        for _ in 0..<3 {
            await pair.see(Self.fragments(7, of: 1396), at: "left")
            await pair.world.run(for: .seconds(11))
        }
        #expect(pair.reports(of: .lmap).isEmpty)
        await pair.see(Self.fragments(4, of: 1396), at: "left")
        await pair.see(Self.fragments(4, of: 1300), at: "left")
        #expect(pair.reports(of: .lmap) == [[0x40, 0, 0x05, 0x14]])
    }

    @Test(
        "A flood of fragments makes a report each ten seconds, and ever fewer of the same, until it was quiet for a minute"
    )
    func flood() async {
        let pair = await Self.pair(seed: 15)
        func reports(during seconds: Int) async -> Int {
            let before = pair.reports(of: .lmap).count
            for _ in 0..<seconds {
                await pair.see(Self.fragments(100_000, of: 1396), at: "left")
                await pair.world.run(for: .seconds(1))
            }
            return pair.reports(of: .lmap).count - before
        }
        // At 0, 10, 30, 70 and 150 seconds of 300.
        #expect(await reports(during: 200) == 5)
        await pair.world.run(for: .seconds(61))
        #expect(await reports(during: 5) == 1)
    }

    // MARK: What comes of it

    @Test(
        "What is told is for all children of the SA that send to the peer, for later ones, and through rekeys of both kinds"
    )
    func rekeys() async {
        let pair = await Self.pair(seed: 16)
        await pair.see(Self.fragments(8, of: 1396), at: "right")
        #expect(pair.path("left") == OuterPath(largestWhole: 1396, mayBeFragmented: true))
        #expect(pair.path("right") == OuterPath(mayBeFragmented: true))
        for side in ["left", "right"] {
            await pair.rekeyIKE(side)
            await pair.rest()
            await pair.rekeyChild(side)
            await pair.rest()
            #expect(pair.path("left") == OuterPath(largestWhole: 1396, mayBeFragmented: true))
            #expect(pair.limit("left") == 1396)
        }
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A value only ever lowers the one before, and the same one holds it for longer")
    func lowering() async {
        let pair = await Self.pair(seed: 17)
        func tell(_ data: [UInt8]) async -> Int? {
            await pair.tell([.lmap(data)])
            return pair.limit("right")
        }
        #expect(await tell([0x40, 0, 0x05, 0x74]) == 1396)
        #expect(await tell([0x40, 0, 0x05, 0xdc]) == 1396)
        #expect(await tell([0x40, 0, 0x05, 0]) == 1280)
        await pair.world.run(for: .seconds(500))
        #expect(await tell([0x40, 0, 0x05, 0]) == 1280)
        await pair.world.run(for: .seconds(500))
        #expect(pair.limit("right") == 1280)
        #expect(pair.path("right")?.largestWhole == 1280)
    }

    @Test("A peer that says less and less has the data plane told a few times at once, and then once a second")
    func falling() async {
        let pair = await Self.pair(seed: 61)
        var limits: Set<Int> = []
        for number in 0..<20 as Range<UInt8> {
            await pair.tell([.lmap([0x40, 0, 0x05, 0xdc - number])])
            if let limit = pair.limit("right") { limits.insert(limit) }
        }
        #expect((4...9).contains(limits.count))
        await pair.world.run(for: .seconds(2))
        await pair.tell([.lmap([0x40, 0, 0x05, 0])])
        #expect(pair.limit("right") == 1280)
    }

    @Test("After ten minutes it is forgotten, and the data plane told so")
    func ageing() async {
        let pair = await Self.pair(seed: 18)
        await pair.tell([.lmap([0x40, 0, 0x05, 0x74])])
        await pair.world.run(for: .seconds(590))
        #expect(pair.path("right")?.largestWhole == 1396)
        await pair.world.run(for: .seconds(15))
        #expect(pair.path("right") == OuterPath(mayBeFragmented: true))
        #expect(pair.limit("right") == nil)
    }

    @Test("Of PTB the smaller number counts; with LMAP beside it, LMAP or the largest packet")
    func packetTooBigFollowed() async {
        for (payloads, limit) in [
            ([Payload.ptb(1500, 9000)], 1500), ([.ptb(9000, 1400)], 1400),
            ([.lmap([0x40, 0, 0x05, 0x74]), .ptb(1300, 9000)], 1396),
            ([.ptb(1500, 1000), .lmap([0x40, 0, 0x05, 0x74])], 1000),
        ] {
            let pair = await Self.pair(seed: 19)
            await pair.tell(payloads)
            #expect(pair.limit("right") == limit)
        }
    }

    @Test(
        "What the peer can put together is told apart from what comes through whole, and outlives a report without it")
    func reassembled() async {
        let pair = await Self.pair(seed: 24)
        await pair.tell([.lmap([0x40, 0, 0x05, 0x74]), .ptb(1500, 2000)])
        #expect(pair.path("right") == OuterPath(largestWhole: 1396, largestReassembled: 2000, mayBeFragmented: true))
        await pair.tell([.lmap([0x40, 0, 0x05, 0])])
        #expect(pair.path("right") == OuterPath(largestWhole: 1280, largestReassembled: 2000, mayBeFragmented: true))
        await pair.tell([.ptb(1500, 1800)])
        #expect(pair.path("right") == OuterPath(largestWhole: 1280, largestReassembled: 1800, mayBeFragmented: true))
    }

    @Test("Reserved bits are not looked at")
    func reserved() async {
        let pair = await Self.pair(seed: 20)
        await pair.tell([.lmap([0x4f, 0xff, 0x05, 0x74])])
        #expect(pair.limit("right") == 1396)
    }

    @Test(
        "What makes no sense is ignored with one warning, answered emptily, and the SA goes on",
        arguments: [
            ("no data", [Payload.lmap([])]), ("three octets", [.lmap([0x40, 0, 5])]),
            ("five octets", [.lmap([0x40, 0, 5, 0x74, 0])]), ("IP version 5", [.lmap([0x50, 0, 5, 0x74])]),
            ("the other family", [.lmap([0x60, 0, 5, 0xb0])]), ("no length", [.lmap([0x40, 0, 0, 0])]),
            ("575 octets", [.lmap([0x40, 0, 2, 0x3f])]),
            ("twice", [.lmap([0x40, 0, 5, 0x74]), .lmap([0x40, 0, 5, 0x70])]),
            ("an SPI", [.lmap([0x40, 0, 5, 0x74], spi: [1, 2, 3, 4])]),
            ("PTB twice", [.ptb(1500, 1400), .ptb(1500, 1300)]),
            ("PTB of four octets", [.ptb([0, 0, 5, 0xdc])]),
            ("PTB of nine octets", [.ptb([0, 0, 5, 0xdc, 0, 0, 5, 0xdc, 0])]),
            ("PTB with a link of 575", [.ptb(575, 9000)]),
            ("PTB with packets of 0", [.ptb(1500, 0)]),
        ] as [(String, [Payload])])
    func senseless(_ row: (name: String, payloads: [Payload])) async {
        let pair = await Self.pair(seed: 21)
        for _ in 0..<2 {
            let answers = pair.world.sent.count { $0.isResponse(.informational) }
            await pair.tell(row.payloads)
            #expect(pair.world.sent.count { $0.isResponse(.informational) } == answers + 1, "\(row.name)")
        }
        #expect(pair.limit("right") == nil, "\(row.name)")
        let warnings = pair.right.events.count { if case .warning = $0 { true } else { false } }
        #expect(warnings == 1, "\(row.name)")
        #expect(pair.agrees(), "\(row.name)")
    }

    @Test("Numbers beyond any packet are followed no further than the link goes")
    func largest() async {
        let pair = await Self.pair(seed: 22)
        await pair.tell([.ptb([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])])
        #expect(pair.limit("right") == Int(UInt32.max))
        await pair.tell([.lmap([0x40, 0, 0x05, 0x74])])
        #expect(pair.limit("right") == 1396)
    }

    @Test("What was told of a way does not hold for another, to which the peer moves")
    func moved() async {
        let pair = await Self.pair(seed: 23) { if !$0.localAddresses.contains(Self.right) { $0.localAddresses = [] } }
        await pair.see(Self.fragments(8, of: 1396), at: "left")
        #expect(pair.path("right")?.largestWhole == 1396)
        await pair.world.move("left", to: ["203.0.113.9"])
        await pair.world.run(for: .seconds(30))
        #expect(pair.right.outbound.values.first?.remote.address == IPAddress("203.0.113.9"))
        #expect(pair.limit("right") == nil)
        #expect(pair.path("right") == OuterPath(mayBeFragmented: true))
    }
}

extension NotifyType {
    fileprivate static let supported = NotifyType(rawValue: 41001)
    fileprivate static let lmap = NotifyType(rawValue: 41002)
    fileprivate static let ptb = NotifyType(rawValue: 41003)
}

extension Payload {
    fileprivate static func lmap(_ data: [UInt8], spi: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(protocolID: spi.isEmpty ? .none : .esp, spi: spi, type: .lmap, data: data))
    }

    fileprivate static func ptb(_ data: [UInt8]) -> Payload {
        .notify(NotifyPayload(protocolID: .none, spi: [], type: .ptb, data: data))
    }

    fileprivate static func ptb(_ link: UInt32, _ packet: UInt32) -> Payload {
        ptb(link.bigEndianOctets + packet.bigEndianOctets)
    }
}

extension [Payload] {
    /// Each notification of a type as it would stand last in a message.
    fileprivate func octets(of type: NotifyType) -> [[UInt8]] {
        filter { $0.is(type) }.map { Payload.serializeChain([$0]).octets }
    }
}

extension Pair {
    /// Lets a host's data plane see packets.
    fileprivate func see(_ arrivals: ArrivalSummary, at name: String) async {
        let spi = host(name).status("site")?.children.first?.inboundSPI ?? 0
        await world.act(name) { $0.handle(.arrivals(spi: spi, arrivals), at: $1) }
        await world.run(for: .milliseconds(500))
    }

    /// Has the left side say something by INFORMATIONAL, sealed by its keys.
    fileprivate func tell(_ payloads: [Payload]) async {
        let sa = left.status("site")?.ikeSAs.last
        let used = world.sent.filter { isFromLeft($0) && !$0.isResponse }.compactMap { datagram in
            datagram.header?.initiatorSPI == sa?.localSPI ? datagram.header?.messageID : nil
        }
        let id = max((used.max() ?? 0) + 1, told)
        let header = IKEHeader(
            initiatorSPI: sa?.localSPI ?? 0, responderSPI: sa?.remoteSPI ?? 0, exchangeType: .informational,
            flags: .initiator, messageID: id)
        guard let octets = wiretap.seal(header, payloads, iv: UInt64(id) << 40) else { return }
        guard var datagram = world.sent.last(where: { isFromLeft($0) }) else { return }
        datagram.octets = octets
        world.inject(datagram)
        await world.run(for: .milliseconds(200))
    }

    /// The number after those of the left side's requests that the right side has answered.
    private var told: UInt32 {
        let answered = world.sent.filter { !isFromLeft($0) && $0.isResponse }.compactMap { $0.header?.messageID }
        return (answered.max() ?? 0) + 1
    }

    /// INFORMATIONAL requests that say something, without those that come again.
    fileprivate func requests() -> [[Payload]] {
        var seen: Set<[UInt8]> = []
        return world.sent.filter { $0.isRequest(.informational) && seen.insert($0.octets).inserted }
            .compactMap { wiretap.payloads(of: $0.octets) }.filter { !$0.isEmpty }
    }

    fileprivate func reports(of type: NotifyType) -> [[UInt8]] {
        requests().flatMap { payloads in
            payloads.compactMap { if case .notify(let notify) = $0, notify.type == type { notify.data } else { nil } }
        }
    }

    fileprivate func limit(_ name: String) -> Int? { host(name).status("site")?.ikeSAs.first?.outerLimit }

    /// What the data plane knows of the way that packets take.
    fileprivate func path(_ name: String) -> OuterPath? { host(name).outbound.values.first?.outerPath }
}
