// RFC 7296 section 3.10: Notify.
import IKEMessage
import Octets

/// Reads the data of a notification. What it leaves unread is shown as octets; what it throws, with the octet at fault.
package typealias NotificationReader = @Sendable (inout OctetReader, MessageContext) throws(OctetError) -> [Field]

extension NotifyPayload: DescribedPayload {
    var summary: String { type.described + (type.isError ? ", an error" : "") }

    func summary(in context: MessageContext) -> String {
        context.codePoints.point(type.rawValue, of: .statusNotify).map { "\($0.name), private number \(type.rawValue)" }
            ?? summary
    }

    func fields(in context: MessageContext) -> [Field] {
        var fields: [Field] = []
        if !spi.isEmpty { fields.append(Field("SPI", "\(protocolID.described) \(spi.hexadecimal)")) }
        guard !data.isEmpty else { return fields }
        let point = context.codePoints.point(type.rawValue, of: .statusNotify)
        guard let read = NotificationTable.readers[type] ?? point.flatMap({ NotificationTable.drafts[$0] }) else {
            return fields + [.opaque("notification data", data)]
        }
        var reader = OctetReader(data)
        do throws(OctetError) {
            fields += try read(&reader, context)
            if !reader.isAtEnd { fields.append(.opaque("further octets", reader.readRest())) }
        } catch {
            fields += [Field("fault", "notification data, octet \(error.offset): \(error.field): \(error.reason)")]
            fields.append(.opaque("notification data", data))
        }
        return fields
    }
}

/// How the data of each notification reads.
///
/// A document that adds a notification with data adds its table here, from types to readers; a type that is in no table is shown
/// as octets.
enum NotificationTable {
    static let readers: [NotifyType: NotificationReader] = [
        baseNotifications, mobilityNotifications, sessionNotifications, authenticationNotifications,
        postQuantumNotifications,
        clusterNotifications, packetNotifications,
    ].reduce(into: [:]) { all, table in all.merge(table) { first, _ in first } }

    /// Of drafts whose numbers are still open.
    static let drafts: [OpenCodePoint: NotificationReader] = [
        // draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt: eight octets for an IKE SA, four for a child SA.
        .optimizedRekey: { reader, _ throws(OctetError) in [Field("new SPI", reader.readRest().hexadecimal)] },
        // draft-liu-ipsecme-ikev2-mtu-dect, section 3.
        .largestAtomicPacket: { reader, _ throws(OctetError) in
            let word = try reader.readUInt32("IP version and fragment length")
            let version = word >> 28
            return [
                Field("IP version", "\(version)"),
                Field(version == 6 ? "payload of the first fragment" : "first fragment", "\(word & 0xffff) octets"),
            ]
        },
        .packetTooBig: { reader, _ throws(OctetError) in
            [
                Field("MTU of the link", "\(try reader.readUInt32("link MTU")) octets"),
                Field("largest packet taken", "\(try reader.readUInt32("largest packet")) octets"),
            ]
        },
        // draft-ponchon-ipsecme-anti-replay-subspaces.
        .antiReplaySubspaces: { reader, _ throws(OctetError) in
            let profile = try reader.readUInt8("profile")
            var fields = [Field("profile", profile == 1 ? "1" : "\(profile), not known")]
            let flags = try reader.readUInt8("flags")
            if flags != 0 { fields.append(Field("flags", "\(flags)")) }
            return fields + [Field("highest subspace received", "\(try reader.readUInt16("highest subspace"))")]
        },
        // draft-smyslov-ipsecme-ikev2-extended-pld, as `ExtendedPayloads` has it.
        .extendedPayloadFormat: { reader, _ throws(OctetError) in
            let profile = try reader.readUInt8("profile")
            try reader.skip(3, "reserved octets")
            let maximum = try reader.readUInt32("longest message")
            return [
                Field("profile", "\(profile)"),
                Field("longest message taken", maximum == 0 ? "not said" : "\(maximum) octets of payloads"),
            ]
        },
        // draft-mglt-ipsecme-dscp-np.
        .dscp: { reader, _ throws(OctetError) in [Field("values", describedClasses(reader.readRest()))] },
    ]
}
