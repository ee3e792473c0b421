// RFC 4555: MOBIKE. Code points: notify 40, 41 and 16396 to 16402 (IKEMessage).
import IKEMessage
import IPPacket
import Octets

/// Addresses that change while an IKE SA and its children are up.
///
/// The initiator alone decides between which two addresses an SA goes on. The responder tells what addresses it has, and takes
/// the initiator's word for where that is, but not before it has answered there. "Initiator" is whoever began the first of the IKE
/// SAs that followed one another by rekeying (RFC 4555 section 1.3).
///
/// Negotiation and address lists are here, the initiator's choice of a way in `PathSelection.swift` and `AddressUpdate.swift`, the
/// responder's proof of it in `ReturnRoutability.swift`.
enum Mobility: IKEExtension {
    /// Present where both sides take part.
    struct State {
        /// We are the initiator.
        let decides: Bool
        /// Where the peer was when it last told its addresses, and the others that it told; empty if it told none.
        var peerAddresses: [IPAddress]
        /// Where the peer could reach us, as it was last told.
        var announced: Set<IPAddress> = []
        /// Ways that the peer did not accept, until addresses change.
        var refused: Set<Ends> = []
        var update: Update?
        /// How often in a row the peer has seen a NAT where none is allowed.
        var unexpectedNATs = 0
        /// The hash of our address and port as the peer last saw them (RFC 4555 section 3.8).
        var mapping: [UInt8]?
        var check: Check?
        /// The first IKE_AUTH request came through a NAT that its sender does not allow.
        var mustEnd = false
    }

    /// Two addresses, whatever the ports.
    struct Ends: Hashable {
        let local: IPAddress
        let remote: IPAddress

        init(_ way: Path) {
            local = way.local.address
            remote = way.remote.address
        }
    }

    enum Subject: Int {
        /// Our UPDATE_SA_ADDRESSES.
        case update
        /// Our COOKIE2, to see whether the peer is where it says.
        case check
        /// Our addresses, which have changed.
        case announce
    }

    /// Addresses told to the peer, and remembered of it.
    private static let announcedLimit = 8
    private static let rememberedLimit = 16
    /// Lengths of COOKIE2 that RFC 4555 section 4.2.5 allows.
    private static let cookieLengths = 8...64

    // MARK: Agreeing on it

    /// With the peer on the NAT traversal port from the start, the port need not change when a NAT comes between later
    /// (RFC 4555 section 3.3).
    static func prefersNATPort(of sa: IKESA) -> Bool { sa.connection?.mobility ?? false }

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let supported = Payload.notify(NotifyPayload(type: .mobikeSupported))
        switch stage {
        case .initRequest, .initResponse: return []
        case .authRequest:
            guard sa.connection?.mobility ?? false else { return [] }
            return [supported] + addressPayloads(of: sa) + natProhibition(of: sa)
        case .authResponse:
            guard sa.slots[Self.self] != nil else { return [] }
            return [supported] + addressPayloads(of: sa)
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        guard sa.connection?.mobility ?? false, payloads.notification(.mobikeSupported) != nil else { return }
        switch stage {
        case .initRequest, .initResponse: break
        case .authResponse: begin(payloads, decides: true, of: sa)
        case .authRequest:
            begin(payloads, decides: false, of: sa)
            guard !isAsSent(payloads, along: sa.window.answering ?? sa.path) else { return }
            sa.slots[Self.self]?.mustEnd = true
            throw Refusal(
                .refusedByPeer, by: .peer, "the peer allows no NAT, and its request came through one",
                notify: .unexpectedNATDetected)
        }
    }

    private static func begin(_ payloads: [Payload], decides: Bool, of sa: IKESA) {
        var state = State(decides: decides, peerAddresses: addresses(in: payloads, from: sa.path.remote.address) ?? [])
        state.announced = reachableAddresses(of: sa)
        sa.slots[Self.self] = state
        sa.tell(.note, "addresses may change (RFC 4555); \(decides ? "we decide" : "the peer decides") on them")
    }

    static func established(_ sa: IKESA) {
        guard let state = sa.slots[Self.self] else { return }
        if state.mustEnd {
            sa.enqueue(.deleteIKE(reason: "the peer allows no NAT, and there is one"))
        } else {
            // Addresses may have changed since IKE_AUTH began. The SA's own is there, or nothing would have come by it.
            review(sa)
        }
    }

    // MARK: Address lists

    /// Our addresses at which the peer could reach us besides the SA's own (RFC 4555 section 3.6): of those that the connection
    /// may use, the ones that are not part of a protected network, unless the SA's own is as well.
    static func otherAddresses(of sa: IKESA) -> [IPAddress] {
        guard let connection = sa.connection else { return [] }
        let current = sa.path.local.address
        let others = usableAddresses(of: sa).filter { $0 != current }
        guard connection.localAddresses.isEmpty else { return Array(others.prefix(announcedLimit)) }
        let inside = connection.children.flatMap(\.localSelectors).filter { !$0.contains(current) }
        return Array(others.filter { address in !inside.contains { $0.contains(address) } }.prefix(announcedLimit))
    }

    /// The SA's own address, as long as this host has it, and the others.
    static func reachableAddresses(of sa: IKESA) -> Set<IPAddress> {
        Set(usableAddresses(of: sa).filter { $0 == sa.path.local.address } + otherAddresses(of: sa))
    }

    /// Addresses that this host has, as far as it knows, and the connection may use.
    static func usableAddresses(of sa: IKESA) -> [IPAddress] {
        let own = sa.context.ownAddresses
        guard let configured = sa.connection?.localAddresses, !configured.isEmpty else { return own }
        return own.isEmpty ? configured : configured.filter(own.contains)
    }

    static func addressPayloads(of sa: IKESA) -> [Payload] {
        let others = otherAddresses(of: sa)
        guard !others.isEmpty else { return [.notify(NotifyPayload(type: .noAdditionalAddresses))] }
        return others.map {
            .notify(
                NotifyPayload(
                    type: $0.family == .v4 ? .additionalIP4Address : .additionalIP6Address, data: $0.octets))
        }
    }

    /// The peer's addresses as a message from `source` tells them, each list in place of the one before; `nil` if it tells none.
    private static func addresses(in payloads: [Payload], from source: IPAddress) -> [IPAddress]? {
        var result = [source]
        var isTold = payloads.notification(.noAdditionalAddresses) != nil
        for case .notify(let notify) in payloads
        where notify.type == .additionalIP4Address || notify.type == .additionalIP6Address {
            isTold = true
            guard let address = IPAddress(octets: notify.data), result.count < rememberedLimit, isPossible(address),
                address.family == (notify.type == .additionalIP4Address ? .v4 : .v6), !result.contains(address)
            else { continue }
            result.append(address)
        }
        return isTold ? result : nil
    }

    /// Whether a peer can be at an address.
    static func isPossible(_ address: IPAddress) -> Bool { !address.isUnspecified && !address.isMulticast }

    private static func beginAnnouncement(of sa: IKESA) -> [Payload]? {
        guard sa.slots[Self.self] != nil else { return nil }
        sa.slots[Self.self]?.announced = reachableAddresses(of: sa)
        return addressPayloads(of: sa) + natProhibition(of: sa)
    }

    // MARK: NATs that are not allowed

    /// Both ends as we see them, where the peer does not traverse NATs: nothing may change them on the way then (RFC 4555
    /// section 3.9).
    static func natProhibition(of sa: IKESA) -> [Payload] {
        guard !sa.path.traversesNATs, sa.path.stream == nil else { return [] }
        return [.notify(NotifyPayload(type: .noNATsAllowed, data: ends(from: sa.path.local, to: sa.path.remote)))]
    }

    /// Whether a message that came by `way` was sent between those ends, or does not say.
    private static func isAsSent(_ payloads: [Payload], along way: Path) -> Bool {
        // TCP passes NATs whatever the peer allows (RFC 9329 section 7.1).
        guard way.stream == nil, let told = payloads.notification(.noNATsAllowed) else { return true }
        return told.data == ends(from: way.remote, to: way.local)
    }

    /// `source | destination | source port | destination port` (RFC 4555 section 4.2.6).
    private static func ends(from source: SocketAddress, to destination: SocketAddress) -> [UInt8] {
        source.address.octets + destination.address.octets + source.port.bigEndianOctets
            + destination.port.bigEndianOctets
    }

    // MARK: INFORMATIONAL exchanges

    static func notice(_ subject: Subject) -> Established.Task { .notice(ExtensionNotice(Self.self, subject)) }

    /// Whether an exchange about `subject` waits for its turn.
    static func isQueued(_ subject: Subject, of sa: IKESA) -> Bool {
        sa.established?.tasks.contains { task in
            guard case .notice(let notice) = task else { return false }
            return notice.owner == Self.self && notice.subject == subject.rawValue
        } ?? false
    }

    /// Whether an UPDATE_SA_ADDRESSES of ours waits for its answer.
    static func isUpdating(_ sa: IKESA) -> Bool {
        guard case .notice(let notice) = sa.established?.outgoing else { return false }
        return notice.owner == Self.self && notice.subject == Subject.update.rawValue
    }

    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? {
        guard sa.established?.isReplaced == false else { return nil }
        return switch Subject(rawValue: notice.subject) {
        case .update: beginUpdate(of: sa)
        case .check: beginCheck(of: sa)
        case .announce: beginAnnouncement(of: sa)
        case nil: nil
        }
    }

    static func finish(_ notice: ExtensionNotice, with answer: Authenticated, of sa: IKESA) {
        switch Subject(rawValue: notice.subject) {
        case .update: finishUpdate(with: answer, of: sa)
        case .check: finishCheck(with: answer, of: sa)
        case .announce, nil: break
        }
    }

    /// Whether an answer gives back the cookie that was sent. Whoever does not has not seen the request, so that the SA ends (RFC 4555
    /// section 3.7).
    static func returns(_ cookie: [UInt8], _ answer: Authenticated, of sa: IKESA) -> Bool {
        if answer.payloads.notification(.cookie2)?.data == cookie { return true }
        sa.close(
            Refusal(.protocolViolation, "the peer's answer does not return our COOKIE2 (RFC 4555 section 3.7)"),
            tellPeer: true)
        return false
    }

    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        guard let state = sa.slots[Self.self], sa.established?.isReplaced == false else { return [] }
        let payloads = request.payloads
        let way = request.datagram.way
        let cookie = payloads.notification(.cookie2).map(\.data).filter { cookieLengths.contains($0.count) }
        let returned = cookie.map { [Payload.notify(NotifyPayload(type: .cookie2, data: $0))] } ?? []
        let isUpdate = !state.decides && payloads.notification(.updateSAAddresses) != nil
        let told = addresses(in: payloads, from: way.remote.address)
        guard !(isUpdate || told != nil) || isAsSent(payloads, along: way) else {
            sa.tell(.refused, "the peer allows no NAT, and its message came through one")
            return returned + [.notify(NotifyPayload(type: .unexpectedNATDetected))]
        }
        if isUpdate, !isAcceptable(way, of: sa) {
            sa.tell(.refused, "the peer's move to \(way.remote.address), calling \(way.local.address)")
            return returned + [.notify(NotifyPayload(type: .unacceptableAddresses))]
        }
        if let told { sa.slots[Self.self]?.peerAddresses = told }
        // Made before anything changes: they are about the way of the request (RFC 4555 section 3.8).
        let detection =
            payloads.notification(.natDetectionSourceIP) == nil ? [] : sa.natDetectionPayloads(along: way)
        if isUpdate {
            acceptUpdate(payloads, along: way, of: sa)
        } else if told != nil, state.decides {
            chooseWay(for: sa)
        }
        return returned + detection
    }

    // MARK: Life

    /// This host's addresses or routes are other ones.
    static func addressesChanged(of sa: IKESA) {
        guard sa.slots[Self.self] != nil, sa.established?.isReplaced == false else { return }
        sa.slots[Self.self]?.refused = []
        leaveLostAddress(of: sa)
        review(sa)
    }

    /// Goes over to a better way, and tells the peer what addresses there are, where that is not done.
    private static func review(_ sa: IKESA) {
        chooseWay(for: sa)
        guard let state = sa.slots[Self.self], reachableAddresses(of: sa) != state.announced else { return }
        // An update tells them as well.
        if !isQueued(.update, of: sa), !isQueued(.announce, of: sa) { sa.enqueue(notice(.announce)) }
    }

    /// The new IKE SA goes on where the old one is, and with what that has begun.
    static func replaced(_ old: IKESA, by new: IKESA) {
        guard new.slots[Self.self] != nil else { return }
        new.path = old.path
        new.slots[Self.self]?.mapping = nil
        guard case .notice(let notice) = old.established?.outgoing, notice.owner == Self.self else { return }
        _ = new.withEstablished { $0.tasks.insert(.notice(notice), at: 0) }
    }
}

extension Optional {
    /// The value, if it is there and fulfils a condition.
    fileprivate func filter(_ condition: (Wrapped) -> Bool) -> Wrapped? { flatMap { condition($0) ? $0 : nil } }
}
