/// A section of what `swanctl --pretty` prints: lines `key = value`, sections `name {` … `}`, lists `name = [` … `]`.
struct StrongSwanSection {
    var values: [String: String] = [:]
    var sections: [(name: String, section: StrongSwanSection)] = []

    init() {}

    init(parsing text: String) {
        var lines = text.split(separator: "\n").map { $0.drop(while: \.isWhitespace) }[...]
        self.init(&lines)
    }

    private init(_ lines: inout ArraySlice<Substring>) {
        while let line = lines.popFirst() {
            if line == "}" { return }
            if line.hasSuffix("{") {
                sections.append((line.dropLast(1).trimmed, StrongSwanSection(&lines)))
            } else if line.hasSuffix("= [") {
                while let item = lines.popFirst(), item != "]" {}
            } else if let sign = line.firstIndex(of: "=") {
                values[line[..<sign].trimmed] = line[line.index(after: sign)...].trimmed
            }
        }
    }

    subscript(name: String) -> StrongSwanSection? { sections.first { $0.name == name }?.section }
    func number(_ key: String) -> Int { values[key].flatMap { Int($0) } ?? 0 }

    /// Encryption and integrity as one word, like "AES_CBC-256/HMAC_SHA2_256_128".
    var protection: String {
        var text = values["encr-alg"] ?? "?"
        if let size = values["encr-keysize"] { text += "-\(size)" }
        if let integrity = values["integ-alg"] { text += "/\(integrity)" }
        return text
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var part = drop(while: \.isWhitespace)
        while part.last?.isWhitespace == true { part = part.dropLast() }
        return String(part)
    }
}

/// A child SA as strongSwan reports it.
package struct StrongSwanChildSA: Sendable {
    package let name: String
    package let state: String
    /// Encryption and integrity, like "AES_GCM_16-256".
    package let protection: String
    /// The key exchange of its rekeying; `nil` if it has none of its own.
    package let keyExchange: String?
    package let isUDPEncapsulated: Bool
    package let hasESN: Bool
    package let mode: String
    package let inboundSPI: String
    package let outboundSPI: String
    package let bytesIn: Int
    package let bytesOut: Int
    package let packetsIn: Int
    package let packetsOut: Int
}

/// An IKE SA as strongSwan reports it.
package struct StrongSwanIKESA: Sendable {
    package let name: String
    package let state: String
    package let isInitiator: Bool
    package let localHost: String
    package let remoteHost: String
    package let initiatorSPI: String
    package let responderSPI: String
    package let protection: String
    package let pseudorandomFunction: String
    package let keyExchange: String
    package let children: [StrongSwanChildSA]

    static func parse(_ text: String) -> [StrongSwanIKESA] {
        let root = StrongSwanSection(parsing: text)
        // "list-sa event {" holds one section named after the connection.
        return root.sections.flatMap(\.section.sections).map { name, section in
            StrongSwanIKESA(
                name: name, state: section.values["state"] ?? "?", isInitiator: section.values["initiator"] == "yes",
                localHost: section.values["local-host"] ?? "?", remoteHost: section.values["remote-host"] ?? "?",
                initiatorSPI: section.values["initiator-spi"] ?? "",
                responderSPI: section.values["responder-spi"] ?? "",
                protection: section.protection, pseudorandomFunction: section.values["prf-alg"] ?? "?",
                keyExchange: section.values["dh-group"] ?? "?",
                children: (section["child-sas"]?.sections ?? []).map { child($0.section) })
        }
    }

    private static func child(_ section: StrongSwanSection) -> StrongSwanChildSA {
        StrongSwanChildSA(
            name: section.values["name"] ?? "?", state: section.values["state"] ?? "?", protection: section.protection,
            keyExchange: section.values["dh-group"], isUDPEncapsulated: section.values["encap"] == "yes",
            hasESN: section.values["esn"] == "1", mode: section.values["mode"] ?? "?",
            inboundSPI: section.values["spi-in"] ?? "", outboundSPI: section.values["spi-out"] ?? "",
            bytesIn: section.number("bytes-in"), bytesOut: section.number("bytes-out"),
            packetsIn: section.number("packets-in"), packetsOut: section.number("packets-out"))
    }
}
