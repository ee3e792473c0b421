import IPsecCrypto
import SwiftASN1

/// A signature over DER, as certificates, lists and responses have it: what is signed, AlgorithmIdentifier, BIT STRING.
struct SignedOctets: Sendable {
    let octets: [UInt8]
    /// The AlgorithmIdentifier in DER.
    let algorithm: [UInt8]
    let signature: [UInt8]

    init(_ signed: ASN1Node, _ algorithm: ASN1Node, _ signature: ASN1Node) throws {
        octets = Array(signed.encodedBytes)
        self.algorithm = Array(algorithm.encodedBytes)
        let bits = try ASN1BitString(derEncoded: signature)
        guard bits.paddingBits == 0 else {
            throw ASN1Error.invalidASN1Object(reason: "the signature ends within an octet")
        }
        self.signature = Array(bits.bytes)
    }

    /// What is wrong with the signature, by the key of `signer`; `nil`: nothing.
    func objection(by signer: CertificateFile) -> String? {
        guard let algorithm = SignatureAlgorithm(algorithmIdentifier: algorithm) else {
            return "it is signed with an algorithm that is not supported"
        }
        guard algorithm.refusal == nil else { return "it is signed with \(algorithm), which can be forged" }
        guard let key = try? VerificationKey(subjectPublicKeyInfo: signer.subjectPublicKeyInfo),
            key.isValid(signature, of: octets, with: algorithm)
        else { return "the signature on it is not that of \(signer.subjectText)" }
        return nil
    }
}
