import IPsecCrypto
import Octets

/// What the AUTH payloads of an IKE SA are computed over (RFC 7296 section 2.15).
package enum AuthenticationOctets {
    /// `RealMessage | Nonce of the other side | prf(SK_p, identity payload's body)`, and IntAuth if there were intermediate exchanges.
    ///
    /// - Parameter intermediate: of ``IntermediateTranscript``.
    /// - Throws: only if the PRF is made of AES, and the library fails; the same holds for the others.
    package static func signed(
        message: [UInt8], otherNonce: [UInt8], identityBody: [UInt8], key: SecretOctets, prf: PRF,
        intermediate: [UInt8] = []
    ) throws(Refusal) -> [UInt8] {
        message + otherNonce + (try code(prf, key, identityBody).unprotected) + intermediate
    }

    /// `prf(prf(shared secret, "Key Pad for IKEv2"), octets)`.
    package static func sharedKeyProof(
        _ secret: SecretOctets, octets: [UInt8], prf: PRF
    ) throws(Refusal) -> SecretOctets {
        try code(prf, try code(prf, secret, Array("Key Pad for IKEv2".utf8)), octets)
    }

    /// prf(key, octets), where a failure of the library ends the authentication.
    package static func code(_ prf: PRF, _ key: SecretOctets, _ octets: [UInt8]) throws(Refusal) -> SecretOctets {
        do throws(CryptoError) {
            return try prf.compute(key: key, octets)
        } catch {
            throw Refusal(.local, "the proof cannot be computed: \(error)", notify: .authenticationFailed)
        }
    }
}
