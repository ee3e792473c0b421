import IKE
import IPPacket
import Octets
import Synchronization

/// Where a host is: its endpoint asks for it, and the world changes it.
final class Location: Sendable {
    private let current: Mutex<[IPAddress]>

    init(_ addresses: [IPAddress]) { current = Mutex(addresses) }

    var addresses: [IPAddress] {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}

/// A host of a ``World``: an endpoint, and what its outputs have done to a data plane of the mind.
public final class Host {
    public let name: String
    /// The address it began with.
    public let address: IPAddress
    let location: Location
    public let nat: NAT?
    public let endpoint: Endpoint
    /// How far the host's clock is ahead of the world's.
    var clockLead: Duration = .zero
    /// The host is asleep before this.
    var sleepsUntil: Instant = .origin
    /// Inbound SAs that are installed.
    public private(set) var inbound: [UInt32: ChildSADescription] = [:]
    /// The outbound SAs of each policy, the one in use last.
    private var outbounds: [UInt32: [ChildSADescription]] = [:]
    /// The outbound SA that each policy's packets take.
    public var outbound: [UInt32: ChildSADescription] { outbounds.compactMapValues(\.last) }
    /// All outbound SAs, in use or not.
    public var activated: [ChildSADescription] { outbounds.values.flatMap { $0 } }
    public private(set) var events: [IKEEvent] = []
    /// Addresses that peers have given, by connection.
    public private(set) var virtualAddresses: [String: [IPAddress]] = [:]
    /// What of the peers' resolvers is to be used, by connection.
    public private(set) var resolvers: [String: ResolverPlan] = [:]
    public private(set) var resolverChanges = 0
    private var recent: [(at: Instant, event: IKEEvent)] = []
    /// How often things have happened, however many events are kept.
    public private(set) var tally = Tally()
    /// Datagrams that keep a NAT's mapping alive.
    public private(set) var keepalives = 0
    /// TCP connections whose peers have proved who they are.
    public private(set) var trustedStreams: Set<StreamID> = []
    /// Inbound SAs on which a packet has arrived.
    private var heard: Set<UInt32> = []
    /// What went against the rules of the data plane: a test wants it empty.
    public private(set) var faults: [String] = []

    init(name: String, location: Location, nat: NAT?, endpoint: Endpoint) {
        self.name = name
        self.location = location
        self.nat = nat
        address = location.addresses.first ?? .unspecified(.v4)
        self.endpoint = endpoint
    }

    /// Where it is now; packets leave from the first.
    public var addresses: [IPAddress] { location.addresses }

    /// What the host's clock shows.
    func clock(_ now: Instant) -> Instant { now + clockLead }

    func isAsleep(at now: Instant) -> Bool { now < sleepsUntil }

    /// When the endpoint wants to be called, by the world's clock.
    var nextDeadline: Instant? {
        endpoint.nextDeadline.map { max(.init(nanoseconds: $0.nanoseconds - clockLead.wholeNanoseconds), sleepsUntil) }
    }

    /// Drops events that are older than the last few.
    func forget(beyond limit: Int?) {
        if let limit, events.count > 2 * limit + 64 { events.removeFirst(events.count - limit) }
    }

    func execute(_ output: Output, at now: Instant) {
        switch output {
        case .installInbound(let description):
            if inbound.updateValue(description, forKey: description.inboundSPI) != nil {
                faults.append("inbound SPI \(description.inboundSPI) installed twice")
            }
        case .activateOutbound(let description):
            if inbound[description.inboundSPI] == nil {
                faults.append("outbound \(description.outboundSPI) is active without its inbound SA")
            }
            if outbounds[description.policyID, default: []].contains(where: { $0.inboundSPI == description.inboundSPI })
            {
                faults.append("outbound SPI \(description.outboundSPI) activated twice")
            }
            outbounds[description.policyID, default: []].append(description)
        case .removeInbound(let spi):
            if inbound.removeValue(forKey: spi) == nil { faults.append("inbound SPI \(spi) removed but not installed") }
            heard.remove(spi)
        case .removeOutbound(let spi):
            for policy in outbounds.keys { outbounds[policy]?.removeAll { $0.inboundSPI == spi } }
        case .updateAddresses(let inboundSPI, let local, let remote, let isEncapsulated, let stream):
            if inbound[inboundSPI] == nil { faults.append("addresses of unknown inbound SPI \(inboundSPI) updated") }
            inbound[inboundSPI]?.local = local
            inbound[inboundSPI]?.remote = remote
            inbound[inboundSPI]?.isEncapsulatedInUDP = isEncapsulated
            inbound[inboundSPI]?.stream = stream
            for policy in outbounds.keys {
                for index in outbounds[policy, default: []].indices
                where outbounds[policy, default: []][index].inboundSPI == inboundSPI {
                    if outbounds[policy, default: []][index].remote.address != remote.address
                        || outbounds[policy, default: []][index].local.address != local.address
                    {
                        outbounds[policy, default: []][index].outerPath.largestWhole = nil
                    }
                    outbounds[policy, default: []][index].local = local
                    outbounds[policy, default: []][index].remote = remote
                    outbounds[policy, default: []][index].isEncapsulatedInUDP = isEncapsulated
                    outbounds[policy, default: []][index].stream = stream
                }
            }
        case .updatePath(let inboundSPI, let path):
            for policy in outbounds.keys {
                for index in outbounds[policy, default: []].indices
                where outbounds[policy, default: []][index].inboundSPI == inboundSPI {
                    outbounds[policy, default: []][index].outerPath = path
                }
            }
        case .sendKeepalive: keepalives += 1
        case .assignAddresses(let connection, let addresses):
            virtualAddresses[connection] = addresses.isEmpty ? nil : addresses
        case .setResolvers(let connection, let plan):
            resolvers[connection] = plan
            resolverChanges += 1
        case .event(let event):
            events.append(event)
            recent.append((now, event))
            if recent.count > 128 { recent.removeFirst(88) }
            tally.count(event)
        case .trustStream(let stream): trustedStreams.insert(stream)
        case .send, .compute, .inquire, .resolve, .openStream, .closeStream: break
        }
    }

    public func status(_ connection: String) -> ConnectionStatus? {
        endpoint.status().first { $0.name == connection }
    }

    public func isUp(_ connection: String) -> Bool {
        status(connection).map { $0.state == .up && !$0.children.isEmpty } ?? false
    }

    /// The last events in a few words, for complaints.
    var recentEvents: String {
        recent.suffix(40).map { at, event in
            switch event {
            case .negotiated(_, let narrative): "\(at): \(narrative.title)"
            default: "\(at): \(String(describing: event).prefix(160))"
            }
        }.joined(separator: " | ")
    }

    /// Refusals of all failed attempts, ours and those of callers, in order.
    public var refusals: [Refusal] {
        events.compactMap {
            switch $0 {
            case .failed(_, _, let refusal, _), .peerRefused(_, let refusal), .callerRefused(_, _, let refusal): refusal
            default: nil
            }
        }
    }

    public var narratives: [Narrative] {
        events.compactMap { if case .negotiated(_, let narrative) = $0 { narrative } else { nil } }
    }

    /// Whether packets of the policy would get to `peer` and be understood there: same SPI, algorithms, key and form of numbers.
    public func reaches(_ peer: Host, policy: UInt32) -> Bool {
        guard let out = outbound[policy], let there = peer.inbound[out.outboundSPI] else { return false }
        return there.inboundKeys == out.outboundKeys && there.suite.encryption == out.suite.encryption
            && there.suite.sequenceNumbers == out.suite.sequenceNumbers
            && there.subspaces?.inbound == out.subspaces?.outbound
    }

    /// The TCP connection by which packets of a peer's SA are known to come.
    func stream(of sender: ChildSADescription) -> StreamID? {
        guard let own = inbound[sender.outboundSPI], own.inboundKeys == sender.outboundKeys else { return nil }
        return own.stream
    }

    /// Where packets of a peer's SA are known to come from.
    func origin(of sender: ChildSADescription) -> SocketAddress? {
        guard let own = inbound[sender.outboundSPI], own.inboundKeys == sender.outboundKeys else { return nil }
        return own.remote
    }

    /// Whether a packet sent through a peer's SA is the first that arrives on ours.
    func hears(_ sender: ChildSADescription) -> Bool {
        guard let own = inbound[sender.outboundSPI], own.inboundKeys == sender.outboundKeys else { return false }
        return heard.insert(own.inboundSPI).inserted
    }
}

/// How often the things happened that a run is measured by.
public struct Tally: Sendable {
    public var established = 0
    public var ikeRekeys = 0
    public var childRekeys = 0
    public var deadPeers = 0
    public var failures = 0

    mutating func count(_ event: IKEEvent) {
        switch event {
        case .ikeEstablished: established += 1
        case .ikeRekeyed: ikeRekeys += 1
        case .childRekeyed: childRekeys += 1
        case .peerDead: deadPeers += 1
        case .failed, .peerRefused: failures += 1
        default: break
        }
    }
}
