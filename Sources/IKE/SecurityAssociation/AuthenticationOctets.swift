import IPsecCrypto
import Octets

/// What the AUTH payloads of an IKE SA are computed over (RFC 7296 section 2.15).
package enum AuthenticationOctets {
    /// `RealMessage | Nonce of the other side | prf(SK_p, identity payload's body)`.
    package static func signed(
        message: [UInt8], otherNonce: [UInt8], identityBody: [UInt8], key: SecretOctets, prf: PRF
    ) -> [UInt8] {
        message + otherNonce + prf.compute(key: key, identityBody).unprotected
    }

    /// `prf(prf(shared secret, "Key Pad for IKEv2"), octets)`.
    package static func sharedKeyProof(_ secret: SecretOctets, octets: [UInt8], prf: PRF) -> SecretOctets {
        prf.compute(key: prf.compute(key: secret, Array("Key Pad for IKEv2".utf8)), octets)
    }
}
