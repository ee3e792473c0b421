// draft-ponchon-ipsecme-anti-replay-subspaces-03: sequence number subspaces of ESP. Code point: notify ANTI_REPLAY_SUBSPACES, of our own
// making, 41011 where nothing else is configured (`code-points: anti-replay-subspaces`).
//
// The draft's text could not be read when this was written, so that the negotiation is decided here: each side tells the highest ID that it
// takes as a receiver, as draft-klassert-ipsecme-eesp-ikev2 has it, and the other may send with those and fewer. The data is four octets:
// profile (1: the packets of `Sources/ESP/Extensions/AntiReplaySubspaces`), flags (0, not looked at), highest ID. It stands beside the SA
// payload of each offer and answer, and is in force where both have it.
//
// A rekey in a form that inherits everything (`OptimizedRekey`) inherits the subspaces too: nothing stands beside its offer.
import IKEMessage
import Octets

/// How a child is to have sequence number subspaces.
public struct AntiReplaySubspacesPolicy: Hashable, Sendable {
    /// Whether there is no child without.
    public var isRequired: Bool
    /// How many of the peer's subspaces are taken, 1 to ``largestCount``.
    public var count: Int

    public static let usualCount = 16
    /// Each has a window of its own, so that memory has a bound.
    public static let largestCount = 256

    public init(isRequired: Bool = false, count: Int = usualCount) {
        self.isRequired = isRequired
        self.count = min(max(count, 1), Self.largestCount)
    }
}

/// How many subspaces a child SA has in each direction, with IDs from 0 on.
public struct SubspaceCounts: Hashable, Sendable {
    /// As we have announced.
    public var inbound: Int
    /// As the peer has: at most so many are sent with.
    public var outbound: Int

    public init(inbound: Int, outbound: Int) {
        self.inbound = inbound
        self.outbound = outbound
    }
}

/// Child SAs whose sequence numbers are divided, so that several workers send and receive packets of one without sharing a counter or
/// a window.
enum AntiReplaySubspaces: IKEExtension {
    private static let profile: UInt8 = 1
    private static let key = "anti-replay-subspaces"

    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload] {
        guard let policy = child.announcedSubspaces,
            child.espProposals.contains(where: { $0.sequenceNumbers.contains(.extended) })
        else { return [] }
        sa.tell(
            .offered, "child \(child.name): \(policy.count) sequence number subspaces towards us",
            origin: child.origin(of: key))
        return [notification(policy, sa)]
    }

    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload] {
        guard let policy = child.configuration.announcedSubspaces, child.terms.subspaces != nil else { return [] }
        return [notification(policy, sa)]
    }

    private static func notification(_ policy: AntiReplaySubspacesPolicy, _ sa: IKESA) -> Payload {
        let highest = UInt16(clamping: policy.count - 1)
        return .notify(
            NotifyPayload(
                type: sa.codePoints.notify(.antiReplaySubspaces), data: [profile, 0] + highest.bigEndianOctets))
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        let origin = child.origin(of: key)
        let announced = count(in: payloads, of: child, sa)
        guard let policy = child.announcedSubspaces else {
            if announced != nil {
                sa.tell(
                    .note, "child \(child.name): the peer has sequence number subspaces, which are not wanted here",
                    origin: origin)
            }
            return
        }
        guard let announced else {
            guard !policy.isRequired else {
                throw Refusal(
                    .noProposal,
                    "the peer has no sequence number subspaces for child \(child.name); configure them there, or anti-replay-subspaces: yes here to do without then",
                    at: [origin], notify: .noProposalChosen)
            }
            sa.tell(
                .chosen, "child \(child.name): no sequence number subspaces, as the peer has none", origin: origin)
            return
        }
        guard terms.suite.sequenceNumbers == .extended else {
            // An answer with it contradicts itself, and the peer would send in another form.
            guard isOffer else {
                throw Refusal(
                    .protocolViolation,
                    "the peer answered sequence number subspaces for child \(child.name) without extended sequence numbers",
                    at: [origin])
            }
            guard !policy.isRequired else {
                throw Refusal(
                    .noProposal,
                    "child \(child.name) is to have sequence number subspaces, which need extended sequence numbers; the peer offers none that suit",
                    at: [origin, child.origin(of: "esn")], notify: .noProposalChosen)
            }
            sa.tell(
                .chosen, "child \(child.name): no sequence number subspaces, as sequence numbers are not extended",
                origin: origin)
            return
        }
        terms.subspaces = SubspaceCounts(inbound: policy.count, outbound: announced)
        sa.tell(
            .chosen,
            "child \(child.name): sequence number subspaces, \(policy.count) towards us and up to \(announced) towards the peer",
            origin: origin)
    }

    /// How many subspaces the peer takes; `nil` if it says nothing of that, or nothing that is understood.
    private static func count(in payloads: [Payload], of child: ChildConfiguration, _ sa: IKESA) -> Int? {
        let notifications = payloads.notifications(sa.codePoints.notify(.antiReplaySubspaces))
        guard let first = notifications.first else { return nil }
        func ignored(_ reason: String) -> Int? {
            sa.tell(.note, "child \(child.name): the peer's ANTI_REPLAY_SUBSPACES is ignored: \(reason)")
            return nil
        }
        guard notifications.count == 1 else { return ignored("there are \(notifications.count)") }
        guard first.protocolID == .none, first.spi.isEmpty else { return ignored("it names an SPI") }
        guard first.data.count == 4 else { return ignored("\(first.data.count) octets of data in place of 4") }
        guard first.data[0] == profile else { return ignored("profile \(first.data[0]) is not known") }
        return (Int(first.data[2]) << 8 | Int(first.data[3])) + 1
    }
}

extension ChildConfiguration {
    /// What is announced: without a replay window there is nothing to divide.
    fileprivate var announcedSubspaces: AntiReplaySubspacesPolicy? { replayWindow > 0 ? antiReplaySubspaces : nil }
}
