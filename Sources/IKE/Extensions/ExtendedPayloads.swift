// draft-smyslov-ipsecme-ikev2-extended-pld-01: Extended IKEv2 Payload Format. Code point: notify EXTENDED_PAYLOAD_FORMAT, still open
// (`OpenCodePoint`).
//
// The draft has expired, and only its title page, abstract and references could be read. Its purpose is theirs: headers that cost few
// octets, and payloads beyond 64 KiB. All else is our own and called "profile 1", which the notification names, so that no two
// implementations agree that mean different things: the header (`ExtendedPayloadHeader`), the notification, its data (profile, three
// octets of zero, and the longest contents of a message that the sender takes, in four octets; 0: not said), and the rules below.
import Credentials
import IKEMessage
import Octets

/// Whether, and up to which length, payloads with extended headers are exchanged.
public struct ExtendedPayloadPolicy: Sendable, Hashable {
    public enum Use: String, Sendable, CaseIterable {
        case no
        /// If the peer has them too.
        case yes
        /// With no other peer.
        case require
    }

    public var use: Use
    /// Octets of payloads that we take in one message.
    public var maximum: Int

    public init(_ use: Use = .no, maximum: Int = 1 << 20) {
        self.use = use
        self.maximum = maximum
    }
}

/// Writes everything within protected messages with extended payload headers, if IKE_SA_INIT or IKE_SESSION_RESUME has agreed on it.
///
/// It holds from the first protected message on, in both directions, for the life of the IKE SA, and for those that replace it by
/// rekeys. The headers of SK and SKF stay classic. Contents beyond one datagram go in fragments (RFC 7383), by TCP as well.
/// Whoever adds, changes or takes away the notification changes what IKE_AUTH signs.
enum ExtendedPayloads: IKEExtension {
    /// Agreed on.
    struct State {
        /// Octets of payloads that the peer, and we, take in one message.
        let sentLimit: Int
        let receivedLimit: Int
    }

    /// What is assumed of a peer that says nothing, and said where the peer can put nothing together from fragments.
    static let leastMaximum = 65_535

    /// Before the peer has proved who it is no more is kept than in the classic format. No key exchange here needs as much.
    static let limitBeforeProof = FragmentReassembly.octetLimit

    // MARK: The notification

    struct Announcement: Hashable {
        let profile: UInt8
        /// 0: not said.
        let maximum: UInt32

        init(maximum: Int) {
            profile = ExtendedPayloadHeader.profile
            self.maximum = UInt32(clamping: maximum)
        }

        /// `nil` if it is none that can be read, or of another profile.
        init?(_ notification: NotifyPayload) {
            var reader = OctetReader(notification.data)
            guard notification.protocolID == .none, notification.spi.isEmpty, reader.remaining == 8,
                let profile = try? reader.readUInt8("profile"), profile == ExtendedPayloadHeader.profile,
                (try? reader.skip(3, "reserved octets")) != nil, let maximum = try? reader.readUInt32("maximum")
            else { return nil }
            self.profile = profile
            self.maximum = maximum
        }

        var data: [UInt8] { [profile, 0, 0, 0] + maximum.bigEndianOctets }

        /// Octets that may be sent to whoever says this.
        var limit: Int { maximum == 0 ? ExtendedPayloads.leastMaximum : Int(maximum) }
    }

    // MARK: Agreement

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        let maximum: Int
        switch stage {
        case .initRequest:
            guard let connection = sa.connection, connection.extendedPayloads.use != .no else { return [] }
            maximum = Self.maximum(of: connection)
        case .initResponse:
            guard let state = sa.slots[Self.self] else { return [] }
            maximum = state.receivedLimit
        case .authRequest, .authResponse: return []
        }
        let type = sa.codePoints.notify(.extendedPayloadFormat)
        return [.notify(NotifyPayload(type: type, data: Announcement(maximum: maximum).data))]
    }

    private static func maximum(of connection: ConnectionConfiguration) -> Int {
        connection.fragmentation ? connection.extendedPayloads.maximum : leastMaximum
    }

    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {
        let connection: ConnectionConfiguration?
        let isRequired: Bool
        switch stage {
        case .initRequest:
            // Which of them the peer means is known in IKE_AUTH.
            let candidates = sa.candidates
            connection = candidates.first { $0.extendedPayloads.use == .require } ?? candidates.first
            isRequired = !candidates.isEmpty && candidates.allSatisfy { $0.extendedPayloads.use == .require }
        case .initResponse:
            connection = sa.connection
            isRequired = connection?.extendedPayloads.use == .require
        case .authRequest, .authResponse: return
        }
        sa.slots[Self.self] = nil
        guard let connection, connection.extendedPayloads.use != .no else { return }
        let origin = connection.origin(of: "extended-payloads")
        let offers = payloads.notifications(sa.codePoints.notify(.extendedPayloadFormat))
        guard let peer = offers.lazy.compactMap({ Announcement($0) }).first else {
            let lack = offers.isEmpty ? "no extended payload headers" : "extended payload headers of another profile"
            guard !isRequired else { throw lacking("the peer has \(lack), which are required", origin) }
            sa.tell(.note, "the peer has \(lack): they are classic", origin: origin)
            return
        }
        let state = State(sentLimit: peer.limit, receivedLimit: maximum(of: connection))
        sa.slots[Self.self] = state
        sa.tell(
            .chosen,
            "extended payload headers (profile \(peer.profile)): messages of up to \(state.sentLimit) octets to the peer, \(state.receivedLimit) from it",
            origin: origin)
    }

    static func admit(_ sa: IKESA, to connection: ConnectionConfiguration) throws(Refusal) {
        guard connection.extendedPayloads.use == .require, sa.slots[Self.self] == nil else { return }
        throw lacking(
            "the peer has no extended payload headers, which \(connection.name) requires",
            connection.origin(of: "extended-payloads"))
    }

    private static func lacking(_ reason: String, _ origin: Origin) -> Refusal {
        Refusal(.noProposal, reason, at: [origin], notify: .noProposalChosen)
    }

    // MARK: What follows

    static func contents(of sa: IKESA) -> ProtectedContents? {
        guard let state = sa.slots[Self.self] else { return nil }
        // Before the proof the peer takes no more either, and does not say why.
        let bound = sa.isEstablished ? Int.max : limitBeforeProof
        let received = min(state.receivedLimit, bound)
        return ProtectedContents(
            format: .extended, sentLimit: min(state.sentLimit, bound), receivedLimit: received,
            certificateLimit: max(received, CertificatePathValidator.maximumCertificateLength))
    }

    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {
        status.extendedPayloads = sa.slots[Self.self]?.sentLimit
    }
}
