import Decode
import IPPacket
import Octets

extension FuzzTarget {
    /// Capture files, with the keys of the conversation the seeds are of.
    static let captures = FuzzTarget(
        name: "captures", longest: 8192,
        seeds: {
            let messages = try await Conversation.messages()
            let chunks = stride(from: 0, to: messages.count, by: 4).map {
                Array(messages[$0..<min($0 + 4, messages.count)])
            }
            return chunks.map(CaptureFile.pcap) + chunks.map(CaptureFile.pcapng)
        }
    ) { octets in
        let lines = CaptureDecoder.lines(of: octets, keys: await CaptureFile.keys.value, ports: [5555])
        try expect(lines.count <= 64 * (octets.count + 1), "\(octets.count) octets become \(lines.count) lines")
        for line in lines {
            try expect(
                line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "a line has control characters"
            )
        }
    }
}

/// IKE messages in capture files.
private enum CaptureFile {
    /// The keys in the tables that a decoder reads.
    static let keys = Task {
        let rows = await Conversation.keyRows()
        var table = KeyTable()
        try? table.addIKE(Array(rows.ike.utf8), file: "ike")
        try? table.addESP(Array(rows.esp.utf8), file: "esp")
        return table
    }

    /// Link type 101: the packets begin with their IP header.
    static func pcap(_ messages: [[UInt8]]) -> [UInt8] {
        [0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4] + zeros(8) + [0, 4, 0, 0, 0, 0, 0, 101]
            + messages.flatMap { message in
                let packet = packet(message)
                return zeros(8) + length(packet) + length(packet) + packet
            }
    }

    static func pcapng(_ messages: [[UInt8]]) -> [UInt8] {
        block(0x0a0d_0d0a, [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0] + [UInt8](repeating: 0xff, count: 8))
            + block(1, [0, 101, 0, 0, 0, 4, 0, 0])
            + messages.flatMap { message in
                let packet = packet(message)
                return block(6, zeros(12) + length(packet) + length(packet) + packet + zeros(-packet.count & 3))
            }
    }

    private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(12 + body.count).bigEndianOctets
        return type.bigEndianOctets + length + body + length
    }

    private static func packet(_ message: [UInt8]) -> [UInt8] {
        let udp = [0x01, 0xf4, 0x01, 0xf4] + UInt16(8 + message.count).bigEndianOctets + [0, 0] + message
        return [0x45, 0] + UInt16(20 + udp.count).bigEndianOctets + [
            0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2,
        ] + udp
    }

    private static func length(_ packet: [UInt8]) -> [UInt8] { UInt32(packet.count).bigEndianOctets }
    private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}
