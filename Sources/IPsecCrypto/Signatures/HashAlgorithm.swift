import Crypto

/// The hash a signature is made over, with the IANA number of RFC 7427 section 7 (`SIGNATURE_HASH_ALGORITHMS`).
public enum HashAlgorithm: UInt16, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Known so that it can be named when it is refused; nothing is signed or accepted with it.
    case sha1 = 1
    case sha2_256 = 2
    case sha2_384 = 3
    case sha2_512 = 4
    /// No hash beforehand: the algorithm takes the message itself (RFC 8420), as Ed25519, Ed448 and ML-DSA do.
    case identity = 5

    /// Length of the hash in octets; 0 for ``identity``.
    public var outputLength: Int {
        switch self {
        case .sha1: 20
        case .sha2_256: 32
        case .sha2_384: 48
        case .sha2_512: 64
        case .identity: 0
        }
    }

    public var description: String {
        switch self {
        case .sha1: "SHA-1"
        case .sha2_256: "SHA2-256"
        case .sha2_384: "SHA2-384"
        case .sha2_512: "SHA2-512"
        case .identity: "IDENTITY"
        }
    }
}

/// A private key that signs a digest which has already been computed.
protocol DigestSigning {
    func sign(digest: some Digest) throws -> [UInt8]
}

/// A public key that verifies a signature over a digest which has already been computed.
protocol DigestVerifying {
    func isValid(_ signature: [UInt8], digest: some Digest) -> Bool
}

extension DigestSigning {
    /// `nil` if nothing is signed with this hash.
    func sign(_ data: [UInt8], hash: HashAlgorithm) throws -> [UInt8]? {
        switch hash {
        case .sha2_256: try sign(digest: SHA256.hash(data: data))
        case .sha2_384: try sign(digest: SHA384.hash(data: data))
        case .sha2_512: try sign(digest: SHA512.hash(data: data))
        case .sha1, .identity: nil
        }
    }
}

extension DigestVerifying {
    func isValid(_ signature: [UInt8], of data: [UInt8], hash: HashAlgorithm) -> Bool {
        switch hash {
        case .sha2_256: isValid(signature, digest: SHA256.hash(data: data))
        case .sha2_384: isValid(signature, digest: SHA384.hash(data: data))
        case .sha2_512: isValid(signature, digest: SHA512.hash(data: data))
        case .sha1, .identity: false
        }
    }
}
