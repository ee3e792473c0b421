import Foundation

/// OpenIKED in a guest. It has few commands: it initiates, rekeys and ends an IKE SA by its own rules only, which a plan's
/// lifetimes set.
package final class OpenIKED: Peer {
    package let quarters: any Quarters

    init(in guest: Guest) { quarters = guest }

    package var log: String { quarters.read("log") }

    /// Takes ikectl(8)'s commands.
    @discardableResult
    package func control(_ arguments: [String]) async throws(LabError) -> CommandResult {
        try await quarters.run(["ikectl"] + arguments)
    }

    package func load(_ plan: TunnelPlan, _ side: Side, credentials: PKI.Credentials?) async throws {
        guard !FileManager.default.fileExists(atPath: "\(quarters.directory)/log") else {
            throw LabError("OpenIKED takes its configuration once")
        }
        try quarters.write(plan.openIKEDText(side), to: "iked.conf")
        var files = [("iked.conf", "/etc/iked.conf", "600")]
        if let credentials {
            let peer = TunnelPlan.identity(side)
            for (source, name) in [
                (credentials.issued.certificate, "own.pem"), (credentials.issued.key, "own.key"),
                (credentials.authority, "ca.pem"),
            ] {
                try FileManager.default.copyItem(atPath: source, toPath: "\(quarters.directory)/\(name)")
            }
            files += [
                ("own.pem", "/etc/iked/certs/\(peer).crt", "644"), ("own.key", "/etc/iked/private/local.key", "600"),
                ("ca.pem", "/etc/iked/ca/ca.crt", "644"),
            ]
        }
        for (name, path, mode) in files {
            try await quarters.run(["install", "-m", mode, "/mnt/\(name)", path]).orThrow()
        }
        try await quarters.start(["iked", "-dvv"], log: "log")
        let end = ContinuousClock.now + .seconds(20)
        while !log.contains("config_getcompile: compilation done") {
            guard ContinuousClock.now < end else { throw LabError("iked did not come up: \(log.suffix(2000))") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends its waiting; ikectl does not wait for what comes of it, so this does.
    package func initiate() async throws(LabError) -> CommandResult {
        let result = try await control(["active"]).orThrow()
        let end = ContinuousClock.now + .seconds(10)
        while !log.contains("-> ESTABLISHED"), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(50))
        }
        guard log.contains("-> ESTABLISHED") else { throw LabError("OpenIKED did not get through") }
        return result
    }

    package func rekeyChild() async throws(LabError) { throw LabError("OpenIKED rekeys by lifetime only") }
    package func rekeyIKE() async throws(LabError) { throw LabError("OpenIKED rekeys by lifetime only") }
    package func terminateChild() async throws(LabError) { throw LabError("OpenIKED ends IKE SAs only") }
    package func terminateIKE() async throws(LabError) {
        try await control(["reset", "id", "FQDN/\(TunnelPlan.identity(.left))"]).orThrow()
    }

    package func report() async throws -> PeerReport {
        // `iked_sas: 0x… rspi 0x… ispi 0x… 192.0.2.130:500->192.0.2.2:500<FQDN/left.example.org>[] ESTABLISHED r …`.
        let lines = try await control(["show", "sa"]).orThrow().output.split(separator: "\n")
        return PeerReport(
            ikeSAs: lines.filter { $0.hasPrefix("iked_sas:") && $0.contains("] ESTABLISHED") }.map { _ in algorithms },
            esp: try await quarters.kernelESP())
    }

    /// What the log says last of an IKE SA: `… (enc aes-256 auth hmac-sha2-384 group curve25519 prf hmac-sha2-384)`. Of a
    /// child SA it names no PRF.
    private var algorithms: String {
        let lines = log.split(separator: "\n").filter { $0.contains(" prf ") && $0.hasSuffix(")") }
        return lines.last?.split(separator: "(").last.map { String($0.dropLast()) } ?? "?"
    }
}

/// A `TunnelPlan` in OpenIKED's words (iked.conf(5)).
extension TunnelPlan {
    func openIKEDText(_ side: Side) -> String {
        let (ike, esp) =
            switch encryption {
            case .aes256gcm16: ("enc aes-256-gcm prf hmac-sha2-256", "enc aes-256-gcm")
            case .chacha20poly1305: ("enc chacha20-poly1305 prf hmac-sha2-256", "enc chacha20-poly1305")
            case .aes256sha256: ("enc aes-256 prf hmac-sha2-256 auth hmac-sha2-256", "enc aes-256 auth hmac-sha2-256")
            case .aes256sha384: ("enc aes-256 prf hmac-sha2-384 auth hmac-sha2-384", "enc aes-256 auth hmac-sha2-384")
            }
        let group =
            switch keyExchange {
            case .x25519: "curve25519"
            case .ecp384: "ecp384"
            case .modp3072: "modp3072"
            }
        let method = authentication == .preSharedKey ? "psk \"\(preSharedKey)\"" : "rfc7427"
        let policy = [
            "ikev2 \"\(Self.connection)\" \(remoteAddress(side) == nil ? "passive" : "active") tunnel\(isUDPEncapsulated ? " natt" : "") esp",
            "from \(network(side)) to \(network(side.other))",
            "local \(localAddress(side)) peer \(remoteAddress(side).map(\.description) ?? "any")",
            "ikesa \(peerProposals?.ike ?? "\(ike) group \(group)")",
            "childsa \(peerProposals?.esp ?? "\(esp) group \(group)")\(hasESN.map { $0 ? " esn" : " noesn" } ?? "")",
            "srcid \(Self.identity(side)) dstid \(Self.identity(side.other))",
            "ikelifetime \(ikeRekeySeconds[side] ?? 0) lifetime \(childRekeySeconds[side] ?? 0) bytes 0", method,
        ]
        let daemon =
            ["set passive", "set fragmentation", "set dpd_check_interval \(livenessSeconds[side] ?? 0)"]
            + peerLines.daemon
        return (daemon + [(policy + peerLines.connection).joined(separator: " ")]).joined(separator: "\n") + "\n"
    }
}
