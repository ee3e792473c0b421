/// A signature algorithm together with its hash, as RFC 7427 authentication names them.
public enum SignatureAlgorithm: Hashable, Sendable, CustomStringConvertible {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    case rsaPKCS1(HashAlgorithm)
    /// RSASSA-PSS (RFC 8017 section 8.1) with MGF1 over the same hash and a salt as long as the hash.
    case rsaPSS(HashAlgorithm)
    /// ECDSA over whichever NIST curve the key is on; signatures in their DER form.
    case ecdsa(HashAlgorithm)
    /// Ed25519 (RFC 8032, RFC 8420).
    case ed25519
    /// Ed448 (RFC 8032, RFC 8420).
    case ed448
    /// ML-DSA (FIPS 204), pure and with an empty context, as draft-ietf-ipsecme-ikev2-pqc-auth has it.
    case mlDSA65
    case mlDSA87

    public var hash: HashAlgorithm {
        switch self {
        case .rsaPKCS1(let hash), .rsaPSS(let hash), .ecdsa(let hash): hash
        case .ed25519, .ed448, .mlDSA65, .mlDSA87: .identity
        }
    }

    /// Why signatures of this algorithm are never accepted, as a sentence for the log; `nil` if they may be.
    public var refusal: String? {
        switch self {
        case .rsaPKCS1(.sha1), .rsaPSS(.sha1), .ecdsa(.sha1):
            "\(self) is refused: SHA-1 signatures can be forged (RFC 8247 section 3); the peer has to use SHA-2"
        case .rsaPKCS1(.identity), .rsaPSS(.identity), .ecdsa(.identity):
            "\(self) is refused: RSA and ECDSA need a hash"
        case .rsaPKCS1, .rsaPSS, .ecdsa, .ed25519, .ed448, .mlDSA65, .mlDSA87:
            nil
        }
    }

    public var description: String {
        switch self {
        case .rsaPKCS1(let hash): "RSA PKCS#1 v1.5 with \(hash)"
        case .rsaPSS(let hash): "RSA PSS with \(hash)"
        case .ecdsa(let hash): "ECDSA with \(hash)"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        case .mlDSA65: "ML-DSA-65"
        case .mlDSA87: "ML-DSA-87"
        }
    }
}
