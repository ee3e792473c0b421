import Foundation
import Lab

/// `openssl speed`, run beside our own measurements and read by its machine form (`-mr`).
struct OpenSSLSpeed {
    /// The words of the commands that were run, for the report.
    private(set) var commands: [String] = []

    /// One command for each set of options, whatever their values.
    var examples: [String] {
        var seen: Set<[Substring]> = []
        return commands.filter { seen.insert($0.split(separator: " ").filter { $0.hasPrefix("-") }).inserted }
    }

    /// The smallest part of a processor that a run was given, from 0 to 1: a busy machine makes its readings coarse.
    private(set) var smallestShare = 1.0

    /// Nanoseconds that an algorithm takes for one piece of `octets`.
    /// - Parameter arguments: such as `-aead -evp aes-256-gcm`.
    mutating func nanoseconds(_ arguments: [String], octets: Int) async throws -> Double {
        let output = try await run(arguments + ["-bytes", "\(octets)", "-seconds", "1"])
        // +F:25:AES-256-GCM:1234567.00, in octets a second.
        guard let rate = fields(output, "+F").first?.last.flatMap(Double.init), rate > 0 else {
            throw LabError("openssl speed \(arguments.joined(separator: " ")) printed no rate: \(output)")
        }
        return Double(octets) / rate * 1e9
    }

    /// Microseconds for one X25519 agreement, one ECDSA P-256 signature and one verification.
    struct PublicKeyTimes {
        var agreement = 0.0
        var signature = 0.0
        var verification = 0.0
    }

    mutating func publicKeyTimes() async throws -> PublicKeyTimes {
        let output = try await run(["-seconds", "1", "ecdhx25519", "ecdsap256"])
        // +F4:3:256:<signatures a second>:<verifications a second>; +F5:22:253:<agreements a second>:<seconds of one>.
        guard let ecdsa = fields(output, "+F4").first, let ecdh = fields(output, "+F5").first, ecdsa.count > 4,
            ecdh.count > 3, let signatures = Double(ecdsa[3]), let verifications = Double(ecdsa[4]),
            let agreements = Double(ecdh[3]), min(signatures, verifications, agreements) > 0
        else { throw LabError("openssl speed ecdhx25519 ecdsap256 printed no rates: \(output)") }
        return PublicKeyTimes(
            agreement: 1e6 / agreements, signature: 1e6 / signatures, verification: 1e6 / verifications)
    }

    private mutating func run(_ arguments: [String]) async throws -> String {
        let command = ["openssl", "speed", "-mr"] + arguments
        commands.append(command.joined(separator: " "))
        let result = try await Command.run(command, timeout: .seconds(60)).orThrow()
        // The processor time of a run of one second ends a line +R, +R5, +R6 or +R7, according to what was done.
        for line in (result.output + "\n" + result.errorOutput).split(separator: "\n") where line.hasPrefix("+R") {
            if let seconds = line.split(separator: ":").last.flatMap({ Double($0) }) {
                smallestShare = min(smallestShare, seconds)
            }
        }
        return result.output
    }

    private func fields(_ output: String, _ kind: String) -> [[String]] {
        output.split(separator: "\n").map { $0.split(separator: ":").map(String.init) }.filter { $0.first == kind }
    }
}
