import Foundation
import IPPacket
import Lab
import Testing

/// A peer whose certificate openssl's authority vouches for, or no longer does.
struct RevocationRow: Sendable, CustomTestStringConvertible {
    /// Who tells.
    enum Source: Sendable {
        /// `openssl ocsp` at the router; with a signer whom the authority has named, or the authority itself.
        case responder(isDelegated: Bool)
        /// A list that a server at the router gives out.
        case fetchedList
        /// A list in a file of the configuration.
        case file
        /// A server that accepts and says nothing.
        case silence
        /// A responder at an address that is not public.
        case privateResponder
    }

    let testDescription: String
    let source: Source
    var policy = "require"
    var isRevoked = false
    /// What the explanation has to say; empty: the tunnel comes up.
    var words: [String] = []

    static let all = [
        RevocationRow(testDescription: "good, says the authority by OCSP", source: .responder(isDelegated: false)),
        RevocationRow(testDescription: "good, says a delegate by OCSP", source: .responder(isDelegated: true)),
        RevocationRow(
            testDescription: "revoked, says the authority by OCSP", source: .responder(isDelegated: false),
            isRevoked: true,
            words: ["was revoked by", "key compromise"]),
        RevocationRow(testDescription: "good, says a fetched list", source: .fetchedList),
        RevocationRow(
            testDescription: "revoked, says a fetched list", source: .fetchedList, policy: "if-available",
            isRevoked: true,
            words: ["was revoked by", "key compromise"]),
        RevocationRow(
            testDescription: "revoked, says a file", source: .file, policy: "if-available", isRevoked: true,
            words: ["was revoked by", "key compromise"]),
        RevocationRow(
            testDescription: "unknown, as the responder is silent", source: .silence,
            words: ["cannot be learned", "no answer within 1s"]),
        RevocationRow(
            testDescription: "unknown and accepted, as the responder is silent", source: .silence,
            policy: "if-available"),
        RevocationRow(
            testDescription: "unknown, as the responder is at a private address", source: .privateResponder,
            words: ["10.9.9.9 is not public"]),
    ]
}

extension Interoperability {
    @Suite("Revocation", .serialized)
    struct Revocation {
        private static let port = 8888
        private static let privateAddress = "10.9.9.9"

        @Test("strongSwan's certificate is", .timeLimit(.minutes(1)), arguments: RevocationRow.all)
        func strongSwan(_ row: RevocationRow) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                plan.authentication = .ecdsa
                let pki = try await PKI(in: laboratory)
                let ours = try await pki.issue(TunnelPlan.identity(.left), .ecdsa)
                let theirs = try await pki.issue(
                    TunnelPlan.identity(.right), .ecdsa, extensions: Self.pointers(row.source))
                if row.isRevoked { try await pki.revoke(theirs) }
                var settings = ["timeout: 1s"]
                if case .file = row.source { settings.append("files: \(try await pki.revocationList())") }
                try await Self.serve(row.source, pki, in: topology)
                let strongSwan = try await StrongSwan(at: .right, of: topology)
                try await strongSwan.load(plan, .right, certificate: theirs, authority: pki.authority)
                let cygnet = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, certificate: ours, authority: pki.authority,
                    extraLines: ["revocation: \(row.policy)"],
                    daemonEntries: ["revocation: { \(settings.joined(separator: ", ")) }"])
                try await cygnet.start()
                let result = try await cygnet.up()
                let explanation = try await cygnet.explain()
                #expect(
                    result.status == .exited(row.words.isEmpty ? 0 : 14),
                    "\(result.complaint)\n\(explanation)\n\(cygnet.log.suffix(2000))")
                for words in row.words { #expect(explanation.contains(words), "\(words)\n\(explanation)") }
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test("A revoked strongSwan that calls is refused", .timeLimit(.minutes(1)))
        func caller() async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                plan.authentication = .ecdsa
                let pki = try await PKI(in: laboratory)
                let ours = try await pki.issue(TunnelPlan.identity(.right), .ecdsa)
                let source = RevocationRow.Source.responder(isDelegated: false)
                let theirs = try await pki.issue(TunnelPlan.identity(.left), .ecdsa, extensions: Self.pointers(source))
                try await pki.revoke(theirs)
                try await Self.serve(source, pki, in: topology)
                let strongSwan = try await StrongSwan(at: .left, of: topology)
                try await strongSwan.load(plan, .left, certificate: theirs, authority: pki.authority)
                let cygnet = try CygnetDaemon(
                    at: .right, of: topology, plan: plan, certificate: ours, authority: pki.authority)
                try await cygnet.start()
                let result = try await strongSwan.initiate()
                #expect(result.status != .exited(0))
                #expect(try await cygnet.explain().contains("was revoked by"), "\(cygnet.log.suffix(2000))")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test(
            "Between two Cygnets, an OCSP response of openssl's goes along with the certificate",
            .timeLimit(.minutes(1)))
        func stapled() async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                plan.authentication = .ecdsa
                let pki = try await PKI(in: laboratory)
                let leftCertificate = try await pki.issue(TunnelPlan.identity(.left), .ecdsa)
                let rightCertificate = try await pki.issue(TunnelPlan.identity(.right), .ecdsa)
                let response = try await pki.response(on: rightCertificate)
                let left = try CygnetDaemon(
                    at: .left, of: topology, plan: plan, certificate: leftCertificate, authority: pki.authority,
                    extraLines: ["revocation: require"])
                let right = try CygnetDaemon(
                    at: .right, of: topology, plan: plan, certificate: rightCertificate, authority: pki.authority,
                    daemonEntries: ["revocation: { files: \(response) }"])
                try await left.start()
                try await right.start()
                try await left.up().orThrow()
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        /// Lines for a certificate that point to who tells of it.
        private static func pointers(_ source: RevocationRow.Source) -> [String] {
            let router = Topology.routerAddress(.left, .v4)
            return switch source {
            case .responder, .silence: ["authorityInfoAccess = OCSP;URI:http://\(router):\(port)/"]
            case .privateResponder: ["authorityInfoAccess = OCSP;URI:http://\(privateAddress):\(port)/"]
            case .fetchedList: ["crlDistributionPoints = URI:http://\(router):\(port)/list.pem"]
            case .file: []
            }
        }

        /// Starts at the router what the source needs, and waits until it accepts connections.
        private static func serve(_ source: RevocationRow.Source, _ pki: PKI, in topology: Topology) async throws {
            let command: [String]
            switch source {
            case .responder(let isDelegated):
                let signer = isDelegated ? try await pki.issue("responder", .ecdsa, purposes: "OCSPSigning") : nil
                command = try pki.responder(signer: signer) + ["-port", "\(port)"]
            case .fetchedList:
                _ = try await pki.revocationList()
                command = ["python3", "-m", "http.server", "\(port)", "--directory", pki.directory]
            case .silence:
                command = [
                    "python3", "-c", "import socket,time; s = socket.create_server(('', \(port))); time.sleep(60)",
                ]
            case .file: return
            case .privateResponder:
                try await topology.router.ip(["addr add \(privateAddress)/32 dev lo"])
                command = try pki.responder() + ["-port", "\(port)"]
            }
            let log = "\(pki.directory)/server.log"
            _ = try topology.laboratory.start(command, in: topology.router, logFile: log)
            // A connection without a request would make openssl's responder wait for ever.
            let knock = "import socket; socket.create_connection(('127.0.0.1', \(port)), 1)"
            for _ in 0..<50 {
                if command.first == "openssl" {
                    if try String(contentsOfFile: log, encoding: .utf8).contains("waiting for OCSP") { return }
                } else if try await topology.router.run(["python3", "-c", knock]).status == .exited(0) {
                    return
                }
                try await Task.sleep(for: .milliseconds(100))
            }
            throw LabError("the server at the router did not come up")
        }
    }
}
