import Crypto
import CryptoExtras
import Octets

/// A message authentication code before it is truncated: what PRFs and integrity algorithms are made of.
///
/// HMAC (RFC 2104) and AES-CMAC (RFC 4493) are swift-crypto's, AES-XCBC-MAC is ``XCBC``.
enum KeyedCode {
    case hmacSHA1
    case hmacSHA2_256
    case hmacSHA2_384
    case hmacSHA2_512
    case aesXCBC
    case aesCMAC

    /// Octets of the code.
    var outputLength: Int {
        switch self {
        case .hmacSHA1: 20
        case .hmacSHA2_256: 32
        case .hmacSHA2_384: 48
        case .hmacSHA2_512: 64
        case .aesXCBC, .aesCMAC: XCBC.blockLength
        }
    }

    /// Writes the code of the parts, taken as one octet string, into `output`; what does not fit is cut off.
    ///
    /// - Parameter key: any length for HMAC; 16 octets for AES, and anything else is a programming error.
    func authenticate(
        _ parts: [UnsafeRawBufferPointer], key: SymmetricKey, into output: UnsafeMutableRawBufferPointer
    ) {
        switch self {
        case .hmacSHA1: Self.authenticate(Insecure.SHA1.self, parts, key, output)
        case .hmacSHA2_256: Self.authenticate(SHA256.self, parts, key, output)
        case .hmacSHA2_384: Self.authenticate(SHA384.self, parts, key, output)
        case .hmacSHA2_512: Self.authenticate(SHA512.self, parts, key, output)
        case .aesXCBC: XCBC(key: key).authenticate(parts, into: output)
        case .aesCMAC: Self.authenticateByCMAC(parts, key, output)
        }
    }

    private static func authenticate<Hash: HashFunction>(
        _: Hash.Type, _ parts: [UnsafeRawBufferPointer], _ key: SymmetricKey, _ output: UnsafeMutableRawBufferPointer
    ) {
        var state = HMAC<Hash>(key: key)
        for part in parts where !part.isEmpty { state.update(data: part) }
        state.finalize().withUnsafeBytes { code in output.copyMemory(from: .init(rebasing: code.prefix(output.count))) }
    }

    private static func authenticateByCMAC(
        _ parts: [UnsafeRawBufferPointer], _ key: SymmetricKey, _ output: UnsafeMutableRawBufferPointer
    ) {
        guard var state = try? AES.CMAC(key: key) else { preconditionFailure("an AES key has 16 octets") }
        for part in parts where !part.isEmpty { state.update(bufferPointer: part) }
        state.finalize().withUnsafeBytes { code in output.copyMemory(from: .init(rebasing: code.prefix(output.count))) }
    }
}
