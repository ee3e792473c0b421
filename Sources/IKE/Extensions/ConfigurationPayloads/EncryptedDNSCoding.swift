// RFC 9464: encrypted DNS. Code points: attributes 27 ENCDNS_IP4, 28 ENCDNS_IP6, 29 ENCDNS_DIGEST_INFO (IKEMessage).
//
// The layouts and the numbers of section 3 are published. These rules are put down here as they are generally known, not from the
// RFC's own words: a resolver whose attribute breaks a rule is left out and the rest of the CFG_REPLY taken; a request whose
// suggestion cannot be read is answered as an empty one; several ENCDNS_DIGEST_INFO may stand in one reply.
import IKEMessage
import IPPacket
import Octets

extension ConfigurationAttribute {
    /// ENCDNS_IP4 or ENCDNS_IP6: priority, number of addresses, length of the name, addresses, name, service parameters
    /// (RFC 9464 section 3.1); `nil` if the resolver has no address of the family, or what it has does not fit.
    static func encryptedDNS(_ resolver: EncryptedResolver, _ family: IPFamily) -> Self? {
        let addresses = resolver.addresses.filter { $0.family == family }
        let name = Array(resolver.name.utf8)
        guard resolver.priority > 0, let count = UInt8(exactly: addresses.count), count > 0,
            let nameLength = UInt8(exactly: name.count)
        else { return nil }
        return Self(
            type: family == .v4 ? .encdnsIP4 : .encdnsIP6,
            value: resolver.priority.bigEndianOctets + [count, nameLength] + addresses.flatMap(\.octets) + name
                + resolver.parameters.octets)
    }

    /// ENCDNS_DIGEST_INFO of a request: number of hash algorithms, a name of length 0, the algorithms (RFC 9464 section 3.2).
    static func wantedDigests(_ hashes: [HashAlgorithmID]) -> Self {
        let hashes = hashes.prefix(255)
        return Self(
            type: .encdnsDigestInfo,
            value: [UInt8(truncatingIfNeeded: hashes.count), 0] + hashes.flatMap(\.rawValue.bigEndianOctets))
    }

    /// ENCDNS_DIGEST_INFO of a reply: one hash algorithm, length of the name, name, algorithm, digest (RFC 9464 section 3.2).
    ///
    /// - Parameter name: empty where the reply names one resolver only.
    static func digest(_ digest: CertificateDigest, of name: String) -> Self {
        let name = Array(name.utf8.prefix(255))
        return Self(
            type: .encdnsDigestInfo,
            value: [1, UInt8(truncatingIfNeeded: name.count)] + name + digest.hash.rawValue.bigEndianOctets
                + digest.digest)
    }

    /// The resolver of an ENCDNS_IP4 or ENCDNS_IP6 that stands in a CFG_REPLY.
    ///
    /// - Throws: which rule of RFC 9464 section 3.1 it breaks.
    func encryptedResolver() throws(OctetError) -> EncryptedResolver {
        let family: IPFamily = type == .encdnsIP4 ? .v4 : .v6
        var reader = OctetReader(value)
        let priority = try reader.readUInt16("service priority")
        guard priority != 0 else { throw reader.invalid("service priority", "0, which is AliasMode", at: 0) }
        let count = Int(try reader.readUInt8("number of addresses"))
        guard count > 0 else { throw reader.invalid("number of addresses", "0", at: 2) }
        let nameLength = Int(try reader.readUInt8("length of the name"))
        var addresses: [IPAddress] = []
        for _ in 0..<count {
            let octets = try reader.readOctets(family.octetCount, "address")
            guard let address = IPAddress(octets: octets), address.isAssignable else {
                throw reader.invalid("address", "not one that a host can have")
            }
            if !addresses.contains(address) { addresses.append(address) }
        }
        let octets = try reader.readOctets(nameLength, "authentication domain name")
        guard let text = String(validating: octets, as: UTF8.self), DomainName.isHost(Self.withoutDot(text)) else {
            throw reader.invalid("authentication domain name", "not the name of a host")
        }
        let parameters = try ServiceParameters(reader.readRest())
        guard parameters[ServiceParameters.Key.ipv4Hint] == nil, parameters[ServiceParameters.Key.ipv6Hint] == nil
        else {
            throw reader.invalid("SvcParams", "they hold addresses as hints, beside the addresses")
        }
        return EncryptedResolver(
            priority: priority, name: Self.withoutDot(text), addresses: addresses, parameters: parameters)
    }

    static func withoutDot(_ name: String) -> String {
        name.hasSuffix(".") && name.utf8.count > 1 ? String(name.dropLast()) : name
    }

    /// The hash algorithms of an ENCDNS_DIGEST_INFO that stands in a CFG_REQUEST; `nil` if it has another form.
    var wantedHashes: [HashAlgorithmID]? {
        guard type == .encdnsDigestInfo, value.count >= 2, value[1] == 0, value.count == 2 + 2 * Int(value[0]) else {
            return nil
        }
        return stride(from: 2, to: value.count, by: 2).map {
            HashAlgorithmID(rawValue: UInt16(value[$0]) << 8 | UInt16(value[$0 + 1]))
        }
    }

    /// The digest of an ENCDNS_DIGEST_INFO that stands in a CFG_REPLY, and the resolver's name, empty for the only one.
    func certificateDigest() throws(OctetError) -> (name: String, digest: CertificateDigest) {
        var reader = OctetReader(value)
        let count = try reader.readUInt8("number of hash algorithms")
        guard count == 1 else { throw reader.invalid("number of hash algorithms", "\(count) in place of 1", at: 0) }
        let nameLength = Int(try reader.readUInt8("length of the name"))
        let octets = try reader.readOctets(nameLength, "authentication domain name")
        guard let text = String(validating: octets, as: UTF8.self),
            text.isEmpty || DomainName.isHost(Self.withoutDot(text))
        else { throw reader.invalid("authentication domain name", "not the name of a host") }
        let hash = HashAlgorithmID(rawValue: try reader.readUInt16("hash algorithm"))
        return (Self.withoutDot(text), CertificateDigest(hash: hash, digest: reader.readRest()))
    }
}

extension AssignedConfiguration {
    /// The attributes of RFC 9464 for a CFG_REPLY.
    ///
    /// - Parameter request: what the peer asks for: a family of which it says nothing is not told (RFC 9464 section 4).
    func encryptedDNSAttributes(for request: ConfigurationPayload) -> [ConfigurationAttribute] {
        let asked = Set(request.attributes.map(\.type))
        let families = IPFamily.allCases.filter { asked.contains($0 == .v4 ? .encdnsIP4 : .encdnsIP6) }
        let resolvers = encryptedResolvers.filter { resolver in
            resolver.addresses.contains { families.contains($0.family) }
        }
        var attributes = resolvers.flatMap { resolver in
            families.compactMap { ConfigurationAttribute.encryptedDNS(resolver, $0) }
        }
        let wanted =
            request.attributes.lazy.filter { $0.type == .encdnsDigestInfo }.compactMap(\.wantedHashes).first ?? []
        let names = Set(resolvers.map { $0.name.lowercased() })
        var told: Set<ConfigurationAttribute> = []
        for resolver in resolvers {
            // One algorithm for each resolver, the first of the peer's that there is a digest of.
            guard let hash = wanted.first(where: { hash in resolver.digests.contains { $0.hash == hash } }) else {
                continue
            }
            for digest in resolver.digests where digest.hash == hash {
                let attribute = ConfigurationAttribute.digest(digest, of: names.count > 1 ? resolver.name : "")
                if told.insert(attribute).inserted { attributes.append(attribute) }
            }
        }
        return attributes
    }
}
