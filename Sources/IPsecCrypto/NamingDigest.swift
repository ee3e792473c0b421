import Crypto

/// Digests that protocols use for naming things, not for their security.
public enum NamingDigest {
    /// SHA-1, 20 octets: NAT detection (RFC 7296 section 2.23) and names of authorities (section 3.7).
    public static func sha1(_ octets: [UInt8]) -> [UInt8] { Array(Insecure.SHA1.hash(data: octets)) }
}
