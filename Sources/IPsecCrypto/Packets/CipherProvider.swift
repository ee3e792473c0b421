import CIPsecMB

/// A library that computes packet ciphers. The raw value is its name for people.
public enum CipherProvider: String, CaseIterable, Hashable, Sendable {
    /// OpenSSL's: everywhere, for every algorithm.
    case libcrypto
    /// Intel's Multi-Buffer Crypto for IPsec: on x86-64, where it is installed.
    case ipsecMB = "ipsec-mb"

    /// Those that can be used on this machine, the best first.
    public static var available: [CipherProvider] {
        cygnet_mb_is_available() ? [.ipsecMB, .libcrypto] : [.libcrypto]
    }

    /// Whether the library, if it is here, can do this.
    func has(_ encryption: EncryptionAlgorithm) -> Bool {
        switch self {
        case .libcrypto: true
        case .ipsecMB: encryption.mode != .ccm || encryption.keyBits != 192
        }
    }
}
