import IKEMessage
import IPPacket
import Octets

/// All extensions in the order in which they are asked.
enum Extensions {
    static let all: [any IKEExtension.Type] = [
        MessageFragmentation.self,
        ExtendedPayloads.self,
        IntermediateExchange.self,
        IntermediatePresharedKeys.self,
        PostquantumPresharedKeys.self,
        SignatureAuthentication.self,
        DowngradePrevention.self,
        AuthenticationAnnouncements.self,
        NullAuthentication.self,
        ChildlessInitiation.self,
        TransportMode.self,
        LabeledIPsec.self,
        DSCPSelectors.self,
        DSCPNotification.self,
        AntiReplaySubspaces.self,
        PerResourceSAs.self,
        RepeatedAuthentication.self,
        QuickCrashDetection.self,
        SessionResumption.self,
        StapledStatus.self,
        ConfigurationPayloads.self,
        DistinctPeers.self,
        OptimizedRekey.self,
        LinkMTUNotification.self,
        ClientPuzzles.self,
        TCPEncapsulation.self,
        Mobility.self,
        Redirection.self,
    ]
}

extension Extensions {
    /// What the first extension that demands anything beside a cookie demands.
    static func toll(of request: FirstMessage, under load: AdmissionLoad) -> CookieToll? {
        all.lazy.compactMap { $0.toll(of: request, under: load) }.first
    }

    /// Whether a connection may be used in the way that a message has come.
    static func take(_ datagram: IKEDatagram, for connection: ConnectionConfiguration) -> Bool {
        all.allSatisfy { $0.takes(datagram, for: connection) }
    }

    /// The way of a call that an extension wants to be another than usual.
    static func wayOfCall(
        _ connection: ConnectionConfiguration, to remote: IPAddress, from local: IPAddress, localSPI: UInt64,
        _ context: EndpointContext
    ) -> Path? {
        for owner in all {
            if let way = owner.wayOfCall(connection, to: remote, from: local, localSPI: localSPI, context: context) {
                return way
            }
        }
        return nil
    }

    /// The extension whose exchange begins an SA as IKE_SA_INIT does.
    static func owner(ofInitialExchange type: ExchangeType) -> (any IKEExtension.Type)? {
        all.first { $0.initialExchange == type }
    }
}

extension ExchangeType {
    /// IKE_SA_INIT, or what an extension has in its place: nothing protects it.
    var beginsSA: Bool { self == .ikeSAInit || Extensions.owner(ofInitialExchange: self) != nil }
}

// What the core asks of all extensions at once.
extension IKESA {
    func extensionPayloads(for stage: MessageStage) -> [Payload] {
        Extensions.all.flatMap { $0.payloads(for: stage, of: self) }
    }

    func letExtensionsReceive(_ payloads: [Payload], at stage: MessageStage) throws(Refusal) {
        for owner in Extensions.all { try owner.receive(payloads, at: stage, of: self) }
    }

    /// An IKE_SA_INIT message as its sender's AUTH covers it, with what extensions put before it.
    func signedMessage(_ message: [UInt8], received: [UInt8]) throws(Refusal) -> [UInt8] {
        var octets: [UInt8] = []
        for owner in Extensions.all { octets += try owner.signedOctets(beforeMessageWith: received, of: self) }
        return octets + message
    }

    /// How the contents of protected messages are written, and how much there may be of them.
    var contents: ProtectedContents {
        Extensions.all.lazy.compactMap { $0.contents(of: self) }.first
            ?? ProtectedContents(
                receivedLimit: isEstablished ? FragmentReassembly.octetLimit : FragmentReassembly.octetLimitBeforeProof)
    }

    /// Whether the connection that IKE_AUTH has chosen may be used.
    func admit(to connection: ConnectionConfiguration) throws(Refusal) {
        for owner in Extensions.all { try owner.admit(self, to: connection) }
    }

    func usesIntermediate() -> Bool { Extensions.all.contains { $0.usesIntermediate(self) } }

    func needsIntermediate() -> Bool { Extensions.all.contains { $0.needsIntermediate(self) } }

    func extensionPayloads(for message: IntermediateMessage) throws(Refusal) -> [Payload] {
        var payloads: [Payload] = []
        for owner in Extensions.all { payloads += try owner.payloads(for: message, of: self) }
        return payloads
    }

    func letExtensionsReceive(_ payloads: [Payload], in message: IntermediateMessage) throws(Refusal) {
        for owner in Extensions.all { try owner.receive(payloads, in: message, of: self) }
    }

    /// The keys with what extensions mix in after an IKE_INTERMEDIATE exchange; `nil` if that is nothing.
    func mixed(into keys: IKEKeys, after message: IntermediateMessage) throws(Refusal) -> IKEKeys? {
        var result: IKEKeys?
        for owner in Extensions.all {
            if let mixed = try owner.mixed(into: result ?? keys, after: message, of: self) { result = mixed }
        }
        return result
    }

    func omitsFirstChild() throws(Refusal) -> Bool {
        var omits = false
        for owner in Extensions.all where try owner.omitsFirstChild(of: self) { omits = true }
        return omits
    }

    /// A configured child as it is for this SA and this peer.
    func adapted(_ child: ChildConfiguration) -> ChildConfiguration {
        var child = child
        for owner in Extensions.all { owner.adapt(&child, of: self) }
        return child
    }

    /// The peer's selectors, of its offer or answer, as they are for a configured child; `nil` if either payload is missing.
    ///
    /// - Parameter isOffer: the peer is the initiator of the exchange.
    func selectors(
        in payloads: [Payload], for child: ChildConfiguration, isOffer: Bool
    ) -> SelectorPair? {
        guard let local = payloads.trafficSelectors(ofInitiator: !isOffer)?.policySelectors,
            let remote = payloads.trafficSelectors(ofInitiator: isOffer)?.policySelectors
        else { return nil }
        var pair = SelectorPair(local: local, remote: remote)
        for owner in Extensions.all { owner.translate(&pair, of: child, by: payloads, of: self) }
        return pair
    }

    /// What takes the first child's place in our IKE_AUTH response.
    func payloadsInPlaceOfChild() -> [Payload]? {
        for owner in Extensions.all {
            if let payloads = owner.payloadsInPlaceOfChild(of: self) { return payloads }
        }
        return nil
    }

    func admit(_ offer: [Payload], to child: ChildConfiguration) throws(Refusal) {
        for owner in Extensions.all { try owner.admit(offer, to: child, of: self) }
    }

    func rank(_ child: ChildConfiguration, for offer: [Payload]) -> Int {
        Extensions.all.reduce(0) { $0 + $1.rank(child, for: offer, of: self) }
    }

    func otherSelectors(offering child: ChildConfiguration) -> OtherSelectors {
        OtherSelectors(Extensions.all.map { $0.selectors(offering: child, of: self) })
    }

    func otherSelectors(accepting child: SelectedChild) -> OtherSelectors {
        OtherSelectors(Extensions.all.map { $0.selectors(accepting: child, of: self) })
    }

    /// What to ask for in place of a child that the peer has refused, if that was because of its selectors.
    func alternative(to child: ChildConfiguration, refused refusal: Refusal) -> ChildConfiguration? {
        guard refusal.cause == .unacceptableSelectors, refusal.decidedBy == .peer else { return nil }
        return Extensions.all.lazy.compactMap { $0.alternative(to: child) }.first
    }

    func extensionPayloads(offering child: ChildConfiguration) -> [Payload] {
        Extensions.all.flatMap { $0.payloads(offering: child, of: self) }
    }

    func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool
    ) throws(Refusal) {
        for owner in Extensions.all { try owner.settle(&terms, of: child, by: payloads, isOffer: isOffer, of: self) }
    }

    func preferredProposals(of child: ChildConfiguration, for offer: [Payload]) -> [ESPProposal] {
        Extensions.all.reduce(child.espProposals) { $1.preferred($0, of: child, for: offer, of: self) }
    }

    func childrenBeyondUsual() -> Int { Extensions.all.reduce(0) { $0 + $1.childrenBeyondUsual(of: self) } }

    func extensionPayloads(accepting child: SelectedChild) -> [Payload] {
        Extensions.all.flatMap { $0.payloads(accepting: child, of: self) }
    }

    /// The form that a rekey of ours has in place of the regular one.
    func otherForm(rekeying old: RekeyedSA, spi: [UInt8]) -> RekeyForm? {
        for owner in Extensions.all {
            if let payloads = owner.payloads(rekeying: old, spi: spi, of: self), !payloads.isEmpty {
                return RekeyForm(owner: owner, old: old, payloads: payloads)
            }
        }
        return nil
    }

    /// Whose form a CREATE_CHILD_SA message has; `nil` for the regular one.
    func ownerOfForm(_ payloads: [Payload]) -> (any IKEExtension.Type)? {
        Extensions.all.first { $0.isRekey(payloads, of: self) }
    }

    func extensionAnswers(to request: Authenticated) -> [Payload] {
        Extensions.all.flatMap { $0.answer(request, of: self) }
    }

    /// Hands what extensions keep to the SA that replaces this one.
    func handExtensions(to new: IKESA) {
        new.slots = slots
        for owner in Extensions.all { owner.replaced(self, by: new) }
    }
}
