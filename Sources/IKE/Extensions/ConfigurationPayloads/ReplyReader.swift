import IKEMessage
import IPPacket
import Octets

/// Reads a peer's CFG_REPLY. What is not understood, has a wrong form, was not asked for or is too much is left out, and said.
package struct ReplyReader {
    package private(set) var assigned = AssignedConfiguration()
    /// What was left out of what concerns resolvers, and why.
    package private(set) var complaints: [String] = []
    private var digests: [(name: String, digest: CertificateDigest)] = []
    /// Resolvers, by name, whose certificates cannot be checked.
    private var unusable: Set<String> = []
    /// There was a digest more, of whichever resolver.
    private var isDigestLost = false
    private let hashes: [HashAlgorithmID]

    private static let complaintLimit = 16

    /// - Parameters:
    ///   - asked: the types that we asked for, of those that concern resolvers; `nil`: all.
    ///   - hashes: the hash algorithms that we asked for.
    ///   - isTrusted: the peer has proved its identity. Of one that has not, neither domains nor encrypted resolvers are taken
    ///     (RFC 8598 section 9; RFC 9464 section 7).
    package init(
        _ reply: ConfigurationPayload, asked: Set<ConfigurationAttributeType>? = nil,
        hashes: [HashAlgorithmID] = Array(CertificateDigest.lengths.keys), isTrusted: Bool = true
    ) {
        self.hashes = hashes
        var belongsToDomain = false
        for attribute in reply.attributes {
            let followsDomain = belongsToDomain
            belongsToDomain = false
            if Self.resolverTypes.contains(attribute.type), let asked, !asked.contains(attribute.type) {
                complain("\(attribute.type) left out: we have not asked for it")
                continue
            }
            if Self.trustedTypes.contains(attribute.type), !isTrusted {
                complain("\(attribute.type) left out: the peer is nobody in particular")
                continue
            }
            belongsToDomain = take(attribute, followsDomain: followsDomain)
        }
        addDigests()
        let count = assigned.encryptedResolvers.count
        assigned.encryptedResolvers.removeAll {
            unusable.contains($0.name.lowercased()) || (isDigestLost && $0.digests.isEmpty)
        }
        if assigned.encryptedResolvers.count < count {
            complain("a resolver left out: its certificate could not be checked (RFC 9464 section 5)")
        }
        let ordered = assigned.encryptedResolvers.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }
        assigned.encryptedResolvers = ordered.map(\.element)
        // Domains without a resolver cannot be asked for (RFC 8598 section 3.2; RFC 9464 section 4).
        if assigned.dnsServers.isEmpty, assigned.encryptedResolvers.isEmpty, !assigned.domains.isEmpty {
            complain("domains left out: no resolver comes with them")
            assigned.domains = []
        }
    }

    private static let resolverTypes: Set<ConfigurationAttributeType> = [
        .internalIP4DNS, .internalIP6DNS, .internalDNSDomain, .internalDNSSECTA, .encdnsIP4, .encdnsIP6,
        .encdnsDigestInfo,
    ]

    private static let trustedTypes: Set<ConfigurationAttributeType> = [
        .internalDNSDomain, .internalDNSSECTA, .encdnsIP4, .encdnsIP6, .encdnsDigestInfo,
    ]

    private mutating func complain(_ text: String) {
        if complaints.count < Self.complaintLimit, !complaints.contains(text) { complaints.append(text) }
    }

    /// - Returns: whether a trust anchor that follows at once has a domain.
    private mutating func take(_ attribute: ConfigurationAttribute, followsDomain: Bool) -> Bool {
        switch attribute.type {
        case .internalIP4Address, .internalIP6Address:
            guard let address = attribute.leadingAddress, address.isAssignable,
                assigned.addresses.count < AssignedConfiguration.addressLimit, !assigned.addresses.contains(address)
            else { return false }
            assigned.addresses.append(address)
        case .internalIP4DNS, .internalIP6DNS:
            guard let address = attribute.leadingAddress, address.isAssignable,
                assigned.dnsServers.count < AssignedConfiguration.addressLimit, !assigned.dnsServers.contains(address)
            else { return false }
            assigned.dnsServers.append(address)
        case .internalIP4Subnet, .internalIP6Subnet:
            guard let subnet = attribute.subnet, assigned.subnets.count < AssignedConfiguration.subnetLimit else {
                return false
            }
            assigned.subnets.append(subnet)
        case .internalDNSDomain:
            guard let name = attribute.domain else {
                complain("INTERNAL_DNS_DOMAIN left out: it holds no domain")
                return false
            }
            guard assigned.domains.count < AssignedConfiguration.domainLimit else { return false }
            assigned.domains.append(SplitDNSDomain(name))
            return true
        case .internalDNSSECTA:
            // A trust anchor is of the domain it follows, at once or behind others (RFC 8598 section 4.2).
            guard followsDomain, let last = assigned.domains.indices.last else {
                complain("INTERNAL_DNSSEC_TA left out: it follows no domain")
                return false
            }
            guard let anchor = attribute.trustAnchor else {
                complain("INTERNAL_DNSSEC_TA left out: it holds no digest")
                return true
            }
            if assigned.domains[last].trustAnchors.count < AssignedConfiguration.trustAnchorLimit {
                assigned.domains[last].trustAnchors.append(anchor)
            }
            return true
        case .encdnsIP4, .encdnsIP6: takeResolver(attribute)
        case .encdnsDigestInfo: takeDigest(attribute)
        default: break
        }
        return false
    }

    private mutating func takeResolver(_ attribute: ConfigurationAttribute) {
        do throws(OctetError) {
            var resolver = try attribute.encryptedResolver()
            resolver.addresses = Array(resolver.addresses.prefix(AssignedConfiguration.addressLimit))
            let known = assigned.encryptedResolvers.firstIndex {
                $0.name == resolver.name && $0.priority == resolver.priority && $0.parameters == resolver.parameters
            }
            guard let known else {
                guard assigned.encryptedResolvers.count < AssignedConfiguration.resolverLimit else {
                    return complain(
                        "\(attribute.type) left out: \(AssignedConfiguration.resolverLimit) resolvers are enough")
                }
                return assigned.encryptedResolvers.append(resolver)
            }
            // The same resolver's addresses of another family.
            for address in resolver.addresses
            where !assigned.encryptedResolvers[known].addresses.contains(address)
                && assigned.encryptedResolvers[known].addresses.count < 2 * AssignedConfiguration.addressLimit
            {
                assigned.encryptedResolvers[known].addresses.append(address)
            }
        } catch {
            complain("\(attribute.type) left out: \(error)")
        }
    }

    private mutating func takeDigest(_ attribute: ConfigurationAttribute) {
        do throws(OctetError) {
            guard digests.count < AssignedConfiguration.resolverLimit else {
                complain("\(attribute.type) left out: \(AssignedConfiguration.resolverLimit) digests are enough")
                isDigestLost = true
                return
            }
            digests.append(try attribute.certificateDigest())
        } catch {
            complain("\(attribute.type) left out: \(error)")
            isDigestLost = true
        }
    }

    /// Gives digests to their resolvers. One that has a digest which cannot be compared with anything is not to be used.
    private mutating func addDigests() {
        let names = Set(assigned.encryptedResolvers.map { $0.name.lowercased() })
        for (name, digest) in digests {
            guard let owner = name.isEmpty ? (names.count == 1 ? names.first : nil) : name.lowercased(),
                names.contains(owner)
            else {
                complain("ENCDNS_DIGEST_INFO left out: it is of no one resolver")
                continue
            }
            guard hashes.contains(digest.hash), CertificateDigest.lengths[digest.hash] == digest.digest.count else {
                complain(
                    "ENCDNS_DIGEST_INFO of \(owner): \(digest.digest.count) octets of \(digest.hash) are no digest that we asked for"
                )
                unusable.insert(owner)
                continue
            }
            for index in assigned.encryptedResolvers.indices
            where assigned.encryptedResolvers[index].name.lowercased() == owner
                && !assigned.encryptedResolvers[index].digests.contains(digest)
            {
                assigned.encryptedResolvers[index].digests.append(digest)
            }
        }
    }
}

extension AssignedConfiguration {
    /// More of one kind than these are not taken from a peer.
    static let addressLimit = 16
    static let subnetLimit = 256
    static let domainLimit = 64
    static let trustAnchorLimit = 16
    static let resolverLimit = 16

    /// What a peer's CFG_REPLY gives, whatever was asked for.
    package init(reading reply: ConfigurationPayload) { self = ReplyReader(reply).assigned }
}
