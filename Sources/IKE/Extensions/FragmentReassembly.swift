// RFC 7383: IKEv2 message fragmentation; the receiver's part.
import IKEMessage
import Octets

/// Puts the fragments of one message together again (RFC 7383 section 2.6).
///
/// Only fragments that were authentic come here, so a stranger cannot fill it; an authentic peer is held to a limit all the same.
package struct FragmentReassembly {
    /// A message longer than this is refused, unless more is agreed on: no certificate chain that we would accept is longer.
    package static let octetLimit = 128 * 1024
    package static let fragmentLimit = 512
    /// Before the peer has proved who it is: as much as would fit in one datagram, so that chains of certificates that come without
    /// fragments come with them as well.
    package static let octetLimitBeforeProof = 64 * 1024

    /// Fragments of a message of up to so many octets: those of honest senders have more than 256, and each costs something.
    package static func fragmentLimit(for octets: Int) -> Int {
        min(Int(UInt16.max), max(fragmentLimit, octets / 256))
    }

    private var messageID: UInt32 = 0
    private var total: UInt16 = 0
    private var first: PayloadType = .none
    private var parts: [UInt16: [UInt8]] = [:]
    /// Octets that are kept.
    package private(set) var octetCount = 0

    package init() {}

    /// Adds a fragment; returns the whole message when none is missing.
    ///
    /// - Parameter octetLimit: octets of all fragments together.
    package mutating func add(
        _ octets: [UInt8], number: UInt16, total: UInt16, first: PayloadType, messageID: UInt32, at now: Instant,
        octetLimit: Int = FragmentReassembly.octetLimit
    ) throws(MessageError) -> (first: PayloadType, octets: [UInt8])? {
        let fragmentLimit = Self.fragmentLimit(for: octetLimit)
        guard number >= 1, number <= total, Int(total) <= fragmentLimit else {
            throw Self.error("fragment \(number) of \(total); at most \(fragmentLimit) are accepted")
        }
        if messageID != self.messageID || total > self.total || parts.isEmpty {
            // A sender that lowered its size starts again with more fragments; what was kept is of no use.
            self = FragmentReassembly()
            self.messageID = messageID
            self.total = total
        }
        guard total == self.total, parts[number] == nil else { return nil }
        guard octetCount + octets.count <= octetLimit else {
            self = FragmentReassembly()
            throw Self.error("the fragments hold more than \(octetLimit) octets")
        }
        if number == 1 { self.first = first }
        parts[number] = octets
        octetCount += octets.count
        guard parts.count == Int(total) else { return nil }
        var whole: [UInt8] = []
        whole.reserveCapacity(octetCount)
        for number in 1...total { whole += parts[number] ?? [] }
        return (self.first, whole)
    }

    static func error(_ reason: String) -> MessageError {
        MessageError(code: .invalidSyntax, payload: .encryptedFragment, offset: IKEHeader.octetCount, reason: reason)
    }
}
