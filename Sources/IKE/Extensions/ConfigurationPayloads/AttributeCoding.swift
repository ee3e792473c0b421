import IKEMessage
import IPPacket
import Octets

// Configuration attributes and what they mean (RFC 7296 section 3.15.1, RFC 8598 section 4).

extension ConfigurationAttribute {
    init(_ type: ConfigurationAttributeType) { self.init(type: type, value: []) }

    /// INTERNAL_IP4_ADDRESS: four octets; INTERNAL_IP6_ADDRESS: sixteen and the prefix length, as wide as an address.
    static func address(_ address: IPAddress) -> Self {
        address.family == .v4
            ? Self(type: .internalIP4Address, value: address.octets)
            : Self(type: .internalIP6Address, value: address.octets + [128])
    }

    static func dnsServer(_ address: IPAddress) -> Self {
        Self(type: address.family == .v4 ? .internalIP4DNS : .internalIP6DNS, value: address.octets)
    }

    /// INTERNAL_IP4_SUBNET: network and mask; INTERNAL_IP6_SUBNET: network and prefix length.
    static func subnet(_ prefix: IPPrefix) -> Self {
        guard prefix.family == .v4 else {
            return Self(type: .internalIP6Subnet, value: prefix.address.octets + [UInt8(prefix.length)])
        }
        let mask = prefix.length == 0 ? 0 : UInt32.max << UInt32(32 - prefix.length)
        return Self(type: .internalIP4Subnet, value: prefix.address.octets + mask.bigEndianOctets)
    }

    /// INTERNAL_DNSSEC_TA: key tag, algorithm, digest type, digest (RFC 8598 section 4.2).
    static func trustAnchor(_ anchor: DNSSECTrustAnchor) -> Self {
        Self(
            type: .internalDNSSECTA,
            value: anchor.keyTag.bigEndianOctets + [anchor.algorithm, anchor.digestType] + anchor.digest)
    }

    /// The address at the beginning of an attribute of one of these; `nil` for any other length than they may have.
    var leadingAddress: IPAddress? {
        switch (type, value.count) {
        case (.internalIP4Address, 4), (.internalIP4DNS, 4), (.internalIP6DNS, 16): IPAddress(octets: value)
        // Some peers leave the prefix length out.
        case (.internalIP6Address, 16), (.internalIP6Address, 17): IPAddress(octets: value.prefix(16))
        default: nil
        }
    }

    /// The network of a subnet attribute; `nil` if it is none, or has a mask with holes.
    var subnet: IPPrefix? {
        switch (type, value.count) {
        case (.internalIP4Subnet, 8):
            let mask = value[4...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let length = mask.leadingZeroBitCount == 32 ? 0 : (~mask).leadingZeroBitCount
            guard length == 32 || mask << UInt32(length) == 0 else { return nil }
            return IPAddress(octets: value.prefix(4)).flatMap { IPPrefix($0, length: length) }
        case (.internalIP6Subnet, 17):
            return IPAddress(octets: value.prefix(16)).flatMap { IPPrefix($0, length: Int(value[16])) }
        default: return nil
        }
    }

    /// A domain in presentation form, without a dot at its end (RFC 8598 section 4.1); `"."`: all.
    var domain: String? {
        guard type == .internalDNSDomain, let text = String(validating: value, as: UTF8.self) else { return nil }
        let name = Self.withoutDot(text)
        return text == "." || DomainName.isDomain(name) ? name : nil
    }

    var trustAnchor: DNSSECTrustAnchor? {
        guard type == .internalDNSSECTA, value.count > 4, value.count <= 4 + 64 else { return nil }
        return DNSSECTrustAnchor(
            keyTag: UInt16(value[0]) << 8 | UInt16(value[1]), algorithm: value[2], digestType: value[3],
            digest: Array(value[4...]))
    }
}

extension AssignedConfiguration {
    /// The CFG_REPLY with all of this that `request` asks for.
    package func reply(to request: ConfigurationPayload) -> ConfigurationPayload {
        let asked = Set(request.attributes.map(\.type))
        var attributes = addresses.map { ConfigurationAttribute.address($0) }
        let servers = dnsServers.map { ConfigurationAttribute.dnsServer($0) }.filter { asked.contains($0.type) }
        let encrypted = encryptedDNSAttributes(for: request)
        attributes += servers + encrypted + subnets.map { .subnet($0) }
        // Domains are of no use without a resolver (RFC 8598 section 3.2), of whatever kind (RFC 9464 section 4).
        for domain in domains where !servers.isEmpty || !encrypted.isEmpty {
            attributes.append(ConfigurationAttribute(type: .internalDNSDomain, value: Array(domain.name.utf8)))
            attributes += domain.trustAnchors.map { .trustAnchor($0) }
        }
        if asked.contains(.supportedAttributes) {
            attributes.append(
                ConfigurationAttribute(
                    type: .supportedAttributes, value: Self.supportedTypes.flatMap(\.rawValue.bigEndianOctets)))
        }
        return ConfigurationPayload(
            type: .reply,
            // Trust anchors are asked for along with domains; all other types are only given to those who know them.
            attributes: attributes.filter { asked.contains($0.type) })
    }

    private static let supportedTypes: [ConfigurationAttributeType] = [
        .internalIP4Address, .internalIP4DNS, .internalIP6Address, .internalIP6DNS, .internalIP4Subnet,
        .supportedAttributes, .internalIP6Subnet, .internalDNSDomain, .internalDNSSECTA, .encdnsIP4, .encdnsIP6,
        .encdnsDigestInfo,
    ]
}

extension IPAddress {
    /// Whether a host can have it: not unspecified, multicast, loopback, link-local or broadcast.
    var isAssignable: Bool {
        switch family {
        case .v4: !isMulticast && value >> 24 != 0 && value >> 24 != 127 && value >> 16 != 0xa9fe && value < 0xf000_0000
        case .v6: !isMulticast && value > 1 && value >> 118 != 0x3fa
        }
    }
}
