import Lab
import Testing

extension Interoperability {
    @Suite("What an analyser reads", .serialized)
    struct Analyser {
        /// tshark with the tables that Cygnet saved, told to decrypt.
        private func read(_ file: String, keys: String, _ arguments: [String]) async throws -> [Substring] {
            let result = try await Command.run(
                [
                    "env", "WIRESHARK_CONFIG_DIR=\(keys)", "tshark", "-r", file, "-o",
                    "esp.enable_encryption_decode:TRUE",
                ] + arguments, timeout: .seconds(30))
            try result.orThrow()
            return result.output.split(separator: "\n")
        }

        @Test(
            "tshark decrypts IKE and ESP of the transforms it knows with the saved keys, and finds nothing malformed", .timeLimit(.minutes(1)),
            arguments: EncryptionChoice.allCases)
        func decode(_ encryption: EncryptionChoice) async throws {
            try Interoperability.requirePeers()
            var plan = TunnelPlan()
            plan.encryption = encryption
            let chosen = plan
            try await Laboratory.with { laboratory in
                let keys = try laboratory.makeDirectory("keys")
                let encounter = try await Encounter(
                    in: laboratory, chosen, cygnetAt: .left, arguments: ["--save-keys", keys])
                try await encounter.initiate()
                #expect(try await encounter.ping().lost == 0)
                let file = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks).file
                #expect(try await read(file, keys: keys, ["-Y", "_ws.malformed"]).isEmpty)
                // tshark 4.0 has no ChaCha20-Poly1305: what it carries stays closed, and whole.
                let isKnown = encryption != .chacha20poly1305
                let pings = try await read(file, keys: keys, ["-Y", "icmp.type == 8 || icmp.type == 0"])
                #expect(pings.count == (isKnown ? 20 : 0))
                let proofs = try await read(file, keys: keys, ["-Y", "isakmp.auth.method"])
                #expect(proofs.count == (isKnown ? 2 : 0))
            }
        }
    }
}
