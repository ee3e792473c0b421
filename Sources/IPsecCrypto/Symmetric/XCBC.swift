import COpenSSL
import Crypto
import CryptoExtras
import Octets

/// AES-XCBC-MAC (RFC 3566), joined from the AES of swift-crypto: neither library has it.
///
/// CBC with an IV of zero under K1, where the last block, padded if it is not full, is first added to K2 or K3.
struct XCBC {
    static let blockLength = 16

    let chainingKey: SymmetricKey
    /// K2, for a last block that is full.
    let fullMask: SecretOctets
    /// K3, for one that had to be padded.
    let paddedMask: SecretOctets

    /// - Parameter key: 16 octets.
    /// - Throws: ``CryptoError/Code/invalidLength`` for a key of another length; ``CryptoError/Code/libraryFailure``.
    init(key: SymmetricKey) throws(CryptoError) {
        try Self.check(key)
        // RFC 3566, section 4, step 1: each subkey is a block of equal octets, encrypted.
        func subkey(_ octet: UInt8) throws(CryptoError) -> SecretOctets {
            SecretOctets(try Self.chain([UInt8](repeating: octet, count: Self.blockLength), key))
        }
        chainingKey = try subkey(1).symmetricKey
        fullMask = try subkey(2)
        paddedMask = try subkey(3)
    }

    /// Both codes made of AES are made of AES-128.
    static func check(_ key: SymmetricKey) throws(CryptoError) {
        guard key.bitCount == 8 * blockLength else {
            throw CryptoError(.invalidLength, "a code made of AES takes a key of 16 octets, not \(key.bitCount / 8)")
        }
    }

    /// Writes the code of the parts, taken as one octet string, into `output`; what does not fit is cut off.
    func authenticate(
        _ parts: [UnsafeRawBufferPointer], into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        var text: [UInt8] = []
        text.reserveCapacity(parts.reduce(Self.blockLength) { $0 + $1.count })
        // It may be secret; the capacity is enough for the padding too, so that no copy stays behind.
        defer { text.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        for part in parts { text.append(contentsOf: part) }
        let isFull = !text.isEmpty && text.count % Self.blockLength == 0
        if !isFull {
            text.append(0x80)
            while text.count % Self.blockLength != 0 { text.append(0) }
        }
        (isFull ? fullMask : paddedMask).withUnsafeBytes { mask in
            for (offset, octet) in mask.enumerated() { text[text.count - Self.blockLength + offset] ^= octet }
        }
        output.copyBytes(from: try Self.chain(text, chainingKey).suffix(Self.blockLength).prefix(output.count))
    }

    /// CBC with an IV of zero over whole blocks.
    private static func chain(_ text: [UInt8], _ key: SymmetricKey) throws(CryptoError) -> [UInt8] {
        do {
            let iv = try AES._CBC.IV(ivBytes: [UInt8](repeating: 0, count: blockLength))
            return Array(try AES._CBC.encrypt(text, using: key, iv: iv, noPadding: true))
        } catch {
            throw CryptoError(.libraryFailure, "AES-XCBC failed: \(error)")
        }
    }
}
