import IKEMessage
import IPPacket
import Octets

/// A resolver that is asked by DNS over TLS, HTTPS or QUIC (RFC 9464 section 3.1).
public struct EncryptedResolver: Sendable, Hashable {
    /// SvcPriority of RFC 9460: 1 or more, the lowest is asked first.
    public var priority: UInt16
    /// The name by which it proves itself, in ASCII without a dot at the end.
    public var name: String
    public var addresses: [IPAddress]
    /// The protocols it speaks, and its port and path where they are not the usual ones.
    public var parameters: ServiceParameters
    /// Hashes of the public keys of its certificates: those that are right if there are any (RFC 9464 section 5).
    public var digests: [CertificateDigest] = []

    public init(priority: UInt16, name: String, addresses: [IPAddress], parameters: ServiceParameters) {
        self.priority = priority
        self.name = name
        self.addresses = addresses
        self.parameters = parameters
    }

    /// In one line, as in `dns.example.org at 10.2.0.53, alpn=dot`.
    public var summary: String {
        var text = "\(name) at \(addresses.map(\.description).joined(separator: " "))"
        if !parameters.isEmpty { text += ", \(parameters)" }
        if !digests.isEmpty { text += ", \(digests.map(\.description).joined(separator: ", "))" }
        return text
    }
}

/// The hash of the SubjectPublicKeyInfo, in DER, of a resolver's certificate (RFC 9464 section 3.2).
public struct CertificateDigest: Sendable, Hashable, CustomStringConvertible {
    public var hash: HashAlgorithmID
    public var digest: [UInt8]

    public init(hash: HashAlgorithmID, digest: [UInt8]) {
        self.hash = hash
        self.digest = digest
    }

    /// Those that are asked for by default, and their lengths in octets.
    public static let lengths: [HashAlgorithmID: Int] = [.sha2_256: 32, .sha2_384: 48, .sha2_512: 64]

    /// Algorithm and hexadecimal digits, as in `SHA2-256 1f2e…`.
    public var description: String { "\(hash) \(digest.hexadecimal)" }
}
