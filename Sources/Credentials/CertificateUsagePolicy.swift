import IPsecCrypto
import SwiftASN1
import X509

/// What IKE asks of a path beyond RFC 5280's path validation: key usage, extended key usage (RFC 4945 section 5.1.3),
/// and algorithms that are still safe.
struct CertificateUsagePolicy: VerifierPolicy, Sendable {
    /// The alternative names are bound to the claimed identity once the path is known to be good.
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.extendedKeyUsage,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        guard let objection = Self.objection(to: chain) else { return .meetsPolicy }
        return .failsToMeetPolicy(reason: objection.reason)
    }

    /// What is wrong with the path, or `nil`. The last certificate is the configured authority.
    static func objection(to chain: UnverifiedCertificateChain) -> CredentialError? {
        for issuer in chain.dropFirst() {
            if let objection = objection(toIssuer: issuer) { return objection }
        }
        for certificate in chain.count == 1 ? chain[...] : chain.dropLast() {
            if let objection = objection(toPurposesOf: certificate) { return objection }
            if chain.count > 1, certificate.signatureAlgorithm == .sha1WithRSAEncryption {
                return CredentialError(
                    .weak, "certificate \(certificate.subjectText) is signed with SHA-1, which can be forged")
            }
        }
        for certificate in chain {
            if let objection = objection(toKeyOf: certificate) { return objection }
        }
        return objection(toEndEntity: chain.leaf)
    }

    /// What is wrong with the certificate of a gateway itself, issuers aside.
    static func objection(toEndEntity certificate: Certificate) -> CredentialError? {
        let usage: KeyUsage?
        do { usage = try certificate.extensions.keyUsage } catch { return unreadable("key usage", of: certificate) }
        guard let usage, !usage.digitalSignature, !usage.nonRepudiation else {
            return objection(toPurposesOf: certificate)
        }
        return CredentialError(
            .unsuitable,
            """
            certificate \(certificate.subjectText) may not sign: its key usage has neither digitalSignature nor \
            nonRepudiation
            """
        )
    }

    private static func objection(toIssuer certificate: Certificate) -> CredentialError? {
        let usage: KeyUsage?
        do { usage = try certificate.extensions.keyUsage } catch { return unreadable("key usage", of: certificate) }
        guard let usage, !usage.keyCertSign else { return nil }
        return CredentialError(
            .notAuthority,
            "certificate \(certificate.subjectText) may not issue certificates: its key usage lacks keyCertSign")
    }

    private static let acceptedPurposes: [ExtendedKeyUsage.Usage] = [
        .serverAuth, .clientAuth, .any,
        // id-kp-ipsecIKE, RFC 4945 section 5.1.3.12.
        .init(oid: [1, 3, 6, 1, 5, 5, 7, 3, 17]),
    ]

    private static func objection(toPurposesOf certificate: Certificate) -> CredentialError? {
        let purposes: ExtendedKeyUsage?
        do {
            purposes = try certificate.extensions.extendedKeyUsage
        } catch {
            return unreadable("extended key usage", of: certificate)
        }
        guard let purposes, !purposes.contains(where: acceptedPurposes.contains) else { return nil }
        return CredentialError(
            .unsuitable,
            """
            certificate \(certificate.subjectText) is for other purposes: its extended key usage has none of \
            serverAuth, clientAuth, ipsecIKE and any
            """
        )
    }

    private static func objection(toKeyOf certificate: Certificate) -> CredentialError? {
        var serializer = DER.Serializer()
        do {
            try serializer.serialize(certificate.publicKey)
            _ = try VerificationKey(subjectPublicKeyInfo: serializer.serializedBytes)
            return nil
        } catch {
            let reason = (error as? CryptoError)?.reason ?? "its key cannot be encoded"
            return CredentialError(.weak, "certificate \(certificate.subjectText): \(reason)")
        }
    }

    private static func unreadable(_ field: String, of certificate: Certificate) -> CredentialError {
        CredentialError(.unreadable, "the \(field) of certificate \(certificate.subjectText) cannot be read")
    }
}
