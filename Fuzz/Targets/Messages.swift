import IKEMessage
import Octets

extension FuzzTarget {
    /// Datagrams of IKE, read as the daemon does and as the decoder does.
    static let messages = FuzzTarget(name: "messages", longest: 4096, seeds: { try await Conversation.messages() }) {
        octets in
        try read(octets)
        // Again with the length that is there, so that a wrong one does not hide all else.
        guard octets.count >= IKEHeader.octetCount else { return }
        var repaired = octets
        repaired.replaceSubrange(24..<28, with: UInt32(octets.count).bigEndianOctets)
        try read(repaired)
    }

    private static func read(_ octets: [UInt8]) throws {
        let partial = try? PartialMessage(parsing: octets)
        let message: Message
        do throws(MessageError) {
            message = try Message(parsing: octets)
        } catch {
            try expect(
                (0...octets.count).contains(error.offset), "the fault is at octet \(error.offset) of \(octets.count)")
            return
        }
        try expect(
            partial?.fault == nil && partial?.message.payloads == message.payloads, "the decoder reads it otherwise")
        let again = try Message(parsing: message.serialized())
        try expect(again.payloads == message.payloads, "written and read again it is another message")
    }
}
