// RFC 6290: quick crash detection. Code point: notify 16419 (IKEMessage).
import IKEMessage
import IPsecCrypto
import Octets

/// Tokens by which a peer that has lost an IKE SA can prove it without keys, so that the other side need not wait for its
/// retransmissions to end.
///
/// We make tokens if ``EndpointConfiguration/crashDetectionSecret`` is there, and take the peer's always.
enum QuickCrashDetection: IKEExtension {
    /// The token the peer gave us for this SA.
    typealias State = SecretOctets

    private enum Subject: Int {
        case newToken
    }

    /// Lengths that RFC 6290 section 4.1 allows.
    private static let tokenLengths = 16...128
    /// Tokens looked at in one message: a peer that is not sure which of its secrets was used sends several.
    private static let tokenLimit = 4

    /// `HMAC(QCD_SECRET, SPIi | SPIr | role)`, as in RFC 6290 section 5.1 but for our role, 1 for the initiator of the
    /// SA: a token that is asked for in the other side's place is another one.
    private static func token(
        _ initiatorSPI: UInt64, _ responderSPI: UInt64, isInitiator: Bool, _ context: EndpointContext
    ) -> [UInt8]? {
        context.configuration.crashDetectionSecret.map {
            $0.authenticationCode(
                of: initiatorSPI.bigEndianOctets + responderSPI.bigEndianOctets + [isInitiator ? 1 : 0]
            ).unprotected
        }
    }

    private static func payload(_ token: [UInt8]) -> Payload {
        .notify(NotifyPayload(protocolID: .ike, spi: [], type: .quickCrashDetection, data: token))
    }

    private static func ownToken(for sa: IKESA) -> [Payload] {
        token(sa.initiatorSPI, sa.responderSPI, isInitiator: sa.isInitiator, sa.context).map { [payload($0)] } ?? []
    }

    private static func keepToken(in payloads: [Payload], of sa: IKESA) {
        guard let token = payloads.notification(.quickCrashDetection)?.data, tokenLengths.contains(token.count)
        else { return }
        sa.slots[Self.self] = SecretOctets(token)
    }

    // MARK: Giving and taking tokens

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest, .initResponse: []
        case .authRequest, .authResponse: ownToken(for: sa)
        }
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse: break
        case .authRequest, .authResponse: keepToken(in: payloads, of: sa)
        }
    }

    /// The new SA has other SPIs, so that the old token is worth nothing (RFC 6290 section 4.3).
    static func replaced(_ old: IKESA, by new: IKESA) {
        new.slots[Self.self] = nil
        guard new.context.configuration.crashDetectionSecret != nil else { return }
        _ = new.withEstablished { $0.tasks.append(.notice(ExtensionNotice(Self.self, Subject.newToken))) }
    }

    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? {
        let payloads = ownToken(for: sa)
        return payloads.isEmpty ? nil : payloads
    }

    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] {
        keepToken(in: request.payloads, of: sa)
        return []
    }

    // MARK: After a crash

    /// The token of an SA that is not here: for a message of which we know nothing else (RFC 6290 section 4.5). It can be
    /// told to anybody, as it proves only that the SA is gone. So it must be gone: which of the two SPIs is ours, only the
    /// sender says.
    static func payloads(forUnknownSA header: IKEHeader, context: EndpointContext) -> [Payload] {
        guard header.responderSPI != 0, !context.ikeSPIs.isInUse(header.initiatorSPI),
            !context.ikeSPIs.isInUse(header.responderSPI)
        else { return [] }
        let token = token(
            header.initiatorSPI, header.responderSPI, isInitiator: !header.flags.contains(.initiator), context)
        return token.map { [payload($0)] } ?? []
    }

    static func receive(unprotected message: Message, of sa: IKESA) {
        guard sa.isEstablished, message.payloads.notification(.invalidIKESPI) != nil, let known = sa.slots[Self.self]
        else { return }
        let tokens = message.payloads.notifications(.quickCrashDetection).prefix(tokenLimit)
        guard tokens.contains(where: { SecretOctets($0.data) == known }) else { return }
        sa.tell(.received, "a crash detection token: the peer has lost the IKE SA")
        sa.close(
            Refusal(
                .peerRestarted, by: .peer,
                "the peer has restarted and lost the IKE SA (its token of RFC 6290 proves it)"),
            tellPeer: false)
    }
}
