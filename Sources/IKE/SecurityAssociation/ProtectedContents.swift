import Credentials
import IKEMessage

/// How the contents of an IKE SA's protected messages are written, and how much there may be of them.
struct ProtectedContents {
    var format: PayloadFormat = .classic
    /// Octets of payloads that the peer takes in one message; `nil`: as many as fit.
    var sentLimit: Int?
    /// Octets of payloads that are put together from one message's fragments.
    var receivedLimit = FragmentReassembly.octetLimit
    /// Octets of one of the peer's certificates.
    var certificateLimit = CertificatePathValidator.maximumCertificateLength
}
