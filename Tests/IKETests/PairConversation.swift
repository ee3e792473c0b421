import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation

// What several tests say to a pair of gateways.
extension Pair {
    /// A pair that is up and at rest; endpoints export their keys.
    static func established(
        seed: UInt64, left changeLeft: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        right changeRight: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, left: changeLeft, right: changeRight, endpoint: { $0.exportsKeys = true })
        _ = await pair.world.run(atMost: .seconds(5)) { pair.isUp }
        await pair.world.run(for: .milliseconds(500))
        return pair
    }

    func host(_ name: String) -> Host { name == "left" ? left : right }

    func initiate(_ name: String = "left", child: String? = nil) async {
        await world.act(name) { endpoint, now in try? endpoint.initiate("site", child: child, at: now) }
    }

    func rekeyChild(_ name: String, child: String = "net") async {
        await world.act(name) { endpoint, now in try? endpoint.rekey("site", child: child, at: now) }
    }

    func rekeyIKE(_ name: String) async {
        await world.act(name) { endpoint, now in try? endpoint.rekey("site", at: now) }
    }

    func terminate(_ name: String, child: String? = nil) async {
        await world.act(name) { endpoint, now in try? endpoint.terminate("site", child: child, at: now) }
    }

    /// One IKE SA and the same children, as both sides see it, and packets pass.
    func agrees(children: Int = 1) -> Bool {
        guard let ours = left.status("site"), let theirs = right.status("site"), ours.ikeSAs.count == 1,
            theirs.ikeSAs.count == 1, ours.ikeSAs[0].localSPI == theirs.ikeSAs[0].remoteSPI
        else { return false }
        return carries && ours.children.count == children && left.inbound.count == children
            && right.inbound.count == children
            && Set(ours.children.map { [$0.inboundSPI, $0.outboundSPI] })
                == Set(theirs.children.map { [$0.outboundSPI, $0.inboundSPI] })
    }

    /// Changes what is in protected messages on their way, as if the sender had put it there.
    func rewrite(
        _ isWanted: @escaping (IKEDatagram) -> Bool, change: @escaping ([Payload]) -> [Payload]
    ) {
        world.tap = Self.rewriting(isWanted, change: change)(self)
    }

    /// The tap that ``rewrite(_:change:)`` sets, for a pair that is still to be made.
    static func rewriting(
        _ isWanted: @escaping (IKEDatagram) -> Bool, change: @escaping ([Payload]) -> [Payload]
    ) -> (Pair) -> (IKEDatagram) -> [IKEDatagram] {
        { pair in
            let wiretap = pair.wiretap
            return { datagram in
                guard isWanted(datagram), let header = datagram.header,
                    let payloads = wiretap.payloads(of: datagram.octets),
                    let octets = wiretap.seal(header, change(payloads), iv: 1 << 40 + UInt64(header.messageID))
                else { return [datagram] }
                return [datagram.carrying(octets)]
            }
        }
    }

    /// Changes the traffic selectors in protected messages on their way: what follows the addresses, which may go too.
    static func rewritingSelectors(
        _ isWanted: @escaping (IKEDatagram) -> Bool, keepsAddresses: Bool = true, initiator: [WireTrafficSelector],
        responder: [WireTrafficSelector]
    ) -> (Pair) -> (IKEDatagram) -> [IKEDatagram] {
        func changed(_ payload: TrafficSelectorPayload, _ others: [WireTrafficSelector]) -> TrafficSelectorPayload {
            let addresses = payload.selectors.filter { if case .addressRange = $0 { keepsAddresses } else { false } }
            return TrafficSelectorPayload(selectors: addresses + others)
        }
        return rewriting(isWanted) { payloads in
            payloads.map { payload -> Payload in
                switch payload {
                case .trafficSelectorsInitiator(let body): .trafficSelectorsInitiator(changed(body, initiator))
                case .trafficSelectorsResponder(let body): .trafficSelectorsResponder(changed(body, responder))
                default: payload
                }
            }
        }
    }

    /// Changes the requests of IKE_SA_INIT, or their answers, as anybody on the way can.
    func rewriteInit(isResponse: Bool = false, change: @escaping ([Payload]) -> [Payload]) {
        world.tap = { $0.rewritingInit(isResponse: isResponse, change: change) }
    }

    /// Lets everything that is under way come to its end.
    func rest() async { await world.run(for: .seconds(8)) }

    /// Neither side holds anything any more.
    var isEmpty: Bool {
        [left, right].allSatisfy { host in
            host.inbound.isEmpty && host.outbound.isEmpty && host.endpoint.saCount == 0
                && host.endpoint.ikeSPICount == 0 && host.endpoint.childSPICount == 0
        }
    }

    var childSPIs: [UInt32] { left.status("site")?.children.map(\.inboundSPI) ?? [] }
    var ikeSPI: UInt64 { left.status("site")?.ikeSAs.last?.localSPI ?? 0 }

    func isFromLeft(_ datagram: IKEDatagram) -> Bool { datagram.local.address == left.address }
}

extension IKEDatagram {
    var header: IKEHeader? {
        var reader = OctetReader(octets)
        return try? IKEHeader(parsing: &reader)
    }

    var isResponse: Bool { header?.flags.contains(.response) ?? false }
    func isRequest(_ exchange: ExchangeType) -> Bool { header?.exchangeType == exchange && !isResponse }
    func isResponse(_ exchange: ExchangeType) -> Bool { header?.exchangeType == exchange && isResponse }

    /// The same with other octets.
    func carrying(_ octets: [UInt8]) -> IKEDatagram {
        var datagram = self
        datagram.octets = octets
        return datagram
    }

    /// A request of IKE_SA_INIT, or an answer, with other payloads; anything else as it is.
    func rewritingInit(isResponse: Bool, change: ([Payload]) -> [Payload]) -> [IKEDatagram] {
        guard header?.exchangeType == .ikeSAInit, self.isResponse == isResponse,
            var message = try? Message(parsing: octets)
        else { return [self] }
        message.payloads = change(message.payloads)
        return [carrying(message.serialized())]
    }

    /// An answer that a stranger on the way could send to this message.
    func answered(with payloads: [Payload], responderSPI: UInt64 = 0) -> IKEDatagram? {
        guard let header else { return nil }
        var flags: IKEHeader.Flags = .response
        if !header.flags.contains(.initiator) { flags.insert(.initiator) }
        let answer = Message(
            header: IKEHeader(
                initiatorSPI: header.initiatorSPI, responderSPI: responderSPI, exchangeType: header.exchangeType,
                flags: flags, messageID: header.messageID),
            payloads: payloads)
        return IKEDatagram(octets: answer.serialized(), local: remote, remote: local, nonESPMarker: nonESPMarker)
    }
}

extension [Payload] {
    func contains(_ type: NotifyType) -> Bool {
        contains { if case .notify(let notify) = $0 { notify.type == type } else { false } }
    }

    func contains(_ type: PayloadType) -> Bool { contains { $0.type == type } }
}

/// Datagrams that were taken from the network, to be put back later.
final class Held {
    private let world: World
    private(set) var datagrams: [IKEDatagram] = []
    private var isHolding = true

    /// Takes every datagram that is `wanted` off the network, until it is released.
    init(_ world: World, _ wanted: @escaping (IKEDatagram) -> Bool) {
        self.world = world
        world.tap = { [self] datagram in
            guard isHolding, wanted(datagram) else { return [datagram] }
            datagrams.append(datagram)
            return []
        }
    }

    /// Puts the first copy of each held datagram on its way; nothing is held any more.
    func release() {
        isHolding = false
        var known: Set<IKEDatagram> = []
        for datagram in datagrams where known.insert(datagram).inserted { world.inject(datagram) }
    }
}
