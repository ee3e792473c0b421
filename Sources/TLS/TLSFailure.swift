import CLibSSL

/// Why TLS has not come about, or has ended, in words for a person.
package struct TLSFailure: Error, Hashable, Sendable {
    package enum Code: Hashable, Sendable {
        /// What comes is no TLS.
        case notTLS
        /// The peer has said that it cannot go on.
        case refused
        /// The peer's certificate is not good, or is another's.
        case certificate
        /// The peer breaks TLS, or both sides can agree on nothing.
        case negotiation
        /// A certificate or key that cannot be used.
        case credentials
        /// There is no memory, or the library fails.
        case library
    }

    package let code: Code
    package let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// The oldest error that the library has put down for this thread, and nothing of it left.
    static func libraryReason(_ otherwise: String) -> String {
        let error = ERR_get_error()
        defer { ERR_clear_error() }
        guard error != 0, let text = ERR_reason_error_string(error) else { return otherwise }
        return String(cString: text)
    }

    /// Of a library call for this session that has failed for good.
    ///
    /// - Parameter session: of `SSL`.
    static func ofSession(_ session: OpaquePointer) -> TLSFailure {
        let verification = SSL_get_verify_result(session)
        let reason = libraryReason("the library fails")
        if verification != Int(X509_V_OK), SSL_get_verify_mode(session) != SSL_VERIFY_NONE {
            let what = X509_verify_cert_error_string(verification).map { String(cString: $0) } ?? "unknown"
            return TLSFailure(.certificate, "the peer's certificate for TLS is not good: \(what)")
        }
        // "tlsv13 alert certificate required", "sslv3 alert handshake failure"
        if reason.contains("alert ") {
            let alert = reason.split(separator: " ").drop { $0 != "alert" }.dropFirst().joined(separator: " ")
            return TLSFailure(.refused, "the peer refuses TLS: \(alert)")
        }
        return TLSFailure(.negotiation, "TLS fails: \(reason)")
    }
}
