import IPsecCrypto
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Checks a peer's certificates: the path to a configured authority (RFC 5280 section 6), what the certificate may be
/// used for, and whether it names the identity the peer claims (RFC 4945 section 3).
///
/// Certificates are never fetched: what is needed besides the authorities has to come from the peer. Revocation is judged
/// apart, when all else is known to be good: ``RevocationCheck``.
public struct CertificatePathValidator: Sendable {
    /// More certificates than this from a peer are refused. It also bounds the work of the path search.
    public static let maximumCertificates = 8
    /// A certificate longer than this many octets is refused, unless more is agreed on with the peer.
    public static let maximumCertificateLength = 16384

    private let anchors: TrustAnchors
    private let store: CertificateStore
    private let longestCertificate: Int

    /// - Parameter longestCertificate: octets of one certificate; those with more are refused.
    public init(anchors: TrustAnchors, longestCertificate: Int = maximumCertificateLength) {
        self.anchors = anchors
        self.longestCertificate = longestCertificate
        store = CertificateStore(anchors.certificates.map(\.certificate))
    }

    /// The key of the first certificate, if a path leads from it to an authority and it names `identity`.
    ///
    /// - Parameters:
    ///   - chainDER: the certificates in the order received, the peer's own first. Others that cannot be read are
    ///     passed over.
    ///   - identity: what the peer's Identification payload says.
    ///   - unixSeconds: the time to judge validity by, in seconds since 1970.
    public func validate(
        chainDER: [[UInt8]], claiming identity: Identity, at unixSeconds: Int64
    ) async -> Result<VerificationKey, CredentialError> {
        await validatePath(chainDER: chainDER, claiming: identity, at: unixSeconds).map(\.key)
    }

    /// The same, with the path that was found.
    public func validatePath(
        chainDER: [[UInt8]], claiming identity: Identity, at unixSeconds: Int64
    ) async -> Result<(key: VerificationKey, path: TrustedPath), CredentialError> {
        do throws(CredentialError) {
            let files = try read(chainDER)
            guard let leaf = files.first else { throw CredentialError(.unreadable, "the peer sent no certificate") }
            let others = Self.withoutVariants(Array(files.dropFirst()), preferring: anchors)
            let path = try await checkPath(leaf.certificate, others.map(\.certificate), unixSeconds)
            try Self.bind(leaf, to: identity)
            let known = files + anchors.certificates
            let inPath = path.compactMap { certificate in known.first { $0.certificate == certificate } }
            guard inPath.count == path.count else {
                throw CredentialError(
                    .untrusted, "the path from \(leaf.subjectText) is not made of the certificates at hand")
            }
            return .success((try Self.key(of: leaf), TrustedPath(certificates: inPath)))
        } catch {
            return .failure(error)
        }
    }

    /// Refuses what is too much to be looked at, before anything is spent on it. Throws `limitExceeded`.
    public static func checkAmount(
        of chainDER: [[UInt8]], longest: Int = maximumCertificateLength
    ) throws(CredentialError) {
        guard chainDER.count <= maximumCertificates else {
            throw CredentialError(
                .limitExceeded, "the peer sent \(chainDER.count) certificates; \(maximumCertificates) are accepted")
        }
        for der in chainDER where der.count > longest {
            throw CredentialError(
                .limitExceeded, "the peer sent a certificate of \(der.count) octets; \(longest) are accepted")
        }
    }

    private func read(_ chainDER: [[UInt8]]) throws(CredentialError) -> [CertificateFile] {
        try Self.checkAmount(of: chainDER, longest: longestCertificate)
        var files: [CertificateFile] = []
        for (index, der) in chainDER.enumerated() {
            do throws(CredentialError) {
                files.append(try CertificateFile(der: der))
            } catch {
                if index == 0 { throw error }
            }
        }
        return files
    }

    /// One certificate for each name and key: with many variants of the same authority, a peer could make the search
    /// for a path take factorial time. Of several the one that a configured authority issued is kept, else the first.
    private static func withoutVariants(
        _ files: [CertificateFile], preferring anchors: TrustAnchors
    ) -> [CertificateFile] {
        let anchorNames = Set(anchors.certificates.map(\.certificate.subject))
        var kept: [CertificateFile] = []
        for file in files {
            let variant = kept.firstIndex {
                $0.certificate.subject == file.certificate.subject
                    && $0.certificate.publicKey == file.certificate.publicKey
            }
            if let variant {
                if !anchorNames.contains(kept[variant].certificate.issuer),
                    anchorNames.contains(file.certificate.issuer)
                {
                    kept[variant] = file
                }
            } else {
                kept.append(file)
            }
        }
        return kept
    }

    private func checkPath(
        _ leaf: Certificate, _ others: [Certificate], _ unixSeconds: Int64
    ) async throws(CredentialError) -> [Certificate] {
        guard !anchors.isEmpty else {
            throw CredentialError(
                .untrusted, "no authority is configured that the peer's certificate \(leaf.subjectText) could lead to")
        }
        let time = Date(timeIntervalSince1970: TimeInterval(unixSeconds))
        var verifier = Verifier(rootCertificates: store) {
            RFC5280Policy(fixedExpiryValidationTime: time)
            CertificateUsagePolicy()
        }
        let handled = verifier.policy.verifyingCriticalExtensions
        let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(others))
        switch result {
        case .validCertificate(let chain): return Array(chain)
        case .couldNotValidate(let failures):
            throw CertificatePathDiagnosis(
                leaf: leaf, others: others, anchors: anchors, unixSeconds: unixSeconds, handledExtensions: handled
            ).cause(of: failures)
        }
    }

    private static func key(of leaf: CertificateFile) throws(CredentialError) -> VerificationKey {
        do throws(CryptoError) {
            return try VerificationKey(subjectPublicKeyInfo: leaf.subjectPublicKeyInfo)
        } catch {
            throw CredentialError(.weak, "certificate \(leaf.subjectText): \(error.reason)")
        }
    }

    // MARK: Identity, RFC 4945 section 3.1

    private static func bind(_ leaf: CertificateFile, to identity: Identity) throws(CredentialError) {
        let names = try leaf.subjectAltNames()
        switch identity {
        case .distinguishedName:
            // ID_DER_ASN1_DN has to be the subject; a directoryName among the alternative names does not count.
            if identity.matches(.distinguishedName(leaf.subject)) { return }
        case .fqdn, .email, .address:
            // The common name is never taken for a host name.
            if names.contains(where: identity.matches) { return }
        case .keyID, .other:
            throw CredentialError(
                .identityMismatch,
                "a certificate cannot prove the identity \"\(identity)\"; use one that certificates carry")
        }
        var known = names.prefix(16).map { "\"\($0)\"" }
        known.insert("the subject \(leaf.subjectText)", at: 0)
        if names.count > 16 { known.append("and \(names.count - 16) more") }
        throw CredentialError(
            .identityMismatch,
            "the identity \"\(identity)\" is not in the certificate, whose names are \(known.joined(separator: ", "))")
    }
}
