import Credentials
import IKE

/// The settings of a connection that stand by themselves; what is not set keeps its default.
struct ConnectionOptions {
    private var timing = ConnectionTiming()
    private let proposals: [IKEProposal]?
    private let start: StartPolicy?
    private let childless: ChildlessPolicy?
    private let postQuantum: PostQuantumPolicy?
    private let ppks: [PostquantumPresharedKey]
    private let ppkRequired: Bool?
    private let ppkExchange: PPKExchange?
    private let announcements: AnnouncementPolicy?
    private let downgradePrevention: DowngradePreventionPolicy?
    private let resumption: Bool?
    private let optimizedRekey: Bool?
    private let linkMTUNotification: LinkMTUPolicy?
    private let revocation: RevocationPolicy?
    private let mobility: Bool?
    private let returnRoutability: Bool?
    private let redirect: GatewayIdentity?
    private let followRedirect: Bool?
    private let deadPeerAction: DeadPeerAction?
    private let encapsulation: EncapsulationPolicy?
    private var tcp = TCPPolicy()
    private let fragmentation: Bool?
    private let fragmentSize: Int?
    private let extendedPayloads: ExtendedPayloadPolicy
    private let initialContact: Bool?
    private let port: Int?
    private let natPort: Int?

    init(_ settings: LayeredMapping<ConnectionKey>, _ remote: LayeredMapping<RemoteKey>) {
        proposals = settings[.ike].flatMap {
            ProposalSyntax.list($0, defaults: IKEProposal.defaults, read: ProposalSyntax.ike)
        }
        postQuantum = settings[.postQuantum]?.word(PostQuantumPolicy.self, what: "policy for post-quantum key exchange")
        if let node = settings[.postQuantum], let proposals {
            let count = proposals.count(where: \.isPostQuantum)
            if postQuantum == .require, count == 0 {
                node.error(
                    "none of the IKE proposals has ML-KEM; expected one such as aes256gcm16-prfsha256-x25519-ke1_mlkem768"
                )
            } else if postQuantum == .no, count == proposals.count {
                node.error("all of the IKE proposals have ML-KEM; expected one without ke1_")
            }
        }
        ppks = settings[.ppk]?.elements.compactMap(Self.ppk) ?? []
        ppkRequired = settings[.ppkRequired]?.bool()
        if ppkRequired == true, settings[.ppk] == nil {
            settings[.ppkRequired]?.error("a PPK is required and none is given; expected \"ppk\" with id and secret")
        }
        if let node = settings[.ppk] {
            for (index, key) in ppks.enumerated()
            where ppks[..<index].contains(where: { $0.identifier == key.identifier }) {
                node.error(
                    "two PPKs have the name \(quoted(String(decoding: key.identifier, as: UTF8.self))); a peer names the one that is used"
                )
            }
        } else {
            settings[.ppkExchange]?.error("there is no PPK to mix in; expected \"ppk\" with id and secret")
        }
        announcements = settings[.announceAuth]?.word(AnnouncementPolicy.self, what: "announcement of methods")
        downgradePrevention = settings[.downgradePrevention]?.word(
            DowngradePreventionPolicy.self, what: "policy for downgrade prevention")
        ppkExchange = settings[.ppkExchange]?.word(PPKExchange.self, what: "exchange for a PPK")
        if let node = settings[.ppkInRekeys], node.bool() == true {
            node.error(
                "a PPK cannot be mixed in when keys are replaced (RFC 9867 in CREATE_CHILD_SA): no other implementation has it, and its formulas could not be confirmed; expected no"
            )
        }
        start = settings[.start]?.word(StartPolicy.self, what: "start")
        resumption = settings[.resumption]?.bool()
        optimizedRekey = settings[.optimizedRekey]?.bool()
        linkMTUNotification = Self.linkMTUNotification(settings)
        revocation = settings[.revocation]?.word(RevocationPolicy.self, what: "revocation")
        mobility = settings[.mobike]?.bool()
        returnRoutability = settings[.returnRoutability]?.bool()
        redirect = settings[.redirect]?.gateway()
        followRedirect = settings[.followRedirect]?.bool()
        childless = settings[.childless]?.word(ChildlessPolicy.self, what: "childless")
        encapsulation = settings[.encapsulation]?.word(EncapsulationPolicy.self, what: "encapsulation")
        fragmentation = settings[.fragmentation]?.bool()
        fragmentSize = settings[.fragmentSize]?.integer(in: 576...9000)
        extendedPayloads = Self.extendedPayloads(settings, fragmentation: fragmentation ?? true)
        initialContact = settings[.initialContact]?.bool()
        port = remote[.port]?.integer(in: 1...65535)
        natPort = remote[.natPort]?.integer(in: 1...65535)
        let deadPeer = settings.nested(.deadPeer, as: DeadPeerKey.self)
        deadPeerAction = deadPeer[.action]?.word(DeadPeerAction.self, what: "action")
        if let node = deadPeer[.interval], let time = node.timeOrNever(from: .seconds(1)) {
            timing.livenessInterval = time.value
        }
        let lifetimes = settings.nested(.lifetimes, as: LifetimeKey.self)
        if let node = lifetimes[.ike], let time = node.timeOrNever(from: .seconds(1)) { timing.rekeyAfter = time.value }
        if let node = lifetimes[.reauthentication], let time = node.timeOrNever(from: .seconds(1)) {
            timing.reauthenticateAfter = time.value
        }
        if let time = lifetimes[.ticket]?.duration(in: .seconds(1)...(.seconds(7 * 86400))) {
            timing.ticketLifetime = time
        }
        if let fraction = lifetimes[.jitter]?.percentage(upTo: 50) { timing.jitter = fraction }
        if let fraction = lifetimes[.overtime]?.percentage(upTo: 100) { timing.overtime = fraction }
        if let time = settings[.natKeepalive]?.duration(in: .seconds(1)...(.seconds(3600))) {
            timing.natKeepalive = time
        }
        readTCP(settings, remote, port: natPort)
        readRetry(settings.nested(.retry, as: RetryKey.self))
        readRetransmission(settings.nested(.retransmission, as: RetransmissionKey.self))
    }

    private mutating func readTCP(
        _ settings: LayeredMapping<ConnectionKey>, _ remote: LayeredMapping<RemoteKey>, port: Int?
    ) {
        if let port { tcp.ports = [UInt16(port)] }
        guard settings[.tcp] != nil else { return }
        let mapping = settings.nested(.tcp, as: TCPKey.self)
        tcp.use = .fallback
        if let use = mapping[.use]?.word(TCPPolicy.Use.self, what: "use of TCP") { tcp.use = use }
        if let node = mapping[.ports] {
            tcp.ports = TLSReader.ports(node)
            let isNone = node.elements.isEmpty || node.node.scalar?.string == "none"
            if isNone, mapping[.tls] == nil {
                node.error("there is no port; expected for example 4500, or [4500, 443], or none with \"tls\"")
            }
        }
        if let node = mapping[.tls] {
            let names = remote[.address]?.elements.compactMap {
                $0.node.scalar.flatMap { RemoteHost($0.string) }?.name
            }
            tcp.tls = TLSReader.policy(node, plain: tcp.ports, names: names ?? [])
        }
        if let node = mapping[.probe], let time = node.timeOrNever(from: .seconds(1)) { tcp.probeAfter = time.value }
    }

    private mutating func readRetry(_ retry: LayeredMapping<RetryKey>) {
        if let time = retry[.first]?.duration(in: .milliseconds(100)...(.seconds(3600))) {
            timing.retryInitial = time
            timing.retryLimit = max(timing.retryLimit, time)
        }
        if let node = retry[.limit], let time = node.duration(in: .milliseconds(100)...(.seconds(86400))) {
            timing.retryLimit = time
            if time < timing.retryInitial {
                node.error(
                    "the longest pause is shorter than the first, \(MeasureSyntax.describe(timing.retryInitial))")
            }
        }
    }

    private mutating func readRetransmission(_ retransmission: LayeredMapping<RetransmissionKey>) {
        if let time = retransmission[.first]?.duration(in: .milliseconds(50)...(.seconds(60))) {
            timing.retransmission.initial = time
        }
        if let time = retransmission[.limit]?.duration(in: .milliseconds(50)...(.seconds(600))) {
            timing.retransmission.limit = time
        }
        if let tries = retransmission[.tries]?.integer(in: 0...100) { timing.retransmission.tries = tries }
        if let factor = retransmission[.factor]?.decimal(in: 1...10) { timing.retransmission.factor = factor }
    }

    private static func extendedPayloads(
        _ settings: LayeredMapping<ConnectionKey>, fragmentation: Bool
    ) -> ExtendedPayloadPolicy {
        let use = settings[.extendedPayloads]?.word(
            ExtendedPayloadPolicy.Use.self, what: "policy for extended payload headers")
        var policy = ExtendedPayloadPolicy(use ?? .no)
        guard let node = settings[.extendedPayloadsMaximum], let octets = node.integer(in: 65_535...16_777_216) else {
            return policy
        }
        policy.maximum = octets
        if settings[.extendedPayloads] == nil || use == .no {
            node.error("no peer is told of it; expected \"extended-payloads: yes\" as well")
        } else if !fragmentation, octets > 65_535 {
            node.error(
                "without fragments no message has more than 65535 octets; expected that, or \"fragmentation: yes\"")
        }
        return policy
    }

    private static func linkMTUNotification(_ settings: LayeredMapping<ConnectionKey>) -> LinkMTUPolicy? {
        let isOn = settings[.mtuNotification]?.bool() ?? false
        var policy = LinkMTUPolicy()
        for (key, place) in [
            (ConnectionKey.linkMTU, \LinkMTUPolicy.linkMTU as WritableKeyPath<LinkMTUPolicy, Int?>),
            (.largestPacket, \.largestPacket),
        ] {
            guard let node = settings[key], let octets = node.integer(in: 576...65535) else { continue }
            policy[keyPath: place] = octets
            if !isOn { node.error("no peer is told of it; expected \"mtu-notification: yes\" as well") }
        }
        return isOn ? policy : nil
    }

    private static func ppk(_ node: ConfigurationNode) -> PostquantumPresharedKey? {
        guard let mapping = node.mapping(PPKKey.self),
            let identifier = mapping.required(.id, "the name of the PPK, the same at both ends")?
                .text(expected: "the name of the PPK"),
            let secret = mapping.required(.secret, "{ file: PATH }").flatMap(AuthenticationReader.secret)
        else { return nil }
        return PostquantumPresharedKey(identifier: Array(identifier.utf8), secret: secret)
    }

    func apply(to connection: inout ConnectionConfiguration) {
        connection.timing = timing
        if let proposals { connection.ikeProposals = proposals }
        switch postQuantum {
        case .require: connection.ikeProposals.removeAll { !$0.isPostQuantum }
        case .no: connection.ikeProposals.removeAll(where: \.isPostQuantum)
        case .prefer, nil: break
        }
        connection.ppks = ppks
        if let ppkRequired { connection.requiresPPK = ppkRequired }
        if let announcements { connection.announcements = announcements }
        if let downgradePrevention { connection.downgradePrevention = downgradePrevention }
        if let ppkExchange { connection.ppkExchange = ppkExchange }
        if let start { connection.start = start }
        if let resumption { connection.resumption = resumption }
        if let optimizedRekey { connection.optimizedRekey = optimizedRekey }
        connection.linkMTUNotification = linkMTUNotification
        if let revocation { connection.revocation = revocation }
        if let mobility { connection.mobility = mobility }
        if let redirect { connection.redirect = redirect }
        if let followRedirect { connection.followsRedirects = followRedirect }
        if let returnRoutability { connection.checksReturnRoutability = returnRoutability }
        if let childless { connection.childless = childless }
        if let deadPeerAction { connection.deadPeerAction = deadPeerAction }
        if let encapsulation { connection.encapsulation = encapsulation }
        connection.tcp = tcp
        if let fragmentation { connection.fragmentation = fragmentation }
        if let fragmentSize { connection.fragmentSize = fragmentSize }
        connection.extendedPayloads = extendedPayloads
        if let initialContact { connection.sendsInitialContact = initialContact }
        if let port { connection.remotePort = UInt16(port) }
        if let natPort { connection.remoteNATPort = UInt16(natPort) }
    }
}

/// Whether a key exchange with ML-KEM is wanted.
enum PostQuantumPolicy: String, ConfigurationKey {
    case prefer, require, no
}

extension ConfigurationNode {
    /// Another gateway; `nil` with an error if the node is none.
    fileprivate func gateway() -> GatewayIdentity? {
        guard let text = text(expected: "a gateway's address or name") else { return nil }
        guard let gateway = GatewayIdentity(configured: text) else {
            error(
                "\(quoted(text)) is neither an address nor a full host name; expected for example 192.0.2.1, 2001:db8::1 or gw2.example.org"
            )
            return nil
        }
        return gateway
    }
}

extension AnnouncementPolicy: ConfigurationKey {}
extension DowngradePreventionPolicy: ConfigurationKey {}
extension PPKExchange: ConfigurationKey {}
extension StartPolicy: ConfigurationKey {}
extension RevocationPolicy: ConfigurationKey {}
extension ChildlessPolicy: ConfigurationKey {}
extension ExtendedPayloadPolicy.Use: ConfigurationKey {}
extension DeadPeerAction: ConfigurationKey {}
extension EncapsulationPolicy: ConfigurationKey {}
extension TCPPolicy.Use: ConfigurationKey {}
