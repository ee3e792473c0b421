/// IKE messages that were not taken in, by reason: counted and, as a rule, nothing else.
public struct MessageCounters: Hashable, Sendable {
    /// Why a message had no effect on any SA. The words are those of `cygnet status`.
    public enum Reason: String, CaseIterable, Sendable {
        /// IKEv1 (major version 1), which RFC 9395 has made historic: never answered.
        case ikev1 = "ikev1-packets"
        /// Any other version than 2; a higher one is told so (RFC 7296 section 2.5).
        case badVersion = "bad-version"
        /// Header or payloads that cannot be read, before or after decryption.
        case malformed
        /// The integrity check failed.
        case notAuthentic = "not-authentic"
        /// No SA has the SPI, or the peer's SPI is another.
        case unknownSPI = "unknown-spi"
        /// A message ID that is not expected, or a message that its SA does not expect.
        case unexpected
        /// An IKE_SA_INIT request that went without an answer, as there are too many half-open SAs.
        case halfOpenLimit = "half-open-limit"
        /// An IKE_SA_INIT request that was answered with a demand for a cookie.
        case cookieSent = "cookie-sent"
        /// An answer that was not sent, as there have been so many.
        case answerWithheld = "answer-withheld"
        /// An IKE_SA_INIT request whose sender did not solve the puzzle it was given, with no room for more of such.
        case cookieShare = "cookie-share"
        /// A fragment of a peer that has not proved who it is, as such peers have too many unfinished messages.
        case fragmentBudget = "fragment-budget"
    }

    private var counts: [UInt64] = .init(repeating: 0, count: Reason.allCases.count)

    init() {}

    /// How many messages there were since the endpoint began.
    public subscript(reason: Reason) -> UInt64 { counts[Self.index(reason)] }

    static func + (left: MessageCounters, right: MessageCounters) -> MessageCounters {
        var sum = left
        for index in sum.counts.indices { sum.counts[index] &+= right.counts[index] }
        return sum
    }

    mutating func count(_ reason: Reason) { counts[Self.index(reason)] &+= 1 }

    private static func index(_ reason: Reason) -> Int {
        switch reason {
        case .ikev1: 0
        case .badVersion: 1
        case .malformed: 2
        case .notAuthentic: 3
        case .unknownSPI: 4
        case .unexpected: 5
        case .halfOpenLimit: 6
        case .cookieSent: 7
        case .answerWithheld: 8
        case .cookieShare: 9
        case .fragmentBudget: 10
        }
    }
}
