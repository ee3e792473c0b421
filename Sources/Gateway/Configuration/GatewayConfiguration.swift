import Credentials
import IKE
import IKEMessage
import IPsecPolicy

/// A whole configuration: what the daemon runs by.
public struct GatewayConfiguration: Sendable {
    public static let defaultPath = "/etc/cygnet/cygnet.yaml"

    public var daemon = DaemonSettings()
    /// Connections in the order written, which is the order of their policies.
    public var connections: [GatewayConnection] = []
    public var policies: [ConfiguredPolicy] = []
    /// The files it was read from, the main one first.
    public var files: [String] = []

    public init() {}

    /// What reading a configuration comes to.
    public struct Reading: Sendable {
        /// `nil` if there are errors.
        public var configuration: GatewayConfiguration?
        /// Errors and warnings in the order of the text.
        public var diagnostics: [Diagnostic]
    }

    /// Reads the file at `path` and all it includes and refers to, reporting every mistake found.
    public static func read(path: String) -> Reading {
        let diagnostics = Diagnostics()
        var configuration = GatewayConfiguration()
        let files = IncludedFiles(main: path, diagnostics)
        configuration.files = files.paths
        let roots = files.roots.compactMap { $0.mapping(TopLevelKey.self, expected: "a configuration, a mapping") }
        configuration.read(roots, diagnostics)
        return Reading(
            configuration: diagnostics.hasErrors ? nil : configuration, diagnostics: diagnostics.sorted)
    }

    private mutating func read(_ roots: [ConfigurationMapping<TopLevelKey>], _ diagnostics: Diagnostics) {
        daemon = DaemonSettings(Self.only(.daemon, roots)?.mapping(DaemonKey.self))
        daemon.endpoint.codePoints = CodePoints(reading: Self.only(.codePoints, roots))
        let defaults = Self.only(.defaults, roots)?.mapping(ConnectionKey.self)
        if let node = defaults?[.children] {
            node.error("children belong to a connection and cannot be defaults")
        }
        let authorities = Self.authorities(roots)
        let pools = ConfiguredPools(roots.compactMap { $0[.pools] }, diagnostics)
        var numbers = PolicyNumbers()
        var names: [String: Origin] = [:]
        for root in roots {
            guard let node = root.written(.connections) else { continue }
            guard !node.isNull else {
                node.error("expected connections by name, found nothing; if none is wanted, write {}")
                continue
            }
            for entry in node.namedEntries(expected: "connections by name") {
                ChildReader.checkName(entry)
                if let first = names[entry.name], first.file != entry.origin.file {
                    diagnostics.error(
                        "connection \(quoted(entry.name)) exists already (\(first.file):\(first.line)); give one of them another name",
                        at: entry.origin)
                }
                names[entry.name] = entry.origin
                guard let reader = ConnectionReader(entry, defaults: defaults, authorities: authorities, pools: pools)
                else {
                    continue
                }
                if let connection = reader.connection(policyID: { numbers.number(entry.name, $0) }) {
                    connections.append(connection)
                }
            }
        }
        OverlapCheck.run(connections.map(\.configuration), diagnostics)
        policies = roots.flatMap { $0[.policies].map { ConfiguredPolicy.list($0) } ?? [] }
        OverlapCheck.run(connections.map(\.configuration), policies, diagnostics)
    }

    /// A mapping that may stand in one file only.
    private static func only(
        _ key: TopLevelKey, _ roots: [ConfigurationMapping<TopLevelKey>]
    ) -> ConfigurationNode? {
        let nodes = roots.compactMap { root in root[key].map { (node: $0, origin: root.origin(of: key)) } }
        for extra in nodes.dropFirst() {
            extra.node.diagnostics.error(
                "\(quoted(key.rawValue)) stands already in \(nodes[0].origin.file):\(nodes[0].origin.line); expected it once",
                at: extra.origin)
        }
        return nodes.first?.node
    }

    private static func authorities(_ roots: [ConfigurationMapping<TopLevelKey>]) -> ConfiguredAuthorities {
        let written = roots.filter { $0[.authorities] != nil }
        return ConfiguredAuthorities(
            anchors: AuthenticationReader.authorities(written.compactMap { $0[.authorities] }.flatMap(\.elements)),
            origin: written.first?.origin(of: .authorities))
    }
}

/// Numbers for policies that stay the same from one reading to the next, so that a reload disturbs only what changed.
struct PolicyNumbers {
    private var taken: Set<UInt32> = []

    /// Numbers below are left to policies without a name of their own.
    static let first: UInt32 = 0x1_0000

    /// A number made from the names; with the next free one where two come to the same.
    mutating func number(_ connection: String, _ child: String) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for octet in "\(connection)/\(child)".utf8 { hash = (hash ^ UInt32(octet)) &* 16_777_619 }
        var number = Self.first + hash % (.max / 2 - Self.first)
        while !taken.insert(number).inserted { number = number == .max ? Self.first : number + 1 }
        return number
    }
}
