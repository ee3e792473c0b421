import ArgumentParser
import ESP
import Foundation
import IPsecCrypto
import Lab

/// Instructions that sealing and opening a packet takes, as callgrind counts them: the same number each time, whatever else the
/// machine does.
struct InstructionCount {
    /// Of Cygnet's own code.
    var own: Double
    /// Of the library that encrypts, and others.
    var libraries: Double

    /// - Returns: `nil` where there is no callgrind.
    static func perPacket(
        _ algorithm: ESPAlgorithm, size: Int
    ) async throws -> (sealing: InstructionCount, opening: InstructionCount)? {
        guard try await Command.run(["valgrind", "--version"], timeout: .seconds(20)).status.isSuccess else {
            return nil
        }
        // callgrind 3.19 gives up at newer debugging information than it knows.
        let program = FileManager.default.temporaryDirectory.appendingPathComponent("cygnet-bench-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: program) }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        try await Command.run(["strip", "--strip-debug", "-o", program, own], timeout: .seconds(60)).orThrow()
        let sealing = try await difference(program, algorithm, size: size, opens: false)
        let both = try await difference(program, algorithm, size: size, opens: true)
        return (
            sealing, InstructionCount(own: both.own - sealing.own, libraries: both.libraries - sealing.libraries)
        )
    }

    /// What more turns take than fewer, for one packet: all that happens once cancels out.
    private static func difference(
        _ program: String, _ algorithm: ESPAlgorithm, size: Int, opens: Bool
    ) async throws -> InstructionCount {
        let few = try await total(program, algorithm, size: size, opens: opens, turns: 2)
        let many = try await total(program, algorithm, size: size, opens: opens, turns: 18)
        let packets = Double(16 * PacketSlots.count(size))
        return InstructionCount(
            own: (many.own - few.own) / packets, libraries: (many.libraries - few.libraries) / packets)
    }

    private static func total(
        _ program: String, _ algorithm: ESPAlgorithm, size: Int, opens: Bool, turns: Int
    ) async throws -> InstructionCount {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("cygnet-callgrind-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try await Command.run(
            [
                "valgrind", "--tool=callgrind", "--callgrind-out-file=\(file)", "--compress-strings=no",
                "--compress-pos=no", program, ESPTurnsCommand.name, algorithm.name, "\(size)", "\(turns)",
            ] + (opens ? ["--opens"] : []), timeout: .seconds(120)
        ).orThrow()
        return InstructionCount(try String(contentsOfFile: file, encoding: .utf8), program: program)
    }

    /// - Parameter text: what callgrind has written, its strings not compressed.
    init(_ text: String, program: String) {
        own = 0
        libraries = 0
        var isOwn = false
        var isOfCallee = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("ob=") {
                isOwn = line.dropFirst(3) == program
            } else if line.hasPrefix("calls=") {
                // The next line is what the called function took, which is entered with that function.
                isOfCallee = true
            } else if line.first.map({ $0.isNumber }) == true {
                let fields = line.split(separator: " ")
                guard !isOfCallee, fields.count == 2, let cost = Double(fields[1]) else {
                    isOfCallee = false
                    continue
                }
                if isOwn { own += cost } else { libraries += cost }
            }
        }
    }

    private init(own: Double, libraries: Double) {
        self.own = own
        self.libraries = libraries
    }
}

/// Seals packets, and opens them, so many times: what ``InstructionCount`` counts.
struct ESPTurnsCommand: ParsableCommand {
    static let name = "esp-turns"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Argument var algorithm: String
    @Argument var size: Int
    @Argument var turns: Int
    @Flag var opens = false

    func run() throws {
        guard let algorithm = ESPAlgorithm.all.first(where: { $0.name == algorithm }) else {
            throw ValidationError("There is no algorithm \(algorithm).")
        }
        let ends = ESPWorkload.parameters(algorithm)
        var outbound = try OutboundSA(ends.outbound)
        var inbound = try InboundSA(ends.inbound)
        let slots = PacketSlots(size: size)
        for _ in 0..<turns {
            try slots.seal(with: &outbound)
            if opens { try slots.open(with: &inbound) }
        }
    }
}
