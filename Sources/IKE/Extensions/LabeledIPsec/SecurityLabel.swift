import Credentials
import Octets

/// A security label as it is on the wire (RFC 9478 section 2): octets of which nothing is known but whether they are equal.
///
/// SELinux's labels are text with a zero octet at its end, which is part of them.
public struct SecurityLabel: Hashable, Sendable {
    /// 1 to ``limit`` octets.
    public let octets: [UInt8]

    /// The largest label, in octets. The document has no limit; contexts of SELinux are a few hundred octets at most.
    public static let limit = 1024

    /// `nil` if there are no octets, or more than ``limit``. A zero octet alone is a text without characters: no label either.
    public init?(octets: [UInt8]) {
        guard (1...Self.limit).contains(octets.count), octets != [0] else { return nil }
        self.octets = octets
    }

    /// The label of a text, with the zero octet that ends it; `nil` if it is empty, too long, or has a zero octet inside.
    public init?(text: String) {
        let octets = Array(text.utf8)
        guard !octets.isEmpty, !octets.contains(0) else { return nil }
        self.init(octets: octets + [0])
    }
}

extension SecurityLabel: CustomStringConvertible {
    /// The text, fit for a line of a log, if it is one that ends with a zero octet; otherwise hexadecimal digits behind `0x`.
    public var description: String {
        guard octets.count > 1, octets.last == 0, !octets.dropLast().contains(0),
            let text = String(validating: octets.dropLast(), as: UTF8.self)
        else { return "0x" + octets.prefix(256).hexadecimal + (octets.count > 256 ? "…" : "") }
        return text.forLog(limit: 512)
    }
}

extension [SecurityLabel] {
    /// In one line, `or` between them.
    var alternatives: String {
        prefix(4).map(\.description).joined(separator: " or ") + (count > 4 ? " or \(count - 4) others" : "")
    }
}
