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
        let inboundWakeup: Wakeup
        let outboundWakeup: Wakeup
        let inboundCommands: CommandRing<InboundCommand>
        let outboundCommands: CommandRing<OutboundCommand>
        let inboundThread: WorkerThread
        let outboundThread: WorkerThread
    }

    private struct InboundRow {
        let spi: UInt32
        let entry: UnsafeMutablePointer<InboundEntry>
    }

    private(set) var running: Running?
    private var routing: KernelRouting?
    private var policies: UnsafeMutablePointer<PolicyTable>?
    /// By the low 16 bits of the SPI.
    private var inbound: [UInt16: InboundRow] = [:]
    /// By our SPI of the pair: the SPI that packets carry is the peer's choice, and need not be unlike another peer's.
    private var outbound: [UInt32: UnsafeMutablePointer<OutboundEntry>] = [:]
    /// Associations that workers have been told to let go, with the number of that command; they are freed once it is obeyed.
    private var retiredInbound: Deque<(number: UInt64, entry: UnsafeMutablePointer<InboundEntry>)> = []
    private var retiredOutbound: Deque<(number: UInt64, entry: UnsafeMutablePointer<OutboundEntry>)> = []
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
            running = try Self.startWorkers(opened, outlet, screen, configuration, &policies)
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
            let sockets = try OuterSockets(configuration)
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

    private static func startWorkers(
        _ opened: Opened, _ outlet: EventOutlet, _ screen: (any DatagramScreen)?,
        _ configuration: UserspaceDataplane.Configuration,
        _ policies: inout UnsafeMutablePointer<PolicyTable>?
    ) throws(DataplaneError) -> Running {
        let table = UnsafeMutablePointer<PolicyTable>.allocate(capacity: 1)
        table.initialize(to: PolicyTable([]))
        policies = table
        let inboundWakeup = try Wakeup()
        let outboundWakeup = try Wakeup()
        let inboundCommands = CommandRing<InboundCommand>(capacity: 256, wakeup: inboundWakeup)
        let outboundCommands = CommandRing<OutboundCommand>(capacity: 256, wakeup: outboundWakeup)
        let notices = CommandRing<PathNotice>(capacity: 64, wakeup: outboundWakeup)
        // The table is handed to the worker and comes back when another takes its place.
        nonisolated(unsafe) let handedOver = table
        let outboundThread = try WorkerThread(name: "cygnet-out") {
            defer { outboundCommands.close() }
            guard
                var worker = OutboundWorker(
                    device: opened.device, joinsDatagrams: opened.sockets.cutSent, wakeup: outboundWakeup,
                    commands: outboundCommands, notices: notices,
                    policies: handedOver, events: outlet, configuration)
            else {
                outlet.emit(.failed("no memory for the outbound worker"))
                return
            }
            worker.run()
        }
        do throws(DataplaneError) {
            let inboundThread = try WorkerThread(name: "cygnet-in") {
                defer { inboundCommands.close() }
                guard
                    var worker = InboundWorker(
                        device: opened.device, sockets: opened.sockets.all, wakeup: inboundWakeup,
                        commands: inboundCommands, notices: notices, events: outlet, screen: screen, configuration)
                else {
                    outlet.emit(.failed("no memory for the inbound worker"))
                    return
                }
                worker.run()
            }
            return Running(
                device: opened.device, sockets: opened.sockets, inboundWakeup: inboundWakeup,
                outboundWakeup: outboundWakeup, inboundCommands: inboundCommands, outboundCommands: outboundCommands,
                inboundThread: inboundThread, outboundThread: outboundThread)
        } catch {
            _ = outboundCommands.push(.stop)
            outboundThread.join()
            throw error
        }
    }

    mutating func stop(keepsBlocking: Bool) {
        hasStopped = true
        guard let running else { return }
        self.running = nil
        // A ring that is full has a worker that is about to empty it, unless that has ended.
        while !running.inboundCommands.isClosed, running.inboundCommands.push(.stop) == nil { usleep(1000) }
        while !running.outboundCommands.isClosed, running.outboundCommands.push(.stop) == nil { usleep(1000) }
        running.inboundThread.join()
        running.outboundThread.join()
        for row in inbound.values { free(row.entry) }
        for entry in outbound.values { free(entry) }
        for (_, entry) in retiredInbound { free(entry) }
        for (_, entry) in retiredOutbound { free(entry) }
        inbound = [:]
        outbound = [:]
        retiredInbound = []
        retiredOutbound = []
        if let policies { free(policies) }
        policies = nil
        if !keepsBlocking { routing?.removeAll() }
        routing = nil
        running.device.close()
        running.sockets.close()
        running.inboundWakeup.close()
        running.outboundWakeup.close()
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
        // The worker first knows the policies that its packets are about to come for.
        let table = UnsafeMutablePointer<PolicyTable>.allocate(capacity: 1)
        table.initialize(to: PolicyTable(wanted.map(\.policy)))
        let old = policies
        policies = table
        if Self.hand(.policies(table), to: running.outboundCommands), let old { free(old) }
        return try routing?.apply(wanted, forwarding) ?? []
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
        let entry = UnsafeMutablePointer<InboundEntry>.allocate(capacity: 1)
        do throws(DataplaneError) {
            entry.initialize(to: try InboundEntry(sa, policy: policy, provider: provider))
        } catch {
            entry.deallocate()
            throw error
        }
        inbound[slot] = InboundRow(spi: sa.spi, entry: entry)
        // The worker looks for commands before it calls an SPI unknown, so that it need not be waited for.
        Self.post(.install(entry), to: running.inboundCommands)
    }

    mutating func activateOutbound(
        _ sa: SAParameters, pairedWith inboundSPI: UInt32, policy: UInt32, outerMTU: Int, provider: CipherProvider?
    ) throws(DataplaneError) {
        let running = try whileRunning()
        guard outbound[inboundSPI] == nil else {
            throw DataplaneError(.inUse, "the pair of inbound SPI \(inboundSPI.spiText) sends already")
        }
        let socket = try Self.socket(sa.encapsulation, from: sa.local.address, to: sa.remote.address, running.sockets)
        let entry = UnsafeMutablePointer<OutboundEntry>.allocate(capacity: 1)
        do throws(DataplaneError) {
            entry.initialize(
                to: try OutboundEntry(
                    sa, pair: inboundSPI, policy: policy, socket: socket, outerMTU: outerMTU, provider: provider))
        } catch {
            entry.deallocate()
            throw error
        }
        outbound[inboundSPI] = entry
        Self.post(.activate(entry), to: running.outboundCommands)
    }

    private static func socket(
        _ encapsulation: Encapsulation, from local: IPAddress, to remote: IPAddress, _ sockets: OuterSockets
    ) throws(DataplaneError) -> Int32 {
        let source = local.family == remote.family ? local : .unspecified(remote.family)
        guard let socket = sockets.socket(encapsulation == .udp ? .nat : .plainESP, from: source) else {
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
        if let number = Self.post(.remove(row.entry), to: running.inboundCommands) {
            retiredInbound.append((number, row.entry))
        }
        freeRetired(running)
    }

    mutating func removeOutbound(pairedWith inboundSPI: UInt32) {
        guard let running, let entry = outbound.removeValue(forKey: inboundSPI) else { return }
        if let number = Self.post(.remove(entry), to: running.outboundCommands) {
            retiredOutbound.append((number, entry))
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
        while let first = retiredInbound.first,
            running.inboundCommands.isClosed || running.inboundCommands.acknowledged >= first.number
        {
            retiredInbound.removeFirst()
            remember(first.entry.pointee.report)
            free(first.entry)
        }
        while let first = retiredOutbound.first,
            running.outboundCommands.isClosed || running.outboundCommands.acknowledged >= first.number
        {
            retiredOutbound.removeFirst()
            remember(first.entry.pointee.report)
            free(first.entry)
        }
    }

    mutating func updateAddresses(
        inboundSPI: UInt32, local: SocketAddress, remote: SocketAddress, encapsulation: Encapsulation
    ) {
        guard let running else { return }
        if let row = inbound[UInt16(truncatingIfNeeded: inboundSPI)], row.spi == inboundSPI {
            Self.post(
                .move(row.entry, local: local, remote: remote, encapsulation: encapsulation),
                to: running.inboundCommands)
        }
        guard let entry = outbound[inboundSPI],
            let socket = try? Self.socket(encapsulation, from: local.address, to: remote.address, running.sockets)
        else { return }
        Self.post(
            .move(entry, local: local, remote: remote, encapsulation: encapsulation, socket: socket),
            to: running.outboundCommands)
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

    // MARK: Workers

    private static var patience: Int64 { 2_000_000_000 }

    /// Gives a worker a command, which it obeys before it takes its next packets.
    ///
    /// - Returns: the command's number; 0 if the worker has ended, so that nobody obeys and nobody uses anything; `nil` if there has
    ///   been no room for two seconds. What the worker holds is then not freed.
    @discardableResult
    private static func post<Command>(_ command: Command, to ring: CommandRing<Command>) -> UInt64? {
        if ring.isClosed { return 0 }
        if let number = ring.push(command) { return number }
        let deadline = cygnet_monotonic_nanoseconds() + patience
        while cygnet_monotonic_nanoseconds() < deadline {
            usleep(100)
            if ring.isClosed { return 0 }
            if let number = ring.push(command) { return number }
        }
        return nil
    }

    /// Gives a worker a command and waits until it has obeyed.
    ///
    /// - Returns: whether it has.
    @discardableResult
    private static func hand<Command>(_ command: Command, to ring: CommandRing<Command>) -> Bool {
        guard let number = post(command, to: ring) else { return false }
        let deadline = cygnet_monotonic_nanoseconds() + patience
        while ring.acknowledged < number, !ring.isClosed {
            guard cygnet_monotonic_nanoseconds() < deadline else { return false }
            usleep(20)
        }
        return true
    }

    /// Asks both workers to write down what they have counted; `nil` if none runs.
    mutating func requestSnapshots() -> PendingSnapshots? {
        guard let running else { return nil }
        freeRetired(running)
        let inbound = WorkerSnapshot()
        let outbound = WorkerSnapshot()
        let retained = (Unmanaged.passRetained(inbound), Unmanaged.passRetained(outbound))
        guard let inboundNumber = running.inboundCommands.push(.snapshot(retained.0)) else {
            retained.0.release()
            retained.1.release()
            return nil
        }
        guard let outboundNumber = running.outboundCommands.push(.snapshot(retained.1)) else {
            retained.1.release()
            return nil
        }
        return PendingSnapshots(
            inbound: inbound, outbound: outbound,
            isReady: {
                running.inboundCommands.acknowledged >= inboundNumber
                    && running.outboundCommands.acknowledged >= outboundNumber
            })
    }
}

private func free<Entry: ~Copyable>(_ entry: UnsafeMutablePointer<Entry>) {
    entry.deinitialize(count: 1)
    entry.deallocate()
}
