import IPsecCrypto
import X509

/// The certificate authorities that peers' certificates have to lead to.
public struct TrustAnchors: Sendable {
    let certificates: [CertificateFile]

    /// SHA-1 of each authority's SubjectPublicKeyInfo, 20 octets, for Certificate Request payloads (RFC 7296 section
    /// 3.7).
    public let authorityKeyHashes: [[UInt8]]

    public var isEmpty: Bool { certificates.isEmpty }

    /// Reads PEM texts, each with one or more certificates.
    ///
    /// Throws `unreadable` if one is damaged, `notAuthority` if one is not marked as an authority (`basicConstraints
    /// CA:TRUE`), `weak` if its key is too short. Whether they are still valid is seen when a path is checked.
    public init(pem: [String]) throws(CredentialError) {
        var certificates: [CertificateFile] = []
        for text in pem {
            for file in try CertificateFile.all(inPEM: text) where !certificates.contains(where: { $0.der == file.der })
            {
                guard file.isAuthority else {
                    throw CredentialError(
                        .notAuthority,
                        "certificate \(file.subjectText) is not an authority (basicConstraints CA:TRUE is missing)")
                }
                do throws(CryptoError) {
                    _ = try VerificationKey(subjectPublicKeyInfo: file.subjectPublicKeyInfo)
                } catch {
                    throw CredentialError(.weak, "authority \(file.subjectText): \(error.reason)")
                }
                certificates.append(file)
            }
        }
        self.certificates = certificates
        authorityKeyHashes = certificates.map(\.authorityKeyHash)
    }

    /// The subjects for a message to a person; at most eight of them.
    var subjectTexts: String {
        let shown = certificates.prefix(8).map(\.subjectText).joined(separator: ", ")
        return certificates.count > 8 ? shown + " and \(certificates.count - 8) more" : shown
    }
}
