import ArgumentParser
import Foundation
import Gateway
import Synchronization

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show connections and their security associations.",
        discussion:
            "Exit status: 0 every connection with `start: boot` is up, 2 one is not, 4 no daemon, 5 not permitted.")

    @OptionGroup var control: ControlOptions
    @Flag(help: "Print JSON.") var json = false
    @Flag(help: "Print anew again and again, until interrupted, with rates of the data plane.") var watch = false
    @Flag(help: "Show the data plane instead: workers, queues, what of the kernel's it uses.") var dataplane = false
    @Option(help: "Seconds between two prints with --watch.") var interval = 1.0

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else { throw ValidationError("--interval must be 0.1 to 3600 seconds") }
    }

    func run() async throws {
        let command = ControlRequest(watch ? .watch : .status, seconds: watch ? interval : nil)
        let last = Mutex<TrafficReport?>(nil)
        let reply = try await control.perform(command) { [self] reply in
            guard let status = reply.status else { return }
            let before = last.withLock { last in
                defer { last = status.dataplane }
                return last
            }
            show(status, since: before)
        }
        guard reply.outcome == .success else { throw reply.outcome.exitCode }
    }

    /// - Parameter before: what was shown last.
    private func show(_ status: GatewayStatus, since before: TrafficReport?) {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = watch ? [.sortedKeys] : [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            if let text = try? encoder.encode(status) { print(String(decoding: text, as: UTF8.self)) }
        } else {
            if watch, Terminal.isInteractive { Terminal.clear() }
            if !dataplane { for line in StatusTable(status).lines { print(line) } }
            if watch, !dataplane { print() }
            if watch || dataplane {
                for line in DataplaneTable(status.dataplane, since: before).lines { print(line) }
            }
        }
        Terminal.flush()
    }
}

/// The status as tables for a person.
struct StatusTable {
    let lines: [String]

    init(_ status: GatewayStatus) {
        var lines = [
            "cygnet \(status.version), up \(Self.time(status.uptime)), configuration \(status.configuration), log level \(status.logLevel)"
        ]
        for warning in status.warnings { lines.append("warning: \(warning)") }
        lines.append("")
        if status.connections.isEmpty { lines.append("no connections") }
        let rows = status.connections.flatMap { connection in
            let peers = connection.securityAssociations.filter { $0.instance != nil }
            return [Self.row(connection, peers.isEmpty ? connection.securityAssociations.first : nil)]
                + peers.map { Self.row(connection, $0) }
        }
        if !rows.isEmpty {
            lines += Self.table(["CONNECTION", "STATE", "SINCE", "LOCAL ID", "REMOTE ID", "PEER", ""], rows)
        }
        let children = status.connections.flatMap { connection in
            connection.children.flatMap { child in Self.rows(connection.name, child) }
        }
        if !children.isEmpty {
            lines.append("")
            lines += Self.table(
                ["CHILD", "STATE", "TRAFFIC", "SPI IN", "SPI OUT", "IN", "OUT", "DROPS", "REKEY", "PROTECTION"],
                children)
        }
        let resolvers = status.connections.compactMap { connection in
            connection.resolvers.map { Self.row(connection.name, $0) }
        }
        if !resolvers.isEmpty {
            lines.append("")
            lines += Self.table(["RESOLVERS", "STATE", "FOR", "SERVERS", ""], resolvers)
        }
        let sums = [("packets dropped", status.dataplane.drops), ("IKE messages ignored", status.ignoredMessages)]
            .filter { !$0.1.isEmpty }
            .map { what, counts in
                "\(what): " + counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            }
        if !sums.isEmpty { lines += [""] + sums }
        self.lines = lines
    }

    /// - Parameter sa: what the connection has, or has with one of several peers.
    private static func row(_ connection: ConnectionReport, _ sa: IKESAReport?) -> [String] {
        let agreed = sa.map {
            "\($0.suite)\($0.transport == "udp" ? "" : ", by \($0.transport.uppercased())"), \($0.optimizedRekey == true ? "optimized " : "")rekey in \($0.rekeyIn.map(Self.time) ?? "–")"
                + ($0.outerLimit.map { ", packets up to \($0) octets" } ?? "")
                + ($0.extendedPayloads.map { ", extended payload headers, messages up to \($0) octets" } ?? "")
                + given("has", $0.assignedToPeer)
                + given("gives", $0.assignedToUs)
        }
        return [
            sa?.instance ?? connection.name, connection.state,
            Self.time(sa?.instance == nil ? connection.since : sa?.age ?? 0), connection.localIdentity,
            sa?.instance == nil ? connection.remoteIdentity : sa?.remoteIdentity ?? "",
            sa?.remote ?? connection.remoteHosts.joined(separator: " "),
            sa?.instance == nil ? news(connection) ?? agreed ?? connection.reason : agreed ?? "",
        ]
    }

    private static func row(_ connection: String, _ resolvers: ResolverReport) -> [String] {
        [
            connection, resolvers.state,
            resolvers.domains.map { $0 == "." ? "every name" : $0 }.joined(separator: " "),
            resolvers.servers.joined(separator: " ") + (resolvers.usesTLS ? " by TLS" : ""),
            ([resolvers.reason].compactMap(\.self) + resolvers.remarks).joined(separator: "; "),
        ]
    }

    /// What there is to say instead of what was agreed; `nil` where all is well.
    private static func news(_ connection: ConnectionReport) -> String? {
        switch connection.state {
        case "up": connection.lastError
        case "connecting": connection.reason + (connection.lastError.map { "; before: \($0)" } ?? "")
        case "retrying":
            (connection.lastError ?? connection.reason) + (connection.nextAttemptIn.map { "; again in \($0) s" } ?? "")
        case "failed": connection.lastError
        default: connection.reason
        }
    }

    private static func given(_ verb: String, _ assigned: AssignmentReport?) -> String {
        guard let assigned else { return "" }
        var text = ", peer \(verb) \(assigned.addresses.joined(separator: " "))"
        if verb == "gives", !assigned.dnsServers.isEmpty {
            text += ", DNS \(assigned.dnsServers.joined(separator: " "))"
        }
        if verb == "gives", !assigned.encryptedResolvers.isEmpty {
            text += ", encrypted DNS \(assigned.encryptedResolvers.map(\.name).joined(separator: " "))"
        }
        if verb == "gives", !assigned.domains.isEmpty { text += " for \(assigned.domains.joined(separator: " "))" }
        return text
    }

    private static func rows(_ connection: String, _ child: ChildReport) -> [[String]] {
        let name = child.name == connection ? connection : "\(connection)/\(child.name)"
        guard !child.securityAssociations.isEmpty else {
            return [[name, child.isTakenDown ? "taken down" : "down", traffic(child), "", "", "", "", "", "", ""]]
        }
        return child.securityAssociations.map { sa in
            [
                sa.instance.map { child.name == connection ? $0 : "\($0)/\(child.name)" } ?? name, sa.state,
                traffic(sa), sa.inboundSPI, sa.outboundSPI,
                "\(sa.packetsIn) / \(octets(sa.octetsIn))", "\(sa.packetsOut) / \(octets(sa.octetsOut))",
                "\(sa.drops.values.reduce(0, +))", sa.rekeyIn.map(time) ?? "–",
                "\(sa.suite), \(sa.encapsulation), \(sa.mode)\(subspaces(sa))"
                    + (sa.resource.map { ", \(words($0))" } ?? ""),
            ]
        }
    }

    /// How many sequence number subspaces are in use, of how many.
    private static func subspaces(_ sa: ChildSAReport) -> String {
        guard let subspaces = sa.subspaces else { return "" }
        return ", subspaces in \(subspaces.received.count) of \(subspaces.countIn)"
            + ", out \(subspaces.sent.count(where: { $0.packets > 0 })) of \(subspaces.countOut)"
    }

    private static func words(_ resource: ResourceReport) -> String {
        "group \(resource.group): " + (resource.worker.map { "worker \($0)" } ?? "")
            + (resource.isFallback ? " and those without" : "")
    }

    private static func traffic(_ child: ChildReport) -> String {
        var parts = [
            child.localSelectors.joined(separator: " ") + " === " + child.remoteSelectors.joined(separator: " ")
        ]
        if !child.securityLabels.isEmpty { parts.append("label " + child.securityLabels.joined(separator: " or ")) }
        if let dscp = child.dscp { parts.append("DSCP " + dscp.map { "\($0)" }.joined(separator: ", ")) }
        return parts.joined(separator: ", ")
    }

    private static func traffic(_ sa: ChildSAReport) -> String {
        (["\(sa.localSelectors) === \(sa.remoteSelectors)"] + sa.distinctions).joined(separator: ", ")
    }

    /// Columns as wide as their widest entry, the last one left as it is.
    static func table(_ heading: [String], _ rows: [[String]]) -> [String] {
        let widths = heading.indices.map { column in ([heading] + rows).map { $0[column].count }.max() ?? 0 }
        return ([heading] + rows).map { row in
            let cells = zip(row, widths).enumerated().map { index, cell in
                index == row.count - 1 ? cell.0 : cell.0 + String(repeating: " ", count: cell.1 - cell.0.count)
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    static func time(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3600: "\(seconds / 60)m\(seconds % 60)s"
        case ..<86400: "\(seconds / 3600)h\(seconds % 3600 / 60)m"
        default: "\(seconds / 86400)d\(seconds % 86400 / 3600)h"
        }
    }

    static func octets(_ count: UInt64) -> String {
        switch count {
        case ..<10_000: "\(count) B"
        case ..<10_000_000: "\(count / 1000) kB"
        case ..<10_000_000_000: "\(count / 1_000_000) MB"
        default: "\(count / 1_000_000_000) GB"
        }
    }
}
