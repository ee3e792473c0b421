// RFC 7296 section 3.15: CP. Attributes of RFC 5739, RFC 7296, RFC 8598 and RFC 9464.
import IKE
import IKEMessage
import IPPacket
import Octets

extension ConfigurationPayload: DescribedPayload {
    var summary: String { type.described }

    func fields(in context: MessageContext) -> [Field] {
        attributes.map { attribute in
            guard !attribute.value.isEmpty else { return Field(attribute.type.described) }
            return ConfigurationAttributeTable.readers[attribute.type]?(attribute.value).map {
                Field(attribute.type.described, $0.value, octets: $0.octets, $0.fields)
            } ?? .opaque(attribute.type.described, attribute.value)
        }
    }
}

/// How the value of each configuration attribute reads. A document that adds one adds a row.
enum ConfigurationAttributeTable {
    /// Gives a field whose name does not count; `nil` if the value does not have the form of its document.
    typealias Reader = @Sendable ([UInt8]) -> Field?

    static let readers: [ConfigurationAttributeType: Reader] = [
        .internalIP4Address: address, .internalIP4Netmask: address, .internalIP4DNS: address, .internalIP4NBNS: address,
        .internalIP4DHCP: address, .internalIP6DNS: address, .internalIP6DHCP: address, .pCSCFIP4Address: address,
        .pCSCFIP6Address: address,
        .internalIP6Address: prefix, .internalIP6Subnet: prefix, .internalIP6Prefix: prefix,
        .internalIP4Subnet: subnet,
        .applicationVersion: { .text("", $0) },
        .supportedAttributes: supported,
        .timeoutPeriodForLivenessCheck: { value in
            value.count == 4 ? Field("", "\(value.reduce(0) { $0 << 8 | Int($1) }) s") : nil
        },
        .internalDNSDomain: { .text("", $0) },
        .internalDNSSECTA: trustAnchor,
        .encdnsIP4: { encryptedDNS($0, .v4) }, .encdnsIP6: { encryptedDNS($0, .v6) },
        .encdnsDigestInfo: digestInformation,
    ]

    private static func address(_ value: [UInt8]) -> Field? { IPAddress(octets: value).map { Field("", "\($0)") } }

    /// 16 octets and a prefix length (RFC 7296 section 3.15.1).
    private static func prefix(_ value: [UInt8]) -> Field? {
        guard value.count == 17, let length = value.last, let address = IPAddress(octets: value.prefix(16)) else {
            return value.count == 16 ? address(value) : nil
        }
        return Field("", "\(address)/\(length)")
    }

    /// Address and netmask.
    private static func subnet(_ value: [UInt8]) -> Field? {
        guard value.count == 8, let address = IPAddress(octets: value.prefix(4)),
            let mask = IPAddress(octets: value.suffix(4))
        else { return nil }
        let length = UInt32(truncatingIfNeeded: mask.value).nonzeroBitCount
        let isPrefix = length == 0 || UInt32(truncatingIfNeeded: mask.value) == ~UInt32(0) << (32 - length)
        return Field("", isPrefix ? "\(address)/\(length)" : "\(address) \(mask)")
    }

    private static func supported(_ value: [UInt8]) -> Field? {
        guard value.count.isMultiple(of: 2) else { return nil }
        let types = stride(from: 0, to: value.count, by: 2).map {
            ConfigurationAttributeType(rawValue: UInt16(value[$0]) << 8 | UInt16(value[$0 + 1]))
        }
        return Field("", types.map(\.described).joined(separator: ", "))
    }

    /// RFC 8598 section 4.2: key tag, algorithm, digest type, digest.
    private static func trustAnchor(_ value: [UInt8]) -> Field? {
        guard value.count > 4 else { return nil }
        return Field(
            "", "key tag \(UInt16(value[0]) << 8 | UInt16(value[1])), algorithm \(value[2]), digest type \(value[3])",
            octets: Array(value.dropFirst(4)))
    }

    /// RFC 9464 section 3.1: service priority, number of addresses, length of the name, addresses, name, service parameters.
    private static func encryptedDNS(_ value: [UInt8], _ family: IPFamily) -> Field? {
        var reader = OctetReader(value)
        do throws(OctetError) {
            let priority = try reader.readUInt16("service priority")
            let count = Int(try reader.readUInt8("number of addresses"))
            let nameLength = Int(try reader.readUInt8("length of the name"))
            var fields = [Field("service priority", priority)]
            for _ in 0..<count {
                let octets = try reader.readOctets(family.octetCount, "address")
                fields.append(Field("address", IPAddress(octets: octets).map { "\($0)" } ?? octets.hexadecimal))
            }
            fields.append(.text("authentication domain name", try reader.readOctets(nameLength, "name")))
            if !reader.isAtEnd {
                let octets = reader.readRest()
                fields.append(
                    (try? ServiceParameters(octets)).map { Field("service parameters", "\($0)") }
                        ?? .opaque("service parameters", octets))
            }
            return Field("", "", fields)
        } catch {
            return nil
        }
    }

    /// RFC 9464 section 3.2: in a request a number of hash algorithms, 0, and these; in a reply 1, the length of a name, the name,
    /// the algorithm, the digest.
    private static func digestInformation(_ value: [UInt8]) -> Field? {
        var reader = OctetReader(value)
        do throws(OctetError) {
            let count = Int(try reader.readUInt8("number of hash algorithms"))
            let nameLength = Int(try reader.readUInt8("length of the name"))
            if nameLength == 0, reader.remaining == 2 * count {
                var names: [String] = []
                while !reader.isAtEnd {
                    names.append(HashAlgorithmID(rawValue: try reader.readUInt16("hash algorithm")).described)
                }
                return Field("", names.joined(separator: ", "))
            }
            guard count == 1 else { return nil }
            var fields: [Field] = []
            let name = try reader.readOctets(nameLength, "name")
            if !name.isEmpty { fields.append(.text("authentication domain name", name)) }
            fields.append(Field("hash algorithm", HashAlgorithmID(rawValue: try reader.readUInt16("hash")).described))
            fields.append(.opaque("certificate digest", reader.readRest()))
            return Field("", "", fields)
        } catch {
            return nil
        }
    }
}
