import ArgumentParser
import Foundation
import Lab

struct EnduranceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endurance",
        abstract:
            "Load two gateways for a long time while keys, configuration and peers change, and look for what is amiss.",
        discussion: """
            TCP and UDP both ways, a child SA rekeyed all the time, reloads, guests coming and going. Fails if memory grows, if a \
            packet is not accounted for, or if datagrams of one sender arrive in another order. Needs iperf3 and the cygnet program \
            beside this one.
            """)

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Minutes of load.")
    var minutes = 10

    @Option(name: .long, help: "Seconds after which the child SA is replaced.")
    var rekeySeconds = 1

    @Flag(name: .long, help: "Without offloads of the kernel.")
    var withoutOffloads = false

    @Flag(name: .long, help: "With libcrypto's ciphers alone.")
    var withoutIpsecMB = false

    @Option(name: .long, help: "Pairs of threads in each data plane; as many as suit the machine if left out.")
    var workers: Int?

    func validate() throws {
        guard minutes > 0, rekeySeconds > 0, (1...64).contains(workers ?? 1) else {
            throw ValidationError("There has to be time for it.")
        }
    }

    private var dataplane: DataplaneChoice {
        DataplaneChoice(
            offloads: withoutOffloads ? [] : Set(DataplaneChoice.Offload.allCases),
            ciphers: withoutIpsecMB ? .libcrypto : .automatic, workers: workers)
    }

    private var arguments: [String] {
        ["endurance", "--minutes", "\(minutes)", "--rekey-seconds", "\(rekeySeconds)"]
            + (withoutOffloads ? ["--without-offloads"] : []) + (withoutIpsecMB ? ["--without-ipsec-mb"] : [])
            + (workers.map { ["--workers", "\($0)"] } ?? [])
    }

    func run() async throws {
        let missing = Prerequisites.missing(of: Prerequisites.demo + ["iperf3"])
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        try await output.printIsolated(arguments) {
            tellProgress("endurance: \(minutes) min of load")
            let figures = try await Endurance(
                seconds: minutes * 60, rekeySeconds: rekeySeconds, dataplane: dataplane
            ).run()
            let failures = figures.failures(seconds: minutes * 60, rekeySeconds: rekeySeconds)
            let report = report(figures, failures)
            guard failures.isEmpty else {
                output.print(report)
                throw LabError("endurance: \(failures.joined(separator: "; "))")
            }
            return report
        }
    }

    private func report(_ figures: Endurance.Figures, _ failures: [String]) -> Report {
        var memory = [["Resident MB, medians of quarters", "First", "Second", "Third", "Last", "Highest"]]
        var passages = [
            ["ESP from", "Sent", "Delivered", "Dropped by the daemon", "Not seen by it", "Of which counters"]
        ]
        var loads = [["Load from", "TCP Gbit/s", "UDP sent", "Received", "Overtaken", "Twice"]]
        for side in Side.allCases {
            let samples = figures.memory[side] ?? []
            memory.append(
                ["\(side) daemon"] + Endurance.Figures.quarters(samples).map { $0.text(1) } + [
                    (samples.max() ?? 0).text(1)
                ])
            let passage = figures.passages[side] ?? .init()
            let drops = passage.drops.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            passages.append([
                "\(side)", "\(passage.sent)", "\(passage.delivered)", "\(passage.dropped)", "\(passage.missing)",
                drops.isEmpty ? "–" : drops.joined(separator: ", "),
            ])
            guard let stream = figures.streams[side], let datagrams = figures.datagrams[side] else { continue }
            loads.append([
                "\(side)", (stream.bitsPerSecond / 1e9).text(2), "\(datagrams.sent)", "\(datagrams.received)",
                "\(datagrams.reordered)", "\(datagrams.duplicated)",
            ])
        }
        return Report(
            title: "Endurance",
            parts: [
                .commands([output.command(arguments.joined(separator: " "))]),
                .text(
                    """
                    \(minutes) min of TCP both ways as fast as it goes and UDP both ways at a steady rate through one tunnel. \
                    Meanwhile \(figures.childRekeys) rekeys of the child SA, \(figures.ikeRekeys) of the IKE SA, \
                    \(figures.reloads) reloads of each daemon, \(figures.guestsUp) connections of others brought up and down \
                    (\(figures.guestsRefused) did not come up). The kernel dropped \(figures.overflowed) packets between the \
                    gateways.
                    """),
                .table(loads), .table(passages), .table(memory),
                .text(failures.isEmpty ? "Nothing amiss." : "Amiss: " + failures.joined(separator: "; ") + "."),
            ])
    }
}
