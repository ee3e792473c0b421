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

    /// - Parameter key: 16 octets; anything else is a programming error.
    init(key: SymmetricKey) {
        // RFC 3566, section 4, step 1: each subkey is a block of equal octets, encrypted.
        func subkey(_ octet: UInt8) -> SecretOctets {
            SecretOctets(Self.chain([UInt8](repeating: octet, count: Self.blockLength), key))
        }
        chainingKey = subkey(1).symmetricKey
        fullMask = subkey(2)
        paddedMask = subkey(3)
    }

    /// Writes the code of the parts, taken as one octet string, into `output`; what does not fit is cut off.
    func authenticate(_ parts: [UnsafeRawBufferPointer], into output: UnsafeMutableRawBufferPointer) {
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
        output.copyBytes(from: Self.chain(text, chainingKey).suffix(Self.blockLength).prefix(output.count))
    }

    /// CBC with an IV of zero over whole blocks.
    private static func chain(_ text: [UInt8], _ key: SymmetricKey) -> [UInt8] {
        let iv = [UInt8](repeating: 0, count: blockLength)
        guard let iv = try? AES._CBC.IV(ivBytes: iv),
            let blocks = try? AES._CBC.encrypt(text, using: key, iv: iv, noPadding: true)
        else { preconditionFailure("an AES key has 16 octets, and the text is whole blocks") }
        return Array(blocks)
    }
}
