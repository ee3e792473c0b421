import IPPacket
import Lab
import Testing

extension Interoperability {
    /// Negotiations that fail: what a person at either end is told.
    @Suite("Refusals", .serialized)
    struct Refusals {
        enum Mistake: String, Sendable, CaseIterable, CustomTestStringConvertible {
            case wrongSecret = "another pre-shared key"
            case noCommonProposal = "no proposal in common"
            case otherNetworks = "networks that the peer does not accept"
            case expiredCertificate = "an expired certificate"
            case silentPeer = "a peer that does not answer"

            var testDescription: String { rawValue }

            /// The exit status of `cygnet up`, as its documentation lists them.
            var exitStatus: Int32 {
                switch self {
                case .silentPeer: 10
                case .wrongSecret: 11
                case .noCommonProposal: 12
                case .otherNetworks: 13
                case .expiredCertificate: 11
                }
            }

            /// How the line of the configuration begins that decided, at the end that decided.
            var key: String {
                switch self {
                case .wrongSecret: "secret"
                case .noCommonProposal: "ike"
                case .otherNetworks: "net:"
                case .expiredCertificate: "authorities"
                case .silentPeer: "address"
                }
            }

            /// The right end's plan, where it differs from the left's.
            func apply(to plan: inout TunnelPlan) {
                switch self {
                case .wrongSecret: plan.preSharedKey = "quite another secret"
                case .noCommonProposal: plan.encryption = .aes256sha256
                case .otherNetworks: plan.networks = [.left: TestNetworks.other]
                case .expiredCertificate, .silentPeer: break
                }
            }
        }

        enum TestNetworks {
            static let other = IPPrefix(IPAddress(v4: 0x0a63_0000), length: 24) ?? .all(.v4)
        }

        @Test("strongSwan refuses, and `cygnet up` ends with the status for it", arguments: Mistake.allCases)
        func refusedByStrongSwan(_ mistake: Mistake) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                if mistake == .expiredCertificate { plan.authentication = .ecdsa }
                var theirPlan = plan
                mistake.apply(to: &theirPlan)
                var ours: PKI.Issued?
                var pki: PKI?
                let strongSwan = try await StrongSwan(at: .right, of: topology)
                if mistake == .expiredCertificate {
                    let authority = try await PKI(in: laboratory)
                    ours = try await authority.issue(TunnelPlan.identity(.left), .ecdsa, isExpired: true)
                    let theirs = try await authority.issue(TunnelPlan.identity(.right), .ecdsa)
                    try await strongSwan.load(theirPlan, .right, certificate: theirs, authority: authority.authority)
                    pki = authority
                } else {
                    try await strongSwan.load(theirPlan, .right)
                }
                if mistake == .silentPeer { await strongSwan.killAtOnce() }
                // A dead port answers with ICMP; a silent peer does not.
                if mistake == .silentPeer {
                    try await topology.router.run([
                        "ip", "route", "add", "blackhole", "\(plan.localAddress(.right))/32",
                    ]).orThrow()
                }
                let cygnet = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, certificate: ours, authority: pki?.authority,
                    extraLines: ["retransmission: { first: 200ms, factor: 1.5, limit: 1s, tries: 4 }"])
                try await cygnet.start()
                let result = try await cygnet.up()
                let explanation = try await cygnet.explain()
                #expect(
                    result.status == .exited(mistake.exitStatus),
                    "\(result.complaint)\n\(explanation)\n\(cygnet.log.suffix(2000))")
                // We did not decide: we say what we sent and where it stands, never that we know why.
                #expect(explanation.contains("cygnet.yaml:"), "\(explanation)")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test(
            "between two Cygnets, the one that decided names the cause and the line of its configuration",
            arguments: Mistake.allCases.filter { $0 != .silentPeer })
        func explainedByTheDeciding(_ mistake: Mistake) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                if mistake == .expiredCertificate { plan.authentication = .ecdsa }
                var theirPlan = plan
                mistake.apply(to: &theirPlan)
                var certificates: [Side: PKI.Issued] = [:]
                var authority: String?
                if mistake == .expiredCertificate {
                    let pki = try await PKI(in: laboratory)
                    certificates[.left] = try await pki.issue(TunnelPlan.identity(.left), .ecdsa, isExpired: true)
                    certificates[.right] = try await pki.issue(TunnelPlan.identity(.right), .ecdsa)
                    authority = pki.authority
                }
                let left = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, certificate: certificates[.left], authority: authority)
                let right = try CygnetDaemon(
                    at: .right, of: topology, plan: theirPlan, certificate: certificates[.right], authority: authority)
                try await left.start()
                try await right.start()
                let result = try await left.up()
                #expect(result.status == .exited(mistake.exitStatus), "\(result.complaint)\n\(left.log.suffix(2000))")

                let decided = try await right.explain()
                let lines = right.configurationText.split(separator: "\n", omittingEmptySubsequences: false)
                let number = lines.firstIndex { $0.trimmingPrefix(while: { $0 == " " }).hasPrefix(mistake.key) }.map {
                    $0 + 1
                }
                #expect(
                    decided.contains("\(right.configurationFile):\(number ?? 0)"), "line \(number ?? 0)\n\(decided)")
                let other = try await left.explain()
                #expect(other.contains("\(left.configurationFile):"), "\(other)")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }
    }
}
