import ArgumentParser
import Foundation
import Octets
import Simulation

@main
struct Soak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cygnet-soak",
        abstract: "Runs simulated gateways for hours of the processor and years of their own, and under bad packets.",
        discussion:
            "Every run follows from its seed. What fails is printed with its kind and seed, which --first repeats.")

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case packets, datagrams, collisions, breadth, depth, star, long
    }

    @Option(
        help: "Which kinds of run: \(Kind.allCases.map(\.rawValue).joined(separator: ", ")). All, if none is named.")
    var kind: [Kind] = []

    @Option(help: "Bad ESP packets to open.")
    var packets = 100_000_000

    @Option(help: "Bad IKE datagrams to take in.")
    var datagrams = 10_000_000

    @Option(help: "Exchanges to make with the rehearsed key exchange.")
    var exchanges = 1_000_000

    @Option(help: "Runs with real algorithms.")
    var runs = 10_000

    @Option(help: "Orders of crossing exchanges to go through for each set of exchanges.")
    var orders = 40

    @Option(help: "Exchanges that cross, at most.")
    var crossing = 4

    @Option(help: "Virtual hours of one pair.")
    var hours = 100_000

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Minutes after which no further run is begun.")
    var minutes = 60.0

    @Option(help: "Threads to keep busy.")
    var threads = 2

    func run() async throws {
        let ledger = Ledger(limit: .seconds(minutes * 60))
        let kinds = Set(kind.isEmpty ? Kind.allCases : kind)
        // What is measured by its memory runs alone.
        if kinds.contains(.packets) { try await badPackets(ledger) }
        if kinds.contains(.datagrams) { await badDatagrams(ledger) }
        // The long run is one thing after the other, so it has a thread of its own.
        await withTaskGroup(of: Void.self) { group in
            if kinds.contains(.long) { group.addTask { await longRun(ledger) } }
            let others = kinds.contains(.long) && kinds.count > 1 ? max(1, threads - 1) : threads
            for _ in 0..<(kinds == [.long] ? 0 : others) {
                group.addTask {
                    if kinds.contains(.star) { await stars(ledger) }
                    if kinds.contains(.breadth) { await breadth(ledger) }
                    if kinds.contains(.depth) { await depth(ledger) }
                    if kinds.contains(.collisions) { await collisions(ledger) }
                }
            }
        }
        await demandAll(of: kinds, ledger)
        await ledger.report(isFinal: true)
        if await ledger.hasFailures { throw ExitCode.failure }
    }

    // MARK: Bad packets

    /// Memory that may be more after a run than when a tenth of it was over: what the allocator keeps.
    private static let tolerance = 4 << 20

    private func badPackets(_ ledger: Ledger) async throws {
        var run = BadPackets(seed: first)
        var memory = Memory()
        let total = packets
        try run.run(count: total) { run in
            memory.note(run.sent, of: total)
            return ContinuousClock.now >= ledger.end
        }
        var failures = memory.grown > Self.tolerance ? ["\(memory)"] : []
        let dropped = run.drops.values.reduce(0, +)
        if dropped != run.sent { failures.append("\(run.sent - dropped) bad packets have passed") }
        if run.arrived != run.good { failures.append("\(run.good - run.arrived) good packets were dropped") }
        let drops = run.drops.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        print("packets: \(run.sent) bad ESP packets dropped (\(drops)), \(run.good) good ones passed; \(memory)")
        await ledger.enter(.packets, runs: run.sent, exchanges: 0, failures: failures)
    }

    private func badDatagrams(_ ledger: Ledger) async {
        var run = await BadDatagrams(seed: first)
        var memory = Memory()
        while run.sent < datagrams, ContinuousClock.now < ledger.end {
            await run.run(count: min(datagrams - run.sent, max(1, datagrams / 100)))
            memory.note(run.sent, of: datagrams)
        }
        var failures = memory.grown > Self.tolerance ? ["\(memory)"] : []
        if run.pair.right.status("site")?.state != .up { failures.append("the tunnel is down") }
        print(
            "datagrams: \(run.sent) bad IKE datagrams, \(run.answers) answers, at most \(run.mostSAs) IKE SAs; \(memory)"
        )
        await ledger.enter(.datagrams, runs: run.sent, exchanges: 0, failures: failures)
    }

    /// What the time was too short for counts as a failure: a soak that has done less has shown less.
    private func demandAll(of kinds: Set<Kind>, _ ledger: Ledger) async {
        let goals: [(Kind, done: Int, goal: Int, what: String)] = [
            (.breadth, await ledger.exchanges(.breadth), exchanges, "exchanges"),
            (.depth, await ledger.runs(.depth), runs, "runs"),
            (.collisions, await ledger.begun(.collisions), CollisionExplorer.sets(upTo: crossing).count, "sets"),
        ]
        for (kind, done, goal, what) in goals where kinds.contains(kind) && done < goal {
            await ledger.enter(
                kind, runs: 0, exchanges: 0, failures: ["the time was over after \(done) of \(goal) \(what)"])
        }
    }

    // MARK: Kinds

    private func collisions(_ ledger: Ledger) async {
        let sets = CollisionExplorer.sets(upTo: crossing)
        while let number = await ledger.take(.collisions, below: UInt64(sets.count)) {
            let set = sets[Int(number)]
            for losses in 0...1 {
                var explorer = CollisionExplorer(left: set.left, right: set.right, seed: first + number, losses: losses)
                await explorer.explore(atMost: orders)
                await ledger.enter(
                    .collisions, runs: explorer.runs, exchanges: explorer.exchanges,
                    failures: explorer.failures.map {
                        "left \(set.left), right \(set.right), seed \(explorer.seed), losses \(losses), choices \($0.choices): "
                            + "\($0.complaints.prefix(4))\n  " + $0.trace.suffix(60).joined(separator: "\n  ")
                    })
            }
        }
    }

    private func breadth(_ ledger: Ledger) async {
        while await ledger.exchanges(.breadth) < exchanges, let number = await ledger.take(.breadth, below: .max) {
            await pair(.breadth, first + number, isRehearsed: true, ledger)
        }
    }

    private func depth(_ ledger: Ledger) async {
        while let number = await ledger.take(.depth, below: UInt64(runs)) {
            await pair(.depth, first + number, isRehearsed: false, ledger)
        }
    }

    private func pair(_ kind: Kind, _ seed: UInt64, isRehearsed: Bool, _ ledger: Ledger) async {
        let all: [RandomRun.Blows] = [
            [], .loss, [.loss, .kill], [.loss, .rebinding], [.loss, .clocks], [.exhaustion], [.loss, .moving],
            [.loss, .kill, .clocks, .exhaustion],
        ]
        var run = RandomRun(seed: seed, all[Int(seed % UInt64(all.count))], isRehearsed: isRehearsed)
        await run.run()
        await ledger.enter(
            kind, runs: 1, exchanges: run.exchanges,
            failures: run.complaints.isEmpty
                ? [] : ["seed \(seed): \(run.complaints.prefix(4).joined(separator: "; "))"])
    }

    private func stars(_ ledger: Ledger) async {
        while let number = await ledger.take(.star, below: 20) {
            var run = StarRun(seed: first + number, peers: 6 + Int(number) * 2)
            await run.run()
            await ledger.enter(
                .star, runs: 1, exchanges: run.exchanges,
                failures: run.complaints.isEmpty
                    ? [] : ["seed \(run.seed): \(run.complaints.prefix(4).joined(separator: "; "))"])
        }
    }

    private func longRun(_ ledger: Ledger) async {
        var run = LongRun(seed: first)
        let end = ledger.end
        let begun = ContinuousClock.now
        var told = begun
        await run.run(hours: hours) { run in
            if ContinuousClock.now - told > .seconds(60) {
                told = .now
                say("long: \(run.summary)")
            }
            return ContinuousClock.now < end
        }
        say("long: \(run.summary), in \(Int((ContinuousClock.now - begun).inSeconds)) s")
        await ledger.enter(
            .long, runs: 1, exchanges: run.exchanges,
            failures: run.complaints.isEmpty
                ? [] : ["seed \(run.seed): \(run.complaints.prefix(4).joined(separator: "; "))"])
        if run.hours < hours, run.complaints.isEmpty {
            await ledger.enter(
                .long, runs: 0, exchanges: 0, failures: ["the time was over after \(run.hours) of \(hours) hours"])
        }
    }
}

/// What this process has of memory, once a tenth of a run is over and its tables have grown to their bounds.
private struct Memory: CustomStringConvertible {
    private var begin: Int?
    private var end = 0

    mutating func note(_ done: Int, of total: Int) {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        end = fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
        if begin == nil, done >= total / 10 { begin = end }
    }

    var grown: Int { end - (begin ?? 0) }
    var description: String { "\(end / 1024) KiB of memory, \(grown / 1024) KiB more than after a tenth" }
}

/// What all threads have done.
actor Ledger {
    let end: ContinuousClock.Instant
    private let begun = ContinuousClock.now
    private var told = ContinuousClock.now
    private var taken: [Soak.Kind: UInt64] = [:]
    private var runs: [Soak.Kind: Int] = [:]
    private var exchanges: [Soak.Kind: Int] = [:]
    private var failures: [Soak.Kind: Int] = [:]

    init(limit: Duration) { end = .now + limit }

    /// The next number of a kind, until there are no more or the time is over.
    func take(_ kind: Soak.Kind, below limit: UInt64) -> UInt64? {
        let number = taken[kind, default: 0]
        guard number < limit, ContinuousClock.now < end else { return nil }
        taken[kind] = number + 1
        return number
    }

    func exchanges(_ kind: Soak.Kind) -> Int { exchanges[kind, default: 0] }
    func runs(_ kind: Soak.Kind) -> Int { runs[kind, default: 0] }
    func begun(_ kind: Soak.Kind) -> Int { Int(taken[kind, default: 0]) }

    func enter(_ kind: Soak.Kind, runs: Int, exchanges: Int, failures: [String]) {
        self.runs[kind, default: 0] += runs
        self.exchanges[kind, default: 0] += exchanges
        self.failures[kind, default: 0] += failures.count
        for failure in failures { say("FAILED \(kind.rawValue): \(failure)") }
        if ContinuousClock.now - told > .seconds(30) { report(isFinal: false) }
    }

    var hasFailures: Bool { failures.values.contains { $0 > 0 } }

    func report(isFinal: Bool) {
        told = .now
        let seconds = Int((told - begun).inSeconds)
        for kind in Soak.Kind.allCases where runs[kind] != nil {
            say(
                "\(isFinal ? "total" : "so far"), \(seconds) s: \(kind.rawValue): \(runs[kind] ?? 0) runs, "
                    + "\(exchanges[kind] ?? 0) exchanges, \(failures[kind] ?? 0) failures")
        }
    }
}

extension LongRun {
    var summary: String {
        "\(hours) hours, \(exchanges) exchanges, \(tally.ikeRekeys) IKE and \(tally.childRekeys) child rekeys, "
            + "\(tally.deadPeers) peers taken for dead, \(outages) outages of \(Int(timeOut.inSeconds)) s altogether"
    }
}

/// Writes a line at once, whoever reads it.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
