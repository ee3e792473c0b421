import Crypto
import Octets

/// A pseudorandom function: a transform of type 2. The raw value is its number in the IANA registry.
public enum PRF: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    case hmacSHA2_256 = 5
    case hmacSHA2_384 = 6
    case hmacSHA2_512 = 7

    private var hmac: HMACSHA2 {
        switch self {
        case .hmacSHA2_256: .sha256
        case .hmacSHA2_384: .sha384
        case .hmacSHA2_512: .sha512
        }
    }

    /// Octets of the output, which is also the preferred size of a key (RFC 7296, section 2.13).
    public var outputLength: Int { hmac.outputLength }

    /// prf(key, data). The key may have any length (RFC 4868, section 2.1.2).
    public func compute(key: SecretOctets, _ data: [UInt8]) -> SecretOctets {
        data.withUnsafeBytes { data in compute(key.symmetricKey, data) }
    }

    /// prf(key, data) of data that are themselves secret.
    public func compute(key: SecretOctets, _ data: SecretOctets) -> SecretOctets {
        data.withUnsafeBytes { data in compute(key.symmetricKey, data) }
    }

    private func compute(_ key: SymmetricKey, _ data: UnsafeRawBufferPointer) -> SecretOctets {
        SecretOctets(count: outputLength) { (output: UnsafeMutableRawBufferPointer) in
            hmac.authenticate([data], key: key, into: output)
        }
    }

    /// prf+(key, seed), cut to `count` octets (RFC 7296, section 2.13).
    ///
    /// - Throws: ``CryptoError/Code/limitExceeded`` when more than 255 blocks would be needed, since the counter has
    ///   one octet; ``CryptoError/Code/invalidLength`` for a negative count.
    public func plus(key: SecretOctets, seed: [UInt8], count: Int) throws(CryptoError) -> SecretOctets {
        try checkExpansion(count)
        return seed.withUnsafeBytes { seed in expand(key.symmetricKey, seed, count) }
    }

    /// prf+(key, seed) of a seed that is itself secret, as when keys are derived from a fresh shared secret.
    ///
    /// - Throws: the same errors as ``plus(key:seed:count:)-([UInt8],_,_)``.
    public func plus(key: SecretOctets, seed: SecretOctets, count: Int) throws(CryptoError) -> SecretOctets {
        try checkExpansion(count)
        return seed.withUnsafeBytes { seed in expand(key.symmetricKey, seed, count) }
    }

    private func checkExpansion(_ count: Int) throws(CryptoError) {
        guard count >= 0 else { throw CryptoError(.invalidLength, "prf+ cannot give \(count) octets") }
        guard count <= 255 * outputLength else {
            throw CryptoError(.limitExceeded, "prf+ gives at most \(255 * outputLength) octets, \(count) are wanted")
        }
    }

    private func expand(_ key: SymmetricKey, _ seed: UnsafeRawBufferPointer, _ count: Int) -> SecretOctets {
        SecretOctets(count: count) { (output: UnsafeMutableRawBufferPointer) in
            var previous = UnsafeRawBufferPointer(start: nil, count: 0)
            var iteration: UInt8 = 0
            var position = 0
            while position < count {
                iteration += 1
                let end = min(position + outputLength, count)
                let block = UnsafeMutableRawBufferPointer(rebasing: output[position..<end])
                withUnsafeBytes(of: iteration) { number in
                    hmac.authenticate([previous, seed, number], key: key, into: block)
                }
                previous = UnsafeRawBufferPointer(block)
                position = end
            }
        }
    }

    /// For example `PRF-HMAC-SHA2-256`.
    public var description: String {
        switch self {
        case .hmacSHA2_256: "PRF-HMAC-SHA2-256"
        case .hmacSHA2_384: "PRF-HMAC-SHA2-384"
        case .hmacSHA2_512: "PRF-HMAC-SHA2-512"
        }
    }
}

extension SecretOctets {
    /// The octets as a key of swift-crypto, which wipes its copy too.
    var symmetricKey: SymmetricKey { withUnsafeBytes { SymmetricKey(data: $0) } }
}
