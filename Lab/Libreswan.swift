import Foundation

/// Libreswan's pluto in a guest.
package final class Libreswan: Peer {
    package let quarters: any Quarters

    /// Of what `make install` calls a prefix.
    private let pluto: String
    private let whack: String
    private let ipsec: String

    init(in guest: Guest, installed prefix: String = "/usr") {
        quarters = guest
        pluto = "\(prefix)/libexec/ipsec/pluto"
        whack = "\(prefix)/libexec/ipsec/whack"
        ipsec = "\(prefix)/sbin/ipsec"
    }

    package var log: String { quarters.read("log") }

    /// Gives pluto one of its commands (ipsec-whack(8)).
    @discardableResult
    package func control(_ arguments: [String], timeout: Duration = .seconds(20)) async throws(LabError)
        -> CommandResult
    {
        try await quarters.run([whack] + arguments, timeout: timeout)
    }

    package func load(_ plan: TunnelPlan, _ side: Side, credentials: PKI.Credentials?) async throws {
        try quarters.write(plan.libreswanText(side, isCertified: credentials != nil), to: "ipsec.conf")
        try quarters.write(plan.libreswanSecrets, to: "ipsec.secrets")
        if !FileManager.default.fileExists(atPath: "\(quarters.directory)/log") { try await start(credentials) }
        try await control(["--rereadsecrets"]).orThrow()
        let result = try await quarters.run([ipsec, "add", "--config", "/mnt/ipsec.conf", TunnelPlan.connection])
        guard result.output.contains("added") else { throw LabError("\(result.complaint)\n\(log.suffix(2000))") }
    }

    private func start(_ credentials: PKI.Credentials?) async throws {
        try await quarters.run([ipsec, "initnss"]).orThrow()
        if let credentials {
            let files = FileManager.default
            for (source, target) in [
                (credentials.issued.certificate, "own.pem"), (credentials.issued.key, "own.key"),
                (credentials.authority, "ca.pem"),
            ] {
                try files.copyItem(atPath: source, toPath: "\(quarters.directory)/\(target)")
            }
            for command in [
                "openssl pkcs12 -export -in own.pem -inkey own.key -name own -passout pass:lab -out /run/own.p12",
                "\(ipsec) pk12util -i /run/own.p12 -W lab", "\(ipsec) certutil -A -n ca -t CT,, -a -i ca.pem",
            ] {
                try await quarters.run(command.split(separator: " ").map(String.init)).orThrow()
            }
        }
        try await quarters.run(["mkdir", "-p", "/run/pluto"]).orThrow()
        try await quarters.start(
            [pluto, "--nofork", "--config", "/mnt/ipsec.conf", "--secretsfile", "/mnt/ipsec.secrets"],
            log: "stderr")
        let end = ContinuousClock.now + .seconds(20)
        while try await !control(["--listen"]).status.isSuccess {
            guard ContinuousClock.now < end else {
                throw LabError("pluto did not come up: \(quarters.read("stderr").suffix(2000)) \(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    package func initiate() async throws(LabError) -> CommandResult {
        try await control(["--initiate", "--name", TunnelPlan.connection])
    }
    package func rekeyChild() async throws(LabError) { try await ask("--rekey-child") }
    package func rekeyIKE() async throws(LabError) { try await ask("--rekey-ike") }
    package func terminateChild() async throws(LabError) { try await ask("--delete-child") }
    package func terminateIKE() async throws(LabError) { try await ask("--delete-ike") }

    /// Forgets the IKE SA, so that the next `initiate` resumes it (RFC 5723).
    package func suspend() async throws(LabError) {
        try await control(["--suspend", "--name", TunnelPlan.connection]).orThrow()
    }

    /// Without waiting: of an end, pluto would tell only when the connection itself has gone.
    private func ask(_ verb: String) async throws(LabError) {
        try await control([verb, "--asynchronous", "--name", TunnelPlan.connection]).orThrow()
    }

    package func report() async throws -> PeerReport {
        // `"office":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_256-DH31`, and
        // `#1: "office":500 ESTABLISHED_IKE_SA (established IKE SA); …`, or `… established IKE SA; …` from 5.4 on.
        let newest = try await control(["--connectionstatus"]).orThrow().output.split(separator: "\n")
            .compactMap { line in line.range(of: "IKEv2 algorithm newest: ").map { String(line[$0.upperBound...]) } }
        let count = try await control(["--showstates"]).orThrow().output.split(separator: "\n")
            .count { $0.contains("established IKE SA") }
        return PeerReport(
            ikeSAs: [String](repeating: newest.first ?? "?", count: count), esp: try await quarters.kernelESP())
    }
}

/// A `TunnelPlan` in Libreswan's words (ipsec.conf(5)).
extension TunnelPlan {
    /// "Left" is Libreswan's own end, whichever side it is on.
    func libreswanText(_ side: Side, isCertified: Bool) -> String {
        let authentication =
            switch authentication {
            case _ where isAnonymous: "null"
            case .preSharedKey: "secret"
            case .rsa: "rsa-sha2"
            case .ecdsa: "ecdsa"
            // Libreswan has no Ed25519, and says so.
            case .ed25519: "ed25519"
            }
        let (own, other) =
            isAnonymous ? ("%null", "%null") : ("@\(Self.identity(side))", "@\(Self.identity(side.other))")
        let connection =
            [
                "left=\(localAddress(side))", "leftid=\(own)",
                "right=\(remoteAddress(side).map(\.description) ?? "%any")", "rightid=\(other)",
                "authby=\(authentication)",
                "ike=\(libreswanAlgorithms.ike)", "esp=\(libreswanAlgorithms.esp)",
                "encapsulation=\(isUDPEncapsulated ? "yes" : "auto")",
                "ikelifetime=\(Self.lifetime(ikeRekeySeconds[side]))",
                "salifetime=\(Self.lifetime(childRekeySeconds[side]))",
                "rekeymargin=\((ikeRekeySeconds[side] ?? childRekeySeconds[side]) == nil ? "9m" : "1s")",
                "rekeyfuzz=0%",
                "retransmit-timeout=5s", "auto=ignore",
            ]
            + (isTransport
                ? ["type=transport"] : ["leftsubnet=\(network(side))", "rightsubnet=\(network(side.other))"])
            + (hasESN.map { ["esn=\($0 ? "yes" : "no")"] } ?? [])
            + (livenessSeconds[side].map { ["dpddelay=\($0)s"] } ?? [])
            + (isCertified ? ["leftcert=own", "leftsendcert=always", "rightca=%same"] : []) + peerLines.connection
        let daemon = ["logfile=/mnt/log"] + peerLines.daemon
        return "config setup\n" + daemon.map { "    \($0)\n" }.joined() + "conn \(Self.connection)\n"
            + connection.map { "    \($0)\n" }.joined() + peerLines.other.map { "\($0)\n" }.joined()
    }

    var libreswanSecrets: String {
        (["@\(Self.identity(.left)) @\(Self.identity(.right)) : PSK \"\(preSharedKey)\""] + peerLines.secrets)
            .map { "\($0)\n" }.joined()
    }

    private static func lifetime(_ seconds: Int?) -> String { seconds.map { "\($0)s" } ?? "8h" }

    /// The group of a child's rekey is that of the IKE SA, unless `pfs=no`.
    private var libreswanAlgorithms: (ike: String, esp: String) {
        if let peerProposals { return peerProposals }
        let group =
            switch keyExchange {
            case .x25519: "dh31"
            case .ecp384: "dh20"
            case .modp3072: "modp3072"
            }
        return switch encryption {
        case .aes256gcm16: ("aes_gcm256-sha2_256-\(group)", "aes_gcm256")
        case .chacha20poly1305: ("chacha20_poly1305-sha2_256-\(group)", "chacha20_poly1305")
        case .aes256sha256: ("aes256-sha2_256-\(group)", "aes256-sha2_256")
        case .aes256sha384: ("aes256-sha2_384-\(group)", "aes256-sha2_384")
        }
    }
}
