import IKE
import IPPacket
import Octets

enum PoolKey: String, ConfigurationKey {
    case addresses, dns
    case encryptedDNS = "encrypted-dns"
    case domains
}

enum DomainKey: String, ConfigurationKey {
    case name
    case trustAnchors = "trust-anchors"
}

/// The entries of `pools`, by name.
struct ConfiguredPools {
    private(set) var pools: [String: AddressPool] = [:]
    /// Names of pools with mistakes: to call them unknown as well would say nothing new.
    private var broken: Set<String> = []
    private var origins: [String: Origin] = [:]

    static let none = ConfiguredPools()

    private init() {}

    /// Reads the pools of all files.
    init(_ nodes: [ConfigurationNode], _ diagnostics: Diagnostics) {
        for entry in nodes.flatMap({ $0.namedEntries(expected: "address pools by name") }) {
            ChildReader.checkName(entry)
            if let first = origins[entry.name], first.file != entry.origin.file {
                diagnostics.error(
                    "pool \(quoted(entry.name)) exists already (\(first.file):\(first.line)); give one of them another name",
                    at: entry.origin)
            }
            origins[entry.name] = entry.origin
            if let pool = Self.pool(entry) { pools[entry.name] = pool } else { broken.insert(entry.name) }
        }
        checkOverlaps(diagnostics)
    }

    /// Two pools that hold the same address would give it to two peers.
    private func checkOverlaps(_ diagnostics: Diagnostics) {
        let all = pools.values.sorted { $0.name < $1.name }
        for (index, later) in all.enumerated() {
            for earlier in all[..<index] {
                let common = later.ranges.first { range in
                    earlier.ranges.contains { $0.contains(range.first) || range.contains($0.first) }
                }
                guard let common, let origin = origins[later.name] else { continue }
                diagnostics.error(
                    "\(common.first) to \(common.last) overlaps with pool \(earlier.name); expected addresses of its own",
                    at: origin)
            }
        }
    }

    /// The pools that a connection names.
    func named(by node: ConfigurationNode) -> [AddressPool]? {
        var result: [AddressPool] = []
        var failed = false
        for element in node.elements {
            guard let name = element.text(expected: "the name of a pool") else {
                failed = true
                continue
            }
            if let pool = pools[name] {
                result.append(pool)
                continue
            }
            failed = true
            guard !broken.contains(name) else { continue }
            element.error(
                pools.isEmpty
                    ? "there is no pool \(quoted(name)); describe it under \"pools\""
                    : NearestWord.complaint(about: name, what: "pool", expected: pools.keys.sorted()))
        }
        return failed ? nil : result
    }

    // MARK: One pool

    private static func pool(_ entry: ConfigurationEntry) -> AddressPool? {
        guard let mapping = entry.value.mapping(PoolKey.self, expected: "a pool, a mapping"),
            let addresses = mapping.required(.addresses, "the addresses to give, such as 10.9.0.0/24")
        else { return nil }
        let ranges = addresses.elements.map(range)
        let servers = mapping[.dns]?.elements.map { $0.address() } ?? []
        let domains = mapping[.domains]?.elements.map(domain) ?? []
        let encrypted = mapping[.encryptedDNS].map { EncryptedDNSReader.resolvers($0) } ?? []
        guard !ranges.contains(nil), !servers.contains(nil), !domains.contains(nil), let encrypted else { return nil }
        var pool = AddressPool(name: entry.name, ranges: ranges.compactMap(\.self))
        pool.dnsServers = servers.compactMap(\.self)
        pool.domains = domains.compactMap(\.self)
        pool.encryptedResolvers = encrypted
        guard pool.dnsServers.count <= 8, pool.domains.count <= 64 else {
            entry.value.error("a pool has at most 8 DNS servers and 64 domains")
            return nil
        }
        if let node = mapping[.domains], pool.dnsServers.isEmpty, pool.encryptedResolvers.isEmpty {
            node.error("domains need \"dns\" or \"encrypted-dns\": the servers that know them")
            return nil
        }
        return pool
    }

    private static func range(_ node: ConfigurationNode) -> AddressPool.Range? {
        let expected = "a subnet such as 10.9.0.0/24 or a range such as 10.9.0.10-10.9.0.99"
        guard let text = node.text(expected: expected) else { return nil }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let range: AddressPool.Range?
        if ends.count == 2 {
            let addresses = ends.map { IPAddress($0.filter { $0 != " " }) }
            range = addresses[0].flatMap { first in addresses[1].flatMap { AddressPool.Range(first, $0) } }
        } else {
            range = IPPrefix(text).flatMap { $0.assignable }
        }
        guard let range else {
            node.error("\(quoted(text)) is no addresses to give; expected \(expected)")
            return nil
        }
        return range
    }

    private static func domain(_ node: ConfigurationNode) -> SplitDNSDomain? {
        guard node.isMapping else {
            return node.text(expected: "a domain such as corp.example").flatMap { name($0, node) }
        }
        guard let mapping = node.mapping(DomainKey.self),
            let nameNode = mapping.required(.name, "the domain, such as corp.example"),
            let text = nameNode.text(expected: "a domain such as corp.example"), var domain = name(text, nameNode)
        else { return nil }
        let anchors = mapping[.trustAnchors]?.elements.map(trustAnchor) ?? []
        guard !anchors.contains(nil) else { return nil }
        domain.trustAnchors = anchors.compactMap(\.self)
        return domain
    }

    private static func name(_ text: String, _ node: ConfigurationNode) -> SplitDNSDomain? {
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        guard DomainName.isDomain(name) else {
            node.error(
                "\(quoted(text)) is not a domain; expected letters, digits and hyphens as in corp.example (xn-- for others)"
            )
            return nil
        }
        return SplitDNSDomain(name)
    }

    /// As the data of a DS record in a zone file.
    private static func trustAnchor(_ node: ConfigurationNode) -> DNSSECTrustAnchor? {
        let expected = "the data of a DS record: key tag, algorithm, digest type and digest, as in 20326 8 2 E06D44B8…"
        guard let text = node.text(expected: expected) else { return nil }
        let words = text.split(separator: " ")
        guard words.count >= 4, let tag = UInt16(words[0]), let algorithm = UInt8(words[1]), let type = UInt8(words[2]),
            let digest = [UInt8](hexadecimal: words[3...].joined()), (1...64).contains(digest.count)
        else {
            node.error("\(quoted(text)) is no trust anchor; expected \(expected)")
            return nil
        }
        return DNSSECTrustAnchor(keyTag: tag, algorithm: algorithm, digestType: type, digest: digest)
    }
}

extension IPPrefix {
    /// What hosts of the network can have: of IPv4 not its own address and the broadcast address, of IPv6 not the first, which
    /// is its routers' anycast address.
    fileprivate var assignable: AddressPool.Range? {
        guard family.bitWidth - length >= 2 else { return AddressPool.Range(first, last) }
        return AddressPool.Range(
            IPAddress(family, first.value + 1), family == .v4 ? IPAddress(family, last.value - 1) : last)
    }
}
