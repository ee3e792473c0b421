// RFC 9329 appendix A: TLS around the stream, as the side that calls.
import CLibSSL
import Glibc

/// How a peer is called by TLS.
public struct TLSClientSettings: Hashable, Sendable {
    /// The name that the peer is told it is called by (RFC 6066), and that its certificate is to have; `nil` if it has none but its address.
    public var name: String?
    /// Authorities in PEM form that the peer's certificate is to come from; `nil`: it is not looked at, as IKE says who the peer is.
    public var authorities: [String]?

    public init(name: String? = nil, authorities: [String]? = nil) {
        self.name = name
        self.authorities = authorities
    }
}

/// Calls peers with one kind of settings, and remembers sessions to be resumed. It belongs to one thread.
package final class TLSClient {
    let context: OpaquePointer
    package let settings: TLSClientSettings
    /// By address and port of the peer.
    private var sessions: [String: OpaquePointer] = [:]

    /// As many peers are remembered.
    package static let sessionLimit = 1024

    /// - Throws: ``TLSFailure`` with `credentials` if an authority cannot be read.
    package init(_ settings: TLSClientSettings) throws(TLSFailure) {
        let context = try TLSContext.make(isServer: false)
        do throws(TLSFailure) {
            try Self.believe(settings.authorities, context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        self.context = context
        self.settings = settings
    }

    deinit {
        for session in sessions.values { SSL_SESSION_free(session) }
        SSL_CTX_free(context)
    }

    private static func believe(_ authorities: [String]?, _ context: OpaquePointer) throws(TLSFailure) {
        guard let authorities else { return SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil) }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        for text in authorities {
            try PEMCertificates.each(of: text) { (certificate) throws(TLSFailure) in
                guard X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 else {
                    throw TLSFailure(
                        .credentials, "TLS cannot use the authority: \(TLSFailure.libraryReason("unknown"))")
                }
            }
        }
    }

    // MARK: Resumption

    /// For so long a session can be resumed, in seconds: then the peer's certificate is looked at again.
    private static let sessionTime = 3600

    /// Hands over an `SSL_SESSION`, for one use: with each comes the ticket for the next, and nobody can tell them apart by it.
    func resumption(with peer: String) -> OpaquePointer? {
        guard let session = sessions.removeValue(forKey: peer) else { return nil }
        let age = time(nil) - SSL_SESSION_get_time(session)
        guard (0..<Self.sessionTime).contains(age) else {
            SSL_SESSION_free(session)
            return nil
        }
        return session
    }

    /// Takes over an `SSL_SESSION`, of which the next connection with this peer is to make use.
    func remember(_ session: OpaquePointer, with peer: String) {
        guard SSL_SESSION_is_resumable(session) == 1 else { return SSL_SESSION_free(session) }
        if sessions[peer] == nil, sessions.count >= Self.sessionLimit, let other = sessions.first {
            SSL_SESSION_free(other.value)
            sessions[other.key] = nil
        }
        if let old = sessions.updateValue(session, forKey: peer) { SSL_SESSION_free(old) }
    }
}
