import IPPacket
import Lab
import Testing

extension GuestRow {
    /// Tunnels that come up and carry packets both ways.
    static let tunnels: [GuestRow] = [Role.initiator, .responder].flatMap(tunnels)

    private static func tunnels(_ role: Role) -> [GuestRow] {
        var rows: [GuestRow] = []
        for peer in [PeerKind.strongSwan, .libreswan, .openIKED] {
            rows += [
                GuestRow("PSK, protocol 50", peer, role),
                GuestRow("ECDSA, in UDP", peer, role) {
                    $0.authentication = .ecdsa
                    $0.isUDPEncapsulated = true
                },
                GuestRow("PSK, ECP-384, NAT before the initiator", peer, role) {
                    $0.keyExchange = .ecp384
                    $0.isNATed = true
                },
                // By PF_KEY, OpenIKED cannot tell Linux that the families inside and outside differ.
                GuestRow(peer == .openIKED ? "PSK, IPv6" : "PSK, IPv4 in IPv6", peer, role) {
                    $0.outer = .v6
                    if peer == .openIKED { $0.inner = .v6 }
                },
                GuestRow("RSA-4096, fragments of at most 1280 octets", peer, role) {
                    $0.authentication = .rsa
                    $0.rsaKeyBits = 4096
                    if peer != .openIKED { $0.inner = .v6 }
                } body: {
                    try await $0.carryFragments()
                },
            ]
        }
        for peer in [PeerKind.strongSwan, .libreswan] {
            rows += [
                GuestRow("PSK, ESN", peer, role) { $0.hasESN = true },
                GuestRow("PSK, no ESN, ChaCha20, MODP-3072", peer, role) {
                    $0.encryption = .chacha20poly1305
                    $0.keyExchange = .modp3072
                    $0.hasESN = false
                },
            ]
        }
        rows += [
            GuestRow("PSK, AES-CBC, ESN", .strongSwan, role) {
                $0.encryption = .aes256sha256
                $0.hasESN = true
            },
            GuestRow("PSK, protocol 50", .newerLibreswan, role),
            GuestRow("Ed25519", .strongSwan, role) { $0.authentication = .ed25519 },
            GuestRow("PSK", .strongSwanInUserSpace, role),
            GuestRow("ECDSA", .strongSwanInUserSpace, role) { $0.authentication = .ecdsa },
        ]
        return rows
    }
}

extension Meeting {
    /// As `carryPackets`; and both ends sent their certificates in fragments (RFC 7383) that every path of IPv6 takes.
    fileprivate func carryFragments() async throws {
        let summary = try await carryPackets()
        for address in Side.allCases.map(plan.localAddress) {
            expect(summary.ikeFragmentSources[address] ?? 0 >= 2, "\(summary.ikeFragmentSources)")
        }
        expect(summary.longestIKE <= 1280, "\(summary.longestIKE) octets")
    }
}
