// RFC 7296 sections 3.5 to 3.8: IDi and IDr, CERT, CERTREQ, AUTH. RFC 7427 for signatures that name their algorithm.
import Credentials
import IKEMessage
import IPsecCrypto
import Octets

extension IdentificationPayload: DescribedPayload {
    var summary: String {
        let identity = Identity(type: type.rawValue, data: data)
        let text: String? =
            switch identity {
            case .address, .fqdn, .email, .distinguishedName, .keyID: identity.map { "\($0)" }
            default: nil
            }
        return "\(type.described)" + (text.map { " \($0)" } ?? "")
    }

    func fields(in context: MessageContext) -> [Field] {
        switch Identity(type: type.rawValue, data: data) {
        case .address, .fqdn, .email, .distinguishedName: []
        // ID_NULL has no data (RFC 7619 section 2.4).
        default: data.isEmpty ? [] : [Field("identification data", octets: data)]
        }
    }
}

extension CertificatePayload: DescribedPayload {
    var summary: String { encoding.described }

    func fields(in context: MessageContext) -> [Field] {
        switch encoding {
        case .x509Signature, .x509Attribute:
            guard let certificate = CertificateSummary(der: data) else {
                return [.opaque("unreadable certificate", data)]
            }
            return [
                Field("subject", certificate.subject), Field("issuer", certificate.issuer),
                Field("serial number", certificate.serialNumber),
                Field("valid", "\(certificate.notBefore) to \(certificate.notAfter)"),
                Field("key hash", octets: NamingDigest.sha1(certificate.subjectPublicKeyInfo)),
                .opaque("certificate", data),
            ]
        case .hashAndURLOfX509Certificate, .hashAndURLOfX509Bundle:
            // RFC 7296 section 3.6: SHA-1 of what is to be fetched, and where.
            guard data.count >= 20 else { return [.opaque("certificate data", data)] }
            return [Field("SHA-1", octets: Array(data.prefix(20))), .text("URL", Array(data.dropFirst(20)))]
        default: return [.opaque("certificate data", data)]
        }
    }
}

extension CertificateRequestPayload: DescribedPayload {
    var summary: String { encoding.described }

    func fields(in context: MessageContext) -> [Field] {
        switch encoding {
        case .x509Signature, .hashAndURLOfX509Certificate, .hashAndURLOfX509Bundle, .ocspContent:
            // With OCSP Content, hashes of responders' certificates (RFC 4806 section 3.1).
            guard let hashes = keyHashes else { return [.opaque("incomplete authorities", authorities)] }
            return hashes.map { Field("authority", octets: $0) }
        default: return authorities.isEmpty ? [] : [.opaque("authorities", authorities)]
        }
    }
}

extension AuthenticationPayload: DescribedPayload {
    var summary: String { method.described }

    func fields(in context: MessageContext) -> [Field] {
        guard method == .digitalSignature else { return [.opaque("authentication data", data)] }
        do throws(MessageError) {
            let signature = try SignatureAuthenticationData(parsing: data)
            let name = SignatureAlgorithm(algorithmIdentifier: signature.algorithmIdentifier).map { "\($0)" }
            return [
                Field(
                    "signature algorithm", name ?? "not known",
                    octets: name == nil ? signature.algorithmIdentifier : nil),
                .opaque("signature", signature.signature),
            ]
        } catch {
            return [Field("fault", "\(error)"), .opaque("authentication data", data)]
        }
    }
}
