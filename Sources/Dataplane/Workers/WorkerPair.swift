import CLinux
import Glibc

/// The two threads that carry a share of the associations, one for each direction, and the rings by which they are told what to do.
struct WorkerPair {
    let inboundCommands: CommandRing<InboundCommand>
    let outboundCommands: CommandRing<OutboundCommand>
    private let inboundWakeup: Wakeup
    private let outboundWakeup: Wakeup
    private let inboundThread: WorkerThread
    private let outboundThread: WorkerThread

    /// What all pairs share.
    struct Surroundings {
        let device: TunnelDevice
        let sockets: OuterSockets
        let events: EventOutlet
        let screen: (any DatagramScreen)?
        let streams: StreamControl
        let streamWays: StreamControl.Ways
        let configuration: UserspaceDataplane.Configuration
    }

    /// Starts as many pairs as the device has queues, each with one of the tables.
    ///
    /// - Returns: the pairs, and the thread that has the TCP connections.
    static func start(
        _ surroundings: Surroundings, policies: [UnsafeMutablePointer<PolicyTable>]
    ) throws(DataplaneError) -> (pairs: [WorkerPair], streams: WorkerThread) {
        var wakeups: [Wakeup] = []
        var pairs: [WorkerPair] = []
        do throws(DataplaneError) {
            for _ in 0..<2 * policies.count { wakeups.append(try Wakeup()) }
            let (inbound, outbound) = (Array(wakeups.prefix(policies.count)), Array(wakeups.suffix(policies.count)))
            let inboundWays = Team.ways(inbound, from: surroundings.streamWays.inbound)
            let outboundWays = Team.ways(outbound)
            let notices = outbound.map(PathNotices.init)
            for index in policies.indices {
                pairs.append(
                    try WorkerPair(
                        index, surroundings, policies[index], wakeups: (inbound[index], outbound[index]),
                        ways: (inboundWays, outboundWays), notices))
            }
            return (pairs, try startStreams(surroundings, wakeups: inbound))
        } catch {
            for pair in pairs { pair.stop() }
            for wakeup in wakeups { wakeup.close() }
            throw error
        }
    }

    private static func startStreams(
        _ surroundings: Surroundings, wakeups: [Wakeup]
    ) throws(DataplaneError) -> WorkerThread {
        let (control, ways, events) = (surroundings.streams, surroundings.streamWays, surroundings.events)
        let configuration = surroundings.configuration
        return try WorkerThread(name: "cygnet-tcp") {
            let watch = StreamThread.makeWatch(control, configuration)
            guard watch >= 0 else {
                events.emit(
                    .failed(
                        "TCP connections cannot be waited for: \(DataplaneError.system(-watch, "make an epoll").reason)"
                    ))
                return
            }
            var thread = StreamThread(watch: watch, control, ways, wakeups: wakeups, events, configuration)
            thread.run()
        }
    }

    private init(
        _ index: Int, _ surroundings: Surroundings, _ policies: UnsafeMutablePointer<PolicyTable>,
        wakeups: (inbound: Wakeup, outbound: Wakeup), ways: (inbound: Team.Ways, outbound: Team.Ways),
        _ notices: [PathNotices]
    ) throws(DataplaneError) {
        (inboundWakeup, outboundWakeup) = wakeups
        let inboundCommands = CommandRing<InboundCommand>(capacity: 256, wakeup: wakeups.inbound)
        let outboundCommands = CommandRing<OutboundCommand>(capacity: 256, wakeup: wakeups.outbound)
        self.inboundCommands = inboundCommands
        self.outboundCommands = outboundCommands
        let suffix = notices.count > 1 ? "-\(index)" : ""
        let events = surroundings.events
        // The table is handed to the worker and comes back when another takes its place.
        nonisolated(unsafe) let handedOver = policies
        outboundThread = try WorkerThread(name: "cygnet-out\(suffix)") {
            defer { outboundCommands.close() }
            cygnet_wait_for_turn()
            guard
                let sender = OutboxSender(
                    joinsDatagrams: surroundings.sockets.cutSent, events: events,
                    streams: (surroundings.streamWays.outbound[index], surroundings.streams.wakeup))
            else {
                events.emit(.failed("no memory for the outbound worker"))
                return
            }
            var worker = OutboundWorker(
                device: surroundings.device, team: ways.outbound.team(index), sender: sender,
                wakeup: wakeups.outbound, commands: outboundCommands, notices: notices[index], policies: handedOver,
                events: events, surroundings.configuration)
            worker.run()
        }
        do throws(DataplaneError) {
            inboundThread = try WorkerThread(name: "cygnet-in\(suffix)") {
                defer { inboundCommands.close() }
                cygnet_wait_for_turn()
                guard
                    var worker = InboundWorker(
                        device: surroundings.device, team: ways.inbound.team(index),
                        sockets: surroundings.sockets.of(worker: index), wakeup: wakeups.inbound,
                        commands: inboundCommands, notices: notices, events: events, screen: surroundings.screen,
                        complaints: surroundings.streamWays.complaints[index], surroundings.configuration)
                else {
                    events.emit(.failed("no memory for the inbound worker"))
                    return
                }
                worker.run()
            }
        } catch {
            _ = outboundCommands.push(.stop)
            outboundThread.join()
            throw error
        }
    }

    /// Has both threads end and waits until they have. Others may still wake them by what they hold.
    func stop() {
        // A ring that is full has a worker that is about to empty it, unless that has ended.
        while !inboundCommands.isClosed, inboundCommands.push(.stop) == nil { usleep(1000) }
        while !outboundCommands.isClosed, outboundCommands.push(.stop) == nil { usleep(1000) }
        inboundThread.join()
        outboundThread.join()
    }

    /// Once all pairs have stopped.
    func close() {
        inboundWakeup.close()
        outboundWakeup.close()
    }

    // MARK: Commands

    private static var patience: Int64 { 2_000_000_000 }

    /// Gives a worker a command, which it obeys before it takes its next packets.
    ///
    /// - Returns: the command's number; 0 if the worker has ended, so that nobody obeys and nobody uses anything; `nil` if there has
    ///   been no room for two seconds. What the worker holds is then not freed.
    @discardableResult
    static func post<Command>(_ command: Command, to ring: CommandRing<Command>) -> UInt64? {
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

    /// Waits until a worker has obeyed a command.
    ///
    /// - Parameter number: as ``post(_:to:)`` gave it.
    /// - Returns: whether it has.
    static func wait<Command>(for number: UInt64?, in ring: CommandRing<Command>) -> Bool {
        guard let number else { return false }
        let deadline = cygnet_monotonic_nanoseconds() + patience
        while ring.acknowledged < number, !ring.isClosed {
            guard cygnet_monotonic_nanoseconds() < deadline else { return false }
            usleep(20)
        }
        return true
    }

    /// Asks both workers to write down what they have counted; `nil` if there is no room to ask.
    func requestSnapshots() -> PendingSnapshots.Pair? {
        let inbound = WorkerSnapshot()
        let outbound = WorkerSnapshot()
        let retained = (Unmanaged.passRetained(inbound), Unmanaged.passRetained(outbound))
        guard let inboundNumber = inboundCommands.push(.snapshot(retained.0)) else {
            retained.0.release()
            retained.1.release()
            return nil
        }
        guard let outboundNumber = outboundCommands.push(.snapshot(retained.1)) else {
            retained.1.release()
            return nil
        }
        return PendingSnapshots.Pair(
            inbound: inbound, outbound: outbound, inboundNumber: inboundNumber, outboundNumber: outboundNumber,
            workers: self)
    }
}
