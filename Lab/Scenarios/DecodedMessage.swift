import Foundation
import IPPacket

/// An IKE message, or an ESP packet, as `cygnet decode --json` prints it, as far as scenarios look at it.
package struct DecodedMessage: Decodable, Sendable {
    package struct Payload: Decodable, Sendable {
        package let type: String
        package let summary: String
        package let fields: [Field]?

        /// The summary and all fields, in one line.
        package var text: String { ([summary] + (fields ?? []).map(\.text)).joined(separator: "; ") }
    }

    package struct Field: Decodable, Sendable {
        package let name: String
        package let value: String?
        package let hexadecimal: String?
        package let fields: [Field]?

        var text: String {
            ([[name, value ?? hexadecimal ?? ""].filter { !$0.isEmpty }.joined(separator: ": ")]
                + (fields ?? []).map(\.text)).joined(separator: "; ")
        }
    }

    package struct Fragment: Decodable, Sendable {
        package let number: Int
        package let total: Int
    }

    package let source: String
    /// Octets of the IKE message, or of the ESP packet.
    package let length: Int
    package let carrier: String
    package let exchange: String?
    /// `request` or `response`.
    package let direction: String?
    package let messageID: UInt32?
    package let initiatorSPI: String?
    /// Of an ESP packet that was opened and has one.
    package let subspace: Int?
    package let protection: String?
    package let faults: [String]?
    package let fragment: Fragment?
    package let repeats: Int?
    /// `extended` where the headers of what was sealed are.
    package let payloadFormat: String?
    package let octetsSaved: Int?
    package let payloads: [Payload]?
    package let inner: [Payload]?

    /// What is in it, sealed or not; without the payload that seals.
    package var contents: [Payload] {
        (payloads ?? []).filter { $0.type != "SK" && $0.type != "SKF" } + (inner ?? [])
    }

    /// Whether the description of one of its payloads has this in it.
    package func has(_ text: String) -> Bool { contents.contains { $0.text.contains(text) } }

    /// Whether it has a payload of this name.
    package func carries(_ type: String) -> Bool { contents.contains { $0.type == type } }

    package var isRequest: Bool { direction == "request" }

    /// One line: who says what, in how many octets.
    var line: String {
        let side = Side.allCases.first { side in
            IPFamily.allCases.contains { family in
                let address = "\(Topology.outerAddress(side, family))"
                return source.hasPrefix("\(address):") || source.hasPrefix("[\(address)]:")
            }
        }
        let direction = side == .right ? "<--" : "-->"
        let part = fragment.map { ", fragment \($0.number) of \($0.total)" } ?? ""
        let again = repeats == nil ? "" : ", again"
        let names = contents.map { payload in
            payload.type == "Notify" ? "N(\(payload.summary.prefix { $0 != " " && $0 != "," }))" : payload.type
        }
        return
            "\(direction) \(exchange ?? "?") \(self.direction ?? "") \(messageID ?? 0)\(part)\(again), \(length) octets: "
            + names.joined(separator: ", ")
    }

    /// Decodes a capture with the keys that a daemon saved.
    static func read(_ capture: String, keys: String) async throws -> [DecodedMessage] {
        let arguments = FileManager.default.fileExists(atPath: keys) ? ["--keys", keys] : []
        let result = try await Command.run(
            [try CygnetDaemon.locateExecutable(), "decode", "--json"] + arguments + [capture], timeout: .seconds(60)
        ).orThrow()
        let decoder = JSONDecoder()
        return try result.output.split(separator: "\n").map {
            try decoder.decode(DecodedMessage.self, from: Data($0.utf8))
        }
    }
}
