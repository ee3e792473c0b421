import SwiftASN1

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a structure in DER consists of, for structures whose fields are told apart by their tags.
extension ASN1Node {
    /// The elements of a SEQUENCE.
    func elements() throws -> [ASN1Node] {
        guard identifier == .sequence else { throw ASN1Error.unexpectedFieldType(identifier) }
        return try inner()
    }

    /// What is inside a constructed element, whatever its tag.
    func inner() throws -> [ASN1Node] {
        guard case .constructed(let nodes) = content else { throw ASN1Error.unexpectedFieldType(identifier) }
        return Array(nodes)
    }

    /// The one element inside an explicit tag.
    func explicit() throws -> ASN1Node {
        let nodes = try inner()
        guard nodes.count == 1 else { throw ASN1Error.invalidASN1Object(reason: "not one element in an explicit tag") }
        return nodes[0]
    }

    /// The octets of a primitive element.
    func primitive() throws -> ArraySlice<UInt8> {
        guard case .primitive(let octets) = content else { throw ASN1Error.unexpectedFieldType(identifier) }
        return octets
    }

    /// Whether the tag is context-specific with this number.
    func isTagged(_ number: UInt) -> Bool {
        identifier == ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific)
    }

    /// A Time of RFC 5280 section 4.1.2.5, in seconds since 1970.
    func time() throws -> Int64 {
        if identifier == .utcTime {
            let time = try UTCTime(derEncoded: self)
            return CivilTime.seconds(time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
        }
        let time = try GeneralizedTime(derEncoded: self)
        return CivilTime.seconds(time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
    }

    /// An INTEGER that is positive, without leading zeros: serial numbers are compared so.
    func serialNumber() throws -> [UInt8] {
        Array(try ArraySlice<UInt8>(derEncoded: self).drop { $0 == 0 })
    }
}

/// An extension of a list, of an entry or of a response (RFC 5280 section 4.1).
struct DERExtension {
    let identifier: ASN1ObjectIdentifier
    let isCritical: Bool
    let value: [UInt8]

    /// Those of a SEQUENCE OF Extension.
    static func all(in node: ASN1Node) throws -> [DERExtension] {
        try node.elements().map { element in
            var fields = try element.elements()[...]
            guard let first = fields.popFirst(), let last = fields.popLast() else {
                throw ASN1Error.invalidASN1Object(reason: "an extension without value")
            }
            return DERExtension(
                identifier: try ASN1ObjectIdentifier(derEncoded: first),
                isCritical: try fields.first.map { try Bool(derEncoded: $0) } ?? false,
                value: Array(try ASN1OctetString(derEncoded: last).bytes))
        }
    }
}

/// Dates of the Gregorian calendar in UTC.
enum CivilTime {
    /// Seconds since 1970. The fields are in their ranges: whoever read them has seen to it.
    static func seconds(_ year: Int, _ month: Int, _ day: Int, _ hours: Int, _ minutes: Int, _ seconds: Int) -> Int64 {
        // Years that begin with March have their leap day at the end.
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return Int64(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    }

    /// `2026-11-03T10:15:30Z`.
    static func text(_ unixSeconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(unixSeconds)).formatted(.iso8601)
    }
}
