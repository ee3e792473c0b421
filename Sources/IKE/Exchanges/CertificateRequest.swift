import Credentials
import IKEMessage

/// CERTREQ: the authorities whose certificates a side accepts (RFC 7296 section 3.7).
enum CertificateRequest {
    /// The authorities of the connections that the peer may turn out to use; `nil` if none wants a certificate.
    static func payload(for connections: [ConnectionConfiguration]) -> Payload? {
        var hashes: [[UInt8]] = []
        for connection in connections {
            guard case .certificate(let anchors) = connection.remoteAuthentication else { continue }
            for hash in anchors.authorityKeyHashes where !hashes.contains(hash) { hashes.append(hash) }
        }
        guard !hashes.isEmpty else { return nil }
        return .certificateRequest(
            CertificateRequestPayload(encoding: .x509Signature, authorities: hashes.flatMap(\.self)))
    }
}
