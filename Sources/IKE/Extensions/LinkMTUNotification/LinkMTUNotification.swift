// draft-liu-ipsecme-ikev2-mtu-dect-09: link MTU notifications. Code points: notifies LMAP_AND_PTB_SUPPORTED, LMAP and PTB, all still open
// (`OpenCodePoint`).
//
// Decided here, as the draft leaves it open: when and how often is reported, for how long a report holds, how small a value is believed,
// and that one report is for all children of the IKE SA, as it names none. The length told is that of a packet's largest fragment, which
// is what the kernel tells of; it is the first one's unless a router makes that smaller than others.
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

/// Tells the peer that its packets come in fragments, or are too large; and sends smaller ones when told so.
///
/// Where this is agreed on, outer packets are sent without "don't fragment": a router may fragment them, and the peer tells. So
/// nothing is lost where errors of ICMP do not get through.
enum LinkMTUNotification: IKEExtension {
    struct State {
        /// What has been seen since, and is not reported.
        var arrivals = ArrivalSummary()
        var countedSince: Instant
        var lastSeen: Instant
        /// A report waits for its turn.
        var isQueued = false
        var nextReport: Instant
        var pause = LinkMTUNotification.shortestPause
        var lastReported: [Payload] = []

        /// What the peer has said last.
        var learnt: Learnt?
        /// Each other value concerns all children, and is passed to the data plane.
        var changes = TokenBucket(perSecond: 1, burst: 4)
        /// What it says that cannot be followed is told once.
        var hasComplained = false

        init(at now: Instant) {
            countedSince = now
            lastSeen = now
            nextReport = now
        }
    }

    /// What the peer has said of the way to it.
    struct Learnt {
        var told: Told
        var expiry: Instant
        /// The ends of the way for which it was said.
        var local: IPAddress
        var remote: IPAddress
    }

    /// Octets of outer packets, IP header included.
    struct Told: Equatable {
        /// Of the largest one that comes through whole.
        var whole: Int
        /// Of the largest one that the peer can put together (EMTU_R); `nil` if it has not said.
        var reassembled: Int?

        /// The smaller ones of both.
        func lowered(by other: Told) -> Told {
            Told(
                whole: min(whole, other.whole),
                reassembled: [reassembled, other.reassembled].compactMap(\.self).min())
        }
    }

    private enum Subject: Int {
        case report
    }

    /// So many packets in fragments within ``window`` are worth a report.
    static let threshold = 8
    static let window = Duration.seconds(10)
    /// Between two reports; twice as long each time while there is nothing new to say.
    static let shortestPause = Duration.seconds(10)
    static let longestPause = Duration.seconds(600)
    /// After so long without fragments it begins anew.
    static let quiet = Duration.seconds(60)
    /// How long a value holds that the peer does not repeat: that of RFC 1191, section 6.3.
    static let timeToLive = Duration.seconds(600)

    // MARK: Agreement

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isAnnounced =
            switch stage {
            case .initRequest, .initResponse: false
            case .authRequest: sa.connection?.linkMTUNotification != nil
            case .authResponse: sa.slots[Self.self] != nil
            }
        return isAnnounced ? [notification(.mtuNotificationSupported, [], sa)] : []
    }

    private static func notification(_ point: OpenCodePoint, _ data: [UInt8], _ sa: IKESA) -> Payload {
        .notify(NotifyPayload(type: sa.codePoints.notify(point), data: data))
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse: return
        case .authRequest, .authResponse: break
        }
        guard let connection = sa.connection, connection.linkMTUNotification != nil else { return }
        let origin = connection.origin(of: "mtu-notification")
        let isSupported = payloads.notifications(sa.codePoints.notify(.mtuNotificationSupported)).contains {
            $0.protocolID == .none && $0.spi.isEmpty && $0.data.isEmpty
        }
        guard isSupported else {
            sa.tell(.note, "the peer has no link MTU notifications", origin: origin)
            return
        }
        sa.slots[Self.self] = State(at: sa.context.now)
        sa.tell(.chosen, "link MTU notifications", origin: origin)
        direct(sa)
    }

    // MARK: Telling

    static func sighted(_ arrivals: ArrivalSummary, of sa: IKESA) {
        guard var state = sa.slots[Self.self] else { return }
        let now = sa.context.now
        if now - state.countedSince > window {
            state.arrivals = ArrivalSummary()
            state.countedSince = now
        }
        if now - state.lastSeen > quiet {
            state.pause = shortestPause
            state.lastReported = []
            state.nextReport = min(state.nextReport, now)
        }
        state.lastSeen = now
        state.arrivals.add(arrivals)
        let isDue = now >= state.nextReport && !state.isQueued && !report(state.arrivals, sa).isEmpty
        state.isQueued = state.isQueued || isDue
        sa.slots[Self.self] = state
        if isDue { sa.enqueue(.notice(ExtensionNotice(Self.self, Subject.report))) }
    }

    /// LMAP for fragments, PTB for what is too large, and both for what is too large and came in fragments; nothing if there is too
    /// little to tell. PTB alone says that no fragments were seen.
    private static func report(_ arrivals: ArrivalSummary, _ sa: IKESA) -> [Payload] {
        guard let policy = sa.connection?.linkMTUNotification else { return [] }
        var payloads: [Payload] = []
        let isWhole = arrivals.oversizedInFragments == 0 && arrivals.oversizedWhole > 0
        if let octets = arrivals.largestFragment, !isWhole,
            arrivals.oversizedInFragments > 0 || arrivals.fragmented >= threshold
        {
            let packet = LargestAtomicPacket(family: sa.path.remote.address.family, octets: octets)
            payloads.append(notification(.largestAtomicPacket, packet.data, sa))
        }
        if let largest = policy.largestPacket, arrivals.oversizedInFragments + arrivals.oversizedWhole > 0 {
            let sizes = PacketTooBig(linkMTU: policy.linkMTU ?? 1500, largestPacket: largest)
            payloads.append(notification(.packetTooBig, sizes.data, sa))
        }
        return payloads
    }

    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? {
        guard var state = sa.slots[Self.self] else { return nil }
        let now = sa.context.now
        let payloads = report(state.arrivals, sa)
        state.isQueued = false
        state.arrivals = ArrivalSummary()
        state.countedSince = now
        if !payloads.isEmpty {
            state.pause = payloads == state.lastReported ? min(state.pause * 2, longestPause) : shortestPause
            state.lastReported = payloads
            state.nextReport = now + state.pause
        }
        sa.slots[Self.self] = state
        return payloads.isEmpty ? nil : payloads
    }

    // MARK: Being told

    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        guard sa.slots[Self.self] != nil else { return [] }
        do throws(Unusable) {
            if let told = try told(in: request.payloads, of: sa) { learn(told, sa) }
        } catch {
            guard sa.slots[Self.self]?.hasComplained == false else { return [] }
            sa.slots[Self.self]?.hasComplained = true
            sa.context.emit(
                .warning(
                    connection: sa.connection?.name, "the peer's link MTU notification is ignored: \(error.reason)"))
        }
        return []
    }

    private struct Unusable: Error {
        let reason: String
    }

    /// What the peer says of outer packets; `nil` if it says nothing of them.
    private static func told(in payloads: [Payload], of sa: IKESA) throws(Unusable) -> Told? {
        let family = sa.path.remote.address.family
        let least = family == .v4 ? 576 : 1280
        let atomic = try data(.largestAtomicPacket, payloads, sa)
        let tooBig = try data(.packetTooBig, payloads, sa)
        var sizes: [Int] = []
        var reassembled: Int?
        do {
            if let atomic {
                let packet = try LargestAtomicPacket(atomic)
                guard packet.family == family else {
                    throw Unusable(reason: "it is about \(packet.family), and packets go by \(family)")
                }
                sizes.append(packet.octets)
            }
            if let tooBig {
                let told = try PacketTooBig(tooBig)
                // What came through says more than what the peer's own link would take.
                if sizes.isEmpty { sizes.append(told.linkMTU) }
                sizes.append(told.largestPacket)
                reassembled = told.largestPacket
            }
        } catch {
            throw error as? Unusable ?? Unusable(reason: "\(error)")
        }
        guard let smallest = sizes.min() else { return nil }
        guard smallest >= least else {
            throw Unusable(reason: "\(smallest) octets are less than the \(least) that every path takes")
        }
        return Told(whole: smallest, reassembled: reassembled)
    }

    /// The data of the only notification of a kind; `nil` if there is none.
    private static func data(
        _ point: OpenCodePoint, _ payloads: [Payload], _ sa: IKESA
    ) throws(Unusable) -> [UInt8]? {
        let notifications = payloads.notifications(sa.codePoints.notify(point))
        guard let notification = notifications.first else { return nil }
        guard notifications.count == 1 else {
            throw Unusable(reason: "\(notifications.count) \(point.name) notifications in one message")
        }
        guard notification.protocolID == .none, notification.spi.isEmpty else {
            throw Unusable(reason: "a \(point.name) notification of an SPI")
        }
        return notification.data
    }

    /// A value is never raised before the time of the one before is over; the same once more makes it hold longer.
    private static func learn(_ told: Told, _ sa: IKESA) {
        let known = known(of: sa)
        let lowered = known?.lowered(by: told) ?? told
        guard told.whole <= known?.whole ?? .max || lowered != known,
            lowered == known || sa.slots[Self.self]?.changes.takes(at: sa.context.now) ?? false
        else { return }
        sa.slots[Self.self]?.learnt = Learnt(
            told: lowered, expiry: sa.context.now + timeToLive, local: sa.path.local.address,
            remote: sa.path.remote.address)
        direct(sa)
    }

    /// What holds of that now, for the SA's own way.
    private static func known(of sa: IKESA) -> Told? {
        guard let learnt = sa.slots[Self.self]?.learnt, sa.context.now < learnt.expiry,
            learnt.local == sa.path.local.address, learnt.remote == sa.path.remote.address
        else { return nil }
        return learnt.told
    }

    /// Tells the data plane, as far as it does not know: of a pair that does not send yet its description does.
    private static func direct(_ sa: IKESA) {
        guard sa.slots[Self.self] != nil else { return }
        let known = known(of: sa)
        let path = OuterPath(largestWhole: known?.whole, largestReassembled: known?.reassembled, mayBeFragmented: true)
        let changed = sa.withEstablished { established in
            established.children.indices.compactMap { index -> UInt32? in
                guard established.children[index].description.outerPath != path else { return nil }
                established.children[index].description.outerPath = path
                return established.children[index].outboundRank.map { _ in established.children[index].inboundSPI }
            }
        }
        for spi in changed ?? [] { sa.context.emit(.updatePath(inboundSPI: spi, path)) }
    }

    // MARK: Life

    static func added(_ child: ChildSA, to sa: IKESA) { direct(sa) }

    static func established(_ sa: IKESA) { direct(sa) }

    /// A report that waited is not handed on.
    static func replaced(_ old: IKESA, by new: IKESA) { new.slots[Self.self]?.isQueued = false }

    static func deadline(of sa: IKESA) -> Instant? { sa.slots[Self.self]?.learnt?.expiry }

    static func handleTimeout(of sa: IKESA) {
        guard let learnt = sa.slots[Self.self]?.learnt, learnt.expiry <= sa.context.now else { return }
        sa.slots[Self.self]?.learnt = nil
        direct(sa)
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        status.notifiesLinkMTU = sa.slots[Self.self] != nil
        status.outerLimit = known(of: sa)?.whole
    }
}
