import Crypto
import IPPacket
import IPsecCrypto
import SwiftASN1
import X509

/// A certificate with the octets it came in.
///
/// Names and keys are compared and hashed as they were encoded, so the raw fields are kept beside the parsed ones.
struct CertificateFile: Sendable {
    let der: [UInt8]
    let certificate: Certificate
    /// The issuer's and the subject's Name in DER.
    let issuer: [UInt8]
    let subject: [UInt8]
    /// The SubjectPublicKeyInfo in DER.
    let subjectPublicKeyInfo: [UInt8]

    /// Throws `unreadable` if the octets are not a certificate of X.509 in strict DER, or use algorithms not
    /// supported here.
    init(der: [UInt8]) throws(CredentialError) {
        do {
            certificate = try Certificate(derEncoded: der)
            (issuer, subject, subjectPublicKeyInfo) = try Self.rawFields(der)
        } catch let error as CertificateError {
            let cause =
                switch error.code {
                case .unsupportedPublicKeyAlgorithm: "its key is of a kind that is not supported"
                case .unsupportedSignatureAlgorithm: "it is signed with an algorithm that is not supported"
                case .duplicateOID: "it has the same extension twice"
                default: "a field is not valid"
                }
            throw CredentialError(.unreadable, "the certificate cannot be used: \(cause)")
        } catch {
            throw Self.weakness(of: der)
                ?? CredentialError(.unreadable, "the certificate is not X.509 in DER, or a field is not valid")
        }
        self.der = der
    }

    /// The error for a certificate that cannot be read because of its key: the parser does not take short keys.
    private static func weakness(of der: [UInt8]) -> CredentialError? {
        do {
            _ = try VerificationKey(subjectPublicKeyInfo: try rawFields(der).key)
            return nil
        } catch {
            return (error as? IPsecCrypto.CryptoError).map {
                CredentialError(.weak, "the certificate cannot be used: \($0.reason)")
            }
        }
    }

    /// Every certificate in a PEM text, in its order; throws `unreadable` if there is none.
    static func all(inPEM text: String) throws(CredentialError) -> [CertificateFile] {
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: text)
        } catch {
            throw CredentialError(.unreadable, "the certificate is not well-formed PEM")
        }
        var certificates: [CertificateFile] = []
        for document in documents where document.discriminator == "CERTIFICATE" {
            certificates.append(try CertificateFile(der: document.derBytes))
        }
        guard !certificates.isEmpty else {
            throw CredentialError(.unreadable, "there is no PEM block with a certificate (-----BEGIN CERTIFICATE-----)")
        }
        return certificates
    }

    /// Issuer, subject and SubjectPublicKeyInfo as they stand in a Certificate, RFC 5280 section 4.1.
    private static func rawFields(_ der: [UInt8]) throws -> (issuer: [UInt8], subject: [UInt8], key: [UInt8]) {
        let parts = try children(of: try DER.parse(der))
        guard parts.count == 3 else { throw ASN1Error.invalidASN1Object(reason: "not three fields") }
        // Unused bits would let one signed certificate appear in several encodings.
        guard try ASN1BitString(derEncoded: parts[2]).paddingBits == 0 else {
            throw ASN1Error.invalidASN1Object(reason: "the signature ends within an octet")
        }
        let fields = try children(of: parts[0])
        // [0] version comes first unless it is version 1; then serial, signature, issuer, validity, subject, key.
        let offset = fields.first?.identifier.tagClass == .contextSpecific ? 1 : 0
        guard fields.count > offset + 5 else { throw ASN1Error.invalidASN1Object(reason: "too few fields") }
        return (
            Array(fields[offset + 2].encodedBytes), Array(fields[offset + 4].encodedBytes),
            Array(fields[offset + 5].encodedBytes)
        )
    }

    private static func children(of node: ASN1Node) throws -> [ASN1Node] {
        try DER.sequence(node, identifier: .sequence) { nodes in
            var children: [ASN1Node] = []
            while let child = nodes.next() { children.append(child) }
            return children
        }
    }

    /// The subject for a message to a person.
    var subjectText: String { certificate.subjectText }

    var isAuthority: Bool {
        if case .isCertificateAuthority = try? certificate.extensions.basicConstraints { true } else { false }
    }

    /// How a Certificate Request names this certificate as an authority: SHA-1 of its key (RFC 7296 section 3.7).
    /// SHA-1 is only a look-up key here.
    var authorityKeyHash: [UInt8] { Array(Insecure.SHA1.hash(data: subjectPublicKeyInfo)) }

    /// The names of RFC 4945 that the certificate carries besides its subject.
    func subjectAltNames() throws(CredentialError) -> [Identity] {
        let names: SubjectAlternativeNames?
        do {
            names = try certificate.extensions.subjectAlternativeNames
        } catch {
            throw CredentialError(.unreadable, "the alternative names of certificate \(subjectText) cannot be read")
        }
        return (names ?? SubjectAlternativeNames()).compactMap(Identity.init(generalName:))
    }
}

extension Certificate {
    var subjectText: String { Self.text(subject) }
    var issuerText: String { Self.text(issuer) }

    private static func text(_ name: DistinguishedName) -> String {
        name.isEmpty ? "without subject" : "\"\(DistinguishedNameForm(name))\""
    }
}

extension Identity {
    /// `nil` for forms that no Identification payload carries, and for names that cannot be matched safely.
    fileprivate init?(generalName: GeneralName) {
        switch generalName {
        case .dnsName(let name):
            guard Self.isHostName(name) else { return nil }
            self = .fqdn(name)
        case .rfc822Name(let address):
            guard Self.isEmail(address) else { return nil }
            self = .email(address)
        case .ipAddress(let octets):
            guard let address = IPAddress(octets: octets.bytes) else { return nil }
            self = .address(address)
        case .directoryName(let name):
            guard let der = DistinguishedNameForm(name).der else { return nil }
            self = .distinguishedName(der)
        case .otherName, .x400Address, .ediPartyName, .uniformResourceIdentifier, .registeredID:
            return nil
        }
    }

    /// Whether a dNSName is a plain host name. Name constraints are only enforced on those, so no other can be a
    /// match: one with a dot at the end, say, would slip past an excluded domain.
    private static func isHostName(_ text: String) -> Bool {
        guard text.utf8.count <= 253 else { return false }
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let hyphen = UInt8(ascii: "-")
        let isDigit = { (octet: UInt8) in (0x30...0x39).contains(octet) }
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
                && label.allSatisfy {
                    isDigit($0) || (0x61...0x7a).contains($0 | 0x20) || $0 == hyphen || $0 == UInt8(ascii: "_")
                }
        } && labels.last?.allSatisfy(isDigit) == false
    }
}
