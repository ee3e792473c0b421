import Dataplane
import Glibc
import IKE
import Logging
import Octets

extension Daemon {
    /// Reads the configuration, opens the control socket, and works until told to stop.
    ///
    /// - Parameter complain: is given every line that a person at the terminal should read.
    /// - Returns: how it ended.
    public static func launch(_ options: DaemonOptions, complain: (String) -> Void) async -> Outcome {
        // Whatever the daemon makes is for its owner, unless a mode is set on purpose.
        umask(0o077)
        signal(SIGPIPE, SIG_IGN)
        // Before the configuration: who lacks rights may not be able to read that either.
        if let missing = Capabilities.missing() {
            complain(missing)
            return .notPermitted
        }
        let reading = GatewayConfiguration.read(path: options.configurationPath)
        for diagnostic in reading.diagnostics { complain(diagnostic.description) }
        guard var configuration = reading.configuration else { return .configuration }
        let threshold = LogThreshold(options.logLevel ?? configuration.daemon.logLevel)
        var logger = Logger(label: "cygnet") { _ in CompactLogHandler(threshold: threshold) }
        logger.logLevel = threshold.level
        if let directory = configuration.daemon.stateDirectory {
            let state = StateDirectory(path: directory)
            do throws(ReferencedFile.Complaint) {
                configuration.daemon.endpoint.crashDetectionSecret = try state.secret(for: .crashDetection).get()
                let secrets = try state.ticketSecrets(
                    lifetime: configuration.ticketSecretLifetime, at: Int64(time(nil))
                ).get()
                configuration.daemon.endpoint.ticketSecret = secrets.current
                configuration.daemon.endpoint.formerTicketSecret = secrets.former
            } catch {
                logger.warning("no-state", metadata: ["reason": "\(error.text); neither crash detection nor tickets"])
            }
        }
        var settings = UserspaceDataplane.Configuration()
        settings.deviceName = configuration.daemon.device
        settings.ikePort = configuration.daemon.endpoint.ikePort
        settings.natPort = configuration.daemon.endpoint.natPort
        settings.listenAddresses = configuration.daemon.listen
        settings.offloads = configuration.daemon.offloads
        settings.workers = configuration.daemon.workers
        settings.cipherProvider = configuration.daemon.cipherProvider
        settings.streamLimits.strangers = configuration.daemon.endpoint.halfOpenLimit
        settings.streamLimits.strangersPerSource = configuration.daemon.endpoint.halfOpenLimitPerAddress
        settings.streamLimits.proof = configuration.daemon.endpoint.halfOpenTimeout.wholeNanoseconds / 1_000_000
        do {
            let keyLog = try options.keyDirectory.map { try KeyLog(directory: $0) }
            let path = options.controlSocket ?? configuration.daemon.controlSocket
            let control = try await ControlServer(path: path, group: configuration.daemon.controlGroup, logger: logger)
            let daemon = Daemon(
                options: options, configuration: configuration, dataplane: UserspaceDataplane(settings),
                firewallMark: settings.firewallMark, keyLog: keyLog, threshold: threshold, logger: logger)
            return await daemon.run(control)
        } catch let error as ControlSocketError {
            complain(error.reason)
            return error.isPermission ? .notPermitted : .failed
        } catch let error as KeyLog.Failure {
            complain(error.reason)
            return .failed
        } catch {
            complain("cannot start: \(error)")
            return .failed
        }
    }
}

/// The rights of the process.
enum Capabilities {
    private static let needed: [(name: String, bit: UInt64)] = [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13)]

    /// What to do about a right that the daemon lacks; `nil` if it has all.
    static func missing() -> String? {
        guard let effective = effective() else { return nil }
        let missing = needed.filter { effective & 1 << $0.bit == 0 }.map(\.name)
        guard !missing.isEmpty else { return nil }
        return
            "the right \(missing.joined(separator: " and ")) is missing: run the daemon as root, by `systemctl start cygnet`, or give the binary its rights with `setcap cap_net_admin,cap_net_raw,cap_net_bind_service+ep`"
    }

    /// The effective set as the kernel tells it; `nil` where it does not.
    private static func effective() -> UInt64? {
        guard case .success(let octets) = VirtualFile.read("/proc/self/status") else { return nil }
        let text = String(decoding: octets, as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }) else { return nil }
        return UInt64(line.dropFirst(7).filter { !$0.isWhitespace }, radix: 16)
    }
}

/// Files that the kernel makes up as they are read, and whose size is therefore unknown.
enum VirtualFile {
    static func read(_ path: String) -> Result<[UInt8], ReferencedFile.Complaint> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(.init(text: ReferencedFile.reason(errno))) }
        defer { close(descriptor) }
        var content = [UInt8](repeating: 0, count: 16384)
        let count = content.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return .success(Array(content.prefix(max(0, count))))
    }
}
