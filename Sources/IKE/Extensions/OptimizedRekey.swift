// draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt-07: Optimized Rekeys in IKEv2. Code points: notifies OPTIMIZED_REKEY_SUPPORTED and
// OPTIMIZED_REKEY, both still open (`OpenCodePoint`). The draft leaves open what answers a request that contradicts itself or cannot be
// read: here NO_PROPOSAL_CHOSEN, as for any that cannot be followed (section 3), so that the IKE SA goes on.
import IKEMessage
import IPsecCrypto
import Octets

/// A rekey that changes nothing but keys and SPIs: in place of SA, TSi and TSr stands a notification with the new SPI.
///
/// What the new SA has comes from the record of the old one, never from the configuration. A reload that changes a connection ends its
/// SAs, so that none is there whose configuration has changed since it was negotiated.
enum OptimizedRekey: IKEExtension {
    /// Both sides have said in IKE_AUTH that they can do it.
    struct State {
        /// Inbound SPIs of children that the peer would not rekey in this form: a regular rekey comes first.
        var declined: Set<UInt32> = []
        /// Likewise for the IKE SA.
        var isDeclinedForIKE = false
        /// The algorithms of the ticket, if the SA goes on from one (RFC 5723). A child made in IKE_AUTH counts as made with its key
        /// exchange methods.
        var ticket: IKESuite?
    }

    // MARK: IKE_AUTH

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let isAnnounced =
            switch stage {
            case .initRequest, .initResponse: false
            case .authRequest: isPossible(for: sa)
            case .authResponse: sa.slots[Self.self] != nil
            }
        return isAnnounced ? [.notify(NotifyPayload(type: sa.codePoints.notify(.optimizedRekeySupported)))] : []
    }

    /// With a PPK of RFC 9867 a rekey has to agree on one anew, which is not done here in any form: then none is optimized.
    private static func isPossible(for sa: IKESA) -> Bool {
        sa.connection?.optimizedRekey ?? false && !IntermediatePresharedKeys.isUsed(by: sa)
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse: return
        case .authRequest, .authResponse: break
        }
        guard let connection = sa.connection, isPossible(for: sa) else { return }
        let origin = connection.origin(of: "optimized-rekey")
        let isSupported = payloads.notifications(sa.codePoints.notify(.optimizedRekeySupported)).contains {
            $0.protocolID == .none && $0.spi.isEmpty && $0.data.isEmpty
        }
        guard isSupported else {
            sa.tell(.note, "the peer has no optimized rekeys: all have the regular form", origin: origin)
            return
        }
        sa.slots[Self.self] = State()
        sa.tell(.chosen, "optimized rekeys", origin: origin)
    }

    static func established(_ sa: IKESA) {
        guard sa.peerAuthentication?.ticketExpiry != nil else { return }
        sa.slots[Self.self]?.ticket = sa.keys?.suite
    }

    // MARK: Asking

    static func payloads(rekeying old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload]? {
        guard let state = sa.slots[Self.self] else { return nil }
        switch old {
        case .ike:
            guard !state.isDeclinedForIKE else { return nil }
            sa.tell(.offered, "the new IKE SA as the old one: \(sa.keys?.suite.description ?? "")")
        case .child(let child):
            guard !state.declined.contains(child.inboundSPI) else { return nil }
            let name = child.configuration.name
            guard child.exchange != .ikeAuth else {
                sa.tell(
                    .note,
                    "child \(name): the first rekey has the regular form, as in IKE_AUTH nothing is said of its key exchange"
                )
                return nil
            }
            sa.tell(
                .offered,
                "child \(name) as the pair before: \(child.terms.suite), \(child.terms.localSelectors.summary) === \(child.terms.remoteSelectors.summary)"
            )
        }
        return [announcement(of: spi, sa)]
    }

    static func rekeyFailed(of old: RekeyedSA, answer: NotifyType?, of sa: IKESA) -> Bool {
        // That there is no room has nothing to do with the form.
        guard answer != .noAdditionalSAs else { return false }
        switch old {
        case .ike: sa.slots[Self.self]?.isDeclinedForIKE = true
        case .child(let child): sa.slots[Self.self]?.declined.insert(child.inboundSPI)
        }
        // Revision 02 of the draft had INVALID_KE_PAYLOAD for another choice of perfect forward secrecy.
        return answer == .noProposalChosen || answer == .invalidKEPayload
    }

    static func removed(_ child: ChildSA, from sa: IKESA) {
        guard sa.slots[Self.self]?.declined.isEmpty == false else { return }
        sa.slots[Self.self]?.declined.remove(child.inboundSPI)
    }

    static func replaced(_ old: IKESA, by new: IKESA) {
        new.slots[Self.self]?.isDeclinedForIKE = false
    }

    // MARK: Answering, and reading answers

    /// Unless it has been agreed on, the number may be anybody's: then only a message that makes no sense otherwise is one.
    static func isRekey(_ payloads: [Payload], of sa: IKESA) -> Bool {
        payloads.notification(sa.codePoints.notify(.optimizedRekey)) != nil
            && (sa.slots[Self.self] != nil || payloads.securityAssociation == nil)
    }

    static func terms(
        fromRekey payloads: [Payload], of child: ChildSA, isRequest: Bool, of sa: IKESA
    ) throws(Refusal) -> ChildTerms {
        let name = child.configuration.name
        guard let spi = IKESA.spi(try newSPI(in: payloads, length: 4, of: sa)),
            sa.established?.child(outboundSPI: spi) == nil
        else { throw refusal("the new SPI of child \(name) is reserved, or not new", of: sa) }
        guard payloads.notifications(.rekeySA).count == (isRequest ? 1 : 0) else {
            throw refusal("which child is to be rekeyed is not clear", of: sa)
        }
        var terms = child.terms
        terms.outboundSPI = spi
        if child.exchange == .ikeAuth { try settleFirstKeyExchange(of: &terms, child, sa) }
        guard payloads.keyExchange?.method == terms.suite.keyExchange?.rawValue else {
            throw refusal(
                "child \(name) was made with \(terms.suite.keyExchange?.name ?? "no key exchange"), and its rekey comes with \(payloads.keyExchange.map { described($0.method) } ?? "none")",
                of: sa, at: [child.configuration.origin(of: "esp")])
        }
        sa.tell(.chosen, "child \(name) as the pair before: \(terms.suite)")
        return terms
    }

    /// What IKE_AUTH has left open: only a ticket tells, and only if it tells what our configuration would take.
    private static func settleFirstKeyExchange(
        of terms: inout ChildTerms, _ child: ChildSA, _ sa: IKESA
    ) throws(Refusal) {
        let origins = [child.configuration.origin(of: "esp")]
        guard let ticket = sa.slots[Self.self]?.ticket else {
            throw refusal(
                "child \(child.configuration.name) was made in IKE_AUTH: its first rekey has to have the regular form",
                of: sa, at: origins)
        }
        terms.suite.keyExchange = ticket.keyExchange
        terms.suite.additional = ticket.additional
        let isAcceptable =
            ProposalSelection.selectESP(
                from: [terms.suite.payload(number: 1, spi: terms.outboundSPI)],
                configured: child.configuration.espProposals, withKeyExchange: true, preferring: nil) != nil
        guard isAcceptable else {
            throw refusal(
                "the key exchange of the ticket is not one for child \(child.configuration.name)", of: sa, at: origins)
        }
    }

    static func spi(fromIKERekey payloads: [Payload], isRequest: Bool, of sa: IKESA) throws(Refusal) -> UInt64 {
        guard let spi = IKESA.ikeSPI(try newSPI(in: payloads, length: 8, of: sa)), spi != sa.remoteSPI else {
            throw refusal("the new SPI of the IKE SA is zero, or not new", of: sa)
        }
        guard let suite = sa.keys?.suite, payloads.keyExchange?.method == suite.keyExchange.rawValue else {
            throw refusal(
                "the rekey of the IKE SA comes with another key exchange than the old one was made with", of: sa)
        }
        sa.tell(.chosen, "the new IKE SA as the old one: \(suite)")
        return spi
    }

    static func payloads(acceptingRekeyOf old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload] {
        [announcement(of: spi, sa)]
    }

    /// Protocol and SPI size are zero; the SPI is the data.
    private static func announcement(of spi: [UInt8], _ sa: IKESA) -> Payload {
        .notify(NotifyPayload(type: sa.codePoints.notify(.optimizedRekey), data: spi))
    }

    private static func newSPI(in payloads: [Payload], length: Int, of sa: IKESA) throws(Refusal) -> [UInt8] {
        guard sa.slots[Self.self] != nil else {
            throw refusal("an optimized rekey, which was not agreed on", of: sa)
        }
        let notifications = payloads.notifications(sa.codePoints.notify(.optimizedRekey))
        guard notifications.count == 1, let notification = notifications.first else {
            throw refusal("\(notifications.count) OPTIMIZED_REKEY notifications where one is expected", of: sa)
        }
        guard notification.protocolID == .none, notification.spi.isEmpty, notification.data.count == length else {
            throw refusal(
                "an OPTIMIZED_REKEY notification with \(notification.data.count) octets of data where \(length) are expected, or an SPI that belongs into the data",
                of: sa)
        }
        // What else would be agreed on contradicts that nothing is.
        guard payloads.securityAssociation == nil, payloads.trafficSelectors(ofInitiator: true) == nil,
            payloads.trafficSelectors(ofInitiator: false) == nil
        else { throw refusal("OPTIMIZED_REKEY together with SA or traffic selectors", of: sa) }
        return notification.data
    }

    private static func refusal(_ reason: String, of sa: IKESA, at origins: [Origin] = []) -> Refusal {
        let place = sa.connection.map { [$0.origin(of: "optimized-rekey")] } ?? []
        return Refusal(.noProposal, "optimized rekey: \(reason)", at: origins + place, notify: .noProposalChosen)
    }

    private static func described(_ method: UInt16) -> String {
        KeyExchangeMethod(rawValue: method)?.name ?? "method \(method)"
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        status.optimizedRekey = sa.slots[Self.self] != nil
    }
}
