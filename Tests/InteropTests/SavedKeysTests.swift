import Lab
import Testing

extension Interoperability {
    /// The keys that `--save-keys` writes, given to Wireshark's tshark together with what the router recorded.
    @Suite("Saved keys", .serialized)
    struct SavedKeys {
        // tshark 4.0, of Debian 12, has no ChaCha20-Poly1305 for ESP.
        @Test(
            "open the capture to tshark, which finds every packet authentic and none malformed",
            arguments: [EncryptionChoice.aes256gcm16, .aes256sha256])
        func decoded(_ encryption: EncryptionChoice) async throws {
            let missing = Prerequisites.missing(of: ["tshark"])
            guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
            var plan = TunnelPlan()
            plan.encryption = encryption
            try await Encounter.run(plan, cygnetAt: .left, savingKeys: true) { encounter in
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                let all = try await encounter.tshark(summary.file, showing: "frame")
                #expect(all.count == summary.frames.values.reduce(0, +))
                #expect(try await encounter.tshark(summary.file, showing: "_ws.malformed").isEmpty)
                let pings = try await encounter.tshark(summary.file, showing: "esp && icmp")
                #expect(pings.count == 20, "\(all)")
                #expect(try await encounter.tshark(summary.file, showing: "esp.icv_good == 1").count == summary.esp)
                let authentications = try await encounter.tshark(summary.file, showing: "isakmp.auth.method")
                #expect(authentications.count == 2, "\(all)")
            }
        }
    }
}

extension Encounter {
    /// A line for each frame of a capture that a display filter lets through, decoded with the saved keys.
    func tshark(_ file: String, showing filter: String) async throws -> [Substring] {
        var environment = Command.environment
        // tshark finds its tables in the directory "wireshark" below this one.
        environment["XDG_CONFIG_HOME"] = laboratory.directory
        let result = try await Command.run(
            [
                "tshark", "-n", "-r", file, "-Y", filter, "-o", "esp.enable_encryption_decode:TRUE",
                "-o", "esp.enable_authentication_check:TRUE",
            ], environment: environment, timeout: .seconds(30)
        ).orThrow()
        return result.output.split(separator: "\n")
    }
}
