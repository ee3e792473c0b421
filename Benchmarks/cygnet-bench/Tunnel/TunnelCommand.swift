import ArgumentParser
import Foundation
import Lab

struct TunnelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "Send TCP, UDP and pings through tunnels of several makes, in the demo's topology.",
        discussion: """
            Needs iperf3, strongSwan and the cygnet program beside this one; wireguard-go takes part if \
            Benchmarks/fetch-wireguard-go has fetched it.

            Measures: \(Measure.all.map(\.name).joined(separator: ", ")).
            Carriers: \(Carrier.Program.allCases.map(\.rawValue).joined(separator: ", ")).
            """)

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "A measure that takes part; all do if none is named. May be repeated.")
    var measure: [String] = []

    @Option(name: .long, help: "What carries; all do if none is named. May be repeated.")
    var carrier: [Carrier.Program] = []

    @Option(name: .long, help: "Runs of each kind, one kind after the other; the median counts.")
    var rounds = 3

    @Option(name: .long, help: "Seconds of a transfer.")
    var seconds = 5

    @Flag(name: .long, help: "One short round, to see that everything works; its figures are worth nothing.")
    var quick = false

    func validate() throws {
        guard rounds > 0, seconds > 0 else { throw ValidationError("There has to be a run, and time for it.") }
        let names = Measure.all.map(\.name)
        for name in measure where !names.contains(name) {
            throw ValidationError("There is no measure \(name), but \(names.joined(separator: ", ")).")
        }
    }

    private var arguments: [String] {
        let picked = measure.flatMap { ["--measure", $0] } + carrier.flatMap { ["--carrier", $0.rawValue] }
        if quick { return ["tunnel"] + picked + ["--quick"] }
        return ["tunnel"] + picked + ["--rounds", "\(rounds)", "--seconds", "\(seconds)"]
    }

    func run() async throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability + ["iperf3"])
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        try await output.printIsolated(arguments, report)
    }

    private func report() async throws -> Report {
        let length = quick ? .quick : RunLength.usual(seconds: seconds)
        let rounds = quick ? 1 : rounds
        var series = try await pickedSeries()
        for round in 1...rounds {
            for index in series.indices {
                for carrier in series[index].carriers {
                    tellProgress("tunnel: \(series[index].measure.title): \(carrier.name), run \(round) of \(rounds)")
                    do {
                        let figures = try await carrier.measure(series[index].measure.workload, length)
                        series[index].runs[carrier, default: []].append(figures)
                    } catch {
                        // One run that fails is told of, and does not cost all others.
                        tellProgress("failed: \(error)")
                        series[index].failures.append("\(carrier.name): \(error)")
                    }
                }
            }
        }
        return TunnelReport(series: series, command: arguments.joined(separator: " "), length: length, rounds: rounds)
            .report(output)
    }

    private func pickedSeries() async throws -> [MeasureSeries] {
        var series: [MeasureSeries] = []
        for found in Measure.all where measure.isEmpty || measure.contains(found.name) {
            var next = MeasureSeries(measure: found)
            for candidate in found.carriers where carrier.isEmpty || carrier.contains(candidate.program) {
                // It takes minutes until so many are up.
                if quick, let connections = candidate.connections, connections > 1000 { continue }
                if try await candidate.isThere {
                    next.carriers.append(candidate)
                } else {
                    next.absent.append(candidate)
                }
            }
            if !next.carriers.isEmpty { series.append(next) }
        }
        guard !series.isEmpty else { throw LabError("nothing that was named can take part") }
        return series
    }
}

extension Carrier.Program: ExpressibleByArgument {}

/// All runs of one measure.
struct MeasureSeries {
    let measure: Measure
    var carriers: [Carrier] = []
    /// Those that this machine or this build has not.
    var absent: [Carrier] = []
    var runs: [Carrier: [TunnelFigures]] = [:]
    var failures: [String] = []

    func values(_ carrier: Carrier, _ quantity: Quantity) -> [Double] {
        (runs[carrier] ?? []).compactMap { $0[quantity] }
    }

    func summary(_ carrier: Carrier, _ quantity: Quantity) -> Double? { quantity.summary(values(carrier, quantity)) }
}
