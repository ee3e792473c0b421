import Credentials
import IKE
import IPPacket
import Octets

/// What the network, the data planes and the processors do to hosts.
public struct NetworkConditions: Sendable {
    /// Chances from 0 to 1 that a datagram is lost, or arrives twice.
    public var loss = 0.0
    public var duplication = 0.0
    /// The time on the way lies between these: datagrams overtake each other if it varies.
    public var delay: ClosedRange<Duration> = .milliseconds(5) ... .milliseconds(5)
    /// The chance that a job's result never comes.
    public var jobLoss = 0.0
    /// The chance that a report of the data plane finds its queue full.
    public var reportLoss = 0.0
    /// The chance that an inbound SA cannot be installed.
    public var installationFailure = 0.0

    public init(
        loss: Double = 0, duplication: Double = 0, delay: ClosedRange<Duration> = .milliseconds(5) ... .milliseconds(5)
    ) {
        self.loss = loss
        self.duplication = duplication
        self.delay = delay
    }
}

/// Several endpoints, a lossy network between them, and a clock that stands still unless told to go on.
///
/// Jobs are computed in order, and their results handed over at once unless ``jobTime`` says otherwise. The same seed gives the
/// same run, octet by octet, if signatures that draw randomness of their own (ECDSA, PSS) come from the same ``JobRecording``.
public final class World {
    public private(set) var now: Instant = .origin
    public var conditions = NetworkConditions()
    /// How long jobs take.
    public var jobTime: ClosedRange<Duration> = .zero ... .zero
    /// Jobs that never end, by their number in the order in which they were begun.
    public var lostJobs: Set<Int> = []
    /// How many jobs have been begun.
    public private(set) var jobCount = 0
    /// What hosts have signed, in order.
    public private(set) var signed: [[UInt8]] = []
    /// What is there to be fetched about certificates; `nil`: no answer.
    public var documents: (StatusRequest) -> [UInt8]? = { _ in nil }
    /// Whether hosts are never told what came of what they wanted fetched.
    public var losesInquiries = false
    /// What hosts wanted fetched.
    public private(set) var inquiries: [[StatusRequest]] = []
    /// Whether keys are exchanged with numbers that cost nothing, which only endpoints of such a world take for keys.
    public var isRehearsing = false
    /// Signatures of an earlier run, and where those of this one go.
    public var recording: JobRecording?
    /// Whether packets flow steadily through every outbound SA, so that a peer hears from a new SA as soon as it is used.
    public var carriesTraffic = true
    /// Says which datagrams of UDP a firewall swallows; packets as well if `nil` is what it is asked about.
    public var stopsUDP: (IKEDatagram?) -> Bool = { _ in false }
    /// TCP connections between hosts.
    public let streams = StreamNetwork()
    /// Whether datagrams arrive when it is time. Otherwise they wait in ``waiting`` until somebody chooses.
    public var delivers = true
    /// Whether a host's tables are looked through whenever it has done something.
    public var audits = false
    /// How many datagrams, and events of each host, are kept: long runs need no history.
    public var historyLimit: Int?
    public private(set) var hosts: [String: Host] = [:]
    /// What the names of hosts stand for.
    public var names: [String: [String]] = [:]
    /// Every datagram that was sent, whether it arrived or not.
    public private(set) var sent: [IKEDatagram] = []
    /// Looks at, and may change or swallow, each datagram before the network gets it.
    public var tap: ((IKEDatagram) -> [IKEDatagram])?
    /// What no single host can see to be wrong.
    public private(set) var faults: [String] = []
    /// Protected requests that were answered, and IKE_SA_INIT requests; a repeated answer does not count.
    public var exchangeCount: Int { secrets.exchangeCount }
    /// Stands for every octet that was sent.
    public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    var random: SeededGenerator
    private var flying: [Flight] = []
    private var computing: [Computation] = []
    private var serial = 0
    private var secrets = SecretUseLog()
    /// The hosts by name: nothing may depend on the order of a dictionary.
    private var inOrder: [Host] = []
    /// Something has changed that packets may notice.
    private var packetsMayDiffer = false
    private var touched: [Host] = []

    private struct Flight {
        let arrival: Instant
        let serial: Int
        let datagram: IKEDatagram
        /// In place of a datagram: something that happens to a host.
        var report: (host: Host, DataplaneReport)?
        /// Where a message by a TCP connection ends up.
        var receiver: Host?
    }

    private struct Computation {
        var end: Instant
        let serial: Int
        let host: Host
        let id: Job.ID
        let result: JobResult
    }

    /// What can happen next, in the order of preference at one instant.
    private enum Happening {
        case arrival(Flight)
        case result(Computation)
        case timeout(Host)
    }

    public init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Adds a host with an address and the connections it is configured with.
    @discardableResult
    public func add(
        _ name: String, _ address: String, behind nat: NAT? = nil, _ connections: [ConnectionConfiguration],
        settings: EndpointConfiguration = EndpointConfiguration()
    ) async -> Host {
        var configuration = settings
        let location = Location([IPAddress(address) ?? .unspecified(.v4)])
        configuration.sourceAddress = { remote in location.addresses.first { $0.family == remote.family } }
        if settings.unixTimeAtOrigin == .zero { configuration.unixTimeAtOrigin = .seconds(1_800_000_000) }
        let host = Host(
            name: name, location: location, nat: nat,
            endpoint: Endpoint(configuration: configuration, random: SeededGenerator(seed: random.next())))
        hosts[name] = host
        inOrder = hosts.values.sorted { $0.name < $1.name }
        host.endpoint.apply(connections, at: host.clock(now))
        await drain(host)
        await afterwards()
        return host
    }

    /// Lets a person or a data plane act on a host.
    @discardableResult
    public func act<R>(_ name: String, _ body: (Endpoint, Instant) throws -> R) async rethrows -> R? {
        guard let host = hosts[name] else { return nil }
        let result = try body(host.endpoint, host.clock(now))
        await drain(host)
        await afterwards()
        return result
    }

    // MARK: Blows

    /// Ends a host at once, without a word to anybody: a crash.
    public func kill(_ name: String) {
        computing.removeAll { $0.host === hosts[name] }
        hosts[name] = nil
        inOrder = hosts.values.sorted { $0.name < $1.name }
    }

    /// Puts a host to sleep: what arrives meanwhile is lost, and everything due comes late.
    public func suspend(_ name: String, for duration: Duration) { hosts[name]?.sleepsUntil = now + duration }

    /// Sets a host's clock forward.
    public func setClockForward(of name: String, by duration: Duration) { hosts[name]?.clockLead += duration }

    /// Gives a host other addresses, of which the first is the one packets leave from, and tells its endpoint. None: it is off
    /// the network. What goes to, or claims to come from, the old ones is lost.
    public func move(_ name: String, to addresses: [String]) async {
        guard let host = hosts[name] else { return }
        host.location.addresses = addresses.compactMap { IPAddress($0) }
        packetsMayDiffer = true
        host.endpoint.updateOwnAddresses(host.addresses, at: host.clock(now))
        await drain(host)
        await afterwards()
    }

    /// Lets a NAT forget its mappings.
    public func rebind(_ nat: NAT) async {
        nat.rebind()
        packetsMayDiffer = true
        await afterwards()
    }

    // MARK: Datagrams by choice

    /// A datagram on its way.
    public struct Waiting {
        public let serial: Int
        public let datagram: IKEDatagram
    }

    /// The datagrams on their way, in the order in which they were sent.
    public var waiting: [Waiting] { flying.map { Waiting(serial: $0.serial, datagram: $0.datagram) } }

    /// Lets a datagram arrive now.
    public func deliver(_ serial: Int) async {
        guard let flight = take(serial) else { return }
        await deliver(flight)
        await afterwards()
    }

    /// Lets a datagram never arrive.
    public func lose(_ serial: Int) { _ = take(serial) }

    private func take(_ serial: Int) -> Flight? {
        flying.firstIndex { $0.serial == serial }.map { flying.remove(at: $0) }
    }

    /// Puts a datagram on its way, whoever made it.
    public func inject(_ datagram: IKEDatagram) { fly(datagram) }

    // MARK: Time

    /// Lets time pass, up to `duration` from now.
    public func run(for duration: Duration) async {
        let end = now + duration
        while await step(until: end) {}
        now = max(now, end)
    }

    /// Lets time pass until the condition holds; false if it does not within `limit`.
    public func run(atMost limit: Duration, until condition: () -> Bool) async -> Bool {
        let end = now + limit
        while !condition() {
            guard await step(until: end) else {
                now = max(now, end)
                return condition()
            }
        }
        return true
    }

    /// When the next thing happens that needs no choice.
    public var nextInstant: Instant? { next()?.at }

    private func next() -> (at: Instant, happening: Happening)? {
        var next: (at: Instant, happening: Happening)?
        if delivers, let flight = flying.min(by: { ($0.arrival, $0.serial) < ($1.arrival, $1.serial) }) {
            next = (flight.arrival, .arrival(flight))
        }
        if let computation = computing.min(by: { ($0.end, $0.serial) < ($1.end, $1.serial) }),
            computation.end < next?.at ?? .init(nanoseconds: .max)
        {
            next = (computation.end, .result(computation))
        }
        for host in inOrder {
            if let at = host.nextDeadline, at < next?.at ?? .init(nanoseconds: .max) { next = (at, .timeout(host)) }
        }
        return next
    }

    /// Lets the next thing happen; false if nothing does before `end`.
    public func step(until end: Instant) async -> Bool {
        guard let next = next(), next.at <= end else { return false }
        now = max(now, next.at)
        switch next.happening {
        case .arrival(let flight):
            _ = take(flight.serial)
            await deliver(flight)
        case .result(var computation):
            computing.removeAll { $0.serial == computation.serial }
            if computation.host.isAsleep(at: now) {
                computation.end = computation.host.sleepsUntil
                computing.append(computation)
            } else {
                computation.host.endpoint.complete(
                    computation.id, with: computation.result, at: computation.host.clock(now))
                await drain(computation.host)
            }
        case .timeout(let host):
            host.endpoint.handleTimeout(at: host.clock(now))
            await drain(host)
            if let at = host.nextDeadline, at <= now {
                accuse("\(host.name) finds something due again as soon as it is done")
            }
        }
        await afterwards()
        return true
    }

    private func deliver(_ flight: Flight) async {
        if let (host, report) = flight.report {
            guard hosts[host.name] === host else { return }
            host.endpoint.handle(report, at: host.clock(now))
            return await drain(host)
        }
        guard let host = flight.receiver else { return await deliver(flight.datagram) }
        guard hosts[host.name] === host else { return }
        // Its kernel takes what comes by TCP meanwhile.
        guard !host.isAsleep(at: now) else {
            flying.append(
                Flight(
                    arrival: host.sleepsUntil, serial: flight.serial, datagram: flight.datagram, receiver: host))
            return
        }
        host.endpoint.receive(flight.datagram, at: host.clock(now))
        await drain(host)
    }

    // MARK: TCP connections

    /// Opens a connection, if the other side is there and listens.
    private func open(_ stream: StreamID, _ local: IPAddress, _ remote: SocketAddress, for host: Host) {
        streams.attempts.append(remote)
        guard host.addresses.contains(local), let (receiver, _) = receiver(of: remote), receiver !== host,
            streams.accepts(remote)
        else { return report(.streamLost(stream, reason: "connection refused"), to: host, after: .milliseconds(10)) }
        let port = streams.nextPort()
        let inside = SocketAddress(local, port: port)
        _ = streams.connect(
            StreamNetwork.End(host: host, stream: stream, local: inside, remote: remote), to: receiver, local: remote,
            seenAs: host.nat?.outside(inside, at: now) ?? inside)
        report(.streamOpened(stream, local: inside), to: host, after: .milliseconds(10))
    }

    private func report(_ report: DataplaneReport, to host: Host, after pause: Duration) {
        serial += 1
        let nowhere = SocketAddress(.unspecified(.v4), port: 0)
        flying.append(
            Flight(
                arrival: now + pause, serial: serial,
                datagram: IKEDatagram(octets: [], local: nowhere, remote: nowhere, nonESPMarker: false),
                report: (host, report)))
    }

    /// Sends a message by a connection: nothing is lost there, and nothing overtakes.
    private func post(_ datagram: IKEDatagram, by stream: StreamID, from host: Host) {
        sent.append(datagram)
        if let fault = secrets.note(datagram.octets) { accuse(fault) }
        guard let other = streams.other(end: stream, of: host), !streams.swallows(datagram.remote),
            !streams.swallows(datagram.local)
        else { return }
        for datagram in tap?(datagram) ?? [datagram] {
            var arrived = datagram
            (arrived.local, arrived.remote, arrived.stream) = (other.local, other.remote, other.stream)
            serial += 1
            let arrival = streams.arrival(of: other, at: now + duration(in: conditions.delay))
            flying.append(Flight(arrival: arrival, serial: serial, datagram: arrived, receiver: other.host))
        }
    }

    /// Lets a message arrive by the connection that a host has with this number, whoever made it.
    public func inject(_ octets: [UInt8], by stream: StreamID, at host: Host) {
        guard let end = streams.end(stream, of: host) else { return }
        serial += 1
        flying.append(
            Flight(
                arrival: now, serial: serial,
                datagram: IKEDatagram(
                    octets: octets, local: end.local, remote: end.remote, nonESPMarker: true, stream: stream),
                receiver: host))
    }

    /// Opens a connection for whoever wants to be at its other end.
    public func connect(to host: Host, port: UInt16 = 4500, from source: SocketAddress) -> StreamID {
        streams.connect(
            nil, to: host, local: SocketAddress(host.address, port: port), seenAs: source)
    }

    /// Cuts every connection at once, as a box on the way that has lost its memory does. What was on its way is lost.
    public func cutStreams() async {
        flying.removeAll { $0.datagram.stream != nil }
        for end in streams.cut() {
            report(.streamLost(end.stream, reason: "connection reset by peer"), to: end.host, after: .zero)
        }
        packetsMayDiffer = true
        await afterwards()
    }

    private func close(_ stream: StreamID, of host: Host) {
        // The peer is given time to close what it has opened.
        guard !stream.isAccepted, let other = streams.close(stream, of: host) else { return }
        report(.streamLost(other.stream, reason: "the peer has closed it"), to: other.host, after: .milliseconds(5))
    }

    private func deliver(_ datagram: IKEDatagram) async {
        guard let (host, local) = receiver(of: datagram.remote), !host.isAsleep(at: now) else { return }
        var datagram = datagram
        (datagram.local, datagram.remote) = (local, datagram.local)
        host.endpoint.receive(datagram, at: host.clock(now))
        await drain(host)
    }

    /// The host that gets what is sent to an address, and the address of its own that it arrives at.
    private func receiver(of destination: SocketAddress) -> (Host, SocketAddress)? {
        for host in inOrder {
            if let nat = host.nat {
                if nat.outside == destination.address, let inside = nat.inside(destination),
                    host.addresses.contains(inside.address)
                {
                    return (host, inside)
                }
            } else if host.addresses.contains(destination.address) {
                return (host, destination)
            }
        }
        return nil
    }

    // MARK: Packets

    /// Whether a packet of the policy that `sender` sends now is taken in by `receiver`.
    public func carries(from sender: Host, to receiver: Host, policy: UInt32) -> Bool {
        guard sender.reaches(receiver, policy: policy), let out = sender.outbound[policy] else { return false }
        return way(of: out, from: sender)?.receiver === receiver
    }

    /// Where packets of an outbound SA end up, and where they seem to come from there.
    private func way(of out: ChildSADescription, from sender: Host) -> (receiver: Host, source: SocketAddress)? {
        if let stream = out.stream { return streams.other(end: stream, of: sender).map { ($0.host, $0.remote) } }
        if stopsUDP(nil) { return nil }
        // What a tap does to addresses, packets do not see: then keys alone decide.
        guard tap == nil else {
            return inOrder.first { sender.reaches($0, policy: out.policyID) }.map { ($0, out.local) }
        }
        guard sender.addresses.contains(out.local.address), out.isEncapsulatedInUDP || sender.nat == nil,
            let (receiver, _) = receiver(of: out.remote)
        else { return nil }
        return (receiver, sender.nat?.outside(out.local, at: now) ?? out.local)
    }

    private func afterwards() async {
        if carriesTraffic {
            while packetsMayDiffer {
                packetsMayDiffer = false
                await carryTraffic()
            }
        }
        if audits { for host in touched { examine(host) } }
        touched.removeAll(keepingCapacity: true)
    }

    private func carryTraffic() async {
        for sender in inOrder where !sender.isAsleep(at: now) {
            for description in sender.outbound.values.sorted(by: { $0.policyID < $1.policyID }) {
                guard let (receiver, source) = way(of: description, from: sender), receiver !== sender,
                    !receiver.isAsleep(at: now)
                else { continue }
                if let stream = description.stream, let other = streams.other(end: stream, of: sender),
                    receiver.stream(of: description) != other.stream
                {
                    receiver.endpoint.handle(
                        .peerMoved(spi: description.outboundSPI, remote: source, stream: other.stream),
                        at: receiver.clock(now))
                    await drain(receiver)
                }
                // A NAT that a test makes of a tap does not see packets.
                if sender.nat != nil, let remote = receiver.origin(of: description), remote != source,
                    description.isEncapsulatedInUDP, !happens(conditions.reportLoss)
                {
                    receiver.endpoint.handle(
                        .peerMoved(spi: description.outboundSPI, remote: source), at: receiver.clock(now))
                    await drain(receiver)
                }
                if receiver.hears(description), !happens(conditions.reportLoss) {
                    receiver.endpoint.handle(.inboundSeen(spi: description.outboundSPI), at: receiver.clock(now))
                    await drain(receiver)
                }
            }
        }
    }

    // MARK: Outputs

    private func drain(_ host: Host) async {
        if touched.last !== host { touched.append(host) }
        while let output = host.endpoint.nextOutput() {
            switch output {
            case .send(let datagram):
                if let stream = datagram.stream {
                    post(datagram, by: stream, from: host)
                } else {
                    post(datagram, from: host)
                }
            case .openStream(let stream, let local, let remote, let tls):
                streams.wereSecured.append(tls != nil)
                open(stream, local, remote, for: host)
            case .closeStream(let stream): close(stream, of: host)
            case .compute(let job): await compute(job, for: host)
            case .inquire(let id, let inquiry):
                inquiries.append(inquiry.requests)
                if losesInquiries { continue }
                let answers = inquiry.requests.compactMap { request in
                    documents(request).map { StatusAnswer(to: request, octets: $0) }
                }
                host.endpoint.complete(id, with: inquiry.answered(with: answers), at: host.clock(now))
            case .resolve(let name):
                let addresses = names[name, default: []].compactMap { IPAddress($0) }
                host.endpoint.resolved(name, addresses, at: host.clock(now))
            default:
                host.execute(output, at: now)
                await consider(output, of: host)
            }
        }
        host.forget(beyond: historyLimit)
    }

    private func compute(_ job: Job, for host: Host) async {
        let number = jobCount
        jobCount += 1
        if let octets = job.octetsToSign { signed.append(octets) }
        guard !lostJobs.contains(number), !happens(conditions.jobLoss) else { return }
        let result: JobResult
        if job.kind == .sign, let recording {
            result = await recording.result(of: number) { await job.run() }
        } else {
            result = isRehearsing ? await job.rehearse() : await job.run()
        }
        let time = duration(in: jobTime)
        if time == .zero {
            host.endpoint.complete(job.id, with: result, at: host.clock(now))
        } else {
            serial += 1
            computing.append(Computation(end: now + time, serial: serial, host: host, id: job.id, result: result))
        }
    }

    private func consider(_ output: Output, of host: Host) async {
        switch output {
        case .installInbound(let description):
            packetsMayDiffer = true
            if let fault = secrets.note(description) { accuse("\(host.name): \(fault)") }
            if happens(conditions.installationFailure) {
                host.endpoint.handle(
                    .installationFailed(spi: description.inboundSPI, reason: "simulated"), at: host.clock(now))
            }
        case .activateOutbound, .removeInbound, .removeOutbound, .updateAddresses: packetsMayDiffer = true
        case .sendKeepalive(let from, _): _ = host.nat?.outside(from, at: now)
        default: break
        }
    }

    private func post(_ datagram: IKEDatagram, from host: Host) {
        // Nobody sends from an address that is not there.
        guard host.addresses.contains(datagram.local.address) else { return }
        sent.append(datagram)
        if let historyLimit, sent.count > 2 * historyLimit + 64 { sent.removeFirst(sent.count - historyLimit) }
        for octet in datagram.octets { digest = (digest ^ UInt64(octet)) &* 0x100_0000_01b3 }
        if let fault = secrets.note(datagram.octets) { accuse(fault) }
        var outside = datagram
        if let nat = host.nat { outside.local = nat.outside(datagram.local, at: now) }
        for datagram in tap?(outside) ?? [outside] {
            guard !stopsUDP(datagram), !happens(conditions.loss) else { continue }
            fly(datagram)
            if happens(conditions.duplication) { fly(datagram) }
        }
    }

    private func fly(_ datagram: IKEDatagram) {
        serial += 1
        flying.append(Flight(arrival: now + duration(in: conditions.delay), serial: serial, datagram: datagram))
    }

    private func happens(_ chance: Double) -> Bool { chance > 0 && Double.random(in: 0..<1, using: &random) < chance }

    private func duration(in range: ClosedRange<Duration>) -> Duration {
        guard range.lowerBound < range.upperBound else { return range.lowerBound }
        return .nanoseconds(
            Int64.random(in: range.lowerBound.wholeNanoseconds...range.upperBound.wholeNanoseconds, using: &random))
    }

    // MARK: Rules

    private func accuse(_ text: String) {
        if faults.count < 32 { faults.append("\(now): \(text)") }
    }

    /// What must hold whenever a host has done something.
    private func examine(_ host: Host) {
        for fault in host.endpoint.audit() { accuse("\(host.name): \(fault)") }
        if host.endpoint.inboundSPIs != Set(host.inbound.keys) {
            accuse("\(host.name): IKE and data plane have different inbound SAs")
        }
        for out in host.outbound.values {
            if host.inbound[out.inboundSPI] == nil {
                accuse("\(host.name) sends with \(out.outboundSPI), whose inbound SA is gone")
            }
            // SPIs are random: two that name each other are one pair.
            for peer in inOrder where peer !== host {
                guard let there = peer.inbound[out.outboundSPI], there.outboundSPI == out.inboundSPI else { continue }
                if there.inboundKeys != out.outboundKeys || there.suite != out.suite {
                    accuse("\(host.name) and \(peer.name) have different keys for SPI \(out.outboundSPI)")
                }
            }
        }
    }
}
