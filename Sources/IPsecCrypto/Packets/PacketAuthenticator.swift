import COpenSSL
import Octets

/// The separate integrity algorithm of a packet cipher, computed by libcrypto.
enum PacketAuthenticator: ~Copyable, Sendable {
    case library(CodeContext)
    case xcbc(XCBCContext)

    init(_ algorithm: IntegrityAlgorithm, key: SecretOctets) throws(CryptoError) {
        self =
            switch algorithm {
            case .aesXCBC_96: .xcbc(try XCBCContext(key: key))
            case .hmacSHA1_96, .aesCMAC_96, .hmacSHA2_256_128, .hmacSHA2_384_192, .hmacSHA2_512_256:
                .library(try CodeContext(algorithm.code, key: key))
            }
    }

    /// Writes the code, not yet truncated, of `count` octets and `trailingCount` more.
    @inline(__always)
    borrowing func authenticate(
        _ octets: UnsafeRawPointer, count: Int, trailing: UnsafeRawPointer, trailingCount: Int,
        writing code: UnsafeMutableRawPointer
    ) -> Bool {
        switch self {
        case .library(let context):
            context.begin() && context.authenticate(octets, count: count)
                && (trailingCount == 0 || context.authenticate(trailing, count: trailingCount))
                && context.finish(writing: code)
        case .xcbc(let context):
            context.authenticate(
                octets, count: count, trailing: trailing, trailingCount: trailingCount, writing: code)
        }
    }
}

/// AES-XCBC-MAC (RFC 3566) for packets: the CBC of libcrypto with the keys of ``XCBC``.
struct XCBCContext: ~Copyable, Sendable {
    private let chaining: CipherContext
    /// The masks K2 and K3, an IV of zero, the end of the text, then room for blocks that nobody needs.
    private let scratch: Scratch

    private static let block = XCBC.blockLength
    private static let zero = 2 * block
    private static let end = 3 * block
    /// The end is what whole blocks of the packet leave, and at most a block of trailing octets.
    private static let endRoom = 3 * block
    private static let spill = end + endRoom
    private static let spillRoom = 512

    init(key: SecretOctets) throws(CryptoError) {
        guard key.count == Self.block else { throw CryptoError(.invalidLength, "AES-XCBC takes a key of 16 octets") }
        let keys = try XCBC(key: key.symmetricKey)
        let chainingKey = keys.chainingKey.withUnsafeBytes { SecretOctets($0) }
        let chaining = try CipherContext(EVP_aes_128_cbc(), key: chainingKey, encrypting: true)
        self.chaining = chaining
        scratch = Scratch(count: Self.spill + Self.spillRoom)
        keys.fullMask.withUnsafeBytes { mask in
            UnsafeMutableRawBufferPointer(start: scratch.octets, count: Self.block).copyMemory(from: mask)
        }
        keys.paddedMask.withUnsafeBytes { mask in
            UnsafeMutableRawBufferPointer(start: scratch.octets + Self.block, count: Self.block).copyMemory(from: mask)
        }
    }

    /// - Parameter trailingCount: 16 at most.
    @inline(__always)
    func authenticate(
        _ octets: UnsafeRawPointer, count: Int, trailing: UnsafeRawPointer, trailingCount: Int,
        writing code: UnsafeMutableRawPointer
    ) -> Bool {
        let spill = scratch.octets + Self.spill
        guard count >= 0, trailingCount >= 0, trailingCount <= Self.block,
            chaining.begin(iv: scratch.octets + Self.zero)
        else { return false }
        // All whole blocks but the last, which may yet turn out to be the last of all.
        let whole = max(count - 1, 0) / Self.block * Self.block
        var position = 0
        while position < whole {
            let part = min(whole - position, Self.spillRoom)
            guard chaining.process(octets + position, to: spill, count: Int32(truncatingIfNeeded: part)) else {
                return false
            }
            position += part
        }
        let end = scratch.octets + Self.end
        end.initializeMemory(as: UInt8.self, repeating: 0, count: Self.endRoom)
        end.copyMemory(from: octets + whole, byteCount: count - whole)
        (end + count - whole).copyMemory(from: trailing, byteCount: trailingCount)
        let left = count - whole + trailingCount
        let last = max(left - 1, 0) / Self.block * Self.block
        guard chaining.process(end, to: spill, count: Int32(truncatingIfNeeded: last)) else { return false }
        let isFull = left - last == Self.block
        if !isFull { end.storeBytes(of: 0x80, toByteOffset: left, as: UInt8.self) }
        let mask = scratch.octets + (isFull ? 0 : Self.block)
        for offset in stride(from: 0, to: Self.block, by: 8) {
            let masked =
                end.load(fromByteOffset: last + offset, as: UInt64.self)
                ^ mask.load(fromByteOffset: offset, as: UInt64.self)
            end.storeBytes(of: masked, toByteOffset: last + offset, as: UInt64.self)
        }
        return chaining.process(end + last, to: code, count: Int32(Self.block))
    }
}
