import Lab
import Testing

extension GuestRow {
    /// ML-KEM beside a classical key exchange (RFC 9370), in IKE_INTERMEDIATE and after each CREATE_CHILD_SA. Of the peers,
    /// strongSwan has it, and Libreswan from 5.4 on for the IKE SA and its rekeys alone.
    static let postQuantum: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [("x25519", "mlkem768", KeyExchangeChoice.x25519), ("ecp384", "mlkem1024", .ecp384)].flatMap {
            method, kem, choice in
            func change(_ plan: inout TunnelPlan) {
                plan.keyExchange = choice
                plan.proposals = (
                    ike: "aes256gcm16-prfsha256-\(method)-ke1_\(kem)", esp: "aes256gcm16-\(method)-ke1_\(kem)"
                )
            }
            return [
                GuestRow("\(method) and \(kem), rekeyed by the peer", .strongSwan, role, plan: change) {
                    try await $0.pingThroughRekeys(onCommand: true)
                },
                GuestRow("\(method) and \(kem), rekeyed by Cygnet", .strongSwan, role) {
                    change(&$0)
                    let side: Side = role == .initiator ? .left : .right
                    $0.childRekeySeconds[side] = 1
                    $0.ikeRekeySeconds[side] = 2
                } body: {
                    try await $0.pingThroughRekeys(onCommand: false)
                },
            ]
        }
            + ["mlkem768", "mlkem1024"].map { kem in
                GuestRow("x25519 and \(kem), rekeyed by the peer", .newerLibreswan, role) {
                    $0.proposals = (
                        ike: "aes256gcm16-prfsha256-x25519-ke1_\(kem)", esp: "aes256gcm16-x25519"
                    )
                    $0.peerProposals = (ike: "aes_gcm256-sha2_256-dh31;addke1=\(kem)", esp: "aes_gcm256")
                    $0.peerLines.connection = ["intermediate=yes"]
                } body: {
                    try await $0.pingThroughRekeys(onCommand: true)
                }
            }
    }

    /// What Cygnet offers unasked begins with ML-KEM, of which these have never heard.
    static let builtIn: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [PeerKind.libreswan, .openIKED].map { peer in
            GuestRow("built-in proposals", peer, role) { $0.proposals = (ike: "default", esp: "default") }
        }
    }
}
