import Crypto

/// HMAC with a hash of the SHA-2 family (RFC 2104, FIPS 180-4), computed by swift-crypto.
enum HMACSHA2 {
    case sha256
    case sha384
    case sha512

    /// Octets of the hash.
    var outputLength: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// Writes the code of the parts, taken as one octet string, into `output`; what does not fit is cut off.
    func authenticate(
        _ parts: [UnsafeRawBufferPointer], key: SymmetricKey, into output: UnsafeMutableRawBufferPointer
    ) {
        switch self {
        case .sha256: Self.authenticate(SHA256.self, parts, key, output)
        case .sha384: Self.authenticate(SHA384.self, parts, key, output)
        case .sha512: Self.authenticate(SHA512.self, parts, key, output)
        }
    }

    private static func authenticate<Hash: HashFunction>(
        _: Hash.Type, _ parts: [UnsafeRawBufferPointer], _ key: SymmetricKey, _ output: UnsafeMutableRawBufferPointer
    ) {
        var state = HMAC<Hash>(key: key)
        for part in parts where !part.isEmpty { state.update(data: part) }
        state.finalize().withUnsafeBytes { code in output.copyMemory(from: .init(rebasing: code.prefix(output.count))) }
    }
}
