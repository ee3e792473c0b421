import AllocationCount
import ArgumentParser
import ESP
import IPsecCrypto

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
                var workload = try ESPWorkload(algorithm, size: size, provider: .libcrypto)
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
            ] + (try await providers()))
    }

    /// The providers beside one another and beside what ipsec-mb takes by itself, then more threads and more SAs.
    private func providers() async throws -> [Report.Part] {
        guard CipherProvider.available.contains(.ipsecMB) else { return [.text("ipsec-mb is not available here.")] }
        var goals = [["Goal", "Reached", "Met"]]
        let providers = try await providerRows(&goals)
        let instructions = try await instructionRows(&goals)
        let threads = try await threadRows(&goals)
        let many = try manyRows(&goals)
        return [
            .table(goals),
            .text(
                """
                The same SAs by either provider, \(PacketSlots.burst) packets in a batch. "Bare" is ipsec-mb called in a loop in C, \
                for as many octets each time, with a new nonce and tag, and nothing else; all three in turns of a hundredth of a \
                second. The ratio is bare to ours.
                """),
            .table(providers),
            .text(
                """
                Instructions for a packet, counted by callgrind, which has no AVX-512: what ipsec-mb takes is that of its code \
                for AVX2. Our own have a goal, as they are the same each time.
                """),
            .table(instructions),
            .text(
                """
                AES-256-GCM by \(CipherProvider.available[0].rawValue), inner packets of 1400 octets sealed and opened again, by one \
                thread and by two with SAs of their own; the best of \(rounds) rounds. Beside it the bare calls: what two \
                threads gain where they have nothing in common but the machine.
                """),
            .table(threads),
            .text(
                """
                AES-256-GCM, inner packets of 1400 octets: of so many tunnels up to \(SALoad.mostBusy) carry \(SALoad.burst) packets \
                each in turn. Memory is what the process grew by while their SAs were made.
                """),
            .table(many),
        ]
    }

    private static func goal(
        _ text: String, _ value: Double, atLeast least: Double? = nil, atMost most: Double? = nil, digits: Int = 2
    ) -> [String] {
        let isMet = value >= least ?? -.infinity && value <= most ?? .infinity
        return [text, value.text(digits), isMet ? "yes" : "no"]
    }

    private func providerRows(_ goals: inout [[String]]) async throws -> [[String]] {
        var allocations = 0.0
        var rows = [
            [
                "Algorithm", "Octets", "Bare seal ns", "ipsec-mb", "Ratio", "libcrypto", "Bare open ns", "ipsec-mb",
                "Ratio",
                "libcrypto", "Allocations",
            ]
        ]
        for algorithm in ESPAlgorithm.all {
            for size in sizes {
                tellProgress("esp: providers, \(algorithm.name), \(size) octets")
                var ours = try ESPWorkload(algorithm, size: size, provider: .ipsecMB)
                var theirs = try ESPWorkload(algorithm, size: size, provider: .libcrypto)
                var bare = BareWorkload(algorithm, size: size)
                for _ in 0..<rounds * 10 {
                    try ours.run(seconds: 0.01)
                    bare?.run(seconds: 0.01)
                    try theirs.run(seconds: 0.01)
                }
                func pair(_ bare: [Double]?, _ ours: PacketCost, _ theirs: PacketCost) -> [String] {
                    let own = ours.nanoseconds.median
                    return [
                        bare.map { $0.median.text() } ?? "–", own.text(),
                        bare.map { ($0.median / own).text(2) } ?? "–", theirs.nanoseconds.median.text(),
                    ]
                }
                rows.append(
                    [algorithm.name, "\(size)"] + pair(bare?.sealing, ours.sealing, theirs.sealing)
                        + pair(bare?.opening, ours.opening, theirs.opening)
                        + [(ours.sealing.allocations + ours.opening.allocations).text(2)])
                allocations = max(allocations, ours.sealing.allocations, ours.opening.allocations)
                guard let bare, algorithm.name == ESPAlgorithm.all[0].name else { continue }
                for (verb, theirs, own) in [
                    ("seal", bare.sealing, ours.sealing), ("open", bare.opening, ours.opening),
                ] {
                    goals.append(
                        Self.goal(
                            "\(verb) \(size) octets, \(algorithm.name): ≥ 0.85 × bare ipsec-mb",
                            theirs.median / own.nanoseconds.median, atLeast: 0.85))
                }
            }
        }
        goals.append(Self.goal("allocations a packet, any algorithm by ipsec-mb: 0", allocations, atMost: 0.005))
        return rows
    }

    private func instructionRows(_ goals: inout [[String]]) async throws -> [[String]] {
        var rows = [["Algorithm", "Octets", "Seal, own", "In libraries", "Open, own", "In libraries"]]
        for algorithm in ESPAlgorithm.all {
            for size in sizes {
                tellProgress("esp: instructions, \(algorithm.name), \(size) octets")
                guard let count = try await InstructionCount.perPacket(algorithm, size: size) else {
                    return [["callgrind is not installed"]]
                }
                rows.append([
                    algorithm.name, "\(size)", count.sealing.own.text(), count.sealing.libraries.text(),
                    count.opening.own.text(), count.opening.libraries.text(),
                ])
                guard algorithm.name == ESPAlgorithm.all[0].name else { continue }
                goals.append(
                    Self.goal(
                        "own instructions to seal \(size) octets, \(algorithm.name): ≤ \(Self.mostInstructions.seal)",
                        count.sealing.own, atMost: Double(Self.mostInstructions.seal), digits: 0))
                goals.append(
                    Self.goal(
                        "own instructions to open \(size) octets, \(algorithm.name): ≤ \(Self.mostInstructions.open)",
                        count.opening.own, atMost: Double(Self.mostInstructions.open), digits: 0))
            }
        }
        return rows
    }

    /// A little more than it was when this was written: what is added to the packet path shall be seen.
    private static let mostInstructions = (seal: 300, open: 600)

    private func threadRows(_ goals: inout [[String]]) async throws -> [[String]] {
        tellProgress("esp: one and two threads")
        var best = (one: 0.0, two: 0.0)
        var bare = (one: 0.0, two: 0.0)
        for _ in 0..<rounds {
            best.one = max(best.one, try await SAThreads.rate(.all[0], size: 1400, threads: 1, seconds: 0.3))
            best.two = max(best.two, try await SAThreads.rate(.all[0], size: 1400, threads: 2, seconds: 0.3))
            bare.one = max(bare.one, try await SAThreads.bareRate(.all[0], size: 1400, threads: 1, seconds: 0.3))
            bare.two = max(bare.two, try await SAThreads.bareRate(.all[0], size: 1400, threads: 2, seconds: 0.3))
        }
        goals.append(Self.goal("two threads: ≥ 1.8 × one", best.two / best.one, atLeast: 1.8))
        return [
            ["", "One thread, packets/s", "Two threads", "Ratio"],
            ["Cygnet", best.one.text(), best.two.text(), (best.two / best.one).text(2)],
            ["bare", bare.one.text(), bare.two.text(), (bare.two / bare.one).text(2)],
        ]
    }

    private func manyRows(_ goals: inout [[String]]) throws -> [[String]] {
        var rows = [["Tunnels", "Seal ns", "Open ns", "Beside one", "KiB a tunnel"]]
        var one = 0.0
        for count in [1, 100, 10_000] {
            tellProgress("esp: \(count) tunnels")
            var load = try SALoad(.all[0], count: count, size: 1400)
            let turns = max(1, 20_000 / min(count, SALoad.mostBusy))
            for _ in 0..<rounds { try load.run(rounds: turns / 4 + 1) }
            let (seal, open) = (load.sealing.median, load.opening.median)
            if count == 1 {
                one = seal + open
            } else {
                goals.append(Self.goal("\(count) tunnels: ≤ 1.10 × one", (seal + open) / one, atMost: 1.1))
            }
            rows.append([
                "\(count)", seal.text(), open.text(), ((seal + open) / one).text(2),
                count < 1000 ? "–" : (load.octetsPerTunnel / 1024).text(1),
            ])
        }
        return rows
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
