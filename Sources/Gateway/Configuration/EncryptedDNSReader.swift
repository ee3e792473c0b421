import IKE
import IKEMessage
import IPPacket
import Octets

enum EncryptedDNSKey: String, ConfigurationKey {
    case name, addresses, alpn, port, path, priority, digests
}

/// Reads the entries of a pool's `encrypted-dns` (RFC 9464).
enum EncryptedDNSReader {
    /// - Returns: the resolver to ask first at first; `nil` with errors reported.
    static func resolvers(_ node: ConfigurationNode) -> [EncryptedResolver]? {
        let all = node.elements.enumerated().map { resolver($0.element, place: $0.offset + 1) }
        guard !all.contains(nil) else { return nil }
        guard all.count <= 8 else {
            node.error("a pool has at most 8 encrypted resolvers")
            return nil
        }
        return all.compactMap(\.self).sorted { $0.priority < $1.priority }
    }

    /// - Parameter place: its priority where none is written.
    private static func resolver(_ node: ConfigurationNode, place: Int) -> EncryptedResolver? {
        guard let mapping = node.mapping(EncryptedDNSKey.self, expected: "an encrypted resolver, a mapping"),
            let nameNode = mapping.required(.name, "the name that it proves, such as dns.example.org"),
            let addressNode = mapping.required(.addresses, "where it is, such as 10.1.0.53"),
            let name = name(nameNode)
        else { return nil }
        let addresses = addressNode.elements.map { $0.address() }
        let alpn = mapping[.alpn]?.elements.map(Self.alpn) ?? ["dot"]
        let digests = mapping[.digests]?.elements.map(Self.digest) ?? []
        let port = mapping[.port]?.integer(in: 1...65535)
        let priority = mapping[.priority] == nil ? place : mapping[.priority]?.integer(in: 1...65535)
        guard !addresses.contains(nil), !alpn.contains(nil), !digests.contains(nil),
            mapping[.port] == nil || port != nil,
            let priority
        else { return nil }
        let usable = addresses.compactMap(\.self)
        guard !usable.isEmpty, usable.count <= 16, !usable.contains(where: { $0.isUnspecified || $0.isMulticast })
        else {
            addressNode.error("expected 1 to 16 addresses of a resolver")
            return nil
        }
        let protocols = alpn.compactMap(\.self)
        guard let path = path(mapping[.path], mapping, protocols) else { return nil }
        if let odd = usable.first(where: { $0.isLoopback || $0.isLinkLocal }) {
            addressNode.error(
                "\(odd) is the peer's own, or of its link; expected an address that peers reach through the tunnel")
            return nil
        }
        var resolver = EncryptedResolver(
            priority: UInt16(priority), name: name, addresses: usable,
            parameters: ServiceParameters(alpn: protocols, port: port.map { UInt16($0) }, dohPath: path.value))
        resolver.digests = digests.compactMap(\.self)
        return resolver
    }

    private static func name(_ node: ConfigurationNode) -> String? {
        guard let text = node.text(expected: "the name of a resolver, such as dns.example.org") else { return nil }
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        guard DomainName.isHost(name) else {
            node.error(
                "\(quoted(text)) is not the name of a host; expected letters, digits and hyphens as in dns.example.org (xn-- for others)"
            )
            return nil
        }
        return name
    }

    private static func alpn(_ node: ConfigurationNode) -> String? {
        node.word(DNSProtocol.self, what: "protocol of encrypted DNS")?.rawValue
    }

    private struct Path { let value: String? }

    /// The path of DNS over HTTPS, which has to be there with `h2` or `h3` and makes no sense without (RFC 9461 section 5).
    private static func path(
        _ node: ConfigurationNode?, _ mapping: ConfigurationMapping<EncryptedDNSKey>, _ protocols: [String]
    ) -> Path? {
        let speaksHTTPS = protocols.contains("h2") || protocols.contains("h3")
        guard let node else {
            guard !speaksHTTPS else {
                mapping.node.error("\"path\" is missing: that of DNS over HTTPS, such as /dns-query{?dns}")
                return nil
            }
            return Path(value: nil)
        }
        guard let text = node.text(expected: "a path such as /dns-query{?dns}") else { return nil }
        guard speaksHTTPS else {
            node.error("a path is for DNS over HTTPS; expected h2 or h3 in \"alpn\"")
            return nil
        }
        guard ServiceParameters.isPath(text), text.utf8.count <= 1024 else {
            node.error("\(quoted(text)) is no path with the variable dns; expected for example /dns-query{?dns}")
            return nil
        }
        return Path(value: text)
    }

    /// A hash algorithm and hexadecimal digits.
    private static func digest(_ node: ConfigurationNode) -> CertificateDigest? {
        let expected = "an algorithm and the hash of a public key, as in sha2-256 and 64 hexadecimal digits"
        guard let text = node.text(expected: expected) else { return nil }
        let words = text.split(separator: " ")
        guard words.count >= 2, let hash = DigestHash(rawValue: String(words[0]))?.algorithm,
            let digest = [UInt8](hexadecimal: words[1...].joined()), digest.count == CertificateDigest.lengths[hash]
        else {
            node.error("\(quoted(text)) is no certificate digest; expected \(expected)")
            return nil
        }
        return CertificateDigest(hash: hash, digest: digest)
    }
}

/// ALPN names of protocols that DNS goes over in an encrypted form (RFC 7858, RFC 8484, RFC 9250).
enum DNSProtocol: String, ConfigurationKey {
    case dot, doq, h2, h3
}

/// Hash algorithms of certificate digests.
enum DigestHash: String, ConfigurationKey {
    case sha2_256 = "sha2-256"
    case sha2_384 = "sha2-384"
    case sha2_512 = "sha2-512"

    var algorithm: HashAlgorithmID {
        switch self {
        case .sha2_256: .sha2_256
        case .sha2_384: .sha2_384
        case .sha2_512: .sha2_512
        }
    }
}
