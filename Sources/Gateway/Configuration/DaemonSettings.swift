import Dataplane
import Glibc
import IKE
import IPPacket
import IPsecCrypto
import Logging

/// What holds for the daemon as a whole.
public struct DaemonSettings: Sendable {
    public static let defaultStateDirectory = "/var/lib/cygnet"
    public static let defaultControlSocket = "/run/cygnet/control.sock"

    public var endpoint = EndpointConfiguration()
    /// Addresses to listen on; empty for all.
    public var listen: [IPAddress] = []
    /// Ports on which TCP connections with IKE and ESP are accepted; `nil`: the NAT port, if a connection uses TCP.
    public var tcpPorts: [UInt16]?
    /// The same with TLS around TCP; `nil`: none.
    public var tls: TLSListening?
    public var device = "cygnet0"
    public var controlSocket = DaemonSettings.defaultControlSocket
    /// Where the daemon keeps what must outlive it; `nil`: nowhere.
    public var stateDirectory: String? = DaemonSettings.defaultStateDirectory
    /// The group that may use the control socket besides root.
    public var controlGroup: gid_t?
    public var logLevel: Logger.Level = .info
    public var revocation = RevocationSettings()
    /// What of the kernel's the data plane uses to handle many packets at once.
    public var offloads = Offloads.all
    /// What encrypts packets; `nil` for the fastest that is there.
    public var cipherProvider: CipherProvider?
    /// Pairs of threads that carry packets.
    public var workers = UserspaceDataplane.Configuration.usualWorkers { didSet { endpoint.packetWorkers = workers } }

    public init() { endpoint.packetWorkers = workers }
}

enum OffloadWord: String, ConfigurationKey {
    case all, none, device, send, receive

    var offloads: Offloads {
        switch self {
        case .all: .all
        case .none: []
        case .device: .device
        case .send: .send
        case .receive: .receive
        }
    }
}

enum CipherWord: String, ConfigurationKey {
    case auto, libcrypto
    case ipsecMB = "ipsec-mb"
}

enum LogLevelWord: String, ConfigurationKey {
    case trace, debug, info, notice, warning, error, critical

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

extension DaemonSettings {
    init(_ mapping: ConfigurationMapping<DaemonKey>?) {
        self.init()
        guard let mapping else { return }
        if let port = mapping[.ikePort]?.integer(in: 1...65535) { endpoint.ikePort = UInt16(port) }
        if let port = mapping[.natPort]?.integer(in: 1...65535) { endpoint.natPort = UInt16(port) }
        if endpoint.ikePort == endpoint.natPort {
            mapping.node.diagnostics.error(
                "ike-port and nat-port are both \(endpoint.ikePort); expected two ports",
                at: mapping.origin(of: .natPort))
        }
        if let node = mapping[.tcpPorts] {
            tcpPorts = TLSReader.ports(node)
        }
        tls = mapping[.tls].flatMap { TLSReader.listening($0, plain: tcpPorts ?? [endpoint.natPort]) }
        listen = mapping[.listen]?.elements.compactMap { $0.address() } ?? []
        if let node = mapping[.device], let name = node.text(expected: "the name of a network device") {
            if (1...15).contains(name.utf8.count),
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }),
                name != ".", name != ".."
            {
                device = name
            } else {
                node.error(
                    "\(quoted(name)) is not a name for a network device; expected 1 to 15 letters, digits, - or _")
            }
        }
        if let node = mapping[.state], let path = node.text(expected: "an absolute path, or none") {
            if path == "none" {
                stateDirectory = nil
            } else if path.hasPrefix("/") {
                stateDirectory = path
            } else {
                node.error(
                    "\(quoted(path)) is not an absolute path; expected for example \(Self.defaultStateDirectory), or none"
                )
            }
        }
        if let node = mapping[.logLevel], let word = node.word(LogLevelWord.self, what: "log level") {
            logLevel = word.level
        }
        readControl(mapping[.control]?.mapping(ControlKey.self))
        revocation = RevocationSettings(mapping[.revocation]?.mapping(RevocationKey.self))
        endpoint.fetchesStatus = revocation.fetches
        readLimits(mapping[.limits]?.mapping(LimitKey.self))
        readDataplane(mapping[.dataplane]?.mapping(DataplaneKey.self))
    }

    private mutating func readDataplane(_ mapping: ConfigurationMapping<DataplaneKey>?) {
        if let node = mapping?[.offloads] {
            offloads = node.elements.reduce(into: Offloads()) { offloads, element in
                if let word = element.word(OffloadWord.self, what: "offload") { offloads.formUnion(word.offloads) }
            }
        }
        if let count = mapping?[.workers]?.integer(in: 1...UserspaceDataplane.Configuration.maximumWorkers) {
            workers = count
        }
        if let node = mapping?[.ciphers], let word = node.word(CipherWord.self, what: "cipher library") {
            cipherProvider = CipherProvider(rawValue: word.rawValue)
            if let cipherProvider, !CipherProvider.available.contains(cipherProvider) {
                node.error(
                    "\(word.rawValue) is not on this machine; expected auto or \(CipherProvider.available.map(\.rawValue).joined(separator: " or "))"
                )
            }
        }
    }

    private mutating func readControl(_ mapping: ConfigurationMapping<ControlKey>?) {
        if let node = mapping?[.socket], let path = node.text(expected: "the path of a socket") {
            if path.hasPrefix("/"), path.utf8.count < 108 {
                controlSocket = path
            } else {
                node.error("\(quoted(path)) cannot be a socket; expected an absolute path of at most 107 octets")
            }
        }
        if let node = mapping?[.group], let name = node.text(expected: "the name of a group") {
            if let entry = getgrnam(name) {
                controlGroup = entry.pointee.gr_gid
            } else {
                node.error(
                    "there is no group \(quoted(name)); create it with `groupadd --system NAME` or leave the key out")
            }
        }
    }

    private mutating func readLimits(_ mapping: ConfigurationMapping<LimitKey>?) {
        if let count = mapping?[.halfOpen]?.integer(in: 1...1_000_000) { endpoint.halfOpenLimit = count }
        if let count = mapping?[.halfOpenPerAddress]?.integer(in: 1...1_000_000) {
            endpoint.halfOpenLimitPerAddress = count
        }
        if let time = mapping?[.halfOpenTimeout]?.duration(in: .seconds(1)...(.seconds(600))) {
            endpoint.halfOpenTimeout = time
        }
        if let count = mapping?[.anonymous]?.integer(in: 0...1_000_000) { endpoint.anonymousLimit = count }
        if let count = mapping?[.peersPerConnection]?.integer(in: 1...1_000_000) { endpoint.peerLimit = count }
        if let count = mapping?[.cookieThreshold]?.integer(in: 0...1_000_000) { endpoint.cookieThreshold = count }
        if let count = mapping?[.puzzleThreshold]?.integer(in: 0...1_000_000) { endpoint.puzzleThreshold = count }
        if let count = mapping?[.puzzleThresholdPerNetwork]?.integer(in: 0...1_000_000) {
            endpoint.puzzleThresholdPerNetwork = count
        }
        if let count = mapping?[.negotiations]?.integer(in: 1...1_000_000) { endpoint.negotiationLimit = count }
        if let bits = mapping?[.puzzleDifficulty]?.integer(in: 0...18) { endpoint.puzzleDifficulty = bits }
    }
}
