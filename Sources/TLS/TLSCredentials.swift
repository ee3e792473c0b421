import CLibSSL
import Octets

/// Certificates in PEM form, as the library has them.
enum PEMCertificates {
    /// Gives each certificate of a text.
    ///
    /// - Throws: ``TLSFailure`` if there is none, or one cannot be read.
    static func each(of text: String, _ body: (OpaquePointer) throws(TLSFailure) -> Void) throws(TLSFailure) {
        let octets = Array(text.utf8)
        guard let source = octets.withUnsafeBytes({ BIO_new(ofCopying: $0) }) else {
            throw TLSFailure(.library, "there is no memory")
        }
        defer { BIO_free(source) }
        var count = 0
        while let certificate = PEM_read_bio_X509(source, nil, { _, _, _, _ in -1 }, nil) {
            defer { X509_free(certificate) }
            try body(certificate)
            count += 1
        }
        // What ends the text ends it with "no start line".
        let reason = TLSFailure.libraryReason("no start line")
        guard count > 0, reason == "no start line" else {
            throw TLSFailure(.credentials, "it has no certificate that TLS can use (\(reason))")
        }
    }

    /// A private key in PEM form. Nobody sits at a terminal to be asked for the password of one.
    static func privateKey(in source: OpaquePointer) -> OpaquePointer? {
        PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
    }
}

/// A memory BIO with a copy of octets.
func BIO_new(ofCopying octets: UnsafeRawBufferPointer) -> OpaquePointer? {
    guard let source = BIO_new(BIO_s_mem()) else { return nil }
    guard BIO_write(source, octets.baseAddress, Int32(clamping: octets.count)) == Int32(clamping: octets.count) else {
        BIO_free(source)
        return nil
    }
    return source
}

/// What holds for both sides (RFC 9325): TLS 1.2 or 1.3, no renegotiation, no compression; with TLS 1.2 only suites with forward secrecy and
/// authenticated encryption. RFC 9329 would also have no encryption at all (appendix A.2), as IKE and ESP have their own; that
/// no more than hides from middleboxes what it is for, and RFC 9325 forbids it.
enum TLSContext {
    private static let suites = "ECDHE+AESGCM:ECDHE+CHACHA20"

    /// An `SSL_CTX`.
    static func make(isServer: Bool) throws(TLSFailure) -> OpaquePointer {
        ERR_clear_error()
        guard let context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw TLSFailure(.library, TLSFailure.libraryReason("there is no memory"))
        }
        SSL_CTX_set_security_level(context, 2)
        SSL_CTX_set_options(context, cygnet_tls_options)
        // What waits idle keeps no buffers.
        _ = SSL_CTX_ctrl(
            context, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER), nil)
        _ = SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        guard SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1,
            SSL_CTX_set_cipher_list(context, suites) == 1
        else {
            SSL_CTX_free(context)
            throw TLSFailure(.library, TLSFailure.libraryReason("the library has none of the cipher suites"))
        }
        return context
    }
}
