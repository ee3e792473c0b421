import CertificateFixtures
import Credentials
import IPsecCrypto
import X509

extension FuzzTarget {
    /// What a peer sends in CERT payloads, and says that it is. Input: the type of the identity, its data, then certificates,
    /// each behind its length; the authority is always the same.
    static let certificates = FuzzTarget(
        name: "certificates", longest: 4096,
        seeds: {
            let root = try PublishedAuthority.root()
            let middle = try root.authority("Middle")
            let name = Array("gw.example.org".utf8)
            let chains = [
                [try root.leaf()], [try middle.leaf(), middle],
                [
                    try root.leaf([
                        .dnsName("gw.example.org"), .rfc822Name("gw@example.org"),
                        .ipAddress(.init(contentBytes: [192, 0, 2, 1])),
                    ])
                ],
                [
                    try root.authority("Narrow") {
                        $0.nameConstraints = NameConstraints(permittedSubtrees: [.dnsName("example.org")])
                    }.leaf()
                ],
            ]
            return try chains.map { chain in
                [2] + FuzzInput.written(name) + (try chain.flatMap { FuzzInput.written(try $0.der) })
            }
        }
    ) { octets in
        var input = FuzzInput(octets)
        let identity = Identity(type: input.octet(), data: input.part())
        var chain: [[UInt8]] = []
        while !input.rest.isEmpty { chain.append(input.part()) }
        for der in chain { _ = CertificateSummary(der: der) }
        guard let identity else { return }
        let validator = try PublishedAuthority.validator()
        let result = await validator.validate(chainDER: chain, claiming: identity, at: testTime)
        switch result {
        case .success:
            try expect(!chain.isEmpty, "no certificate leads to the authority")
        case .failure(let error):
            try expect(!error.reason.isEmpty, "a refusal without a reason")
        }
    }
}

/// An authority whose key everybody may know, so that what a fuzzer has found yesterday still leads to it today.
enum PublishedAuthority {
    private static let keyPEM = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/ZiEBafEUUHYfvCF
        VY8mSg+3kEtGA0v4QjzXXKmOsgmhRANCAARL/DwnRhVwFopqDpYtgMD3a5bJOdR3
        7A/ftdgxVgJa5S25zlCJVUCMLhBkRjLjN8XLg5jdurGGBMY8wYrCY2Qm
        -----END PRIVATE KEY-----
        """

    private static let certificatePEM = """
        -----BEGIN CERTIFICATE-----
        MIIBizCCATGgAwIBAgIUVaBoWruVIRf9OZ9w3DNzIh8KGm0wCgYIKoZIzj0EAwIw
        MjELMAkGA1UEBhMCQ0gxFDASBgNVBAoMC0N5Z25ldCBUZXN0MQ0wCwYDVQQDDARS
        b290MCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMDAwMDAwWjAyMQswCQYDVQQG
        EwJDSDEUMBIGA1UECgwLQ3lnbmV0IFRlc3QxDTALBgNVBAMMBFJvb3QwWTATBgcq
        hkjOPQIBBggqhkjOPQMBBwNCAARL/DwnRhVwFopqDpYtgMD3a5bJOdR37A/ftdgx
        VgJa5S25zlCJVUCMLhBkRjLjN8XLg5jdurGGBMY8wYrCY2QmoyMwITAPBgNVHRMB
        Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNIADBFAiEAubfB
        Y7Gz2TMjmXZgDMZohAGza600ddiYkhz3/soNvfcCIA1PYpb15h4PTZfO7GzFUAj3
        zi9tv1z+JiKp8kQ9Sc7m
        -----END CERTIFICATE-----
        """

    private static let leafPEM = """
        -----BEGIN CERTIFICATE-----
        MIIBoTCCAUegAwIBAgIUFQ999VybCZX48zZh/YWExIYSw+UwCgYIKoZIzj0EAwIw
        MjELMAkGA1UEBhMCQ0gxFDASBgNVBAoMC0N5Z25ldCBUZXN0MQ0wCwYDVQQDDARS
        b290MCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMDAwMDAwWjAwMQswCQYDVQQG
        EwJDSDEUMBIGA1UECgwLQ3lnbmV0IFRlc3QxCzAJBgNVBAMMAmd3MFkwEwYHKoZI
        zj0CAQYIKoZIzj0DAQcDQgAE4n9J1xfosjH0/Ufey4CE+TpUTt4cME4FA7Vaat8p
        lD44CRsQjal4oTWM214imE60kneC+VCOqE0X634Xgdvu8qM7MDkwDAYDVR0TAQH/
        BAIwADAOBgNVHQ8BAf8EBAMCB4AwGQYDVR0RBBIwEIIOZ3cuZXhhbXBsZS5vcmcw
        CgYIKoZIzj0EAwIDSAAwRQIhALIqLJuvA7dDPxUj+ylZ29Z7ggle9gr8LIs7KIXG
        S/ZVAiANGMbnPFJRUwYP6Y2ee83rdbuyJaARBS/Ww9Us/VjqiA==
        -----END CERTIFICATE-----
        """

    static func root() throws -> TestAuthority {
        TestAuthority(certificate: try Certificate(pemEncoded: certificatePEM), key: try .init(pemEncoded: keyPEM))
    }

    /// A certificate of the authority's, for a key that nobody needs.
    static func leaf() throws -> TestAuthority {
        TestAuthority(certificate: try Certificate(pemEncoded: leafPEM), key: try .init(pemEncoded: keyPEM))
    }

    static func validator() throws -> CertificatePathValidator {
        CertificatePathValidator(anchors: try TrustAnchors(pem: [certificatePEM]))
    }
}
