import Lab
import Testing

extension GuestRow {
    /// Post-quantum preshared keys with Libreswan: in IKE_INTERMEDIATE (RFC 9867), which it has since 5.4 and no other peer has, and in
    /// IKE_AUTH (RFC 8784).
    static let presharedKeys: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        /// - Parameters:
        ///   - secret: Libreswan's; Cygnet's is the pre-shared key once more, whose file is there.
        func row(
            _ subject: String, isRequired: Bool, isIntermediate: Bool = true, secret: String? = nil,
            plan change: (inout TunnelPlan) -> Void = { _ in }, body: @escaping @Sendable (Meeting) async throws -> Void
        ) -> GuestRow {
            let lines = [
                isIntermediate
                    ? "ppk: [{ id: spare, secret: { file: psk } }, { id: quantum, secret: { file: psk } }]"
                    : "ppk: { id: quantum, secret: { file: psk } }",
                "ppk-required: \(isRequired ? "yes" : "no")",
                "ppk-exchange: \(isIntermediate ? "intermediate" : "any")",
            ]
            return GuestRow("PPK, \(subject)", isIntermediate ? .newerLibreswan : .libreswan, role, cygnetLines: lines)
            {
                $0.peerLines.connection = [
                    "ppk=\(isRequired ? "insist" : "yes")", "ppk-ids=quantum",
                    "intermediate=\(isIntermediate ? "yes" : "no")",
                ]
                $0.peerLines.secrets = [
                    "@left.example.org @right.example.org : PPKS \"quantum\" \"\(secret ?? $0.preSharedKey)\""
                ]
                change(&$0)
            } body: {
                try await body($0)
            }
        }
        return [
            row("required, in IKE_INTERMEDIATE", isRequired: true) { meeting in
                try await meeting.initiate()
                let explanation = try await meeting.cygnet.explain()
                meeting.expect(
                    explanation.contains("the post-quantum preshared key quantum, before IKE_AUTH"), explanation)
                try await meeting.peer.rekeyIKE()
                try await meeting.peer.rekeyChild()
                try await meeting.cygnet.control("rekey", [TunnelPlan.connection]).orThrow()
                let pings = try await meeting.ping()
                meeting.expect(pings.lost == 0, "\(pings.lost) pings lost")
            },
            row("required, in IKE_INTERMEDIATE, rekeyed by the peer", isRequired: true) {
                try await $0.pingThroughRekeys(onCommand: true)
            },
            row("required, in IKE_INTERMEDIATE, rekeyed by Cygnet", isRequired: true) {
                let side: Side = role == .initiator ? .left : .right
                $0.childRekeySeconds[side] = 1
                $0.ikeRekeySeconds[side] = 2
            } body: {
                try await $0.pingThroughRekeys(onCommand: false, lossy: true)
            },
            row("optional, in IKE_INTERMEDIATE, with another secret", isRequired: false, secret: "another altogether") {
                meeting in
                try await meeting.carryPackets()
                let explanation = try await meeting.cygnet.explain()
                meeting.expect(!explanation.contains("before IKE_AUTH"), explanation)
            },
            row("required, in IKE_INTERMEDIATE, with another secret", isRequired: true, secret: "another altogether") {
                meeting in
                await #expect(throws: (any Error).self) { try await meeting.bringUp() }
                meeting.expect(try await meeting.cygnet.status().connection?.isUp == false)
            },
            row("required, in IKE_AUTH", isRequired: true, isIntermediate: false) { meeting in
                try await meeting.carryPackets()
                let explanation = try await meeting.cygnet.explain()
                meeting.expect(explanation.contains("the post-quantum preshared key quantum"), explanation)
            },
        ]
    }
}
