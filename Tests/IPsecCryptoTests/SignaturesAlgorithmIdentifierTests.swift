import IPsecCrypto
import Octets
import Testing

/// The object identifier of SHA2-256 as DER, and that of MGF1.
private let sha2_256 = "0609608648016503040201"
private let maskGeneration1 = "06092a864886f70d010108"
private let rsaPSS = "06092a864886f70d01010a"

/// DER of a constructed node with the given parts, each shorter than 128 octets.
private func node(_ tag: String, _ parts: String...) -> String {
    let content = parts.joined()
    let length = String(content.count / 2, radix: 16)
    return tag + (length.count == 1 ? "0" + length : length) + content
}

private func decode(_ hexadecimal: String) -> SignatureAlgorithm? {
    [UInt8](hexadecimal: hexadecimal).flatMap(SignatureAlgorithm.init(algorithmIdentifier:))
}

@Suite("RFC 7427 algorithm identifiers")
struct SignatureAlgorithmIdentifierTests {
    /// RFC 7427 appendix A.1, A.3 and A.4, RFC 8420 appendix A, and draft-ietf-ipsecme-ikev2-pqc-auth.
    static let published: [(SignatureAlgorithm, String)] = [
        (.rsaPKCS1(.sha1), "300d06092a864886f70d0101050500"),
        (.rsaPKCS1(.sha2_256), "300d06092a864886f70d01010b0500"),
        (.rsaPKCS1(.sha2_384), "300d06092a864886f70d01010c0500"),
        (.rsaPKCS1(.sha2_512), "300d06092a864886f70d01010d0500"),
        (.ecdsa(.sha1), "300906072a8648ce3d0401"),
        (.ecdsa(.sha2_256), "300a06082a8648ce3d040302"),
        (.ecdsa(.sha2_384), "300a06082a8648ce3d040303"),
        (.ecdsa(.sha2_512), "300a06082a8648ce3d040304"),
        (.rsaPSS(.sha1), "300d06092a864886f70d01010a3000"),
        (
            .rsaPSS(.sha2_256),
            """
            304106092a864886f70d01010a3034a00f300d06096086480165030402010500\
            a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120
            """
        ),
        (.ed25519, "300506032b6570"),
        (.ed448, "300506032b6571"),
        (.mlDSA65, "300b0609608648016503040312"),
        (.mlDSA87, "300b0609608648016503040313"),
    ]

    @Test("Every identifier is encoded as published", arguments: published)
    func encoding(_ algorithm: SignatureAlgorithm, _ hexadecimal: String) {
        #expect(algorithm.algorithmIdentifier.hexadecimal == hexadecimal)
    }

    @Test("Every published identifier is read", arguments: published)
    func decoding(_ algorithm: SignatureAlgorithm, _ hexadecimal: String) {
        #expect(decode(hexadecimal) == algorithm)
    }

    @Test("PSS with the longer hashes survives a round trip", arguments: [HashAlgorithm.sha2_384, .sha2_512])
    func roundTrip(_ hash: HashAlgorithm) {
        let algorithm = SignatureAlgorithm.rsaPSS(hash)
        #expect(SignatureAlgorithm(algorithmIdentifier: algorithm.algorithmIdentifier) == algorithm)
    }

    @Test("PSS without NULL after the hash identifiers is read (RFC 4055 section 2.1)")
    func pssWithoutNull() {
        let hash = node("30", sha2_256)
        #expect(
            decode(
                node(
                    "30", rsaPSS,
                    node("30", node("a0", hash), node("a1", node("30", maskGeneration1, hash)), "a203020120")))
                == .rsaPSS(.sha2_256))
    }

    @Test("PSS with its default trailer field spelled out is read")
    func pssWithTrailer() {
        let hash = node("30", sha2_256, "0500")
        let parameters = node(
            "30", node("a0", hash), node("a1", node("30", maskGeneration1, hash)), "a203020120", "a303020101")
        #expect(decode(node("30", rsaPSS, parameters)) == .rsaPSS(.sha2_256))
    }

    @Test(
        "PSS with a salt length that is not the hash length is refused",
        arguments: [
            "a203020114", "a203020100", "a2030201ff", "a20402020080", "a2050203ffffff", "a20a02087fffffffffffffff", "",
        ])
    func pssSalt(_ salt: String) {
        let hash = node("30", sha2_256, "0500")
        let parameters = node("30", node("a0", hash), node("a1", node("30", maskGeneration1, hash)), salt)
        #expect(decode(node("30", rsaPSS, parameters)) == nil)
    }

    @Test("PSS with another hash for the mask than for the message is refused")
    func pssMaskHash() {
        let message = node("30", sha2_256, "0500")
        let mask = node("30", "0609608648016503040203", "0500")
        let parameters = node("30", node("a0", message), node("a1", node("30", maskGeneration1, mask)), "a203020120")
        #expect(decode(node("30", rsaPSS, parameters)) == nil)
    }

    @Test("PSS without any parameters field is refused")
    func pssAbsentParameters() {
        #expect(decode(node("30", rsaPSS)) == nil)
    }

    @Test(
        "Other parameters than the published ones are refused",
        arguments: [
            "300f06092a864886f70d01010b05000500", "300e06092a864886f70d01010b020101", "300c06082a8648ce3d0403020500",
            "300706032b65700500", "300a06082a8648ce3d04030200", "", "30", "3000", "0500",
        ])
    func malformed(_ hexadecimal: String) {
        #expect(decode(hexadecimal) == nil)
    }

    @Test("An unknown algorithm is refused")
    func unknown() {
        // Ed448, which is not supported.
        #expect(decode("300506032b6572") == nil)
    }

    @Test("SHA-1 is understood so that the refusal can say why")
    func refusal() {
        #expect(decode("300d06092a864886f70d0101050500")?.refusal?.contains("SHA-1") == true)
        #expect(SignatureAlgorithm.rsaPKCS1(.sha2_256).refusal == nil)
    }

    @Test("Combinations that do not exist have no identifier")
    func impossible() {
        #expect(SignatureAlgorithm.rsaPSS(.identity).algorithmIdentifier.isEmpty)
    }
}
