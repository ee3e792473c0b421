import Crypto
import Octets

/// A pseudorandom function: a transform of type 2. The raw value is its number in the IANA registry.
public enum PRF: UInt16, CaseIterable, Sendable, CustomStringConvertible {
    /// RFC 2104. On its way out (RFC 8247, section 2.2): never offered by default.
    case hmacSHA1 = 2
    /// RFC 4434.
    case aes128XCBC = 4
    case hmacSHA2_256 = 5
    case hmacSHA2_384 = 6
    case hmacSHA2_512 = 7
    /// RFC 4615.
    case aes128CMAC = 8

    private var code: KeyedCode {
        switch self {
        case .hmacSHA1: .hmacSHA1
        case .aes128XCBC: .aesXCBC
        case .hmacSHA2_256: .hmacSHA2_256
        case .hmacSHA2_384: .hmacSHA2_384
        case .hmacSHA2_512: .hmacSHA2_512
        case .aes128CMAC: .aesCMAC
        }
    }

    /// Octets of the output, which is also the preferred size of a key (RFC 7296, section 2.13).
    public var outputLength: Int { code.outputLength }

    /// The key of the first prf of an IKE SA, from which SKEYSEED comes: Ni | Nr, of which the PRFs of AES take the first
    /// 64 bits each (RFC 7296, section 2.14).
    public func seedKey(initiatorNonce: [UInt8], responderNonce: [UInt8]) -> SecretOctets {
        switch self {
        case .aes128XCBC, .aes128CMAC: SecretOctets(initiatorNonce.prefix(8) + responderNonce.prefix(8))
        case .hmacSHA1, .hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512: SecretOctets(initiatorNonce + responderNonce)
        }
    }

    /// The key in the form that the code takes: unchanged for HMAC (RFC 4868, section 2.1.2). AES has 16 octets; XCBC
    /// pads shorter keys with zeros (RFC 4434, section 2), and what is left is replaced by its own code under a key of
    /// zeros (there, and RFC 4615, section 3).
    private func fitted(_ key: SecretOctets) throws(CryptoError) -> SymmetricKey {
        let length = XCBC.blockLength
        switch self {
        case .hmacSHA1, .hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512: return key.symmetricKey
        case .aes128XCBC where key.count < length:
            return (key + SecretOctets([UInt8](repeating: 0, count: length - key.count))).symmetricKey
        case .aes128XCBC, .aes128CMAC:
            guard key.count != length else { return key.symmetricKey }
            let zero = SymmetricKey(data: [UInt8](repeating: 0, count: length))
            return try key.withUnsafeBytes { (octets) throws(CryptoError) in try compute(zero, octets) }.symmetricKey
        }
    }

    /// prf(key, data). The key may have any length.
    ///
    /// - Throws: ``CryptoError/Code/libraryFailure``, which those made of HMAC never do.
    public func compute(key: SecretOctets, _ data: [UInt8]) throws(CryptoError) -> SecretOctets {
        let key = try fitted(key)
        return try data.withOctets { (data) throws(CryptoError) in try compute(key, data) }
    }

    /// prf(key, data) of data that are themselves secret.
    ///
    /// - Throws: as for ``compute(key:_:)-(_,[UInt8])``.
    public func compute(key: SecretOctets, _ data: SecretOctets) throws(CryptoError) -> SecretOctets {
        let key = try fitted(key)
        return try data.withUnsafeBytes { (data) throws(CryptoError) in try compute(key, data) }
    }

    private func compute(_ key: SymmetricKey, _ data: UnsafeRawBufferPointer) throws(CryptoError) -> SecretOctets {
        try SecretOctets(count: outputLength) { (output) throws(CryptoError) in
            try code.authenticate([data], key: key, into: output)
        }
    }

    /// prf+(key, seed), cut to `count` octets (RFC 7296, section 2.13).
    ///
    /// - Throws: ``CryptoError/Code/limitExceeded`` when more than 255 blocks would be needed, since the counter has
    ///   one octet; ``CryptoError/Code/invalidLength`` for a negative count; ``CryptoError/Code/libraryFailure``, which
    ///   those made of HMAC never do.
    public func plus(key: SecretOctets, seed: [UInt8], count: Int) throws(CryptoError) -> SecretOctets {
        try checkExpansion(count)
        let key = try fitted(key)
        return try seed.withOctets { (seed) throws(CryptoError) in try expand(key, seed, count) }
    }

    /// prf+(key, seed) of a seed that is itself secret, as when keys are derived from a fresh shared secret.
    ///
    /// - Throws: the same errors as ``plus(key:seed:count:)-([UInt8],_,_)``.
    public func plus(key: SecretOctets, seed: SecretOctets, count: Int) throws(CryptoError) -> SecretOctets {
        try checkExpansion(count)
        let key = try fitted(key)
        return try seed.withUnsafeBytes { (seed) throws(CryptoError) in try expand(key, seed, count) }
    }

    private func checkExpansion(_ count: Int) throws(CryptoError) {
        guard count >= 0 else { throw CryptoError(.invalidLength, "prf+ cannot give \(count) octets") }
        guard count <= 255 * outputLength else {
            throw CryptoError(.limitExceeded, "prf+ gives at most \(255 * outputLength) octets, \(count) are wanted")
        }
    }

    private func expand(
        _ key: SymmetricKey, _ seed: UnsafeRawBufferPointer, _ count: Int
    ) throws(CryptoError) -> SecretOctets {
        try SecretOctets(count: count) { (output) throws(CryptoError) in
            var previous = UnsafeRawBufferPointer(start: nil, count: 0)
            var iteration: UInt8 = 0
            var position = 0
            while position < count {
                iteration += 1
                let end = min(position + outputLength, count)
                let block = UnsafeMutableRawBufferPointer(rebasing: output[position..<end])
                try withUnsafeBytes(of: iteration) { (number) throws(CryptoError) in
                    try code.authenticate([previous, seed, number], key: key, into: block)
                }
                previous = UnsafeRawBufferPointer(block)
                position = end
            }
        }
    }

    /// For example `PRF-HMAC-SHA2-256`.
    public var description: String {
        switch self {
        case .hmacSHA1: "PRF-HMAC-SHA1"
        case .aes128XCBC: "PRF-AES128-XCBC"
        case .aes128CMAC: "PRF-AES128-CMAC"
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
