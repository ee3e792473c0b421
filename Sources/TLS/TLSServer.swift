// RFC 9329 appendix A: TLS around the stream, as the side that is called.
import CLibSSL
import Octets

/// What TLS is answered with: a certificate and its key. Clients are asked for none, as IKE says who they are.
///
/// Sessions are resumed by tickets that only this object can open, so that a client costs no memory while it is away.
public final class TLSServer: Sendable {
    // An SSL_CTX, not changed after `init`; the library counts who uses it, and locks what it changes by itself.
    nonisolated(unsafe) let context: OpaquePointer
    private let certificates: String
    private let key: SecretOctets

    /// - Parameters:
    ///   - certificates: in PEM form, the server's own first, then those that lead to an authority.
    ///   - key: in PEM form, without a password.
    /// - Throws: ``TLSFailure`` with `credentials` if they cannot be used.
    package init(certificates: String, key: SecretOctets) throws(TLSFailure) {
        let context = try TLSContext.make(isServer: true)
        do throws(TLSFailure) {
            try Self.take(certificates, key, context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        // A ticket is for one use, and with it comes the next.
        SSL_CTX_set_num_tickets(context, 1)
        let name = Array("cygnet".utf8)
        SSL_CTX_set_session_id_context(context, name, UInt32(name.count))
        self.context = context
        self.certificates = certificates
        self.key = key
    }

    deinit { SSL_CTX_free(context) }

    /// Whether another would answer with the same.
    package func isSame(as other: TLSServer) -> Bool { certificates == other.certificates && key == other.key }

    private static func take(_ certificates: String, _ key: SecretOctets, _ context: OpaquePointer) throws(TLSFailure) {
        var isFirst = true
        try PEMCertificates.each(of: certificates) { (certificate) throws(TLSFailure) in
            let isTaken =
                isFirst
                ? SSL_CTX_use_certificate(context, certificate) == 1
                : SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(certificate)) == 1
            isFirst = false
            guard isTaken else {
                throw TLSFailure(
                    .credentials, "TLS cannot use the certificate: \(TLSFailure.libraryReason("unknown"))")
            }
        }
        guard let source = key.withUnsafeBytes({ BIO_new(ofCopying: $0) }) else {
            throw TLSFailure(.library, "there is no memory")
        }
        defer { BIO_free(source) }
        guard let privateKey = PEMCertificates.privateKey(in: source) else {
            throw TLSFailure(.credentials, "TLS cannot read the key: \(TLSFailure.libraryReason("unknown"))")
        }
        defer { EVP_PKEY_free(privateKey) }
        guard SSL_CTX_use_PrivateKey(context, privateKey) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw TLSFailure(.credentials, "TLS cannot use the key: \(TLSFailure.libraryReason("unknown"))")
        }
    }
}
