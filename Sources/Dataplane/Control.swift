import CLinux
import DequeModule
import ESP
import Glibc
import IPPacket
import IPsecCrypto
import IPsecPolicy

/// The control side's own state: what is open and what is installed. Used under a lock, which makes its owner the single
/// producer of the workers' rings.
struct Control: ~Copyable {
    /// What exists while the data plane runs.
    struct Running {
        let device: TunnelDevice
        let sockets: OuterSockets
        let workers: [WorkerPair]
        let streams: StreamControl
        let streamThread: WorkerThread

        /// The number of the worker to which the pair of an inbound SPI belongs.
        func owner(_ inboundSPI: UInt32) -> Int { Team.owner(inboundSPI, of: workers.count) }
    }

    private struct InboundRow {
        let spi: UInt32
        /// The owner's first.
        let parts: [AssociationPart<InboundEntry>]
    }

    private struct OutboundRow {
        /// The owner's first.
        let parts: [AssociationPart<OutboundEntry>]
        /// One of each worker.
        let candidates: UnsafeMutableBufferPointer<Candidate>

        func free() {
            candidates.deinitialize()
            candidates.deallocate()
            for part in parts { release(part.entry) }
        }
    }

    private struct RetiredInbound {
        let part: AssociationPart<InboundEntry>
        /// Of the command by which the worker has been told to let go.
        let number: UInt64
    }

    private struct RetiredOutbound {
        let row: OutboundRow
        /// Of the commands by which each worker has been told to let go.
        let numbers: [UInt64]
    }

    private(set) var running: Running?
    private var routing: KernelRouting?
    /// One for each worker.
    private var policies: [UnsafeMutablePointer<PolicyTable>] = []
    /// By the low 16 bits of the SPI.
    private var inbound: [UInt16: InboundRow] = [:]
    /// By our SPI of the pair: the SPI that packets carry is the peer's choice, and need not be unlike another peer's.
    private var outbound: [UInt32: OutboundRow] = [:]
    /// Associations that workers have been told to let go; they are freed once that is obeyed.
    private var retiredInbound: Deque<RetiredInbound> = []
    private var retiredOutbound: Deque<RetiredOutbound> = []
    /// Drops of associations that are gone, by label.
    private var endedDrops: [String: UInt64] = [:]
    private var hasStopped = false

    init() {}

    // MARK: Start and stop

    private struct Opened {
        let device: TunnelDevice
        let index: UInt32
        let netlink: Int32
        /// Negative where the kernel has no nftables.
        let filter: Int32
        let sockets: OuterSockets
    }

    mutating func start(
        _ configuration: UserspaceDataplane.Configuration, _ outlet: EventOutlet, _ screen: (any DatagramScreen)?
    ) throws(DataplaneError) {
        guard running == nil, !hasStopped else {
            throw DataplaneError(.notRunning, "a data plane is started once only")
        }
        let opened = try NamespaceThread.run(in: configuration.networkNamespace) { () throws(DataplaneError) in
            try Self.open(configuration)
        }
        do throws(DataplaneError) {
            var routing = KernelRouting(
                configuration, device: opened.index, netlink: opened.netlink, filter: opened.filter)
            try routing.takeOver()
            policies = opened.device.descriptors.map { _ in Self.table([]) }
            let streams = StreamControl(wakeup: try Wakeup())
            let started = try WorkerPair.start(
                WorkerPair.Surroundings(
                    device: opened.device, sockets: opened.sockets, events: outlet, screen: screen, streams: streams,
                    streamWays: StreamControl.Ways(workers: policies.count, wakeup: streams.wakeup),
                    configuration: configuration),
                policies: policies)
            running = Running(
                device: opened.device, sockets: opened.sockets, workers: started.pairs, streams: streams,
                streamThread: started.streams)
            if opened.device.descriptors.count < configuration.workers {
                outlet.emit(
                    .warning(
                        "\(configuration.workers) workers are wanted, but this kernel gives a device one queue: there is one"
                    ))
            }
            self.routing = consume routing
        } catch {
            opened.sockets.close()
            opened.device.close()
            throw error
        }
    }

    /// Opens what belongs to the network namespace of the calling thread.
    private static func open(_ configuration: UserspaceDataplane.Configuration) throws(DataplaneError) -> Opened {
        let device = try TunnelDevice(configuration)
        do throws(DataplaneError) {
            guard let index = Links.index(of: configuration.deviceName) else {
                throw DataplaneError(.system, "the device \(configuration.deviceName) is gone")
            }
            KernelRouting.relaxReversePathFilter(configuration.deviceName)
            let sockets = try OuterSockets(configuration, workers: device.descriptors.count)
            let netlink = cygnet_open_netlink_route()
            guard netlink >= 0 else {
                sockets.close()
                throw .system(-netlink, "open a netlink socket")
            }
            return Opened(
                device: device, index: index, netlink: netlink, filter: cygnet_open_netlink_filter(), sockets: sockets)
        } catch {
            device.close()
            throw error
        }
    }

    private static func table(_ policies: [SecurityPolicy]) -> UnsafeMutablePointer<PolicyTable> {
        let table = UnsafeMutablePointer<PolicyTable>.allocate(capacity: 1)
        table.initialize(to: PolicyTable(policies))
        return table
    }

    mutating func stop(keepsBlocking: Bool) {
        hasStopped = true
        guard let running else { return }
        self.running = nil
        for pair in running.workers { pair.stop() }
        running.streams.tell(.stop)
        running.streamThread.join()
        for part in inbound.values.flatMap(\.parts) { release(part.entry) }
        for row in outbound.values { row.free() }
        for retired in retiredInbound { release(retired.part.entry) }
        for retired in retiredOutbound { retired.row.free() }
        inbound = [:]
        outbound = [:]
        retiredInbound = []
        retiredOutbound = []
        for table in policies { release(table) }
        policies = []
        if !keepsBlocking { routing?.removeAll() }
        routing = nil
        running.device.close()
        running.sockets.close()
        for pair in running.workers { pair.close() }
        running.streams.wakeup.close()
    }

    private func whileRunning() throws(DataplaneError) -> Running {
        guard let running else { throw DataplaneError(.notRunning, "the data plane does not run") }
        return running
    }

    // MARK: Policies and addresses

    mutating func apply(
        _ wanted: [InstalledPolicy], _ configuration: UserspaceDataplane.Configuration
    ) throws(DataplaneError) -> [String] {
        let running = try whileRunning()
        let forwarding = try NamespaceThread.run(in: configuration.networkNamespace) { () throws(DataplaneError) in
            KernelRouting.Forwarding()
        }
        // Workers first know the policies that their packets are about to come for.
        let old = policies
        policies = old.map { _ in Self.table(wanted.map(\.policy)) }
        let numbers = running.workers.indices.map {
            WorkerPair.post(.policies(policies[$0]), to: running.workers[$0].outboundCommands)
        }
        for (index, pair) in running.workers.enumerated()
        where WorkerPair.wait(for: numbers[index], in: pair.outboundCommands) { release(old[index]) }
        return try routing?.apply(wanted, forwarding) ?? []
    }

    /// Accepts TCP connections on these ports, and lets in what belongs to those that are opened from here.
    ///
    /// - Returns: what a person should know of.
    mutating func listen(onStreams ports: StreamPorts, callsOut: Bool) -> String? {
        guard let running else { return nil }
        let warning = routing?.permitStreams(ports.all, callsOut: callsOut)
        running.streams.tell(.listen(ports))
        return warning
    }

    mutating func restoreFilter() -> String? { routing?.restoreFilter() }

    mutating func setAddresses(_ addresses: [IPPrefix]) throws(DataplaneError) {
        _ = try whileRunning()
        try routing?.setAddresses(addresses)
    }

    // MARK: Associations

    mutating func installInbound(
        _ sa: SAParameters, policy: UInt32, provider: CipherProvider?
    ) throws(DataplaneError) {
        let running = try whileRunning()
        freeRetired(running)
        let slot = UInt16(truncatingIfNeeded: sa.spi)
        guard inbound[slot] == nil else {
            throw DataplaneError(.inUse, "the slot of inbound SPI \(sa.spi.spiText) is taken")
        }
        let parts = try AssociationPart<InboundEntry>.make(
            sa, policy: policy, owner: running.owner(sa.spi), workers: running.workers.count, provider: provider)
        inbound[slot] = InboundRow(spi: sa.spi, parts: parts)
        // A worker looks for commands before it calls an SPI unknown, so that it need not be waited for. The owner, which hands packets to
        // the others, is the last to know.
        for part in parts.reversed() {
            WorkerPair.post(.install(part.entry), to: running.workers[part.worker].inboundCommands)
        }
    }

    mutating func activateOutbound(
        _ sa: SAParameters, pairedWith inboundSPI: UInt32, policy: UInt32, outerMTU: Int, provider: CipherProvider?
    ) throws(DataplaneError) {
        let running = try whileRunning()
        guard outbound[inboundSPI] == nil else {
            throw DataplaneError(.inUse, "the pair of inbound SPI \(inboundSPI.spiText) sends already")
        }
        let owner = running.owner(inboundSPI)
        let count = running.workers.count
        let parts = try AssociationPart<OutboundEntry>.make(
            sa, pair: inboundSPI, policy: policy, owner: owner, workers: count, outerMTU: outerMTU,
            provider: provider
        ) { worker throws(DataplaneError) in
            try Self.socket(
                sa.encapsulation, from: sa.local.address, to: sa.remote.address, running.sockets, worker: worker)
        }
        let candidates = UnsafeMutableBufferPointer<Candidate>.allocate(capacity: count)
        outbound[inboundSPI] = OutboundRow(parts: parts, candidates: candidates)
        guard let first = candidates.baseAddress else { return }
        // Whoever else knows of it hands packets to one that has a part, which is to know it by then.
        for distance in 0..<count {
            let index = (owner + distance) % count
            let part = parts[distance % parts.count]
            (first + index).initialize(
                to: Candidate(sa, pair: inboundSPI, policy: policy, owner: part.worker, entry: part.entry))
            WorkerPair.post(.activate(first + index), to: running.workers[index].outboundCommands)
        }
    }

    private static func socket(
        _ encapsulation: Encapsulation, from local: IPAddress, to remote: IPAddress, _ sockets: OuterSockets,
        worker: Int
    ) throws(DataplaneError) -> Int32 {
        guard encapsulation != .tcp else { return -1 }
        let source = local.family == remote.family ? local : .unspecified(remote.family)
        guard let socket = sockets.socket(encapsulation == .udp ? .nat : .plainESP, from: source, worker: worker) else {
            throw DataplaneError(
                .invalid,
                encapsulation == .udp
                    ? "no NAT-traversal socket listens on \(source)" : "no raw socket for ESP is open on \(source)")
        }
        return socket.descriptor
    }

    mutating func removeInbound(spi: UInt32) {
        let slot = UInt16(truncatingIfNeeded: spi)
        guard let running, let row = inbound[slot], row.spi == spi else { return }
        inbound[slot] = nil
        for part in row.parts {
            if let number = WorkerPair.post(.remove(part.entry), to: running.workers[part.worker].inboundCommands) {
                retiredInbound.append(RetiredInbound(part: part, number: number))
            }
        }
        freeRetired(running)
    }

    mutating func removeOutbound(pairedWith inboundSPI: UInt32) {
        guard let running, let row = outbound.removeValue(forKey: inboundSPI), let first = row.candidates.baseAddress
        else { return }
        // Those that have a part are the last to forget it: the others hand them packets until they have.
        let owner = running.owner(inboundSPI)
        var numbers = [UInt64?](repeating: nil, count: running.workers.count)
        for distance in running.workers.indices.reversed() {
            let index = (owner + distance) % running.workers.count
            numbers[index] = WorkerPair.post(.remove(first + index), to: running.workers[index].outboundCommands)
        }
        // What a worker could not be told to let go stays.
        if numbers.allSatisfy({ $0 != nil }) {
            retiredOutbound.append(RetiredOutbound(row: row, numbers: numbers.compactMap(\.self)))
        }
        freeRetired(running)
    }

    /// Drops of associations that are gone, by label.
    mutating func dropsOfEnded() -> [String: UInt64] {
        if let running { freeRetired(running) }
        return endedDrops
    }

    /// Frees what the workers have let go.
    private mutating func freeRetired(_ running: Running) {
        while let first = retiredInbound.first {
            let ring = running.workers[first.part.worker].inboundCommands
            guard ring.isClosed || ring.acknowledged >= first.number else { break }
            retiredInbound.removeFirst()
            remember(first.part.entry.pointee.report)
            release(first.part.entry)
        }
        while let first = retiredOutbound.first {
            let isLetGo = zip(running.workers, first.numbers).allSatisfy { pair, number in
                pair.outboundCommands.isClosed || pair.outboundCommands.acknowledged >= number
            }
            guard isLetGo else { break }
            retiredOutbound.removeFirst()
            for part in first.row.parts { remember(part.entry.pointee.report) }
            first.row.free()
        }
    }

    mutating func updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation,
        stream: StreamID?
    ) {
        guard let running else { return }
        if let row = inbound[UInt16(truncatingIfNeeded: inboundSPI)], row.spi == inboundSPI {
            for part in row.parts {
                WorkerPair.post(
                    .move(
                        part.entry, local: local, remote: remote, encapsulation: encapsulation,
                        stream: stream?.rawValue ?? 0),
                    to: running.workers[part.worker].inboundCommands)
            }
        }
        for part in outbound[inboundSPI]?.parts ?? [] {
            guard
                let socket = try? Self.socket(
                    encapsulation, from: local.address, to: remote.address, running.sockets, worker: part.worker)
            else { return }
            WorkerPair.post(
                .move(
                    part.entry, local: local, remote: remote, encapsulation: encapsulation, socket: socket,
                    stream: stream?.rawValue ?? 0),
                to: running.workers[part.worker].outboundCommands)
        }
    }

    func updatePath(inboundSPI: UInt32, _ path: OuterPath) {
        guard let running else { return }
        for part in outbound[inboundSPI]?.parts ?? [] {
            WorkerPair.post(.path(part.entry, path), to: running.workers[part.worker].outboundCommands)
        }
    }

    private mutating func remember(_ report: SACountersReport) {
        for (reason, packets) in report.counters.allDrops { endedDrops["\(reason)", default: 0] += packets }
    }

    // MARK: What there is to see

    /// What waits for the workers, and was lost for want of room.
    func queues(_ configuration: UserspaceDataplane.Configuration) -> [DataplaneStatistics.Queue] {
        guard let running else { return [] }
        let dropped = try? NamespaceThread.run(in: configuration.networkNamespace) { () throws(DataplaneError) in
            Links.packetsNotTaken(from: configuration.deviceName)
        }
        return [DataplaneStatistics.Queue(name: configuration.deviceName, waiting: nil, dropped: dropped ?? 0)]
            + running.sockets.all.map(\.queue)
    }

    /// - Parameter joinsDatagrams: what the outbound worker has found out.
    func offloads(_ configuration: UserspaceDataplane.Configuration, joinsDatagrams: Bool) -> [OffloadReport] {
        guard let running else { return [] }
        let wanted = configuration.offloads
        func report(_ name: String, _ isOn: Bool, _ offload: Offloads, _ detail: String) -> OffloadReport {
            OffloadReport(
                name: name, isOn: isOn,
                detail: isOn
                    ? detail
                    : (wanted.contains(offload) ? "this kernel has it not" : "by configuration") + ": one by one")
        }
        return running.device.reports(isWanted: wanted.contains(.device)) + [
            report("udp gso", joinsDatagrams, .send, "the kernel cuts what is sent"),
            report("udp gro", running.sockets.joinReceived, .receive, "the kernel joins what is received"),
        ]
    }

    /// Asks all workers to write down what they have counted; `nil` if none runs.
    mutating func requestSnapshots() -> PendingSnapshots? {
        guard let running else { return nil }
        freeRetired(running)
        let pairs = running.workers.compactMap { $0.requestSnapshots() }
        return pairs.count == running.workers.count ? PendingSnapshots(pairs: pairs) : nil
    }
}
