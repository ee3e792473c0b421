import AllocationCount
import ArgumentParser

struct ESPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "esp", abstract: "Seal and open ESP packets, beside `openssl speed`.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Rounds for each algorithm and size; the median counts.")
    var rounds = 5

    @Option(name: .long, help: "Octets of the inner packets.")
    var sizes = [64, 512, 1400, 8900]

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("There has to be a round.") }
        guard sizes.allSatisfy({ (28...65_000).contains($0) }) else {
            throw ValidationError("Sizes lie between 28 and 65000.")
        }
    }

    func run() async throws { output.print(try await report()) }

    func report() async throws -> Report {
        var openssl = OpenSSLSpeed()
        var rows = [
            [
                "Algorithm", "Octets", "Seal ns", "Cipher of it", "openssl ns", "Ratio", "Open ns", "Cipher of it",
                "openssl ns", "Ratio", "GB/s sealed",
            ]
        ]
        var allocations = [["Algorithm", "Allocations a packet, seal", "open"]]
        for algorithm in ESPAlgorithm.all {
            var most = (sealing: 0.0, opening: 0.0)
            for size in sizes {
                tellProgress("esp: \(algorithm.name), \(size) octets")
                var workload = try ESPWorkload(algorithm, size: size)
                // Theirs in the midst of ours, so that both meet the same machine.
                for _ in 0..<(rounds + 1) / 2 { try workload.run(seconds: 0.15) }
                let code = try await algorithm.code.asyncMap { try await openssl.nanoseconds($0, octets: size) } ?? 0
                let encryption = try await openssl.nanoseconds(algorithm.cipher, octets: size) + code
                let decryption = try await openssl.nanoseconds(["-decrypt"] + algorithm.cipher, octets: size) + code
                for _ in 0..<rounds / 2 { try workload.run(seconds: 0.15) }
                let seal = workload.sealing.nanoseconds.median
                let open = workload.opening.nanoseconds.median
                rows.append([
                    algorithm.name, "\(size)", seal.text(), workload.sealing.cipherNanoseconds.median.text(),
                    encryption.text(), (seal / encryption).text(2), open.text(),
                    workload.opening.cipherNanoseconds.median.text(), decryption.text(), (open / decryption).text(2),
                    (Double(size) / seal).text(2),
                ])
                most = (
                    max(most.sealing, workload.sealing.allocations), max(most.opening, workload.opening.allocations)
                )
            }
            allocations.append([algorithm.name, most.sealing.text(2), most.opening.text(2)])
        }
        return Report(
            title: "ESP packets in memory",
            parts: [
                .commands([output.command("esp")]),
                .text(
                    """
                    `OutboundSA.seal` and `InboundSA.open` as the data plane calls them: inner IPv4 packets of so many \
                    octets, padding, sequence numbers with extension, replay window of 1024, selectors checked, counters. \
                    Processor time for one packet, median of \(rounds) rounds; "cipher of it" is what `PacketCipher`, \
                    libcrypto's calls and little else, takes by itself for the same packets. Beside it what libcrypto alone takes for \
                    the same number of octets by `openssl speed`: `-aead`, which sets an IV and makes a tag each time, \
                    for the AEADs; cipher and code added up for the pair. The smallest part of a processor that one of its \
                    runs was given is \(openssl.smallestShare.percentage): well below 100 % its times are coarse.
                    """),
                .table(rows),
                .text(
                    """
                    With ChaCha20-Poly1305, `openssl speed` of OpenSSL 3.0 ignores `-aead`: it encrypts on without a new \
                    nonce, associated data or a tag, so that small packets look dear beside it.
                    """),
                .text(
                    cygnet_allocation_count() < 0
                        ? "Allocations are not counted with this C library."
                        : "Calls of `malloc` and its kin, by Swift and by libcrypto, counted in the process itself; of all "
                            + "sizes the one with most. libcrypto 3 copies a digest state on the heap for each HMAC."),
                .table(allocations),
                .text("The first of its commands for each kind, the others differing in algorithm and size:"),
                .commands(openssl.examples),
            ])
    }
}

extension Optional {
    fileprivate func asyncMap<Result>(_ transform: (Wrapped) async throws -> Result) async rethrows -> Result? {
        switch self {
        case nil: nil
        case let value?: try await transform(value)
        }
    }
}
