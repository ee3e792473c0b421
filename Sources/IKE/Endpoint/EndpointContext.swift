import Credentials
import IPPacket
import IPsecCrypto
import Octets

/// What all SAs of an endpoint share: the time of the current call, random octets, and the queue of outputs.
///
/// It belongs to one ``Endpoint`` and is never used by two threads at once.
final class EndpointContext {
    var now: Instant = .origin
    var configuration: EndpointConfiguration
    var random: any RandomNumberGenerator
    private(set) var outputs: [Output] = []
    private var nextOutput = 0
    /// Things an SA tells the endpoint; handled before the call returns.
    var signals: [Signal] = []
    var jobs = JobTable()
    var turns: NegotiationTurns
    var streams = StreamTable()
    var counters = MessageCounters()
    /// Refusals of first messages that are explained, which costs more than to refuse: anybody can send them.
    var explanations = TokenBucket(perSecond: 5, burst: 20)
    var ikeSPIs = SPIAllocator()
    var childSPIs: ChildSPIAllocator
    var childOwners = ChildOwners()
    var shared = SharedExtensionSlots()
    var identityPairs = IdentityPairs()
    /// What is known of the status of certificates.
    var statusStore = StatusStore()
    var instances = PeerInstances()
    var fragmentBudget: FragmentBudget
    /// The addresses this host has, as it was last told; empty if it never was.
    var ownAddresses: [IPAddress] = []

    /// What an IKE SA tells the endpoint that owns it.
    enum Signal {
        case established(IKESA)
        /// The SA is gone. `refusal`: why, when that was a failure.
        case closed(IKESA, refusal: Refusal?, reason: String)
        /// Another SA than the one that was called has something to do.
        case changed(IKESA)
        /// An SA that is gone has nothing left to repeat.
        case forgotten(IKESA)
        /// A rekey made this SA, which takes the children of `old`.
        case replaced(old: IKESA, new: IKESA)
        /// No child SA is left that carries `child`.
        case childLost(IKESA, child: String, refusal: Refusal?)
        case childUp(IKESA, child: String)
        /// An IKE SA that takes its place is to be set up with the same peer.
        case reauthenticate(IKESA)
        /// An IKE SA with these children is to be set up with another gateway for the same connection.
        case callElsewhere(IKESA, at: IPAddress, [ChildConfiguration])
    }

    init(configuration: EndpointConfiguration, random: any RandomNumberGenerator) {
        self.configuration = configuration
        self.random = random
        childSPIs = ChildSPIAllocator(workers: configuration.packetWorkers)
        fragmentBudget = FragmentBudget(limit: configuration.fragmentBudget)
        turns = NegotiationTurns(limit: configuration.negotiationLimit)
    }

    func emit(_ output: Output) { outputs.append(output) }
    func emit(_ event: IKEEvent) { outputs.append(.event(event)) }

    func popOutput() -> Output? {
        guard nextOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            nextOutput = 0
            return nil
        }
        defer { nextOutput += 1 }
        return outputs[nextOutput]
    }

    func randomOctets(_ count: Int) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(count + 7)
        while octets.count < count {
            octets.append(contentsOf: (random.next() as UInt64).bigEndianOctets)
        }
        octets.removeLast(octets.count - count)
        return octets
    }

    /// Seeds for a key: several where some octets are no key of the method.
    func seeds(for method: KeyExchangeMethod) -> [SecretOctets] {
        (0..<method.seedsToDraw).map { _ in SecretOctets(randomOctets(method.privateSeedLength)) }
    }

    func start(_ work: Job.Work, for localSPI: UInt64) -> Job.ID {
        let id = jobs.begin(for: localSPI, until: now + configuration.computationLimit)
        emit(.compute(Job(id: id, work: work)))
        return id
    }

    func start(_ inquiry: StatusInquiry, for localSPI: UInt64) -> Job.ID {
        let id = jobs.begin(for: localSPI, until: now + configuration.computationLimit)
        emit(.inquire(id, inquiry))
        return id
    }

    /// When an attempt to set up an IKE SA, or a child of one, is given up, however far it has come: time for two exchanges
    /// with all their repetitions, and for a computation that never ends.
    func attemptLimit(_ timing: ConnectionTiming) -> Instant {
        now + timing.retransmission.total + timing.retransmission.total + configuration.computationLimit
    }

    /// Whole seconds since 1970. Parts of a second are added first: a certificate is valid in the second it names.
    func wallClock() -> Int64 {
        (configuration.unixTimeAtOrigin + .nanoseconds(now.nanoseconds)).components.seconds
    }

    /// `pause`, or less where the end of a lifetime is so near that there would be no time for another try after it.
    func within(_ pause: Duration, beforeEndAt end: Instant?) -> Duration {
        guard let end else { return pause }
        return min(pause, max(.milliseconds(100), .nanoseconds((end - now).wholeNanoseconds / 4)))
    }

    /// `duration` less a random part of up to `fraction` of it.
    func jittered(_ duration: Duration, by fraction: Double) -> Duration {
        let most = duration.inSeconds * min(max(fraction, 0), 0.5)
        return .nanoseconds(Int64((duration.inSeconds - Double.random(in: 0...1, using: &random) * most) * 1e9))
    }
}
