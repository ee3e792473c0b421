import ArgumentParser
import Foundation
import Lab

struct TunnelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "Send TCP through the tunnel of the demo's topology, and through other tunnels.",
        discussion: "Needs iperf3, strongSwan and the cygnet program beside this one; wireguard-go takes part if "
            + "Benchmarks/fetch-wireguard-go has fetched it.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Runs of each kind, one kind after the other; the median counts.")
    var rounds = 3

    @Option(name: .long, help: "Seconds of a run.")
    var seconds = 5

    func validate() throws {
        guard rounds > 0, seconds > 0 else { throw ValidationError("There has to be a run, and time for it.") }
    }

    func run() async throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability + ["iperf3"])
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        try await output.printIsolated(["tunnel", "--rounds", "\(rounds)", "--seconds", "\(seconds)"], report)
    }

    private func report() async throws -> Report {
        let variants = TunnelVariant.allCases.filter { $0 != .wireGuard || WireGuard.isThere }
        var figures = [[TunnelFigures]](repeating: [], count: variants.count)
        for round in 1...rounds {
            for (index, variant) in variants.enumerated() {
                tellProgress("tunnel: \(variant.name), run \(round) of \(rounds)")
                figures[index].append(try await variant.measure(seconds: seconds))
            }
        }
        let reference = zip(variants, figures).first { $0.0 == .wireGuard }.map { $0.1.map(\.bitsPerSecond).median }
        var rows = [
            ["Carried by", "Gbit/s", "Lowest to highest", "Daemons' CPU s/GB", "Device MTU", "Against wireguard-go"]
        ]
        for (variant, runs) in zip(variants, figures) {
            let rates = runs.map(\.bitsPerSecond)
            let costs = runs.compactMap(\.secondsPerGigabyte)
            rows.append([
                variant.name, (rates.median / 1e9).text(2),
                "\(((rates.min() ?? 0) / 1e9).text(2)) – \(((rates.max() ?? 0) / 1e9).text(2))",
                costs.isEmpty ? "–" : costs.median.text(2), runs.first?.mtu.map(String.init) ?? "–",
                reference.map { (rates.median / $0).text(2) } ?? "–",
            ])
        }
        var parts: [Report.Part] = [
            .commands(["Benchmarks/fetch-wireguard-go", output.command("tunnel")]),
            .text(
                """
                One TCP stream of iperf3 (`iperf3 --client 10.2.0.2 --time \(seconds)`) from the left host over both \
                gateways and the router to the right host, all on this machine: every part shares its processors. \
                Medians of \(rounds) runs, the kinds in turn. Cygnet and strongSwan use AES-256-GCM; wireguard-go has \
                ChaCha20-Poly1305. Processor seconds are those of both daemons, user and system, for 10⁹ octets \
                delivered. Each run has namespaces of its own; before it, with nothing started, the right host cannot be \
                reached; after it, the counters of the tunnel device at both ends have to hold all octets delivered.
                """),
            .table(rows),
        ]
        if !variants.contains(.wireGuard) {
            parts.append(.text("wireguard-go took no part: Benchmarks/fetch-wireguard-go has not fetched it."))
        }
        return Report(title: "TCP through the tunnel", parts: parts)
    }
}
