import IPsecCrypto
import Octets

/// Recognises messages that have been seen before, octet for octet: retransmissions, and frames captured twice.
struct RepeatTable {
    /// So many messages are remembered, at least.
    static let limit = 32_768

    private var recent: [[UInt8]: Int] = [:]
    private var older: [[UInt8]: Int] = [:]

    /// Remembers a message.
    ///
    /// - Returns: the frame it was first seen in, if it was.
    mutating func first(_ octets: [UInt8], frame: Int) -> Int? {
        let name = NamingDigest.sha1(octets)
        if let known = recent[name] ?? older[name] { return known }
        if recent.count >= Self.limit {
            older = recent
            recent = [:]
        }
        recent[name] = frame
        return nil
    }
}
