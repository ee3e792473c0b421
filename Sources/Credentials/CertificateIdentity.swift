import IPsecCrypto
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A certificate of our own, with its private key and what is sent along to let peers build the path.
public struct CertificateIdentity: Sendable {
    public let leafDER: [UInt8]
    /// In path order as far as they form one, without self-signed certificates, which no peer needs.
    public let intermediatesDER: [[UInt8]]
    public let signingKey: SigningKey
    /// When the certificate's validity ends, in seconds since 1970.
    public let notAfter: Int64
    /// The subject Name of the certificate.
    public let subject: Identity
    /// The subjectAltNames that can be used as an identity.
    public let subjectAltNames: [Identity]
    private let issuerKeyHashes: Set<[UInt8]>

    /// Reads a certificate, the certificates between it and the authority, and its key, all in PEM.
    ///
    /// `certificatePEM` may hold further certificates after the first: they count as intermediates. `authorities` and
    /// self-signed certificates among the intermediates are not sent; they let ``issuedBy(authorities:)`` recognise
    /// the root.
    ///
    /// Throws `unreadable`, `weak`, `keyMismatch` if the key is not that of the certificate, `unsuitable` if the
    /// certificate's key usage forbids signatures, `limitExceeded` if there are more certificates than a peer of this
    /// kind accepts.
    public init(
        certificatePEM: String, intermediatesPEM: [String], keyPEM: String, authorities: TrustAnchors? = nil
    ) throws(CredentialError) {
        var files = try CertificateFile.all(inPEM: certificatePEM)
        let leaf = files.removeFirst()
        for text in intermediatesPEM { files += try CertificateFile.all(inPEM: text) }

        do throws(CryptoError) {
            signingKey = try SigningKey(pem: keyPEM)
        } catch {
            throw CredentialError(error.code == .unusableKey ? .unreadable : .weak, error.reason)
        }
        guard Self.belongs(signingKey, to: leaf) else {
            throw CredentialError(
                .keyMismatch,
                "the private key (\(signingKey.publicKey)) does not belong to certificate \(leaf.subjectText)")
        }
        if let objection = CertificateUsagePolicy.objection(toEndEntity: leaf.certificate) { throw objection }

        let path = Self.path(from: leaf, through: files)
        guard path.count <= CertificatePathValidator.maximumCertificates else {
            throw CredentialError(
                .limitExceeded,
                """
                there are \(path.count) certificates to send; at most \
                \(CertificatePathValidator.maximumCertificates) are useful
                """
            )
        }
        leafDER = leaf.der
        intermediatesDER = path.dropFirst().map(\.der)
        notAfter = leaf.certificate.notValidAfterSeconds
        subject = .distinguishedName(leaf.subject)
        subjectAltNames = try leaf.subjectAltNames()
        let issuers = Set(path.map(\.certificate.issuer))
        let known = files + (authorities?.certificates ?? [])
        // The usual identifier of an authority's key is the very hash (RFC 5280 section 4.2.1.2).
        let identifiers = path.compactMap { try? $0.certificate.extensions.authorityKeyIdentifier?.keyIdentifier }
        issuerKeyHashes = Set(known.filter { issuers.contains($0.certificate.subject) }.map(\.authorityKeyHash))
            .union(identifiers.map { Array($0) })
    }

    /// Whether one of the authorities a peer named in its Certificate Request issued this certificate or one above it.
    ///
    /// - Parameter authorities: SHA-1 hashes of SubjectPublicKeyInfo, 20 octets each (RFC 7296 section 3.7).
    ///
    /// False also if the issuer is simply not known here: the request is a hint, and a certificate may be sent all
    /// the same.
    public func issuedBy(authorities: Set<[UInt8]>) -> Bool {
        !issuerKeyHashes.isDisjoint(with: authorities)
    }

    private static func belongs(_ key: SigningKey, to leaf: CertificateFile) -> Bool {
        // The certificate may hold its point compressed, so both are brought to the one form the library writes.
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(leaf.certificate.publicKey)) != nil else { return false }
        return serializer.serializedBytes == key.publicKey.subjectPublicKeyInfo
    }

    /// The leaf, then the certificates that lead upwards from it, then the others.
    private static func path(from leaf: CertificateFile, through files: [CertificateFile]) -> [CertificateFile] {
        var path = [leaf]
        var left: [CertificateFile] = []
        for file in files where file.certificate.issuer != file.certificate.subject && file.der != leaf.der {
            if !left.contains(where: { $0.der == file.der }) { left.append(file) }
        }
        while let tip = path.last,
            let next = left.firstIndex(where: { $0.certificate.subject == tip.certificate.issuer })
        {
            path.append(left.remove(at: next))
        }
        return path + left
    }
}

extension Certificate {
    var notValidBeforeSeconds: Int64 { Int64(notValidBefore.timeIntervalSince1970) }
    var notValidAfterSeconds: Int64 { Int64(notValidAfter.timeIntervalSince1970) }
}
