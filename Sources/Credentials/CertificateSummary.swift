import Octets
import SwiftASN1
import X509

/// What a certificate says of itself, for a person to read: nothing is checked, and a key that would be refused does not matter.
package struct CertificateSummary: Sendable {
    package let subject: String
    package let issuer: String
    /// In hexadecimal digits.
    package let serialNumber: String
    /// As the certificate has them, in UTC: `2026-11-03 10:15:30`.
    package let notBefore: String
    package let notAfter: String
    /// In DER.
    package let subjectPublicKeyInfo: [UInt8]

    /// Certificates longer than this are not looked into.
    private static let octetLimit = 1 << 20

    /// `nil` if the octets are not a Certificate of RFC 5280 section 4.1 in DER.
    package init?(der: [UInt8]) {
        guard der.count <= Self.octetLimit, let root = try? DER.parse(der), let fields = try? Self.fields(of: root)
        else {
            return nil
        }
        self = fields
    }

    private init(
        subject: String, issuer: String, serialNumber: String, notBefore: String, notAfter: String,
        subjectPublicKeyInfo: [UInt8]
    ) {
        self.subject = subject
        self.issuer = issuer
        self.serialNumber = serialNumber
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.subjectPublicKeyInfo = subjectPublicKeyInfo
    }

    private static func fields(of root: ASN1Node) throws -> CertificateSummary? {
        guard let body = try children(of: root).first else { return nil }
        let fields = try children(of: body)
        // [0] version comes first unless it is version 1; then serial, signature, issuer, validity, subject, key.
        let offset = fields.first?.identifier.tagClass == .contextSpecific ? 1 : 0
        guard fields.count > offset + 5 else { return nil }
        let serial = try ArraySlice<UInt8>(derEncoded: fields[offset])
        let validity = try children(of: fields[offset + 3])
        guard validity.count == 2 else { return nil }
        return CertificateSummary(
            subject: try name(fields[offset + 4]), issuer: try name(fields[offset + 2]),
            serialNumber: serial.hexadecimal, notBefore: try time(validity[0]), notAfter: try time(validity[1]),
            subjectPublicKeyInfo: Array(fields[offset + 5].encodedBytes))
    }

    private static func children(of node: ASN1Node) throws -> [ASN1Node] {
        try DER.sequence(node, identifier: .sequence) { nodes in
            var children: [ASN1Node] = []
            while let child = nodes.next() { children.append(child) }
            return children
        }
    }

    private static func name(_ node: ASN1Node) throws -> String {
        let form = DistinguishedNameForm(try DistinguishedName(derEncoded: node))
        return form.isEmpty ? "without name" : "\"\(form)\""
    }

    private static func time(_ node: ASN1Node) throws -> String {
        if node.identifier == .utcTime {
            let time = try UTCTime(derEncoded: node)
            return text(time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
        }
        let time = try GeneralizedTime(derEncoded: node)
        return text(time.year, time.month, time.day, time.hours, time.minutes, time.seconds)
    }

    private static func text(_ year: Int, _ numbers: Int...) -> String {
        let parts = numbers.map { $0 < 10 ? "0\($0)" : "\($0)" }
        guard parts.count == 5 else { return "\(year)" }
        return "\(year)-\(parts[0])-\(parts[1]) \(parts[2]):\(parts[3]):\(parts[4])"
    }
}
