import IKEMessage
import Octets

/// Entries as text for a person: one line for each message, and indented below it what it says.
package enum EntryText {
    /// Octets that are written out; the number of all stands before them.
    private static let octetLimit = 48

    package static func lines(_ entry: DecodedEntry) -> [String] {
        let head =
            "#\(entry.frame) \(entry.time.map { "\($0)" } ?? "no time") \(entry.source) > \(entry.destination)"
            + (entry.carrier == .udp ? "" : " \(entry.carrier.rawValue)")
        var lines: [String] = []
        switch entry.body {
        case .unreadable(let reason): lines.append("\(head) unreadable: \(reason)")
        case .esp(let esp): lines.append(head + " " + line(esp, entry))
        case .ike(let ike):
            lines.append(head + " " + title(ike))
            lines.append(
                indented(
                    1,
                    "SPIs \(ike.header.initiatorSPI.bigEndianOctets.hexadecimal) "
                        + "\(ike.header.responderSPI.bigEndianOctets.hexadecimal), \(entry.length) octets"))
            lines += ike.payloads.flatMap { Self.lines($0, depth: 1) }
            if let line = protection(ike, entry) { lines.append(indented(1, line)) }
            lines += ike.inner.flatMap { Self.lines($0, depth: 2) }
            if ike.inner.isEmpty, case .opened = ike.protection, ike.fragment == nil, ike.faults.isEmpty {
                lines.append(indented(2, "no payloads"))
            }
            lines += ike.faults.map { indented(1, "malformed: \($0)") }
        }
        if entry.missing > 0 {
            lines.append(
                indented(
                    1, "cut by the capture: \(entry.length) of \(entry.length + entry.missing) octets were recorded"))
        }
        return lines
    }

    // MARK: IKE

    private static func title(_ ike: DecodedIKE) -> String {
        let header = ike.header
        var text: String
        if ike.isOtherVersion {
            text = OtherVersion.name(header)
        } else {
            let direction = header.flags.contains(.response) ? "response" : "request"
            let sender = header.flags.contains(.initiator) ? "initiator" : "responder"
            text = "\(header.exchangeType.described) \(direction) \(header.messageID) of the original \(sender)"
            if header.minorVersion != 0 { text += ", version 2.\(header.minorVersion)" }
            if header.flags.contains(.higherVersion) { text += ", higher version possible" }
        }
        if let fragment = ike.fragment { text += ", fragment \(fragment.number) of \(fragment.total)" }
        if let repeats = ike.repeats { text += ", the same octets as #\(repeats)" }
        return text
    }

    private static func protection(_ ike: DecodedIKE, _ entry: DecodedEntry) -> String? {
        switch ike.protection {
        case .none, .sealed: nil
        case .unusable(let reason): "not opened: \(reason)"
        case .notAuthentic(let origin):
            entry.missing > 0
                ? "not opened, as it is not whole"
                : "not authentic: the integrity check fails with the keys of \(origin)"
        case .opened(let origin):
            switch ike.fragment {
            case nil: "opened with \(origin)\(format(ike)):"
            case let fragment? where fragment.completes:
                "opened with \(origin); all fragments are there\(format(ike)):"
            case _?: "opened with \(origin)"
            }
        }
    }

    private static func format(_ ike: DecodedIKE) -> String {
        ike.format == .classic
            ? "" : "; \(ike.format.rawValue) payload headers, \(ike.octetsSaved) octets less than classic ones"
    }

    private static func lines(_ payload: PayloadDescription, depth: Int) -> [String] {
        [indented(depth, "\(payload.type.described): \(payload.summary)")]
            + payload.fields.flatMap { lines($0, depth: depth + 1) }
    }

    private static func lines(_ field: Field, depth: Int) -> [String] {
        var text = field.name
        if !field.value.isEmpty { text += ": \(field.value)" }
        if let octets = field.octets {
            let shown = octets.prefix(octetLimit).hexadecimal + (octets.count > octetLimit ? "…" : "")
            text += field.value.isEmpty ? ": \(shown)" : ", \(shown)"
        }
        return [indented(depth, text)] + field.fields.flatMap { lines($0, depth: depth + 1) }
    }

    // MARK: ESP

    private static func number(_ esp: DecodedESP) -> String {
        guard let divided = esp.divided else { return "sequence number \(esp.sequence)" }
        return "subspace \(divided.subspace), sequence number \(divided.counter)"
    }

    private static func line(_ esp: DecodedESP, _ entry: DecodedEntry) -> String {
        var text =
            "ESP SPI 0x\(esp.spi.bigEndianOctets.hexadecimal), \(number(esp)), \(entry.length) octets"
        switch esp.protection {
        case .none, .sealed: break
        case .opened:
            if let inner = esp.inner { text += ": \(inner), \(esp.innerLength ?? 0) octets" }
        case .notAuthentic(let origin):
            text +=
                entry.missing > 0
                ? ", not opened, as it is not whole"
                : ", not authentic: the integrity check fails with the keys of \(origin)"
        case .unusable(let reason): text += ", not opened: \(reason)"
        }
        return ([text] + esp.faults.map { "malformed: \($0)" }).joined(separator: "; ")
    }

    private static func indented(_ depth: Int, _ text: String) -> String {
        String(repeating: "    ", count: depth) + text
    }
}

/// Messages of other versions of IKE are named: RFC 9395 has made IKEv1 historic, and nothing else of it is decoded.
enum OtherVersion {
    /// Exchange types of ISAKMP and IKEv1, as IANA lists them.
    private static let exchanges: [UInt8: String] = [
        1: "Base", 2: "Identity Protection (Main Mode)", 3: "Authentication Only", 4: "Aggressive", 5: "Informational",
        6: "Transaction", 32: "Quick Mode", 33: "New Group Mode",
    ]

    static func name(_ header: IKEHeader) -> String {
        guard header.majorVersion == 1 else {
            return "IKE of version \(header.majorVersion).\(header.minorVersion), not decoded"
        }
        let exchange = exchanges[header.exchangeType.rawValue] ?? "exchange \(header.exchangeType.rawValue)"
        return "IKEv1 \(exchange), not decoded: historic since RFC 9395"
    }
}
