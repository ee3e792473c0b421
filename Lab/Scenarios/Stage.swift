import Foundation
import IPPacket
import Synchronization

/// What a scenario plays on: both gateways, ready and not yet connected, and a capture at the router between them.
package final class Stage: Sendable {
    let laboratory: Laboratory
    let topology: Topology
    let setting: Scenario.Setting
    /// Cygnet at the left, which initiates.
    let left: CygnetDaemon
    let right: ScenarioGateway
    private let capture: Capture
    private let narrator: Narrator
    private struct Record {
        var facts: [ScenarioFact] = []
        var messages: [DecodedMessage]?
    }
    private let record = Mutex(Record())

    init(_ setting: Scenario.Setting, in laboratory: Laboratory, narrator: Narrator) async throws {
        self.laboratory = laboratory
        self.setting = setting
        self.narrator = narrator
        let plan = setting.plan
        topology = try await Topology(in: laboratory, isNATed: plan.isNATed)
        capture = try await Capture(in: topology.router, file: "\(laboratory.directory)/router.pcap")
        let pki = plan.authentication == .preSharedKey ? nil : try await PKI(in: laboratory)
        right = try await ScenarioGateway.start(setting, of: topology, pki: pki)
        let credentials = try await pki?.credentials(for: .left, of: plan)
        left = try CygnetDaemon(
            at: .left, of: topology, plan: plan, certificate: credentials?.issued, authority: credentials?.authority,
            alternatives: try await pki?.alternatives(for: .left, of: plan) ?? [],
            extraLines: setting.lines[.left] ?? [], dataplane: setting.dataplane,
            arguments: ["--save-keys", Self.keys(in: laboratory)])
        try await left.start()
    }

    /// The directory has the name under which Wireshark's programs look for it.
    private static func keys(in laboratory: Laboratory) -> String { "\(laboratory.directory)/wireshark" }

    // MARK: What happens

    func say(_ text: String) { narrator.say(text) }

    /// Brings the tunnel up from the left, telling what the daemon tells meanwhile.
    func bringUp() async throws {
        say("cygnet up \(TunnelPlan.connection):")
        let result = try await left.up()
        narrator.say(indented: try await left.explain())
        guard result.status.isSuccess else { throw LabError(result.complaint) }
    }

    /// Replaces the keys of the IKE SA, by the end that is named, and returns when it is replaced.
    func rekeyIKE(by side: Side) async throws {
        let old = try await left.status().connection?.securityAssociations.first?.initiatorSPI
        say("The \(side.rawValue) end replaces the IKE SA.")
        try await gateway(side).rekeyIKE()
        try await wait(for: "a new IKE SA") {
            let present = try await self.left.status().connection?.securityAssociations ?? []
            return present.count == 1 && present.first?.initiatorSPI != old
        }
    }

    /// Replaces the keys of the child, by the end that is named, and returns when it is replaced.
    func rekeyChild(by side: Side) async throws {
        let old = try await left.status().childSAs.first?.inboundSPI
        say("The \(side.rawValue) end replaces the child SA.")
        try await gateway(side).rekeyChild()
        try await wait(for: "a new child SA") {
            let present = try await self.left.status().childSAs
            return present.count == 1 && present.first?.inboundSPI != old
        }
    }

    private func gateway(_ side: Side) -> ScenarioGateway { side == .left ? .cygnet(left) : right }

    /// Waits until a condition holds, asking ten times a second; says what was waited for if it does not.
    func wait(for what: String, atMost seconds: Int = 10, _ condition: @Sendable () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw LabError("\(what) did not come within \(seconds) s") }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    // MARK: What must be true

    /// Notes whether something holds, and goes on if not.
    func check(_ fact: String, _ holds: Bool) {
        record.withLock { $0.facts.append(ScenarioFact(text: fact, holds: holds)) }
        narrator.say("\(holds ? "[holds]" : "[FAILS]") \(fact)")
    }

    /// Pings from the left host to the right one.
    ///
    /// - Parameters:
    ///   - size: octets of payload.
    ///   - trafficClass: TOS or traffic class of the packets, with the DSCP in the high six bits.
    func checkPings(_ occasion: String, count: Int = 5, size: Int = 56, trafficClass: Int = 0) async throws {
        let result = try await Ping.run(
            from: topology.host(.left), to: Topology.hostAddress(.right, setting.plan.inner), count: count,
            interval: .milliseconds(20), size: size, trafficClass: trafficClass)
        check("\(occasion), \(result.sent) of \(result.sent) pings are answered", result.lost == 0)
    }

    /// Ends the recording, decodes it, and shows the exchanges with their sizes. Later calls return the same.
    func messages() async throws -> [DecodedMessage] {
        if let messages = record.withLock({ $0.messages }) { return messages }
        let summary = try await capture.stop(protected: TunnelPlan.protectedNetworks)
        let messages = try await DecodedMessage.read(summary.file, keys: Self.keys(in: laboratory))
        say("What the router saw, decoded with the keys of the left gateway:")
        narrator.say(indented: messages.filter { $0.exchange != nil }.map(\.line).joined(separator: "\n"))
        let esp = messages.filter { $0.exchange == nil }
        narrator.say(indented: "\(esp.count) ESP packets, \(esp.map(\.length).reduce(0, +)) octets")
        check("nothing of the two networks passed in clear", summary.isOnlyProtected)
        check("no message is malformed", messages.allSatisfy { $0.faults?.isEmpty ?? true })
        if let complaint = try await tsharkComplaint(summary.file) {
            check("tshark finds nothing malformed\(complaint.isEmpty ? "" : ": \(complaint)")", complaint.isEmpty)
        }
        record.withLock { $0.messages = messages }
        return messages
    }

    /// The frames that tshark calls malformed; `nil` where there is no tshark, or none that could know. It takes one row of keys for each pair of SPIs, so
    /// that it cannot open the exchanges after which there are others.
    private func tsharkComplaint(_ file: String) async throws -> String? {
        guard setting.isReadByTshark, Program.locate("tshark") != nil else { return nil }
        var environment = Command.environment
        environment["XDG_CONFIG_HOME"] = laboratory.directory
        let filter = "_ws.malformed || _ws.expert.severity == \"Error\""
        return try await Command.run(
            ["tshark", "-n", "-r", file, "-Y", "(isakmp.exchangetype <= 37 || esp) && (\(filter))"],
            environment: environment, timeout: .seconds(60)
        ).orThrow().output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    var facts: [ScenarioFact] { record.withLock { $0.facts } }
}

/// Where a scenario tells what happens.
package struct Narrator: Sendable {
    private let write: @Sendable (String) -> Void

    /// - Parameter write: takes lines, without the last line's end.
    package init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// Tells nobody.
    package static let silent = Narrator { _ in }

    func say(_ text: String) { write(text) }

    /// Leaves a line free.
    package func separate() { write("") }

    func say(indented text: String) {
        for line in text.split(separator: "\n") { write("    \(line)") }
    }
}
