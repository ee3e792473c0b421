import Octets

/// The course of one negotiation, line by line, for a person who wants to know why it ended as it did.
public struct Narrative: Sendable {
    /// What a line tells.
    public enum Kind: String, Sendable {
        /// Something sent to the peer.
        case sent
        /// Something the peer sent.
        case received
        /// What one side offered.
        case offered
        /// What our configuration asks for.
        case wanted
        /// What was agreed.
        case chosen
        /// What was not acceptable, and to whom.
        case refused
        /// Anything else worth knowing.
        case note
    }

    public struct Line: Sendable, Hashable {
        public var at: Instant
        public var kind: Kind
        public var text: String
        public var origin: Origin?

        public init(at: Instant, kind: Kind, text: String, origin: Origin?) {
            self.at = at
            self.kind = kind
            self.text = text
            self.origin = origin
        }
    }

    /// What a negotiation is about.
    public enum Subject: String, Sendable {
        /// An IKE SA with its first child.
        case ikeSA
        /// The replacement of an IKE SA.
        case rekey
        /// A child SA, new or as a replacement.
        case child
    }

    public let subject: Subject
    /// What was negotiated, for example `"IKE SA, as initiator, with 192.0.2.2"`.
    public var title: String
    public var began: Instant
    public private(set) var lines: [Line] = []
    /// `nil` while under way or when it succeeded.
    public internal(set) var refusal: Refusal?
    public internal(set) var isFinished = false
    /// Whether it is that of somebody who called and had not proved an identity when it ended.
    public internal(set) var isFromStranger = false

    /// Lines kept at most; what is beyond is of no use to a reader.
    static let limit = 400

    init(_ subject: Subject = .ikeSA, title: String, at began: Instant) {
        self.subject = subject
        self.title = title
        self.began = began
    }

    /// Lines kept of what happens between two negotiations: it may belong to one that goes on while another has ended.
    private static let limitBetween = 16

    /// Forgets the lines of what has been told.
    mutating func clear() { lines = [] }

    mutating func add(_ kind: Kind, _ text: String, at: Instant, origin: Origin? = nil) {
        guard lines.count < Self.limit else { return }
        if isFinished, lines.count >= Self.limitBetween { lines.removeFirst() }
        lines.append(Line(at: at, kind: kind, text: text.bounded, origin: origin))
    }
}

extension String {
    /// The text, or as much of it as a person reads: parts of it may be a peer's, and as long as that likes.
    var bounded: String {
        let limit = 2048
        guard utf8.count > limit, unicodeScalars.count > limit else { return self }
        return String(UnicodeScalarView(unicodeScalars.prefix(limit))) + "…"
    }
}
