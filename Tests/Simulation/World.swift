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
/// Jobs are run at once, in order. The same seed gives the same run, as far as the jobs' libraries draw no randomness of
/// their own (ECDSA and PSS do; nothing that is checked depends on it).
public final class World {
    public private(set) var now: Instant = .origin
    public var conditions = NetworkConditions()
    public private(set) var hosts: [String: Host] = [:]
    /// Every datagram that was sent, whether it arrived or not.
    public private(set) var sent: [IKEDatagram] = []
    /// Looks at, and may change or swallow, each datagram before the network gets it.
    public var tap: ((IKEDatagram) -> [IKEDatagram])?
    var random: SeededGenerator
    private var flying: [Flight] = []
    private var serial = 0

    private struct Flight {
        let arrival: Instant
        let serial: Int
        let datagram: IKEDatagram
    }

    public init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Adds a host with an address and the connections it is configured with.
    @discardableResult
    public func add(
        _ name: String, _ address: String, _ connections: [ConnectionConfiguration],
        configure: (inout EndpointConfiguration) -> Void = { _ in }
    ) async -> Host {
        var configuration = EndpointConfiguration()
        let own = IPAddress(address) ?? .unspecified(.v4)
        configuration.sourceAddress = { _ in own }
        configuration.unixTimeAtOrigin = 1_800_000_000
        configure(&configuration)
        let host = Host(
            name: name, address: own, endpoint: Endpoint(configuration: configuration, random: SeededGenerator(seed: random.next())))
        hosts[name] = host
        host.endpoint.apply(connections, at: now)
        await drain(host)
        return host
    }

    /// Lets a person or a data plane act on a host.
    public func act<R>(_ name: String, _ body: (Endpoint, Instant) throws -> R) async rethrows -> R? {
        guard let host = hosts[name] else { return nil }
        let result = try body(host.endpoint, now)
        await drain(host)
        return result
    }

    /// Ends a host at once, without a word to anybody: a crash.
    public func kill(_ name: String) { hosts[name] = nil }

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
            guard await step(until: end) else { return condition() }
        }
        return true
    }

    /// The next thing that happens; false if nothing does before `end`.
    private func step(until end: Instant) async -> Bool {
        let flight = flying.min { ($0.arrival, $0.serial) < ($1.arrival, $1.serial) }
        let timer = hosts.values.compactMap { host in host.endpoint.nextDeadline.map { ($0, host) } }
            .min { ($0.0, $0.1.name) < ($1.0, $1.1.name) }
        if let flight, flight.arrival <= (timer?.0 ?? end), flight.arrival <= end {
            flying.removeAll { $0.serial == flight.serial }
            now = max(now, flight.arrival)
            if let host = hosts.values.first(where: { $0.address == flight.datagram.remote.address }) {
                var datagram = flight.datagram
                (datagram.local, datagram.remote) = (datagram.remote, datagram.local)
                host.endpoint.receive(datagram, at: now)
                await drain(host)
            }
            return true
        }
        guard let timer, timer.0 <= end else { return false }
        now = max(now, timer.0)
        timer.1.endpoint.handleTimeout(at: now)
        await drain(timer.1)
        return true
    }

    private func drain(_ host: Host) async {
        while let output = host.endpoint.nextOutput() {
            switch output {
            case .send(let datagram): post(datagram)
            case .compute(let job):
                let result = await job.run()
                host.endpoint.complete(job.id, with: result, at: now)
            default: host.execute(output, at: now)
            }
        }
    }

    private func post(_ datagram: IKEDatagram) {
        sent.append(datagram)
        for datagram in tap?(datagram) ?? [datagram] {
            guard Double.random(in: 0..<1, using: &random) >= conditions.loss else { continue }
            fly(datagram)
            if Double.random(in: 0..<1, using: &random) < conditions.duplication { fly(datagram) }
        }
    }

    private func fly(_ datagram: IKEDatagram) {
        let range = conditions.delay
        let delay = Int64.random(
            in: range.lowerBound.wholeNanoseconds...range.upperBound.wholeNanoseconds, using: &random)
        serial += 1
        flying.append(Flight(arrival: now + .nanoseconds(delay), serial: serial, datagram: datagram))
    }
}
