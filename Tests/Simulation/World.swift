import Credentials
import IKE
import IPPacket
import Octets

/// What the network does to datagrams.
public struct NetworkConditions: Sendable {
    /// Chances from 0 to 1 that a datagram is lost, or arrives twice.
    public var loss = 0.0
    public var duplication = 0.0
    /// The time on the way lies between these.
    public var delay: ClosedRange<Duration> = .milliseconds(5) ... .milliseconds(5)

    public init(loss: Double = 0, duplication: Double = 0, delay: ClosedRange<Duration> = .milliseconds(5) ... .milliseconds(5)) {
        self.loss = loss
        self.duplication = duplication
        self.delay = delay
    }
}

/// Several endpoints, a lossy network between them, and a clock that stands still unless told to go on.
///
/// Jobs are computed in order, and their results handed over at once unless ``jobTime`` says otherwise. The same seed gives the
/// same run, as far as the jobs' libraries draw no randomness of their own (ECDSA and PSS do; nothing that is checked
/// depends on it).
public final class World {
    public private(set) var now: Instant = .origin
    public var conditions = NetworkConditions()
    /// How long jobs take.
    public var jobTime: ClosedRange<Duration> = .zero ... .zero
    /// Jobs that never end, by their number in the order in which they were begun.
    public var lostJobs: Set<Int> = []
    /// How many jobs have been begun.
    public private(set) var jobCount = 0
    /// What is there to be fetched about certificates; `nil`: no answer.
    public var documents: (StatusRequest) -> [UInt8]? = { _ in nil }
    /// Whether hosts are never told what came of what they wanted fetched.
    public var losesInquiries = false
    /// What hosts wanted fetched.
    public private(set) var inquiries: [[StatusRequest]] = []
    /// Whether packets flow steadily through every outbound SA, so that a peer hears from a new SA as soon as it is used.
    public var carriesTraffic = true
    public private(set) var hosts: [String: Host] = [:]
    /// What the names of hosts stand for.
    public var names: [String: [String]] = [:]
    /// Every datagram that was sent, whether it arrived or not.
    public private(set) var sent: [IKEDatagram] = []
    /// Looks at, and may change or swallow, each datagram before the network gets it.
    public var tap: ((IKEDatagram) -> [IKEDatagram])?
    /// What no single host can see to be wrong.
    public private(set) var faults: [String] = []
    var random: SeededGenerator
    private var flying: [Flight] = []
    private var computing: [Computation] = []
    private var serial = 0
    private var ivs = InitializationVectorLog()

    private struct Flight {
        let arrival: Instant
        let serial: Int
        let datagram: IKEDatagram
    }

    private struct Computation {
        let end: Instant
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
        _ name: String, _ address: String, _ connections: [ConnectionConfiguration],
        settings: EndpointConfiguration = EndpointConfiguration()
    ) async -> Host {
        var configuration = settings
        let location = Location([IPAddress(address) ?? .unspecified(.v4)])
        configuration.sourceAddress = { remote in location.addresses.first { $0.family == remote.family } }
        if settings.unixTimeAtOrigin == .zero { configuration.unixTimeAtOrigin = .seconds(1_800_000_000) }
        let host = Host(
            name: name, location: location, endpoint: Endpoint(configuration: configuration, random: SeededGenerator(seed: random.next())))
        hosts[name] = host
        host.endpoint.apply(connections, at: now)
        await drain(host)
        return host
    }

    /// Lets a person or a data plane act on a host.
    @discardableResult
    public func act<R>(_ name: String, _ body: (Endpoint, Instant) throws -> R) async rethrows -> R? {
        guard let host = hosts[name] else { return nil }
        let result = try body(host.endpoint, now)
        await drain(host)
        await carryTraffic()
        return result
    }

    /// Gives a host other addresses, of which the first is the one packets leave from, and tells its endpoint. None: it is off
    /// the network.
    public func move(_ name: String, to addresses: [String]) async {
        guard let host = hosts[name] else { return }
        host.location.addresses = addresses.compactMap { IPAddress($0) }
        host.endpoint.updateOwnAddresses(host.addresses, at: now)
        await drain(host)
    }

    /// Ends a host at once, without a word to anybody: a crash.
    public func kill(_ name: String) {
        computing.removeAll { $0.host === hosts[name] }
        hosts[name] = nil
    }

    /// Puts a datagram on its way, whoever made it.
    public func inject(_ datagram: IKEDatagram) { fly(datagram) }

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

    /// Lets the next thing happen; false if nothing does before `end`.
    public func step(until end: Instant) async -> Bool {
        var next: (at: Instant, happening: Happening)?
        if let flight = flying.min(by: { ($0.arrival, $0.serial) < ($1.arrival, $1.serial) }) {
            next = (flight.arrival, .arrival(flight))
        }
        if let computation = computing.min(by: { ($0.end, $0.serial) < ($1.end, $1.serial) }),
            computation.end < next?.at ?? .init(nanoseconds: .max)
        {
            next = (computation.end, .result(computation))
        }
        for host in inOrder {
            if let at = host.endpoint.nextDeadline, at < next?.at ?? .init(nanoseconds: .max) { next = (at, .timeout(host)) }
        }
        guard let next, next.at <= end else { return false }
        now = max(now, next.at)
        switch next.happening {
        case .arrival(let flight):
            flying.removeAll { $0.serial == flight.serial }
            await deliver(flight.datagram)
        case .result(let computation):
            computing.removeAll { $0.serial == computation.serial }
            computation.host.endpoint.complete(computation.id, with: computation.result, at: now)
            await drain(computation.host)
        case .timeout(let host):
            host.endpoint.handleTimeout(at: now)
            await drain(host)
        }
        await carryTraffic()
        return true
    }

    /// The hosts by name: nothing may depend on the order of a dictionary.
    private var inOrder: [Host] { hosts.values.sorted { $0.name < $1.name } }

    private func deliver(_ datagram: IKEDatagram) async {
        guard let host = inOrder.first(where: { $0.addresses.contains(datagram.remote.address) }) else { return }
        var datagram = datagram
        (datagram.local, datagram.remote) = (datagram.remote, datagram.local)
        host.endpoint.receive(datagram, at: now)
        await drain(host)
    }

    private func carryTraffic() async {
        guard carriesTraffic else { return }
        let hosts = inOrder
        for sender in hosts {
            for description in sender.outbound.values.sorted(by: { $0.policyID < $1.policyID }) {
                for receiver in hosts where receiver !== sender && receiver.hears(description) {
                    receiver.endpoint.handle(.inboundSeen(spi: description.outboundSPI), at: now)
                    await drain(receiver)
                }
            }
        }
    }

    private func drain(_ host: Host) async {
        while let output = host.endpoint.nextOutput() {
            switch output {
            // Nobody sends from an address that is not there.
            case .send(let datagram) where host.addresses.contains(datagram.local.address): post(datagram)
            case .compute(let job):
                defer { jobCount += 1 }
                guard !lostJobs.contains(jobCount) else { continue }
                let result = await job.run()
                let time = duration(in: jobTime)
                if time == .zero {
                    host.endpoint.complete(job.id, with: result, at: now)
                } else {
                    serial += 1
                    computing.append(
                        Computation(end: now + time, serial: serial, host: host, id: job.id, result: result))
                }
            case .inquire(let id, let inquiry):
                inquiries.append(inquiry.requests)
                if losesInquiries { continue }
                let answers = inquiry.requests.compactMap { request in
                    documents(request).map { StatusAnswer(to: request, octets: $0) }
                }
                host.endpoint.complete(id, with: inquiry.answered(with: answers), at: now)
            case .send: continue
            case .resolve(let name):
                host.endpoint.resolved(name, names[name, default: []].compactMap { IPAddress($0) }, at: now)
            default: host.execute(output, at: now)
            }
        }
    }

    private func post(_ datagram: IKEDatagram) {
        sent.append(datagram)
        if let fault = ivs.note(datagram.octets) { faults.append(fault) }
        for datagram in tap?(datagram) ?? [datagram] {
            guard Double.random(in: 0..<1, using: &random) >= conditions.loss else { continue }
            fly(datagram)
            if Double.random(in: 0..<1, using: &random) < conditions.duplication { fly(datagram) }
        }
    }

    private func fly(_ datagram: IKEDatagram) {
        serial += 1
        flying.append(Flight(arrival: now + duration(in: conditions.delay), serial: serial, datagram: datagram))
    }

    private func duration(in range: ClosedRange<Duration>) -> Duration {
        guard range.lowerBound < range.upperBound else { return range.lowerBound }
        return .nanoseconds(
            Int64.random(in: range.lowerBound.wholeNanoseconds...range.upperBound.wholeNanoseconds, using: &random))
    }
}
