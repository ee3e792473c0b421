import Lab
import Testing

/// Algorithms that are not offered by default, several in one tunnel: the peer knows of no others, so that what comes up
/// has them.
private struct Algorithms {
    /// In Cygnet's words, which strongSwan shares.
    let ike: String
    let esp: String
    /// In those of Libreswan and OpenIKED.
    var peerIKE = ""
    var peerESP = ""
    /// What Linux calls the child's.
    let kernel: String

    static let strongSwan = [
        Algorithms(
            ike: "aes128ccm16-prfsha384-modp4096", esp: "aes256ccm16", kernel: "rfc4309(ccm(aes))"),
        Algorithms(ike: "aes192ccm12-prfsha512-ecp521", esp: "aes128ccm8", kernel: "rfc4309(ccm(aes))"),
        Algorithms(
            ike: "aes256ctr-aesxcbc-prfaesxcbc-x448", esp: "aes256ctr-sha1", kernel: "rfc3686(ctr(aes))/hmac(sha1)"),
        Algorithms(ike: "aes128-aescmac-prfaescmac-ecp256bp", esp: "aes192-aesxcbc", kernel: "cbc(aes)/xcbc(aes)"),
        Algorithms(ike: "aes192-sha1-prfsha1-ecp384bp", esp: "aes128-aescmac", kernel: "cbc(aes)/cmac(aes)"),
        Algorithms(ike: "aes128gcm8-prfsha256-ecp512bp", esp: "aes256gcm8", kernel: "rfc4106(gcm(aes))"),
        Algorithms(ike: "aes192gcm12-prfsha256-modp6144", esp: "aes128gcm12", kernel: "rfc4106(gcm(aes))"),
        Algorithms(ike: "aes256-sha512-modp8192", esp: "aes256gmac", kernel: "rfc4543(gcm(aes))"),
        Algorithms(ike: "aes256-sha384-modp2048", esp: "null-sha256", kernel: "ecb(cipher_null)/hmac(sha256)"),
        Algorithms(ike: "aes256gcm16-prfsha384-ecp256", esp: "aes256-sha512", kernel: "cbc(aes)/hmac(sha512)"),
    ]

    static let libreswan = [
        Algorithms(
            ike: "aes128-sha1-prfsha1-modp2048", esp: "aes128gcm12", peerIKE: "aes128-sha1-modp2048",
            peerESP: "aes_gcm_b128", kernel: "rfc4106(gcm(aes))"),
        Algorithms(
            ike: "aes256ctr-sha512-ecp521", esp: "aes256ctr-sha1", peerIKE: "aes_ctr256-sha2_512-dh21",
            peerESP: "aes_ctr256-sha1", kernel: "rfc3686(ctr(aes))/hmac(sha1)"),
        Algorithms(
            ike: "aes256gcm8-prfsha512-modp4096", esp: "aes256ccm16", peerIKE: "aes_gcm_a256-sha2_512-modp4096",
            peerESP: "aes_ccm_c256", kernel: "rfc4309(ccm(aes))"),
        Algorithms(
            ike: "aes192-aesxcbc-prfaesxcbc-ecp256", esp: "aes128-aesxcbc", peerIKE: "aes192-aes_xcbc-dh19",
            peerESP: "aes128-aes_xcbc", kernel: "cbc(aes)/xcbc(aes)"),
        Algorithms(
            ike: "aes256gcm12-prfsha384-modp8192", esp: "aes256gmac", peerIKE: "aes_gcm_b256-sha2_384-modp8192",
            peerESP: "null_auth_aes_gmac256", kernel: "rfc4543(gcm(aes))"),
        Algorithms(
            ike: "aes256-sha384-modp6144", esp: "null-sha512", peerIKE: "aes256-sha2_384-modp6144",
            peerESP: "null-sha2_512", kernel: "ecb(cipher_null)/hmac(sha512)"),
    ]

    /// Not with SHA2-256 in ESP, whose length PF_KEY on Linux takes for another.
    static let openIKED = [
        Algorithms(
            ike: "aes128gcm16-prfsha512-ecp512bp", esp: "aes128-sha1",
            peerIKE: "enc aes-128-gcm prf hmac-sha2-512 group brainpool512", peerESP: "enc aes-128 auth hmac-sha1",
            kernel: "cbc(aes)/hmac(sha1)"),
        Algorithms(
            ike: "aes256gcm12-prfsha384-ecp384bp", esp: "aes192-sha512",
            peerIKE: "enc aes-256-gcm-12 prf hmac-sha2-384 group brainpool384",
            peerESP: "enc aes-192 auth hmac-sha2-512", kernel: "cbc(aes)/hmac(sha512)"),
        Algorithms(
            ike: "aes192-sha512-ecp521", esp: "aes256-sha512",
            peerIKE: "enc aes-192 prf hmac-sha2-512 auth hmac-sha2-512 group ecp521",
            peerESP: "enc aes-256 auth hmac-sha2-512", kernel: "cbc(aes)/hmac(sha512)"),
        Algorithms(
            ike: "aes128-sha1-prfsha1-modp8192", esp: "aes128-sha384",
            peerIKE: "enc aes-128 prf hmac-sha1 auth hmac-sha1 group modp8192",
            peerESP: "enc aes-128 auth hmac-sha2-384", kernel: "cbc(aes)/hmac(sha384)"),
    ]
}

extension GuestRow {
    /// Each set of algorithms once, Cygnet taking turns as initiator and responder.
    static let algorithms: [GuestRow] =
        rows(.strongSwan, Algorithms.strongSwan) + rows(.libreswan, Algorithms.libreswan)
        + rows(.openIKED, Algorithms.openIKED)

    private static func rows(_ peer: PeerKind, _ sets: [Algorithms]) -> [GuestRow] {
        sets.enumerated().map { index, algorithms in
            GuestRow("\(algorithms.ike), \(algorithms.esp)", peer, index.isMultiple(of: 2) ? .initiator : .responder) {
                $0.proposals = (algorithms.ike, algorithms.esp)
                if peer != .strongSwan { $0.peerProposals = (algorithms.peerIKE, algorithms.peerESP) }
            } body: {
                try await $0.carryPackets(protectedBy: algorithms.kernel)
            }
        }
    }
}

extension Meeting {
    /// Brings the tunnel up and pings both ways; the peer's kernel must have the association as named.
    fileprivate func carryPackets(protectedBy kernelName: String) async throws {
        try await bringUp()
        let report = try await settledReport()
        let ours = try #require(try await cygnet.status().connection)
        let suite = try #require(ours.children.first?.securityAssociations.first?.suite)
        entry.note(cygnet: "\(suite), \(ours.securityAssociations.first?.suite ?? "–")")
        entry.note(peer: "\(report.esp.first?.protection ?? "–"), \(report.ikeSAs.first ?? "–")")
        expect(report.esp.count == 2 && report.esp.allSatisfy { $0.protection == kernelName }, "\(report.esp)")
        for side in Side.allCases {
            // Sizes that end in every place of a block.
            for size in 48...64 { expect(try await ping(from: side, count: 1, size: size).lost == 0, "\(size) octets") }
        }
        let status = try #require(try await cygnet.status().childSAs.first)
        entry.note(packets: "\(status.packetsIn) in \(status.packetsOut) out")
        expect(status.packetsIn >= 34 && status.packetsOut >= 34)
        expect(status.drops.values.allSatisfy { $0 == 0 }, "\(status.drops)")
        // Without encryption the capture shows what is inside.
        guard !suite.contains("NULL") else { return }
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
    }
}
