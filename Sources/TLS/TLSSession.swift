// RFC 9329 appendix A: one TLS connection.
import CLibSSL

/// One TLS connection, without a socket: it is given what has come and tells what is to be sent, and never waits. It belongs to one thread.
package final class TLSSession {
    private let session: OpaquePointer
    /// What the library wants sent lies here until it is taken.
    private let outgoing: OpaquePointer
    /// Has nothing: what the library reads from while nothing has come.
    private let nothing: OpaquePointer
    private let client: (TLSClient, peer: String)?
    private var handshakeOctets = 0
    /// Messages of TLS itself, in either direction, since both sides have keys: new keys, tickets, warnings.
    private var asides = 0
    private var openedOctets = 0
    private var hasFailed = false
    private var hasFinished = false

    /// Both sides have keys: octets can be sealed.
    package private(set) var isEstablished = false

    /// After so many octets no more are taken that come before ``isEstablished``: more than the longest chain of certificates.
    package static let handshakeLimit = 64 << 10
    /// The most that one record holds.
    package static let recordSize = 16 << 10
    /// So many messages of TLS itself are taken and answered afterwards, and one more for each ``octetsForAside``: each costs as much as
    /// many packets.
    package static let asideLimit = 32
    package static let octetsForAside = 1 << 20
    /// The library is given no more at once, as it takes whatever messages there are before it returns.
    private static let portion = 4 << 10

    /// As the side that is called.
    package convenience init(_ server: TLSServer) throws(TLSFailure) {
        try self.init(server.context, client: nil)
        SSL_set_accept_state(session)
    }

    /// As the side that calls; the first octets to be sent are there at once.
    ///
    /// - Parameters:
    ///   - address: the peer's; its certificate is to have it where the settings have no name.
    ///   - peer: what a session can be resumed with, such as address and port.
    package convenience init(_ client: TLSClient, address: String, peer: String) throws(TLSFailure) {
        try self.init(client.context, client: (client, peer))
        SSL_set_connect_state(session)
        if let name = client.settings.name {
            // SSL_set_tlsext_host_name
            let isNamed = name.withCString {
                SSL_ctrl(
                    session, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                    UnsafeMutableRawPointer(mutating: $0)) == 1 && SSL_set1_host(session, $0) == 1
            }
            guard isNamed else { throw TLSFailure(.library, "TLS cannot call the peer \(name)") }
        } else if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), address) != 1 {
            throw TLSFailure(.library, "TLS cannot call the peer \(address)")
        }
        if let known = client.resumption(with: peer) {
            SSL_set_session(session, known)
            SSL_SESSION_free(known)
        }
        _ = try shakeHands()
    }

    private init(_ context: OpaquePointer, client: (TLSClient, peer: String)?) throws(TLSFailure) {
        ERR_clear_error()
        let session = SSL_new(context)
        let outgoing = BIO_new(BIO_s_mem())
        let nothing = BIO_new(BIO_s_mem())
        guard let session, let outgoing, let nothing else {
            SSL_free(session)
            BIO_free(outgoing)
            BIO_free(nothing)
            throw TLSFailure(.library, "there is no memory")
        }
        self.session = session
        self.outgoing = outgoing
        self.nothing = nothing
        self.client = client
        SSL_set0_wbio(session, outgoing)
        rest()
        SSL_set_msg_callback(session) { _, _, type, _, _, _, owner in
            guard type == SSL3_RT_HANDSHAKE || type == SSL3_RT_ALERT, let owner else { return }
            Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue().noteAside()
        }
        // SSL_set_msg_callback_arg
        SSL_ctrl(session, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, Unmanaged.passUnretained(self).toOpaque())
    }

    private func noteAside() { if isEstablished { asides += 1 } }

    deinit {
        if let client, isEstablished, !hasFailed, let known = SSL_get1_session(session) {
            client.0.remember(known, with: client.peer)
        }
        // A connection that is cut is the reason for which sessions are resumed; the library would forget it for that.
        if !hasFailed { SSL_set_shutdown(session, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        SSL_free(session)
        BIO_free(nothing)
    }

    /// Version and cipher suite, and whether an earlier session was resumed.
    package var description: String {
        let version = SSL_get_version(session).map { String(cString: $0) } ?? "TLS"
        let suite = SSL_CIPHER_get_name(SSL_get_current_cipher(session)).map { String(cString: $0) } ?? "–"
        return "\(version) \(suite)\(isResumed ? ", resumed" : "")"
    }

    package var isResumed: Bool { SSL_session_reused(session) == 1 }

    // MARK: What comes

    /// Has what has come looked at: ``next(into:)`` is to be called in `body`, which may be called several times, until it gives `nil`.
    package func taking(
        _ octets: UnsafeRawBufferPointer, _ body: () throws(TLSFailure) -> Void
    ) throws(TLSFailure) {
        var rest = octets
        while !rest.isEmpty {
            try take(UnsafeRawBufferPointer(rebasing: rest.prefix(Self.portion)), body)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(Self.portion))
            guard asides <= Self.asideLimit + openedOctets / Self.octetsForAside else {
                hasFailed = true
                throw TLSFailure(.negotiation, "the peer goes on about keys and warnings of TLS")
            }
        }
    }

    private func take(
        _ octets: UnsafeRawBufferPointer, _ body: () throws(TLSFailure) -> Void
    ) throws(TLSFailure) {
        if !isEstablished {
            if handshakeOctets == 0 { try Self.lookAt(octets, isServer: client == nil) }
            guard handshakeOctets + octets.count <= Self.handshakeLimit else {
                hasFailed = true
                throw TLSFailure(.negotiation, "the peer says too much before TLS is agreed upon")
            }
            handshakeOctets += octets.count
        }
        // It is read where it lies: the library keeps no more than a record that is not whole.
        guard let source = BIO_new_mem_buf(octets.baseAddress, Int32(clamping: octets.count)) else {
            throw TLSFailure(.library, "there is no memory")
        }
        _ = BIO_ctrl(source, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nil)
        SSL_set0_rbio(session, source)
        defer { rest() }
        try body()
    }

    /// - Returns: how many octets have been put there; 0 when the peer has ended TLS; `nil` when more has to come.
    package func next(into buffer: UnsafeMutableRawBufferPointer) throws(TLSFailure) -> Int? {
        if !isEstablished {
            guard try shakeHands() else { return nil }
        }
        ERR_clear_error()
        let count = SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count))
        if count > 0 {
            openedOctets += Int(count)
            return Int(count)
        }
        switch SSL_get_error(session, count) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return nil
        case SSL_ERROR_ZERO_RETURN: return 0
        default: throw failure()
        }
    }

    /// - Returns: whether both sides have keys.
    private func shakeHands() throws(TLSFailure) -> Bool {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 {
            isEstablished = true
            return true
        }
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        default: throw failure()
        }
    }

    private func failure() -> TLSFailure {
        hasFailed = true
        return TLSFailure.ofSession(session)
    }

    /// What cannot be TLS is not answered, and not waited for.
    private static func lookAt(_ octets: UnsafeRawBufferPointer, isServer: Bool) throws(TLSFailure) {
        guard let first = octets.first, first != 0x16, first != 0x15 else { return }
        throw TLSFailure(
            .notTLS,
            isServer
                ? octets.starts(with: "IKETCP".utf8)
                    ? "the peer sends IKETCP without TLS: this port takes it with TLS only"
                    : "what the peer sends is no TLS"
                : "the peer's answer is no TLS: its port may be one without")
    }

    /// Nothing is there to be read, and nothing is pointed at that others write to.
    private func rest() {
        BIO_up_ref(nothing)
        SSL_set0_rbio(session, nothing)
    }

    // MARK: What goes

    /// Seals octets: one record at most.
    ///
    /// - Returns: how many of them.
    package func seal(_ octets: UnsafeRawBufferPointer) throws(TLSFailure) -> Int {
        ERR_clear_error()
        let count = SSL_write(session, octets.baseAddress, Int32(min(octets.count, Self.recordSize)))
        guard count > 0 else { throw failure() }
        return Int(count)
    }

    /// Gives what is to be sent.
    package func drain(_ take: (UnsafeRawBufferPointer) -> Void) {
        var start: UnsafeMutablePointer<CChar>?
        let count = BIO_ctrl(outgoing, BIO_CTRL_INFO, 0, &start)
        guard count > 0, let start else { return }
        take(UnsafeRawBufferPointer(start: start, count: count))
        _ = BIO_ctrl(outgoing, BIO_CTRL_RESET, 0, nil)
    }

    /// Says, once, that nothing more will be said (close_notify).
    package func finish() {
        guard isEstablished, !hasFailed, !hasFinished else { return }
        hasFinished = true
        ERR_clear_error()
        SSL_shutdown(session)
        ERR_clear_error()
    }
}
