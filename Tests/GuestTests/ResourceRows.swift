import Glibc
import IPPacket
import Lab
import Testing

extension GuestRow {
    /// Per-resource child SAs (RFC 9611) with strongSwan, whose resources are processors: a guest has one.
    static let resources: [GuestRow] = [Role.initiator, .responder].map { role in
        GuestRow("per-resource SAs", .strongSwan, role, cygnetLines: ["per-resource: yes"]) {
            $0.workers = 2
            $0.peerLines.child = ["per_cpu_sas = yes"]
        } body: { meeting in
            try await meeting.bringUp()
            let first = try await meeting.cygnet.status().childSAs
            meeting.expect(first.count == 1 && first.first?.resource != nil, "\(first)")
            // Packets of both workers, and of the guest's processor, ask for SAs of their own.
            try await meeting.wait(for: "an SA of a resource", atMost: 20) {
                for side in Side.allCases { try await meeting.topology.sendFlows(from: side) }
                return try await meeting.cygnet.status().childSAs.count > 1
            }
            let associations = try await meeting.cygnet.status().childSAs
            meeting.entry.note(packets: "\(associations.count) SAs")
            meeting.expect(Set(associations.map { $0.resource?.group }).count == 1, "\(associations)")
            let pings = try await meeting.ping(count: 50)
            meeting.expect(pings.lost == 0, "\(pings.lost) pings lost")
            try await meeting.cygnet.control("rekey", [TunnelPlan.connection, TunnelPlan.child]).orThrow()
            try await meeting.cygnet.control("rekey", [TunnelPlan.connection]).orThrow()
            let later = try await meeting.ping(count: 50, interval: .milliseconds(50))
            meeting.expect(later.lost == 0, "\(later.lost) pings lost")
        }
    }
}
