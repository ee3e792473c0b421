import Dataplane
import ESP
import Glibc
import IKE
import IPPacket
import Logging
import Octets
import TLS

/// How a daemon is started.
public struct DaemonOptions: Sendable {
    public var configurationPath = GatewayConfiguration.defaultPath
    /// Comes before the configuration's.
    public var controlSocket: String?
    /// Comes before the configuration's.
    public var logLevel: Logger.Level?
    /// Where keys are written for analysers of captures; `nil`: nowhere.
    public var keyDirectory: String?

    public init() {}
}

/// The running gateway: one IKE endpoint and one data plane, and everything that goes between them.
///
/// The actor is the one place in which the endpoint is used. Outputs are executed in order, without a suspension between
/// one and the next.
public actor Daemon {
    let options: DaemonOptions
    let logger: Logger
    let threshold: LogThreshold
    let dataplane: any Dataplane
    let clock: GatewayClock
    let startedAt: Instant
    let keyLog: KeyLog?
    let notification = ServiceNotification()
    let endpoint: Endpoint
    let fetcher: StatusFetcher
    var configuration: GatewayConfiguration
    var resolved: [String: [IPAddress]] = [:]
    var history = NegotiationHistory()
    var waiters = UpWaiters()
    var hub = EventHub()
    var callers = CallerLog()
    /// What a person should know of, newest last.
    var warnings: [String] = []
    /// Packets received on each inbound association when last asked.
    var inboundPackets: [UInt32: UInt64] = [:]
    /// Addresses that peers have given us, by connection.
    var virtualAddresses: [String: [IPAddress]] = [:]
    /// Resolvers that peers have given us, by connection.
    var resolvers: [String: ConnectionResolvers] = [:]
    let linkResolvers: LinkResolvers
    private let resolverStates: AsyncStream<(String, ResolverState)>
    private var jobs: JobPool?
    private var timer: (at: Instant, task: Task<Void, Never>)?
    private var stopRequest: AsyncStream<Outcome>.Continuation?
    /// Whoever would wait for something is turned away.
    private(set) var isStopping = false
    /// The reload that was asked for last.
    var lastReload: Task<ControlReply, Never>?

    init(
        options: DaemonOptions, configuration: GatewayConfiguration, dataplane: any Dataplane,
        firewallMark: UInt32, keyLog: KeyLog?, threshold: LogThreshold, logger: Logger
    ) {
        self.options = options
        self.configuration = configuration
        self.dataplane = dataplane
        self.keyLog = keyLog
        self.threshold = threshold
        self.logger = logger
        let clock = GatewayClock()
        self.clock = clock
        startedAt = clock.now
        var settings = configuration.daemon.endpoint
        settings.unixTimeAtOrigin = .nanoseconds(clock.originInUnixTime)
        settings.exportsKeys = keyLog != nil
        settings.sourceAddress = { RouteProbe.sourceAddress(towards: $0, mark: firewallMark) }
        settings.isLocalAddress = RouteProbe.isLocal
        endpoint = Endpoint(configuration: settings, random: SystemRandomNumberGenerator())
        fetcher = StatusFetcher(StatusFetcher.Limits(configuration.daemon.revocation))
        let (states, told) = AsyncStream<(String, ResolverState)>.makeStream()
        resolverStates = states
        linkResolvers = LinkResolvers(device: configuration.daemon.device, perform: LinkResolvers.busctl()) {
            told.yield(($0, $1))
        }
    }

    // MARK: Life

    /// Works until it is told to stop.
    func run(_ control: ControlServer) async -> Outcome {
        let (stops, stopRequest) = AsyncStream<Outcome>.makeStream(bufferingPolicy: .bufferingOldest(1))
        self.stopRequest = stopRequest
        jobs = JobPool(limit: max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))) { [weak self] id, result in
            await self?.complete(id, result)
        }
        do {
            try dataplane.start(screen: AdmissionScreen(admission: endpoint.admission, clock: clock))
            listenOnStreams()
            try dataplane.apply(configuration.installedPolicies(virtual: [:]))
        } catch {
            report(.dataplaneFailed, .error, ["reason": error.reason])
            // What a predecessor left to block its traffic goes on doing so.
            dataplane.stop(keepsBlocking: true)
            await control.close()
            return error.code == .notPermitted ? .notPermitted : .failed
        }
        if let keyLog {
            warn("keys of all SAs are written to \(keyLog.directory): whoever can read them can read the traffic")
        }
        giveStatusDocuments()
        takeAddresses()
        endpoint.apply(configuration.connections.map { $0.resolved(resolved) }, at: clock.now)
        drain()
        report(
            .started, .notice,
            [
                "version": GatewayVersion.current, "connections": "\(configuration.connections.count)",
                "configuration": options.configurationPath,
            ])
        notification.ready("\(configuration.connections.count) connections")
        // Not in the group: a server that is cancelled would leave clients behind that it has let in and not met.
        let serving = Task { await control.run(self) }
        let outcome = await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followDataplane() }
            group.addTask { await self.followDatagrams() }
            group.addTask { await self.followSignals() }
            group.addTask { await self.followAddresses() }
            // Names may take long to look up; peers with addresses need not wait for them.
            group.addTask { await self.resolveNames() }
            group.addTask { await self.repeatedly(every: .seconds(5)) { await self.reportActivity() } }
            group.addTask { await self.repeatedly(every: .seconds(30)) { await self.resolveNamesAgain() } }
            group.addTask { await self.repeatedly(every: .seconds(300)) { await self.rereadStatusFiles() } }
            group.addTask { await self.repeatedly(every: .seconds(60)) { await self.renewTicketSecrets() } }
            group.addTask { await self.followResolvers() }
            group.addTask { await self.repeatedly(every: .seconds(30)) { self.linkResolvers.tryAgain() } }
            if let interval = notification.watchdogInterval {
                group.addTask { await self.repeatedly(every: interval) { await self.showLife() } }
            }
            var outcome = Outcome.success
            for await request in stops {
                outcome = request
                break
            }
            notification.stopping()
            isStopping = true
            waiters.finishAll(ControlReply(.failed, lines: ["the daemon is stopping"]))
            group.cancelAll()
            // While the device is there that they are set on.
            await linkResolvers.release(atMost: .seconds(3))
            end(outcome)
            await dismissFollowers()
            control.stopListening()
            return outcome
        }
        await serving.value
        logger.notice("stopped")
        return outcome
    }

    /// Makes ``run(_:)`` return.
    func stop(_ outcome: Outcome) { stopRequest?.yield(outcome) }

    /// Tells peers, then takes everything out of the kernel, save after a failure what blocks traffic.
    private func end(_ outcome: Outcome) {
        endpoint.shutDown(at: clock.now)
        drain()
        timer?.task.cancel()
        timer = nil
        dataplane.stop(keepsBlocking: outcome != .success)
    }

    /// Takes the TCP connections that the configuration wants.
    func listenOnStreams() {
        let users = configuration.connections.filter { $0.configuration.tcp.use != .no }
        let ports = configuration.daemon.tcpPorts ?? (users.isEmpty ? [] : [configuration.daemon.endpoint.natPort])
        let tls = configuration.daemon.tls
        dataplane.listen(
            onStreams: StreamPorts(plain: ports, secured: tls?.ports ?? [], server: tls?.server),
            callsOut: users.contains { !$0.hosts.allSatisfy { $0 == .any } })
    }

    /// Takes another secret for tickets when it is time.
    private func renewTicketSecrets() {
        guard let directory = configuration.daemon.stateDirectory, configuration.daemon.endpoint.ticketSecret != nil
        else { return }
        let secrets = StateDirectory(path: directory).ticketSecrets(
            lifetime: configuration.ticketSecretLifetime, at: Int64(time(nil)))
        switch secrets {
        case .success(let secrets): endpoint.setTicketSecrets(secrets.current, former: secrets.former)
        case .failure(let complaint):
            logger.warning("no-state", metadata: ["reason": "\(complaint.text); tickets go on with the secret before"])
        }
    }

    private func showLife() { notification.alive() }

    private func repeatedly(every interval: Duration, _ body: @Sendable () async -> Void) async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: interval) } catch { return }
            await body()
        }
    }

    private func followSignals() async {
        for await number in Signals.stream([SIGTERM, SIGINT, SIGHUP]) {
            if number == SIGHUP {
                // What else is signalled meanwhile does not wait.
                Task { _ = await reload() }
            } else {
                report(.stopping, .notice, ["signal": "\(number)"])
                stop(.success)
            }
        }
    }

    // MARK: Into the endpoint

    private func followDataplane() async {
        for await event in dataplane.events { handle(event) }
    }

    private func followDatagrams() async {
        for await _ in dataplane.datagrams.arrivals {
            while let datagram = dataplane.datagrams.take() {
                handle(datagram)
                // Whatever else there is to do comes between two datagrams.
                await Task.yield()
            }
        }
    }

    private func followResolvers() async {
        for await (connection, state) in resolverStates { noteResolvers(state, of: connection) }
    }

    private func handle(_ datagram: ReceivedDatagram) {
        endpoint.setUnixTime(atOrigin: .nanoseconds(clock.originInUnixTime))
        endpoint.receive(
            IKEDatagram(
                octets: datagram.octets, local: datagram.local, remote: datagram.remote,
                nonESPMarker: datagram.nonESPMarker, stream: datagram.stream),
            isAdmitted: datagram.rank == .admitted, at: clock.now)
        drain()
    }

    private func handle(_ event: DataplaneEvent) {
        endpoint.setUnixTime(atOrigin: .nanoseconds(clock.originInUnixTime))
        switch event {
        case .unknownSPI(let spi, _, let source):
            logger.debug("unknown-spi", metadata: ["spi": "\(hex(spi))", "from": "\(source)"])
            return
        case .streamRefused(let source, let port, let reason):
            report(.streamRefused, .info, ["remote": "\(source)", "port": "\(port)", "reason": reason])
            return
        case .warning(let text):
            warn(text)
            return
        case .failed(let reason):
            report(.dataplaneFailed, .critical, ["reason": reason])
            stop(.failed)
            return
        case .acquire, .lacksOwn, .inboundSeen, .softLimit, .hardLimit, .peerMoved, .arrivals, .streamOpened,
            .streamLost:
            guard let report = DataplaneReport(event) else { return }
            endpoint.handle(report, at: clock.now)
        }
        drain()
    }

    private func complete(_ id: Job.ID, _ result: JobResult) {
        endpoint.setUnixTime(atOrigin: .nanoseconds(clock.originInUnixTime))
        endpoint.complete(id, with: result, at: clock.now)
        drain()
    }

    private func timerFired() {
        timer = nil
        endpoint.handleTimeout(at: clock.now)
        drain()
    }

    /// Tells the endpoint which associations carried something since last time, so that a busy peer is not asked for life.
    private func reportActivity() async {
        dataplane.restoreFilter()
        let reports = await dataplane.counters()
        var seen: [UInt32: UInt64] = [:]
        for report in reports where report.direction == .inbound {
            seen[report.spi] = report.counters.packets
            if report.counters.packets > inboundPackets[report.spi] ?? 0 {
                endpoint.handle(.inboundActivity(spi: report.spi), at: clock.now)
            }
        }
        inboundPackets = seen
        drain()
    }

    // MARK: Out of the endpoint

    /// Executes all outputs, in order, and sets the timer.
    func drain() {
        while let output = endpoint.nextOutput() { execute(output) }
        setTimer()
    }

    private func execute(_ output: Output) {
        switch output {
        case .send(let datagram) where datagram.stream != nil:
            if let stream = datagram.stream { dataplane.send(datagram.octets, by: stream) }
        case .send(let datagram):
            dataplane.send(
                datagram.octets, from: datagram.local, to: datagram.remote, nonESPMarker: datagram.nonESPMarker)
        case .sendKeepalive(let local, let remote):
            dataplane.sendKeepalive(from: local, to: remote)
        case .installInbound(let child):
            install(spi: child.inboundSPI) { () throws(DataplaneError) in
                try dataplane.installInbound(child.inboundParameters, policy: child.policyID)
            }
        case .activateOutbound(let child):
            install(spi: child.inboundSPI) { () throws(DataplaneError) in
                try dataplane.activateOutbound(
                    child.outboundParameters, pairedWith: child.inboundSPI, policy: child.policyID)
            }
        case .removeInbound(let spi): dataplane.removeInbound(spi: spi)
        case .removeOutbound(let inboundSPI): dataplane.removeOutbound(pairedWith: inboundSPI)
        case .updateAddresses(let inboundSPI, let local, let remote, let isEncapsulatedInUDP, let stream):
            dataplane.updateAddresses(
                inboundSPI: inboundSPI, local: local, remote: remote,
                encapsulation: Encapsulation(isInUDP: isEncapsulatedInUDP, stream), stream: stream)
        case .openStream(let stream, let local, let remote, let policy):
            dataplane.openStream(
                stream, from: local, to: remote,
                tls: policy.map { TLSClientSettings(name: $0.name, authorities: $0.authorities) })
        case .trustStream(let stream): dataplane.trustStream(stream)
        case .closeStream(let stream): dataplane.closeStream(stream)
        case .updatePath(let inboundSPI, let path): dataplane.updatePath(inboundSPI: inboundSPI, path)
        case .assignAddresses(let connection, let addresses): assign(addresses, to: connection)
        case .setResolvers(let connection, let plan): setResolvers(plan, of: connection)
        case .compute(let job):
            if let jobs { Task { await jobs.submit(job) } }
        case .inquire(let id, let inquiry):
            Task { [fetcher] in complete(id, inquiry.answered(with: await fetcher.answers(to: inquiry.requests))) }
        case .resolve(let name):
            Task {
                let addresses = await HostResolver.addresses(of: name)
                endpoint.resolved(name, addresses, at: clock.now)
                drain()
            }
        case .event(let event): follow(event)
        }
    }

    private func install(spi: UInt32, _ body: () throws(DataplaneError) -> Void) {
        do {
            try body()
        } catch {
            report(.installationFailed, .error, ["spi": hex(spi), "reason": error.reason])
            endpoint.handle(.installationFailed(spi: spi, reason: error.reason), at: clock.now)
        }
    }

    /// Puts the addresses that peers have given us on the device, and makes them the source of what goes to these peers.
    private func assign(_ addresses: [IPAddress], to connection: String) {
        let new = addresses.isEmpty ? nil : addresses
        guard virtualAddresses[connection] != new else { return }
        virtualAddresses[connection] = new
        do {
            try dataplane.setAddresses(
                virtualAddresses.sorted { $0.key < $1.key }.flatMap(\.value).map { IPPrefix($0) })
            try dataplane.apply(configuration.installedPolicies(virtual: virtualAddresses))
        } catch {
            warn("the addresses of \(connection) cannot be set: \(error.reason)")
        }
    }

    private func setTimer() {
        guard let deadline = endpoint.nextDeadline else { return }
        // A timer that fires early finds nothing due and is set again.
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        let pause = max(deadline - clock.now, .zero)
        timer = (
            deadline,
            Task { [weak self] in
                do { try await Task.sleep(for: pause, tolerance: .milliseconds(1)) } catch { return }
                await self?.timerFired()
            }
        )
    }

    /// Something a person should know of: logged, and shown in the status.
    func warn(_ text: String) {
        report(.attention, .warning, ["text": text])
        warnings.removeAll { $0 == text }
        warnings.append(text)
        warnings.removeFirst(max(0, warnings.count - 20))
    }
}

/// An SPI of ESP as people write it.
func hex(_ spi: UInt32) -> String { "0x" + spi.bigEndianOctets.hexadecimal }
