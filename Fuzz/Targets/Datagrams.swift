import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation

extension FuzzTarget {
    /// The IKE machine and somebody on the way who has no keys: beside one message of a conversation a forged one arrives, at
    /// either end. Once IKE_SA_INIT is over, that must change nothing.
    ///
    /// Input: the number of the message, what to change of its header, exchange type, flags, the type of the first payload, and
    /// the chain. If the header is not to be kept, all behind the number is the datagram.
    static let datagrams = FuzzTarget(name: "datagrams", longest: 2048, seeds: { await seeds() }) { octets in
        var input = FuzzInput(octets)
        let number = Int(input.octet()) % 12
        let changes = input.octet()
        let whole = Array(input.rest)
        let exchange = ExchangeType(rawValue: input.octet())
        let flags = IKEHeader.Flags(rawValue: input.octet())
        let first = PayloadType(rawValue: input.octet())
        let chain = Array(input.rest)
        let pair = await Conversation.pair()
        let count = Counter()
        pair.world.tap = { datagram in
            defer { count.value += 1 }
            guard count.value == number, var header = datagram.header else { return [datagram] }
            var forged = datagram
            header.exchangeType = exchange
            header.flags = flags
            if changes & 1 != 0 { header.responderSPI = 0 }
            if changes & 2 != 0 { header.messageID &+= 1 }
            forged.octets = changes & 4 == 0 ? header.message(first: first, chain) : whole
            var back = forged
            (back.local, back.remote) = (datagram.remote, datagram.local)
            return [back, forged, datagram]
        }
        await Conversation.run(pair) { count.value > number }
        await pair.world.run(for: .seconds(5))
        if number >= 2 {
            try expect(pair.isUp, "a forged message beside message \(number) has had an effect")
            try expect(pair.faults.isEmpty, "\(pair.faults)")
        }
        await pair.world.run(for: .seconds(60))
        for host in [pair.left, pair.right] {
            try expect(host.endpoint.saCount <= 2, "\(host.name) keeps \(host.endpoint.saCount) IKE SAs")
        }
        try expect(pair.world.sent.count <= 200, "one message has led to \(pair.world.sent.count)")
    }

    private static func seeds() async -> [[UInt8]] {
        let messages = (try? await Conversation.messages()) ?? []
        return messages.prefix(12).enumerated().flatMap { index, octets -> [[UInt8]] in
            guard octets.count > IKEHeader.octetCount else { return [] }
            let chain = Array(octets[IKEHeader.octetCount...])
            return (0..<2).map { [UInt8(index), $0, octets[18], octets[19], octets[16]] + chain } + [
                [UInt8(index), 4] + octets
            ]
        }
    }
}
