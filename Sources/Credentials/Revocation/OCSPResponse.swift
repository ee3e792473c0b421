import Crypto
import SwiftASN1
import X509

/// A successful, basic OCSP response (RFC 6960 section 4.2), from a responder or in a CERT payload (RFC 4806).
public struct OCSPResponse: Sendable {
    private enum Status: Sendable, Hashable {
        case good, unknown
        case revoked(at: Int64, RevocationReason)
    }

    /// SingleResponse.
    private struct Single: Sendable {
        let id: OCSPCertificateID
        let status: Status
        let thisUpdate: Int64
        let nextUpdate: Int64?
        /// A critical extension that is not understood.
        let defect: String?
    }

    private enum Responder {
        /// A Name in DER.
        case name([UInt8])
        /// SHA-1 of its key.
        case keyHash([UInt8])
    }

    let der: [UInt8]
    private let responder: Responder
    private let singles: [Single]
    private let signed: SignedOctets
    /// Certificates that came with it, the responder's among them if that is not the issuer itself.
    private let certificates: [CertificateFile]
    private let defect: String?

    private static let basic: ASN1ObjectIdentifier = [1, 3, 6, 1, 5, 5, 7, 48, 1, 1]
    /// Extensions of a responder's certificate that may be critical.
    private static let understood: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage, .X509ExtensionID.extendedKeyUsage,
        .X509ExtensionID.subjectAlternativeName,
    ]
    /// Responders send one or two.
    private static let certificateLimit = 4
    /// A response that does not say until when it holds is believed for this many seconds.
    private static let ageLimit: Int64 = 3600

    /// Throws `unreadable` if the octets are no OCSPResponse, `statusUnknown` if it is that of a responder that will not say.
    init(der: [UInt8]) throws(CredentialError) {
        do {
            let fields = try DER.parse(der).elements()
            guard let first = fields.first, first.identifier == .enumerated, let status = try first.primitive().first
            else {
                throw ASN1Error.invalidASN1Object(reason: "no status")
            }
            guard status == 0, fields.count == 2 else {
                throw CredentialError(.statusUnknown, "the OCSP responder answered \(Self.text(ofStatus: status))")
            }
            let body = try fields[1].explicit().elements()
            guard body.count == 2, try ASN1ObjectIdentifier(derEncoded: body[0]) == Self.basic else {
                throw CredentialError(.statusUnknown, "the OCSP response is of an unknown kind")
            }
            let parts = try DER.parse(ASN1OctetString(derEncoded: body[1]).bytes).elements()
            guard (3...4).contains(parts.count) else { throw ASN1Error.invalidASN1Object(reason: "fields are missing") }
            self.der = der
            signed = try SignedOctets(parts[0], parts[1], parts[2])
            certificates =
                parts.count == 4
                ? try parts[3].explicit().elements().prefix(Self.certificateLimit).compactMap {
                    try? CertificateFile(der: Array($0.encodedBytes))
                } : []
            (responder, singles, defect) = try Self.read(parts[0])
        } catch let error as CredentialError {
            throw error
        } catch {
            throw CredentialError(.unreadable, "this is not an OCSP response in DER, or a field is not valid")
        }
    }

    /// ResponseData.
    private static func read(_ node: ASN1Node) throws -> (Responder, [Single], defect: String?) {
        var fields = try node.elements()[...]
        if let version = fields.first, version.isTagged(0) {
            guard try Int(derEncoded: try version.explicit()) == 0 else {
                throw ASN1Error.invalidASN1Object(reason: "not version 1")
            }
            fields.removeFirst()
        }
        guard fields.count >= 3 else { throw ASN1Error.invalidASN1Object(reason: "fields are missing") }
        let id = fields.removeFirst()
        _ = try fields.removeFirst().time()
        let responder: Responder =
            if id.isTagged(1) { .name(Array(try id.explicit().encodedBytes)) } else if id.isTagged(2) {
                .keyHash(Array(try ASN1OctetString(derEncoded: try id.explicit()).bytes))
            } else { throw ASN1Error.unexpectedFieldType(id.identifier) }
        let singles = try fields.removeFirst().elements().prefix(32).compactMap(single)
        let extensions = try fields.first.map { try DERExtension.all(in: try $0.explicit()) } ?? []
        return (responder, singles, objection(to: extensions))
    }

    private static func objection(to extensions: [DERExtension]) -> String? {
        extensions.first(where: \.isCritical).map {
            "it has the critical extension \($0.identifier), which is not supported"
        }
    }

    private static func single(_ node: ASN1Node) throws -> Single? {
        var fields = try node.elements()[...]
        guard fields.count >= 3, let id = try OCSPCertificateID(fields.removeFirst()) else { return nil }
        let status = try status(fields.removeFirst())
        let thisUpdate = try fields.removeFirst().time()
        var nextUpdate: Int64?
        if let next = fields.first, next.isTagged(0) {
            nextUpdate = try next.explicit().time()
            fields.removeFirst()
        }
        let extensions = try fields.first.map { try DERExtension.all(in: try $0.explicit()) } ?? []
        return Single(
            id: id, status: status, thisUpdate: thisUpdate, nextUpdate: nextUpdate, defect: objection(to: extensions))
    }

    private static func status(_ node: ASN1Node) throws -> Status {
        switch node.identifier.tagNumber {
        case 0 where node.isTagged(0): return .good
        case 1 where node.isTagged(1):
            let fields = try node.inner()
            guard let time = fields.first else { throw ASN1Error.invalidASN1Object(reason: "revoked at no time") }
            var reason = RevocationReason.unspecified
            if fields.count > 1 {
                let code = try fields[1].explicit()
                guard code.identifier == .enumerated, let value = try code.primitive().first else {
                    throw ASN1Error.unexpectedFieldType(code.identifier)
                }
                reason = RevocationReason(rawValue: value)
            }
            return .revoked(at: try time.time(), reason)
        case 2 where node.isTagged(2): return .unknown
        default: throw ASN1Error.unexpectedFieldType(node.identifier)
        }
    }

    private static func text(ofStatus status: UInt8) -> String {
        switch status {
        case 1: "that the request is malformed"
        case 2: "that it has an internal error"
        case 3: "that it is busy: try later"
        case 5: "that requests have to be signed"
        case 6: "that it does not know the certificate's authority, or that we may not ask"
        default: "with status \(status)"
        }
    }

    // MARK: What it says

    /// - Parameter issuer: the certificate above it in its path.
    func finding(
        on certificate: CertificateFile, issuedBy issuer: CertificateFile, at unixSeconds: Int64
    ) -> RevocationFinding {
        guard let single = singles.first(where: { $0.id.names(certificate, issuedBy: issuer) }) else { return .silent }
        let text = "the OCSP response of \(CivilTime.text(single.thisUpdate)) on \(certificate.subjectText)"
        if let objection = objection(to: single, at: unixSeconds) ?? objection(toSignerUnder: issuer, at: unixSeconds) {
            return .unusable("\(text) cannot be used: \(objection)")
        }
        switch single.status {
        case .good: return .good(thisUpdate: single.thisUpdate)
        case .unknown: return .unusable("\(text) says that the responder does not know it")
        case .revoked(let time, let reason): return .revoked(at: time, reason, thisUpdate: single.thisUpdate)
        }
    }

    /// Whether it is on a certificate of ours, and holds: whether a peer may be sent it.
    func serves(_ certificate: CertificateFile, at unixSeconds: Int64) -> Bool {
        singles.contains {
            $0.id.mayName(certificate) && $0.status == .good && objection(to: $0, at: unixSeconds) == nil
        }
    }

    private func objection(to single: Single, at unixSeconds: Int64) -> String? {
        if let defect = single.defect ?? defect { return defect }
        if single.thisUpdate > unixSeconds + RevocationFinding.tolerance {
            return "it is from the future; compare the clocks"
        }
        let end = single.nextUpdate ?? single.thisUpdate + Self.ageLimit
        return end < unixSeconds ? "it held until \(CivilTime.text(end))" : nil
    }

    /// Who may sign: the issuer itself, or whom the issuer has directly named for it (RFC 6960 section 4.2.2.2).
    private func objection(toSignerUnder issuer: CertificateFile, at unixSeconds: Int64) -> String? {
        if isResponder(issuer) { return signed.objection(by: issuer) }
        guard let delegate = certificates.first(where: isResponder) else {
            return "it is signed neither by \(issuer.subjectText) nor by one whose certificate came with it"
        }
        let name = delegate.subjectText
        guard Identity.distinguishedName(delegate.issuer).matches(.distinguishedName(issuer.subject)),
            issuer.certificate.publicKey.isValidSignature(delegate.certificate.signature, for: delegate.certificate),
            delegate.certificate.signatureAlgorithm != .sha1WithRSAEncryption
        else { return "its signer \(name) has no certificate of \(issuer.subjectText)" }
        guard let purposes = try? delegate.certificate.extensions.extendedKeyUsage, purposes.contains(.ocspSigning)
        else {
            return "its signer \(name) was not named for it: the extended key usage lacks OCSPSigning"
        }
        if let usage = try? delegate.certificate.extensions.keyUsage, !usage.digitalSignature {
            return "its signer \(name) may not sign: the key usage lacks digitalSignature"
        }
        if let unknown = delegate.certificate.extensions.first(where: {
            $0.critical && !Self.understood.contains($0.oid)
        }) {
            return
                "the certificate of its signer \(name) has the critical extension \(unknown.oid), which is not supported"
        }
        guard delegate.certificate.notValidBeforeSeconds <= unixSeconds,
            unixSeconds <= delegate.certificate.notValidAfterSeconds
        else { return "the certificate of its signer \(name) is not valid now" }
        return signed.objection(by: delegate)
    }

    private func isResponder(_ certificate: CertificateFile) -> Bool {
        switch responder {
        case .name(let name): Identity.distinguishedName(name).matches(.distinguishedName(certificate.subject))
        case .keyHash(let hash): certificate.keyBits.map { Array(Insecure.SHA1.hash(data: $0)) == hash } ?? false
        }
    }
}
