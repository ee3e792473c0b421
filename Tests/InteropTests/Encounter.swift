import IPPacket
import Lab
import Testing

/// Cygnet at one gateway and strongSwan at the other, with a capture at the router between them.
struct Encounter: Sendable {
    let laboratory: Laboratory
    let topology: Topology
    let plan: TunnelPlan
    /// Where Cygnet is; left initiates.
    let side: Side
    let cygnet: CygnetDaemon
    let strongSwan: StrongSwan
    let capture: Capture

    init(
        in laboratory: Laboratory, _ plan: TunnelPlan, cygnetAt side: Side, extraLines: [String] = [],
        savingKeys: Bool = false, start: String = "none"
    ) async throws {
        // The directory has the name under which Wireshark's programs look for it.
        let arguments = savingKeys ? ["--save-keys", "\(laboratory.directory)/wireshark"] : []
        self.laboratory = laboratory
        self.plan = plan
        self.side = side
        topology = try await Topology(in: laboratory, isNATed: plan.isNATed)
        capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
        strongSwan = try await StrongSwan(at: side.other, of: topology)
        if plan.authentication == .preSharedKey {
            try await strongSwan.load(plan, side.other)
            cygnet = try CygnetDaemon(
                at: side, of: topology, plan: plan, start: start, extraLines: extraLines, arguments: arguments)
        } else {
            let pki = try await PKI(in: laboratory)
            let ours = try await pki.issue(TunnelPlan.identity(side), plan.authentication)
            let theirs = try await pki.issue(TunnelPlan.identity(side.other), plan.authentication)
            try await strongSwan.load(plan, side.other, certificate: theirs, authority: pki.authority)
            cygnet = try CygnetDaemon(
                at: side, of: topology, plan: plan, certificate: ours, authority: pki.authority, start: start,
                extraLines: extraLines, arguments: arguments)
        }
        try await cygnet.start()
    }

    /// Makes a laboratory for a meeting, removes it afterwards, and adds both daemons' logs to what goes wrong.
    static func run(
        _ plan: TunnelPlan, cygnetAt side: Side, extraLines: [String] = [], savingKeys: Bool = false,
        start: String = "none", _ body: @Sendable (Encounter) async throws -> Void
    ) async throws {
        try Interoperability.requirePeers()
        try await Laboratory.with { laboratory in
            let encounter = try await Encounter(
                in: laboratory, plan, cygnetAt: side, extraLines: extraLines, savingKeys: savingKeys, start: start)
            do {
                try await body(encounter)
            } catch {
                throw LabError(
                    "\(error)\n--- explain\n\((try? await encounter.cygnet.explain()) ?? "no answer")\n"
                        + "--- cygnet\n\(encounter.cygnet.log.suffix(4000))\n"
                        + "--- strongSwan\n\(encounter.strongSwan.log.suffix(4000))")
            }
        }
        #expect(Laboratory.leftovers().isEmpty)
    }

    /// Brings the tunnel up from the left, by whichever daemon is there.
    func initiate() async throws {
        let result = side == .left ? try await cygnet.up() : try await strongSwan.initiate()
        try result.orThrow()
    }

    /// Pings from the left host to the right one.
    func ping(count: Int = 10, interval: Duration = .milliseconds(10)) async throws -> PingResult {
        try await Ping.run(
            from: topology.host(.left), to: Topology.hostAddress(.right, plan.inner), count: count, interval: interval)
    }

    /// Waits until a condition holds, asking ten times a second; says what was waited for if it does not.
    func wait(for what: String, atMost seconds: Int = 10, _ condition: @Sendable () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw LabError("\(what) did not happen within \(seconds) s") }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
