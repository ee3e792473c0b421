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
    /// - Parameter key: any length for HMAC; 16 octets for AES.
    /// - Throws: only with AES: ``CryptoError/Code/invalidLength`` for a key of another length,
    ///   ``CryptoError/Code/libraryFailure``. Nothing is written then.
    func authenticate(
        _ parts: [UnsafeRawBufferPointer], key: SymmetricKey, into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        switch self {
        case .hmacSHA1: Self.authenticate(Insecure.SHA1.self, parts, key, output)
        case .hmacSHA2_256: Self.authenticate(SHA256.self, parts, key, output)
        case .hmacSHA2_384: Self.authenticate(SHA384.self, parts, key, output)
        case .hmacSHA2_512: Self.authenticate(SHA512.self, parts, key, output)
        case .aesXCBC: try XCBC(key: key).authenticate(parts, into: output)
        case .aesCMAC: try Self.authenticateByCMAC(parts, key, output)
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
    ) throws(CryptoError) {
        try XCBC.check(key)
        guard var state = try? AES.CMAC(key: key) else { throw CryptoError(.libraryFailure, "AES-CMAC failed") }
        for part in parts where !part.isEmpty { state.update(bufferPointer: part) }
        state.finalize().withUnsafeBytes { code in output.copyMemory(from: .init(rebasing: code.prefix(output.count))) }
    }
}

extension SecretOctets {
    /// HMAC-SHA2-256 of the octets under this key, whatever its length: for what Cygnet computes for itself alone. Unlike a
    /// negotiated ``PRF`` it cannot fail.
    package func authenticationCode(of octets: [UInt8]) -> SecretOctets {
        HMAC<SHA256>.authenticationCode(for: octets, using: symmetricKey).withUnsafeBytes { SecretOctets($0) }
    }

    /// The same of octets that are themselves secret.
    package func authenticationCode(of octets: SecretOctets) -> SecretOctets {
        octets.withUnsafeBytes { octets in
            HMAC<SHA256>.authenticationCode(for: octets, using: symmetricKey).withUnsafeBytes { SecretOctets($0) }
        }
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` for closures that throw errors of one type.
    func withOctets<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let result = withUnsafeBytes { octets -> Result<R, E> in
            do throws(E) {
                return .success(try body(octets))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
