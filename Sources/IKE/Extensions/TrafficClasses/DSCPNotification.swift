// draft-mglt-ipsecme-dscp-np-03: a notification of the DSCP that a side sends by a child SA. Code point: notify DSCP, which IANA
// has not assigned: 41031, from the range for private use, where nothing else is configured (`code-points: dscp`).
//
// What is malformed is ignored, and so is a notification that differs from a traffic selector of the same child: both decided here.
import IKEMessage
import IPsecPolicy
import Octets

/// Tells the peer the classes of the packets that are sent by a child SA, and hears what the peer sends. Nobody is bound by it.
enum DSCPNotification: IKEExtension {
    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload] {
        guard let classes = child.classes, classes.form == .notify else { return [] }
        sa.tell(.offered, "child \(child.name): we send DSCP \(classes.values)", origin: child.origin(of: "dscp"))
        return [notification(classes.values, sa)]
    }

    /// Who is told tells what it sends itself; an answer to nothing would be of no use to a peer that does not know of it.
    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload] {
        guard let classes = child.configuration.classes, classes.form == .notify, child.terms.peerClasses != nil else {
            return []
        }
        return [notification(classes.values, sa)]
    }

    private static func notification(_ classes: DSCPSet, _ sa: IKESA) -> Payload {
        .notify(NotifyPayload(type: sa.context.configuration.codePoints.notify(.dscp), data: classes.values))
    }

    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {
        guard child.classes != nil, let values = values(in: payloads, sa) else { return }
        guard let classes = DSCPSet(values), classes.count == values.count else {
            sa.tell(.note, "child \(child.name): the peer's DSCP notification is malformed, and ignored")
            return
        }
        guard terms.classes == nil || terms.classes == classes else {
            sa.tell(
                .note, "child \(child.name): the peer's DSCP notification is not what its selector says, and ignored")
            return
        }
        terms.peerClasses = classes
        sa.tell(
            .received,
            classes.isEmpty
                ? "child \(child.name): the peer does not sort packets by DSCP"
                : "child \(child.name): the peer sends DSCP \(classes)")
    }

    /// The data of the peer's notification.
    static func values(in payloads: [Payload], _ sa: IKESA) -> [UInt8]? {
        payloads.notification(sa.context.configuration.codePoints.notify(.dscp))?.data
    }
}
