import IPPacket
import Lab
import Synchronization
import Testing

/// Cygnet at one gateway and a modern peer in the other's place, with a capture at the router between them.
struct Meeting: Sendable {
    let laboratory: Laboratory
    let topology: Topology
    let plan: TunnelPlan
    /// Where Cygnet is; left initiates.
    let side: Side
    let cygnet: CygnetDaemon
    let peer: any Peer
    let capture: Capture
    let entry: MatrixEntry
    let pki: PKI
    /// What Cygnet and the peer prove themselves by, if by certificates.
    let credentials: (cygnet: PKI.Credentials?, peer: PKI.Credentials?)

    private init(_ row: GuestRow, in laboratory: Laboratory, entry: MatrixEntry) async throws {
        self.laboratory = laboratory
        self.entry = entry
        plan = row.plan
        side = row.side
        topology = try await Topology(in: laboratory, isNATed: plan.isNATed)
        capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
        peer = try await row.peer.start(at: side.other, of: topology)
        pki = try await PKI(in: laboratory)
        let ours = try await pki.credentials(for: side, of: plan)
        credentials = (ours, try await pki.credentials(for: side.other, of: plan))
        try await peer.load(plan, side.other, credentials: credentials.peer)
        cygnet = try CygnetDaemon(
            at: side, of: topology, plan: plan, certificate: ours?.issued, authority: ours?.authority,
            extraLines: row.cygnetLines)
        try await cygnet.start()
    }

    /// Holds a row's meeting and removes all of it afterwards; both daemons' logs go with what went wrong.
    static func hold(_ row: GuestRow, entry: MatrixEntry) async throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability)
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        if let absence = await row.peer.absence() {
            entry.note(peer: "left out: \(absence)")
            print("LEFT OUT: \(absence)")
            return
        }
        try await Laboratory.with { laboratory in
            let meeting = try await Meeting(row, in: laboratory, entry: entry)
            do {
                try await row.body(meeting)
            } catch {
                throw LabError(
                    "\(error)\n--- explain\n\((try? await meeting.cygnet.explain()) ?? "no answer")\n"
                        + "--- cygnet\n\(meeting.cygnet.log.suffix(4000))\n"
                        + "--- \(row.peer.rawValue)\n\(meeting.peer.log.suffix(6000))")
            }
        }
        #expect(Laboratory.leftovers().isEmpty)
    }

    /// Brings the tunnel up from the left.
    func bringUp() async throws {
        try (side == .left ? try await cygnet.up() : try await peer.initiate()).orThrow()
    }

    /// Brings the tunnel up from the left, and has both ends say what they agreed on.
    func initiate() async throws {
        try await bringUp()
        let report = try await settledReport()
        // Short lifetimes may have begun to replace them.
        if plan.childRekeySeconds.isEmpty && plan.ikeRekeySeconds.isEmpty {
            expect(report.ikeSAs.count == 1, "\(report.ikeSAs)")
            expect(report.inbound.count == 1 && report.outbound.count == 1, "\(report.esp)")
        }
        let ours = try #require(try await cygnet.status().connection)
        let ikeSuite = try #require(ours.securityAssociations.first?.suite)
        let child = try #require(ours.children.first?.securityAssociations.first)
        expect(ours.isUp)
        expect(plan.encryption.isNamed(in: ikeSuite), "\(ikeSuite)")
        expect(plan.keyExchange.isNamed(in: ikeSuite), "\(ikeSuite)")
        expect(plan.encryption.isNamed(in: child.suite), "\(child.suite)")
        entry.note(cygnet: "\(child.suite), \(ikeSuite)")
        let theirs = report.esp.first
        entry.note(
            peer: "\(theirs?.protection ?? "–")\(theirs?.hasESN == true ? " ESN" : ""), \(report.ikeSAs.first ?? "–")")
    }

    /// The peer's report; the initiator may be done while the responder still puts its SAs into the kernel.
    func settledReport() async throws -> PeerReport {
        let report = Mutex(PeerReport?.none)
        try await wait(for: "SAs at the peer", atMost: 5) {
            let found = try await peer.report()
            report.withLock { $0 = found }
            return !found.ikeSAs.isEmpty && !found.inbound.isEmpty && !found.outbound.isEmpty
        }
        return try #require(report.withLock { $0 })
    }

    /// Pings from a side's host to the other's.
    func ping(from side: Side = .left, count: Int = 10, interval: Duration = .milliseconds(10), size: Int = 56)
        async throws -> PingResult
    {
        try await Ping.run(
            from: topology.host(side), to: Topology.hostAddress(side.other, plan.inner), count: count,
            interval: interval, size: size, patience: .seconds(5))
    }

    /// Brings the tunnel up, pings both ways, and holds both ends' counters and the capture against the plan.
    /// - Returns: What the router saw.
    @discardableResult
    func carryPackets() async throws -> CaptureSummary {
        try await initiate()
        for side in Side.allCases {
            let ping = try await ping(from: side)
            expect(ping.lost == 0, "\(ping.lost) of \(ping.sent) from the \(side) are lost")
        }
        return try await checkPackets(atLeast: 20)
    }

    /// Holds both ends' counters and the capture against the plan.
    @discardableResult
    func checkPackets(atLeast count: Int) async throws -> CaptureSummary {
        let report = try await peer.report()
        let (theirsIn, theirsOut) = (
            report.inbound.map(\.packets).max() ?? 0, report.outbound.map(\.packets).max() ?? 0
        )
        let ours = try #require(try await cygnet.status().childSAs.first)
        entry.note(packets: "\(ours.packetsIn) in \(ours.packetsOut) out / \(theirsIn) in \(theirsOut) out")
        expect(min(theirsIn, theirsOut, ours.packetsIn, ours.packetsOut) >= count)
        expect(ours.drops.values.allSatisfy { $0 == 0 }, "\(ours.drops)")
        for association in report.esp {
            expect([plan.encryption.kernelReport, plan.encryption.strongSwanReport].contains(association.protection))
            if let hasESN = plan.hasESN { expect(association.hasESN == hasESN) }
        }
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
        // What libipsec sends is always in UDP.
        let isInUDP = plan.isUDPEncapsulated || plan.isNATed || !(peer.quarters is Guest)
        expect(report.esp.allSatisfy { $0.isUDPEncapsulated == isInUDP })
        expect(summary.count(isInUDP ? .espInUDP : .esp) >= 2 * count, "\(summary.description)")
        expect(summary.count(isInUDP ? .esp : .espInUDP) == 0, "\(summary.description)")
        return summary
    }

    /// Waits until a condition holds, asking ten times a second; says what was waited for if it does not.
    func wait(for what: String, atMost seconds: Int = 10, _ condition: @Sendable () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw LabError("\(what) did not happen within \(seconds) s") }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Like `#expect`, and the table knows of it too.
    func expect(
        _ condition: Bool, _ comment: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard !condition else { return }
        entry.noteFailure()
        Issue.record("\(comment())", sourceLocation: sourceLocation)
    }
}
