import Foundation
import Lab
import Testing

/// One row of the matrix of modern peers: who meets whom, about what, and what has to be seen.
///
/// To add a row, add a value to one of the lists that `all` names. The peer's configuration takes further lines by
/// `plan.peerLines`, Cygnet's by `cygnetLines`; `meeting.peer.quarters.run` runs a command beside the peer's daemon.
struct GuestRow: Sendable, CustomTestStringConvertible {
    enum Role: String, Sendable { case initiator, responder }

    let subject: String
    let peer: PeerKind
    /// Cygnet's. The initiator is on the left.
    let role: Role
    let plan: TunnelPlan
    /// Lines of Cygnet's connection.
    let cygnetLines: [String]
    let body: @Sendable (Meeting) async throws -> Void

    /// - Parameters:
    ///   - change: What differs from the plainest tunnel that the peer knows.
    ///   - body: What happens, with expectations; the tunnel is not up yet.
    init(
        _ subject: String, _ peer: PeerKind, _ role: Role, cygnetLines: [String] = [],
        plan change: (inout TunnelPlan) -> Void = { _ in },
        body: @escaping @Sendable (Meeting) async throws -> Void = { try await $0.carryPackets() }
    ) {
        self.subject = subject
        self.peer = peer
        self.role = role
        self.cygnetLines = cygnetLines
        self.body = body
        var plan = TunnelPlan()
        // On Linux it offers nothing better for ESP.
        if peer == .openIKED { plan.encryption = .aes256sha384 }
        change(&plan)
        self.plan = plan
    }

    var side: Side { role == .initiator ? .left : .right }
    var testDescription: String { "\(peer.rawValue), Cygnet \(role.rawValue): \(subject)" }

    /// Every row, or those with all words of `CYGNET_GUEST_ROWS` in what they are called.
    static let all = {
        let all =
            tunnels + streams + loads + postQuantum + presharedKeys + resources + builtIn + transports + algorithms
            + beginnings
            + statuses + rekeys + endings
        guard let words = ProcessInfo.processInfo.environment["CYGNET_GUEST_ROWS"] else { return all }
        return all.filter { row in words.split(separator: " ").allSatisfy(row.testDescription.contains) }
    }()
}
