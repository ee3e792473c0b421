import Foundation
import IKEMessage
import Octets

/// Entries as JSON: one object, on one line, for each. Keys are only ever added.
package enum EntryJSON {
    package static func line(_ entry: DecodedEntry) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(Object(of: entry)) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    fileprivate struct Object: Encodable {
        var frame: Int
        var time: String?
        var carrier: String
        var source: String
        var destination: String
        var length: Int
        /// Only where the capture left octets out.
        var missing: Int?
        /// `IKEv2`, `IKEv1`, `IKE`, `ESP`, or `unreadable`.
        var `protocol`: String
        var protection: String?
        /// The file and line of the keys.
        var keys: String?
        var faults: [String]?

        var initiatorSPI: String?
        var responderSPI: String?
        var exchange: String?
        var exchangeNumber: UInt8?
        /// `request` or `response`.
        var direction: String?
        /// `initiator` or `responder`.
        var sender: String?
        var flags: UInt8?
        var messageID: UInt32?
        var fragment: Fragment?
        /// `extended` where the headers of what was sealed are.
        var payloadFormat: String?
        var octetsSaved: Int?
        var repeats: Int?
        var payloads: [PayloadObject]?
        /// What was sealed.
        var inner: [PayloadObject]?

        var spi: String?
        var sequence: UInt64?
        var subspace: UInt16?
        var innerPacket: String?
        var innerLength: Int?
        var nextHeader: UInt8?
    }

    fileprivate struct Fragment: Encodable {
        var number: Int
        var total: Int
        var completes: Bool
    }

    fileprivate struct PayloadObject: Encodable {
        var type: String
        var number: UInt8
        var summary: String
        var fields: [FieldObject]?

        init(_ payload: PayloadDescription) {
            type = payload.type.described
            number = payload.type.rawValue
            summary = payload.summary
            fields = payload.fields.isEmpty ? nil : payload.fields.map(FieldObject.init)
        }
    }

    fileprivate struct FieldObject: Encodable {
        var name: String
        var value: String?
        var hexadecimal: String?
        var fields: [FieldObject]?

        init(_ field: Field) {
            name = field.name
            value = field.value.isEmpty ? nil : field.value
            hexadecimal = field.octets?.hexadecimal
            fields = field.fields.isEmpty ? nil : field.fields.map(FieldObject.init)
        }
    }
}

extension EntryJSON.Object {
    fileprivate init(of entry: DecodedEntry) {
        frame = entry.frame
        time = entry.time.map { "\($0)" }
        carrier = entry.carrier.rawValue.lowercased()
        source = "\(entry.source)"
        destination = "\(entry.destination)"
        length = entry.length
        missing = entry.missing > 0 ? entry.missing : nil
        switch entry.body {
        case .unreadable(let reason):
            `protocol` = "unreadable"
            faults = [reason]
        case .esp(let esp):
            `protocol` = "ESP"
            set(esp.protection, esp.faults)
            spi = "0x" + esp.spi.bigEndianOctets.hexadecimal
            sequence = esp.divided?.counter ?? UInt64(esp.sequence)
            subspace = esp.divided?.subspace
            innerPacket = esp.inner
            innerLength = esp.innerLength
            nextHeader = esp.nextHeader
        case .ike(let ike):
            let header = ike.header
            `protocol` = ike.isOtherVersion ? (header.majorVersion == 1 ? "IKEv1" : "IKE") : "IKEv2"
            initiatorSPI = header.initiatorSPI.bigEndianOctets.hexadecimal
            responderSPI = header.responderSPI.bigEndianOctets.hexadecimal
            exchangeNumber = header.exchangeType.rawValue
            messageID = header.messageID
            flags = header.flags.rawValue
            repeats = ike.repeats
            guard !ike.isOtherVersion else { return }
            set(ike.protection, ike.faults)
            exchange = header.exchangeType.described
            direction = header.flags.contains(.response) ? "response" : "request"
            sender = header.flags.contains(.initiator) ? "initiator" : "responder"
            fragment = ike.fragment.map {
                EntryJSON.Fragment(number: $0.number, total: $0.total, completes: $0.completes)
            }
            payloads = ike.payloads.map(EntryJSON.PayloadObject.init)
            if case .opened = ike.protection, ike.fragment?.completes ?? true {
                inner = ike.inner.map(EntryJSON.PayloadObject.init)
                if ike.format != .classic {
                    payloadFormat = ike.format.rawValue
                    octetsSaved = ike.octetsSaved
                }
            }
        }
    }

    private mutating func set(_ protection: Protection, _ faults: [String]) {
        self.protection = protection.name
        self.faults = faults.isEmpty ? nil : faults
        switch protection {
        case .none, .sealed: break
        case .opened(let origin), .notAuthentic(let origin): keys = "\(origin)"
        case .unusable(let reason): self.faults = (self.faults ?? []) + [reason]
        }
    }
}
