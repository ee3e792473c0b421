import CLinux
import ESP
import Glibc
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Synchronization
import TLS

/// A data plane in this process: a TUN device, UDP and raw sockets, and a thread for each direction.
///
/// The control side, here, keeps what is installed and tells the workers of changes through rings. Each worker alone
/// touches its tables; what it has been told to give up is freed once it has acknowledged.
public final class UserspaceDataplane: Dataplane {
    public let configuration: Configuration
    private let outlet: EventOutlet
    private let control = Mutex(Control())
    private let sender = Mutex(DatagramSender())
    private let streams = Mutex<StreamControl?>(nil)

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        outlet = EventOutlet(capacity: configuration.eventCapacity)
    }

    deinit { stop() }

    /// Removes every rule and route in the kernel that carries our protocol number, and our table of nftables, such as a
    /// killed data plane leaves.
    ///
    /// - Parameter force: also while a data plane works, whose traffic then leaves in clear.
    /// - Returns: what was removed, a line each, in the notation of ip-rule(8), ip-route(8) and nft(8).
    /// - Throws: ``DataplaneError`` with `inUse` if a route of ours leads to a device: it ends with its data plane, so one works.
    public static func cleanup(
        _ configuration: Configuration = Configuration(), force: Bool = false
    ) throws(DataplaneError) -> [String] {
        try NamespaceThread.run(in: configuration.networkNamespace) { () throws(DataplaneError) in
            var socket = try NetlinkSocket()
            if !force, let device = try KernelRouting.liveDevice(configuration, &socket) {
                throw DataplaneError(
                    .inUse, "a daemon still holds the device \(device) and protects traffic by these rules")
            }
            return try KernelRouting.removeAll(configuration, &socket) + KernelRouting.removeFilter(configuration)
        }
    }

    public var events: AsyncStream<DataplaneEvent> { outlet.events }
    public var datagrams: RankedQueue<ReceivedDatagram> { outlet.datagrams }

    public func start(screen: (any DatagramScreen)?) throws(DataplaneError) {
        let result = control.withLock { control in
            Result { () throws(DataplaneError) in
                try control.start(configuration, outlet, screen)
                if let running = control.running {
                    sender.withLock { $0.use(running.sockets) }
                    streams.withLock { $0 = running.streams }
                }
            }
        }
        try result.get()
    }

    public func stop(keepsBlocking: Bool) {
        sender.withLock { $0.use(nil) }
        streams.withLock { $0 = nil }
        control.withLock { $0.stop(keepsBlocking: keepsBlocking) }
        outlet.finish()
    }

    public func send(_ datagram: [UInt8], from local: SocketAddress, to remote: SocketAddress, nonESPMarker: Bool) {
        let octets = nonESPMarker ? [0, 0, 0, 0] + datagram : datagram
        sender.withLock { $0.send(octets, from: local, to: remote) }
    }

    public func sendKeepalive(from local: SocketAddress, to remote: SocketAddress) {
        sender.withLock { $0.send([0xff], from: local, to: remote) }
    }

    public func listen(onStreams ports: StreamPorts, callsOut: Bool) {
        if let warning = control.withLock({ $0.listen(onStreams: ports, callsOut: callsOut) }) {
            outlet.emit(.warning(warning))
        }
    }

    public func openStream(
        _ stream: StreamID, from local: IPAddress, to remote: SocketAddress, tls settings: TLSClientSettings?
    ) {
        tell(.open(stream, from: local, to: remote, tls: settings))
    }
    public func trustStream(_ stream: StreamID) { tell(.trust(stream)) }
    public func closeStream(_ stream: StreamID) { tell(.close(stream)) }
    public func send(_ message: [UInt8], by stream: StreamID) { tell(.send(stream, message)) }

    private func tell(_ command: StreamControl.Command) { streams.withLock { $0?.tell(command) } }

    public func apply(_ policies: [InstalledPolicy]) throws(DataplaneError) {
        let result = control.withLock { control in
            Result { () throws(DataplaneError) in try control.apply(policies, configuration) }
        }
        for warning in try result.get() { outlet.emit(.warning(warning)) }
    }

    public func restoreFilter() {
        if let warning = control.withLock({ $0.restoreFilter() }) { outlet.emit(.warning(warning)) }
    }

    public func setAddresses(_ addresses: [IPPrefix]) throws(DataplaneError) {
        try control.withLock { control in
            Result { () throws(DataplaneError) in try control.setAddresses(addresses) }
        }.get()
    }

    public func installInbound(_ sa: SAParameters, policy: UInt32) throws(DataplaneError) {
        try control.withLock { control in
            Result { () throws(DataplaneError) in
                try control.installInbound(sa, policy: policy, provider: configuration.cipherProvider)
            }
        }.get()
    }

    public func activateOutbound(
        _ sa: SAParameters, pairedWith inboundSPI: UInt32, policy: UInt32
    ) throws(DataplaneError) {
        try control.withLock { control in
            Result { () throws(DataplaneError) in
                try control.activateOutbound(
                    sa, pairedWith: inboundSPI, policy: policy, outerMTU: configuration.outerMTU,
                    provider: configuration.cipherProvider)
            }
        }.get()
    }

    public func removeInbound(spi: UInt32) {
        control.withLock { $0.removeInbound(spi: spi) }
    }

    public func removeOutbound(pairedWith inboundSPI: UInt32) {
        control.withLock { $0.removeOutbound(pairedWith: inboundSPI) }
    }

    public func updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        stream: StreamID?
    ) {
        control.withLock {
            $0.updateAddresses(
                inboundSPI: inboundSPI, local: local, remote: remote, encapsulation: encapsulation, stream: stream)
        }
    }

    public func updatePath(inboundSPI: UInt32, _ path: OuterPath) {
        control.withLock { $0.updatePath(inboundSPI: inboundSPI, path) }
    }

    public func counters() async -> [SACountersReport] {
        guard let snapshots = await snapshots() else { return [] }
        let reports = snapshots.pairs.flatMap { $0.inbound.associations + $0.outbound.associations }
        return SACountersReport.joined(reports).sorted {
            ($0.policy, $0.direction.rawValue, $0.spi) < ($1.policy, $1.direction.rawValue, $1.spi)
        }
    }

    public func statistics() async -> DataplaneStatistics {
        var statistics = DataplaneStatistics()
        statistics.eventsDropped = outlet.dropped
        // What has ended by then is not in the snapshots.
        let taken = await snapshots()
        statistics.drops = control.withLock { $0.dropsOfEnded() }
        statistics.queues = control.withLock { $0.queues(configuration) }
        statistics.streams = streams.withLock { $0?.statistics } ?? DataplaneStatistics.Streams()
        if statistics.streams.packetsDropped > 0 { statistics.drops["stream-busy"] = statistics.streams.packetsDropped }
        if statistics.streams.packetsWithoutStream > 0 {
            statistics.drops["stream-gone"] = statistics.streams.packetsWithoutStream
        }
        statistics.cipherProviders = configuration.cipherProvider.map { [$0] } ?? CipherProvider.available
        guard let snapshots = taken else { return statistics }
        statistics.offloads = control.withLock {
            $0.offloads(
                configuration,
                joinsDatagrams: snapshots.pairs.allSatisfy { $0.outbound.counters.joinsDatagrams })
        }
        for pair in snapshots.pairs {
            var workers = DataplaneStatistics.WorkerPair()
            workers.inbound = pair.inbound.counters.moved
            workers.outbound = pair.outbound.counters.moved
            statistics.workers.append(workers)
            for snapshot in [pair.inbound, pair.outbound] { statistics.add(snapshot) }
        }
        return statistics
    }

    /// What all workers have counted; `nil` if none runs, or one has ended by itself.
    private func snapshots() async -> PendingSnapshots? {
        guard let pending = control.withLock({ $0.requestSnapshots() }) else { return nil }
        for _ in 0..<2000 where !pending.isReady {
            try? await Task.sleep(for: .milliseconds(1))
        }
        return pending.isReady ? pending : nil
    }
}

extension DataplaneStatistics {
    /// Takes in what one worker has counted beside what it has moved.
    fileprivate mutating func add(_ snapshot: WorkerSnapshot) {
        tooBigSent += snapshot.counters.tooBigSent
        for (label, packets) in snapshot.counters.allDrops { drops[label, default: 0] += packets }
        for (reason, packets) in snapshot.associations.flatMap(\.counters.allDrops) {
            drops["\(reason)", default: 0] += packets
        }
    }
}
