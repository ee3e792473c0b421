import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation

extension FuzzTarget {
    /// The IKE machine and a peer who has the keys: what a message of a whole conversation holds is replaced, so that each
    /// state meets it as request and as answer; further requests may follow.
    ///
    /// Input: the number of the message, then for each message an exchange type (0: as it was), the type of its first
    /// payload, and the chain behind its length.
    static let exchanges = FuzzTarget(name: "exchanges", longest: 2048, seeds: { await seeds() }) { octets in
        var input = FuzzInput(octets)
        let number = Int(input.octet()) % 40
        let replacement = Replacement(&input)
        let pair = await Conversation.pair()
        let wiretap = pair.wiretap
        let count = Counter()
        // The wiretap knows the world, and would keep it alive for ever.
        defer { pair.world.tap = nil }
        pair.world.tap = { datagram in
            defer { count.value += 1 }
            guard count.value == number, var header = datagram.header else { return [datagram] }
            var changed = datagram
            if replacement.exchange != 0 { header.exchangeType = ExchangeType(rawValue: replacement.exchange) }
            // What is not protected yet, is replaced as it is.
            changed.octets =
                wiretap.seal(header, first: replacement.first, replacement.chain, iv: 1 << 60)
                ?? header.message(first: replacement.first, replacement.chain)
            return [changed]
        }
        await Conversation.run(pair) { count.value > number }
        for serial in 0..<4 as Range<UInt64> where !input.rest.isEmpty {
            let next = Replacement(&input)
            guard let sa = pair.left.status("site")?.ikeSAs.last else { break }
            let requests = pair.world.sent.compactMap(\.header).filter {
                $0.isFromLeft(sa) && !$0.flags.contains(.response)
            }
            let header = IKEHeader(
                initiatorSPI: sa.isInitiator ? sa.localSPI : sa.remoteSPI,
                responderSPI: sa.isInitiator ? sa.remoteSPI : sa.localSPI,
                exchangeType: ExchangeType(rawValue: next.exchange), flags: sa.isInitiator ? .initiator : [],
                messageID: UInt32(requests.map { Int($0.messageID) + 1 }.max() ?? 0) + UInt32(serial))
            guard let octets = wiretap.seal(header, first: next.first, next.chain, iv: 1 << 61 | serial) else { break }
            pair.world.inject(
                IKEDatagram(
                    octets: octets, local: SocketAddress(pair.left.address, port: 500),
                    remote: SocketAddress(pair.right.address, port: 500), nonESPMarker: false))
            await pair.world.run(for: .milliseconds(50))
        }
        await pair.world.run(for: .seconds(40))
        try expect(pair.faults.isEmpty, "\(pair.faults)")
        for host in [pair.left, pair.right] {
            // What a log or a person would be told of it.
            try expect(!host.events.contains { $0.words.contains("") }, "an event has no words")
            try expect(host.endpoint.saCount <= 4, "\(host.name) keeps \(host.endpoint.saCount) IKE SAs")
            try expect(host.inbound.count <= 32, "\(host.name) keeps \(host.inbound.count) child SAs")
        }
        try expect(pair.world.sent.count <= 400, "one message has led to \(pair.world.sent.count)")
    }

    private static func seeds() async -> [[UInt8]] {
        let plaintexts = await Conversation.plaintexts()
        return plaintexts.enumerated().map { index, message in
            [UInt8(index), 0, message.first.rawValue] + FuzzInput.written(message.octets)
        }
            + plaintexts.map { message in
                [40, message.exchange.rawValue, message.first.rawValue] + FuzzInput.written(message.octets)
            }
    }
}

/// What takes the place of a message's contents.
private struct Replacement: Sendable {
    let exchange: UInt8
    let first: PayloadType
    let chain: [UInt8]

    init(_ input: inout FuzzInput) {
        exchange = input.octet()
        first = PayloadType(rawValue: input.octet())
        chain = input.part()
    }
}

/// A number that a closure counts up.
final class Counter { var value = 0 }

extension IKEEvent {
    /// What a log or an explanation says of it, so far as that is not fixed.
    fileprivate var words: [String] {
        switch self {
        case .ikeEstablished(_, let sa), .ikeRekeyed(_, let sa):
            ["\(sa.suite)", sa.local, sa.remote, sa.remoteIdentity]
        case .childEstablished(_, let child), .childRekeyed(_, _, let child):
            ["\(child.suite)", child.localSelectors, child.remoteSelectors]
        case .ikeClosed(_, _, let reason), .childClosed(_, _, _, let reason): [reason]
        case .connectionChanged(_, _, let reason, _): [reason]
        case .failed(_, _, let refusal, _), .peerRefused(_, let refusal), .callerRefused(_, _, let refusal):
            [refusal.reason]
        case .negotiated(_, let narrative): narrative.lines.map(\.text)
        case .pathChanged(_, _, let local, let remote): ["\(local)", "\(remote)"]
        case .configurationReceived(_, let assigned): [assigned.summary]
        case .redirecting(_, let remote, let gateway), .redirected(_, let remote, let gateway):
            ["\(remote)", "\(gateway)"]
        case .warning(_, let text): [text]
        case .peerDead, .keys: []
        }
    }
}

extension IKEHeader {
    fileprivate func isFromLeft(_ sa: IKESAStatus) -> Bool {
        let isSame =
            [initiatorSPI, responderSPI]
            == (sa.isInitiator ? [sa.localSPI, sa.remoteSPI] : [sa.remoteSPI, sa.localSPI])
        return isSame && flags.contains(.initiator) == sa.isInitiator
    }

    /// An unprotected message with this header and a chain that need not be one.
    func message(first: PayloadType, _ chain: [UInt8]) -> [UInt8] {
        var octets = Message(header: self, payloads: []).serialized() + chain
        octets[16] = first.rawValue
        octets.replaceSubrange(24..<28, with: UInt32(octets.count).bigEndianOctets)
        return octets
    }
}

extension IKEDatagram {
    var header: IKEHeader? {
        var reader = OctetReader(octets)
        return try? IKEHeader(parsing: &reader)
    }
}
