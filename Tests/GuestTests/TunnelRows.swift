import Lab

extension GuestRow {
    /// Tunnels that come up and carry packets both ways.
    static let tunnels: [GuestRow] = {
        let kernels: [PeerKind] = [.strongSwan, .libreswan, .openIKED]
        var rows: [GuestRow] = []
        for peer in kernels {
            for role in [Role.initiator, .responder] {
                rows.append(GuestRow("PSK, protocol 50", peer, role))
                rows.append(GuestRow("ECDSA, in UDP", peer, role) {
                    $0.authentication = .ecdsa
                    $0.isUDPEncapsulated = true
                })
            }
        }
        return rows
    }()
}
