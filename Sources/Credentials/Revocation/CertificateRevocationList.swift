import SwiftASN1
import X509

/// A complete CRL of one authority (RFC 5280 section 5). Indirect lists and deltas are read, and never used.
public struct CertificateRevocationList: Sendable {
    private struct Entry {
        let at: Int64
        let reason: RevocationReason
    }

    /// Which certificates of its issuer the list is about: IssuingDistributionPoint (RFC 5280 section 5.2.5).
    private struct Scope {
        var users = true
        var authorities = true
        /// The names of the distribution point, each a GeneralName in DER; empty: of no one in particular.
        var points: Set<[UInt8]> = []
    }

    /// The issuer's Name in DER.
    let issuer: [UInt8]
    private let issuerText: String
    let thisUpdate: Int64
    let nextUpdate: Int64?
    private let signed: SignedOctets
    private let entries: [[UInt8]: Entry]
    private var scope = Scope()
    /// The IssuingDistributionPoint in DER: what tells apart several lists of one issuer.
    private(set) var distributionPoint: [UInt8] = []
    /// Why it must never be used.
    private var defect: String?

    private enum ExtensionID {
        static let crlNumber: ASN1ObjectIdentifier = [2, 5, 29, 20]
        static let reasonCode: ASN1ObjectIdentifier = [2, 5, 29, 21]
        static let deltaCRLIndicator: ASN1ObjectIdentifier = [2, 5, 29, 27]
        static let issuingDistributionPoint: ASN1ObjectIdentifier = [2, 5, 29, 28]
        static let certificateIssuer: ASN1ObjectIdentifier = [2, 5, 29, 29]
    }

    /// Throws `unreadable` if the octets are not a CertificateList in DER.
    init(der: [UInt8]) throws(CredentialError) {
        do {
            let root = try DER.parse(der)
            let parts = try root.elements()
            guard parts.count == 3 else { throw ASN1Error.invalidASN1Object(reason: "not three fields") }
            signed = try SignedOctets(parts[0], parts[1], parts[2])
            var fields = try parts[0].elements()[...]
            // v1 has no version field, and no extensions.
            if fields.first?.identifier == .integer, let version = fields.popFirst() {
                guard try Int(derEncoded: version) == 1 else {
                    throw ASN1Error.invalidASN1Object(reason: "neither version 1 nor 2")
                }
            }
            guard let algorithm = fields.popFirst(), let name = fields.popFirst(), let begin = fields.popFirst(),
                Array(algorithm.encodedBytes) == signed.algorithm
            else { throw ASN1Error.invalidASN1Object(reason: "fields are missing") }
            issuer = Array(name.encodedBytes)
            issuerText = "\"\(DistinguishedNameForm(try DistinguishedName(derEncoded: name)))\""
            thisUpdate = try begin.time()
            nextUpdate = try fields.first.flatMap { node in
                [.utcTime, .generalizedTime].contains(node.identifier) ? try node.time() : nil
            }
            if nextUpdate != nil { fields.removeFirst() }
            var defect: String?
            var entries: [[UInt8]: Entry] = [:]
            if fields.first?.identifier == .sequence, let list = fields.popFirst() {
                for node in try list.elements() {
                    let (serial, entry) = try Self.entry(node, &defect)
                    entries[serial] = entry
                }
            }
            self.entries = entries
            self.defect = defect
            if let node = fields.popFirst() {
                guard node.isTagged(0) else { throw ASN1Error.unexpectedFieldType(node.identifier) }
                try read(try DERExtension.all(in: try node.explicit()))
            }
            guard fields.isEmpty else { throw ASN1Error.invalidASN1Object(reason: "fields too many") }
        } catch {
            throw CredentialError(
                .unreadable, "this is not a certificate revocation list in DER, or a field is not valid")
        }
    }

    private static func entry(_ node: ASN1Node, _ defect: inout String?) throws -> ([UInt8], Entry) {
        let fields = try node.elements()
        guard fields.count >= 2 else { throw ASN1Error.invalidASN1Object(reason: "an entry without date") }
        var reason = RevocationReason.unspecified
        for item in fields.count > 2 ? try DERExtension.all(in: fields[2]) : [] {
            if item.identifier == ExtensionID.reasonCode {
                let value = try DER.parse(item.value)
                guard value.identifier == .enumerated, let code = try value.primitive().first else {
                    throw ASN1Error.unexpectedFieldType(value.identifier)
                }
                reason = RevocationReason(rawValue: code)
            } else if item.identifier == ExtensionID.certificateIssuer {
                defect = "it is indirect: it lists certificates of other issuers too"
            } else if item.isCritical {
                defect = "an entry has the critical extension \(item.identifier), which is not supported"
            }
        }
        return (try fields[0].serialNumber(), Entry(at: try fields[1].time(), reason: reason))
    }

    private mutating func read(_ extensions: [DERExtension]) throws {
        for item in extensions {
            switch item.identifier {
            case ExtensionID.issuingDistributionPoint:
                distributionPoint = item.value
                try readScope(try DER.parse(item.value))
            case ExtensionID.deltaCRLIndicator: defect = "it is a delta, which only changes another list"
            case ExtensionID.crlNumber, .X509ExtensionID.authorityKeyIdentifier: break
            default:
                if item.isCritical {
                    defect = "it has the critical extension \(item.identifier), which is not supported"
                }
            }
        }
    }

    private mutating func readScope(_ node: ASN1Node) throws {
        func isTrue(_ node: ASN1Node) throws -> Bool { try node.primitive() != [0] }
        for field in try node.elements() {
            switch field.identifier.tagNumber {
            case 0:
                let name = try field.explicit()
                // fullName; a name relative to the issuer's is used by nobody.
                if name.isTagged(0) {
                    scope.points = Set(try name.inner().map { Array($0.encodedBytes) })
                } else {
                    defect = "its distribution point has a relative name"
                }
            case 1 where try isTrue(field): scope.authorities = false
            case 2 where try isTrue(field): scope.users = false
            case 3: defect = "it lists only what was revoked for some reasons"
            case 4 where try isTrue(field): defect = "it is indirect: it lists certificates of other issuers too"
            case 5 where try isTrue(field): defect = "it is for attribute certificates"
            default: break
            }
        }
    }

    /// What the list says of a certificate.
    ///
    /// - Parameter issuer: the certificate above it in its path.
    func finding(
        on certificate: CertificateFile, issuedBy issuer: CertificateFile, at unixSeconds: Int64
    ) -> RevocationFinding {
        guard issues(for: issuer), certificate.isAuthority ? scope.authorities : scope.users else { return .silent }
        if !scope.points.isEmpty, scope.points.isDisjoint(with: certificate.revocationSources().points) {
            return .silent
        }
        if let defect { return .unusable("\(description) cannot be used: \(defect)") }
        let usage: KeyUsage?
        do { usage = try issuer.certificate.extensions.keyUsage } catch {
            return .unusable("\(description) cannot be used: the key usage of its issuer cannot be read")
        }
        if let usage, !usage.cRLSign {
            return .unusable("\(description) cannot be used: the key usage of its issuer lacks cRLSign")
        }
        guard thisUpdate <= unixSeconds + RevocationFinding.tolerance else {
            return .unusable("\(description) is from the future; compare the clocks")
        }
        guard let nextUpdate else { return .unusable("\(description) does not say until when it holds") }
        guard nextUpdate >= unixSeconds else {
            return .unusable("\(description) should have been replaced by \(CivilTime.text(nextUpdate))")
        }
        if let objection = signed.objection(by: issuer) {
            return .unusable("\(description) cannot be used: \(objection)")
        }
        guard let entry = entries[certificate.serialNumber] else { return .good(thisUpdate: thisUpdate) }
        return .revoked(at: entry.at, entry.reason, thisUpdate: thisUpdate)
    }

    /// Whether it carries the name of this authority.
    func issues(for authority: CertificateFile) -> Bool {
        Identity.distinguishedName(issuer).matches(.distinguishedName(authority.subject))
    }

    var description: String { "the list of \(issuerText) of \(CivilTime.text(thisUpdate))" }
}
