import SwiftASN1
import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Finds the cause to name when no acceptable path was found. It decides nothing: the path has already been refused.
struct CertificatePathDiagnosis {
    let leaf: Certificate
    let others: [Certificate]
    let anchors: TrustAnchors
    let unixSeconds: Int64
    let handledExtensions: [ASN1ObjectIdentifier]

    /// - Parameter failures: the complete paths that a policy refused; empty if there was none.
    func cause(of failures: [CertificateValidationResult.PolicyFailure]) -> CredentialError {
        if let failure = failures.first {
            return objection(to: failure.chain, reason: failure.policyFailureReason.description)
        }
        return missingLink()
    }

    // MARK: A path that leads to an authority, and is refused

    private func objection(to chain: UnverifiedCertificateChain, reason: String) -> CredentialError {
        for certificate in chain {
            if let objection = objection(toValidityOf: certificate) { return objection }
        }
        for issuer in chain.dropFirst() {
            if case .isCertificateAuthority = try? issuer.extensions.basicConstraints { continue }
            return CredentialError(
                .notAuthority,
                """
                certificate \(issuer.subjectText) issued another one but is not an authority (basicConstraints \
                CA:TRUE is missing)
                """
            )
        }
        if let objection = CertificateUsagePolicy.objection(to: chain) { return objection }
        if reason.contains("maximum path length") {
            return CredentialError(
                .constraintViolated,
                """
                there are more certificates between \(leaf.subjectText) and its authority than a path length \
                constraint allows
                """
            )
        }
        let detail = reason.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? reason
        return CredentialError(
            .constraintViolated,
            "certificate \(leaf.subjectText) oversteps a constraint of its issuers: \(detail.forLog())")
    }

    private func objection(toValidityOf certificate: Certificate) -> CredentialError? {
        let subject = certificate.subjectText
        if unixSeconds > certificate.notValidAfterSeconds {
            return CredentialError(
                .expired, "certificate \(subject) expired on \(certificate.notValidAfter.formatted(.iso8601))")
        }
        if unixSeconds < certificate.notValidBeforeSeconds {
            return CredentialError(
                .notYetValid,
                """
                certificate \(subject) is not valid until \(certificate.notValidBefore.formatted(.iso8601)); compare \
                the clocks
                """
            )
        }
        return nil
    }

    // MARK: No path at all

    private func missingLink() -> CredentialError {
        var tip = leaf
        var left = others
        while true {
            if let objection = objection(toExtensionsOf: tip) { return objection }
            let namesakes = anchors.certificates.map(\.certificate).filter { $0.subject == tip.issuer }
            if let issuer = namesakes.first(where: { $0.publicKey.isValidSignature(tip.signature, for: tip) }) {
                return objection(toExtensionsOf: issuer)
                    ?? CredentialError(
                        .untrusted, "the path from \(leaf.subjectText) to \(issuer.subjectText) is not acceptable")
            }
            let next = left.firstIndex {
                $0.subject == tip.issuer && $0.publicKey.isValidSignature(tip.signature, for: tip)
            }
            if let next {
                tip = left.remove(at: next)
                continue
            }
            return unknownIssuer(of: tip, isNamesakeConfigured: !namesakes.isEmpty)
        }
    }

    private func unknownIssuer(of tip: Certificate, isNamesakeConfigured: Bool) -> CredentialError {
        if isNamesakeConfigured {
            return CredentialError(
                .untrusted,
                """
                certificate \(tip.subjectText) names \(tip.issuerText) as its issuer, but the key of the configured \
                authority of that name did not sign it
                """
            )
        }
        if tip.issuer == tip.subject {
            return CredentialError(
                .untrusted,
                """
                certificate \(tip.subjectText) is self-signed and is not among the configured authorities \
                (\(anchors.subjectTexts))
                """
            )
        }
        if others.contains(where: { $0.subject == tip.issuer }) {
            return CredentialError(
                .untrusted, "the certificate of \(tip.issuerText) that the peer sent did not sign \(tip.subjectText)")
        }
        return CredentialError(
            .untrusted,
            """
            the issuer \(tip.issuerText) of certificate \(tip.subjectText) is not among the configured authorities \
            (\(anchors.subjectTexts)), nor did the peer send its certificate
            """
        )
    }

    private func objection(toExtensionsOf certificate: Certificate) -> CredentialError? {
        guard
            let unknown = certificate.extensions.first(where: { $0.critical && !handledExtensions.contains($0.oid) })
        else { return nil }
        return CredentialError(
            .unsupportedExtension,
            "certificate \(certificate.subjectText) has the critical extension \(unknown.oid), which is not supported")
    }
}
