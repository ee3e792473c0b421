import IPPacket
import Lab
import Testing

/// A connection with algorithms that are not offered by default, several in one.
struct AlgorithmRow: Sendable, CustomTestStringConvertible {
    /// Cygnet's role.
    let role: MatrixRow.Role
    /// In words that both daemons have.
    let ike: String
    let esp: String
    /// What strongSwan reports of the IKE SA: cipher and integrity, PRF, key exchange; and of the child.
    let protection: String
    let prf: String
    let keyExchange: String
    let childProtection: String

    var testDescription: String { "\(role.rawValue), \(ike), \(esp)" }

    static let all = [
        AlgorithmRow(
            role: .initiator, ike: "aes128ccm8-prfaesxcbc-x448", esp: "aes256ccm16", protection: "AES_CCM_8-128",
            prf: "PRF_AES128_XCBC", keyExchange: "CURVE_448", childProtection: "AES_CCM_16-256"),
        AlgorithmRow(
            role: .responder, ike: "aes256ctr-aesxcbc-prfaescmac-modp8192", esp: "aes256ctr-sha1",
            protection: "AES_CTR-256/AES_XCBC_96", prf: "PRF_AES128_CMAC", keyExchange: "MODP_8192",
            childProtection: "AES_CTR-256/HMAC_SHA1_96"),
        AlgorithmRow(
            role: .responder, ike: "aes128-aescmac-prfsha1-ecp512bp", esp: "aes128-aesxcbc",
            protection: "AES_CBC-128/AES_CMAC_96", prf: "PRF_HMAC_SHA1", keyExchange: "ECP_512_BP",
            childProtection: "AES_CBC-128/AES_XCBC_96"),
        AlgorithmRow(
            role: .initiator, ike: "aes256gcm12-prfsha512-ecp384bp", esp: "aes128-aescmac",
            protection: "AES_GCM_12-256", prf: "PRF_HMAC_SHA2_512", keyExchange: "ECP_384_BP",
            childProtection: "AES_CBC-128/AES_CMAC_96"),
        AlgorithmRow(
            role: .initiator, ike: "aes128-sha1-ecp256bp", esp: "aes256gcm8", protection: "AES_CBC-128/HMAC_SHA1_96",
            prf: "PRF_HMAC_SHA1", keyExchange: "ECP_256_BP", childProtection: "AES_GCM_8-256"),
    ]
}

extension Interoperability {
    @Suite("Rarer algorithms", .serialized)
    struct RarerAlgorithms {
        @Test("are the same to Cygnet and strongSwan", .timeLimit(.minutes(1)), arguments: AlgorithmRow.all)
        func row(_ row: AlgorithmRow) async throws {
            var plan = TunnelPlan()
            plan.proposals = (row.ike, row.esp)
            try await Encounter.run(plan, cygnetAt: row.role == .initiator ? .left : .right) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let theirs = try #require(try await encounter.strongSwan.securityAssociations().first)
                #expect(theirs.protection == row.protection)
                #expect(theirs.pseudorandomFunction == row.prf)
                #expect(theirs.keyExchange == row.keyExchange)
                #expect(theirs.children.first?.protection == row.childProtection)
                let ours = try #require(try await encounter.cygnet.status().connection)
                #expect(ours.children.first?.securityAssociations.first?.drops.values.allSatisfy { $0 == 0 } == true)
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
            }
        }
    }
}
