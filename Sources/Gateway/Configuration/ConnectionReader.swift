import Credentials
import IKE
import IPPacket
import IPsecPolicy
import Octets

/// Turns one entry of `connections` into what IKE needs to know.
struct ConnectionReader {
    let entry: ConfigurationEntry
    let settings: LayeredMapping<ConnectionKey>
    let local: LayeredMapping<LocalKey>
    let remote: LayeredMapping<RemoteKey>
    let diagnostics: Diagnostics
    let authorities: ConfiguredAuthorities
    /// The pools that the peer is given addresses from; `nil` if what is written cannot be read.
    let addressPools: [AddressPool]?
    /// The addresses that we ask for, likewise.
    let virtualAddresses: [VirtualAddress]?

    init?(
        _ entry: ConfigurationEntry, defaults: ConfigurationMapping<ConnectionKey>?, authorities: ConfiguredAuthorities,
        pools: ConfiguredPools
    ) {
        guard let own = entry.value.mapping(ConnectionKey.self, expected: "a connection, a mapping") else { return nil }
        self.entry = entry
        settings = LayeredMapping(mappings: [own] + (defaults.map { [$0] } ?? []))
        local = settings.nested(.local, as: LocalKey.self)
        remote = settings.nested(.remote, as: RemoteKey.self)
        diagnostics = entry.value.diagnostics
        self.authorities = authorities
        addressPools = remote[.pool].map { pools.named(by: $0) } ?? []
        virtualAddresses = local[.virtualAddresses].map { Self.virtualAddresses($0) } ?? []
    }

    /// `ipv4`, `ipv6` or an address to be asked for, one of each family.
    private static func virtualAddresses(_ node: ConfigurationNode) -> [VirtualAddress]? {
        var result: [VirtualAddress] = []
        for element in node.elements {
            guard let text = element.text(expected: "ipv4, ipv6 or an address") else { return nil }
            let wanted: VirtualAddress
            switch text {
            case "ipv4": wanted = .any(.v4)
            case "ipv6": wanted = .any(.v6)
            default:
                guard let address = IPAddress(text), !address.isUnspecified, !address.isMulticast else {
                    element.error(
                        "\(quoted(text)) cannot be asked for; expected ipv4, ipv6 or an address such as 10.9.0.7")
                    return nil
                }
                wanted = .preferred(address)
            }
            guard !result.contains(where: { $0.family == wanted.family }) else {
                element.error(
                    "\(quoted(text)) is the second \(wanted.family) address; expected one of each family at most")
                return nil
            }
            result.append(wanted)
        }
        return result
    }

    /// Addresses are asked for by those who call, and given by those who are called.
    private func checkAddressing(_ hosts: [RemoteHost]) {
        if let node = remote[.pool], hosts != [.any] {
            node.error("a pool is for peers that call us; expected \"remote.address\" to be any")
        }
        if let node = local[.virtualAddresses], hosts == [.any] {
            node.error("addresses are asked of a peer that we call; give \"remote.address\"")
        }
    }

    /// The connection; `nil` with errors reported. `policyID` numbers the policy of a child of a given name.
    func connection(policyID: (String) -> UInt32) -> GatewayConnection? {
        let before = diagnostics.all.count
        if settings[.remote] == nil, !settings.isMisspelt(.remote) {
            diagnostics.error(
                "\"remote\" is missing: the peer's address, identity and subnets", at: entry.origin)
        }
        // Where an end is no mapping, all that would be said to be missing in it is beside the point.
        guard settings[.local] == nil || !local.mappings.isEmpty, settings[.remote] == nil || !remote.mappings.isEmpty
        else { return nil }
        let hosts = remoteHosts()
        checkAddressing(hosts)
        let localAddresses = local[.address]?.elements.compactMap { $0.address() } ?? []
        let peerSecrets = peerSecrets(hosts)
        let localAuthentication = localAuthentication()
        let remoteAuthentication = remoteAuthentication(like: localAuthentication)
        let localIdentity = localIdentity(addresses: localAddresses, localAuthentication)
        let remotePattern = remotePattern(remoteAuthentication)
        let remoteIdentity = remotePattern == nil ? remoteIdentity(hosts, remoteAuthentication) : nil
        let children = ChildReader(connection: self).children(policyID: policyID)
        let options = ConnectionOptions(settings, remote)
        var peerIsAnonymous = false
        if case .anonymous = remoteAuthentication { peerIsAnonymous = true }
        let resolvers = ResolverPolicyReader(settings).policy(
            asksForAddresses: virtualAddresses?.isEmpty != true, peerIsAnonymous: peerIsAnonymous)
        guard diagnostics.all[before...].allSatisfy({ $0.severity == .warning }),
            let localIdentity, let localAuthentication, let remoteAuthentication, let addressPools,
            let virtualAddresses, let peerSecrets,
            let alternativeCertificates = alternativeCertificates(localAuthentication, localIdentity)
        else { return nil }
        var connection = ConnectionConfiguration(
            name: entry.name, origin: entry.origin, localIdentity: localIdentity, remoteIdentity: remoteIdentity,
            localAuthentication: localAuthentication, remoteAuthentication: remoteAuthentication)
        connection.alternativeCertificates = alternativeCertificates
        connection.remotePattern = remotePattern ?? nil
        connection.peerSecrets = peerSecrets
        connection.addressPools = addressPools
        connection.virtualAddresses = virtualAddresses
        connection.resolvers = resolvers
        connection.localAddresses = localAddresses
        connection.remoteAddresses = hosts.compactMap(\.address)
        connection.acceptsAnyRemoteAddress = hosts.contains(.any)
        connection.children = children
        connection.start = hosts == [.any] ? .none : .demand
        connection.origins = origins(localAuthentication, remoteAuthentication)
        options.apply(to: &connection)
        var result = GatewayConnection(configuration: connection, hosts: hosts)
        result.configuration.fingerprint = result.fingerprint()
        return result
    }

    /// Where settings stand; for the ways of authentication, the files that they rest on.
    private func origins(_ ours: LocalAuthentication, _ theirs: RemoteAuthentication) -> [String: Origin] {
        var result = settings.origins()
        result.merge(local.origins(prefix: "local.")) { first, _ in first }
        result.merge(remote.origins(prefix: "remote.")) { first, _ in first }
        result["local.auth"] =
            switch ours {
            case .preSharedKey: local.origin(of: .secret) ?? settings.origin(of: .secret)
            case .anonymous: local.origin(of: .auth) ?? settings.origin(of: .auth)
            case .certificate: local.origin(of: .certificate) ?? settings.origin(of: .certificate)
            }
        result["remote.auth"] =
            switch theirs {
            case .preSharedKey:
                remote.origin(of: .secrets) ?? remote.origin(of: .secret) ?? settings.origin(of: .secret)
            case .anonymous: remote.origin(of: .auth) ?? settings.origin(of: .auth)
            case .certificate:
                remote.origin(of: .authorities) ?? settings.origin(of: .authorities) ?? authorities.origin
            }
        return result
    }

    // MARK: Ends

    private func remoteHosts() -> [RemoteHost] {
        guard let node = remote[.address] else {
            if settings[.start]?.node.scalar?.string == "boot", !remote.isMisspelt(.address) {
                diagnostics.error(
                    "\"start: boot\" needs \"remote.address\"; give the peer's address or name", at: entry.origin)
            }
            return [.any]
        }
        return node.elements.compactMap { element in
            guard let text = element.text(expected: "an address, a host name or any") else { return nil }
            guard let host = RemoteHost(text) else {
                element.error(
                    "\(quoted(text)) is neither an address nor a host name; expected for example 192.0.2.1, 2001:db8::1, gw.example.org or any"
                )
                return nil
            }
            return host
        }
    }

    private func identity(_ node: ConfigurationNode) -> Identity? {
        guard let text = node.text(expected: "an identity such as gw.example.org") else { return nil }
        do {
            return try Identity(configured: text)
        } catch {
            node.error("\(quoted(text)) is not an identity: \(error.reason)")
            return nil
        }
    }

    private func localIdentity(addresses: [IPAddress], _ authentication: LocalAuthentication?) -> Identity? {
        if let node = local[.id] {
            guard let identity = identity(node) else { return nil }
            if case .certificate(let certificate) = authentication { checkName(identity, certificate, node) }
            return identity
        }
        if case .anonymous = authentication { return .anonymous }
        if case .certificate(let certificate) = authentication {
            return certificate.subjectAltNames.first ?? certificate.subject
        }
        if addresses.count == 1, let address = addresses.first { return .address(address) }
        guard !local.isMisspelt(.id, .address), !settings.isMisspelt(.local) else { return nil }
        diagnostics.error(
            "\"local.id\" is missing: the identity we prove to the peer, such as gw.example.org", at: entry.origin)
        return nil
    }

    /// What the peer's identity is to be like; `nil` if what is written is no pattern, within the result if it is a wrong one.
    private func remotePattern(_ authentication: RemoteAuthentication?) -> IdentityPattern?? {
        guard let node = remote[.id], let text = node.node.scalar?.string, IdentityPattern.isPattern(text) else {
            return nil
        }
        if case .preSharedKey = authentication, remote[.secrets] == nil {
            node.warning("every peer that knows the secret is accepted under any of these identities")
        }
        do {
            return .some(try IdentityPattern(configured: text))
        } catch {
            node.error(error.reason)
            return .some(nil)
        }
    }

    /// `any`, or no way to tell, is `nil`: whatever the peer can prove.
    private func remoteIdentity(_ hosts: [RemoteHost], _ authentication: RemoteAuthentication?) -> Identity? {
        if case .anonymous = authentication {
            if let node = remote[.id], node.node.scalar?.string != "any" {
                node.error("an anonymous peer proves no identity; leave \"id\" out")
            }
            return nil
        }
        if let node = remote[.id] {
            if node.node.scalar?.string == "any" {
                if case .certificate = authentication { return nil }
                if remote[.secrets] != nil { return nil }
                node.warning("every peer that knows the secret is accepted, whatever its identity")
                return nil
            }
            return identity(node)
        }
        guard remote[.secrets] == nil else { return nil }
        switch hosts.first {
        case .address(let address) where hosts.count == 1: return .address(address)
        case .name(let name) where hosts.count == 1: return .fqdn(name)
        default:
            if settings[.remote] != nil, !remote.isMisspelt(.id, .address) {
                diagnostics.error(
                    "\"remote.id\" is missing: the identity the peer must prove, such as gw.example.org, or any",
                    at: settings.origin(of: .remote) ?? entry.origin)
            }
            return nil
        }
    }

    // MARK: Authentication

    /// Stands where each peer has a key of its own: nobody knows it.
    private static let noSecret = SecretOctets((0..<32).map { _ in UInt8.random(in: 0...255) })

    /// The keys under `remote.secrets`, by identity; `nil` with errors reported.
    private func peerSecrets(_ hosts: [RemoteHost]) -> [PeerSecret]? {
        guard let node = remote[.secrets] else { return [] }
        if hosts != [.any] {
            node.error("secrets by identity are for peers that call us; expected \"remote.address\" to be any")
        }
        let expected = "secrets by identity, as in alice@example.org: { file: alice.psk }"
        let entries = node.namedEntries(expected: expected)
        if entries.isEmpty, node.isMapping { node.error("there are no secrets; expected \(expected)") }
        var result: [PeerSecret] = []
        for entry in entries {
            do {
                let identity = try Identity(configured: entry.name)
                if result.contains(where: { $0.identity.matches(identity) }) {
                    diagnostics.error("\(identity) has a secret already; keep one of them", at: entry.origin)
                }
                if let secret = AuthenticationReader.secret(entry.value) { result.append(PeerSecret(identity, secret)) }
            } catch {
                diagnostics.error("\(quoted(entry.name)) is not an identity: \(error.reason)", at: entry.origin)
            }
        }
        return result.count == entries.count && !entries.isEmpty ? result : nil
    }

    private func localAuthentication() -> LocalAuthentication? {
        let secret = local[.secret] ?? settings[.secret]
        let certificate = local[.certificate] ?? settings[.certificate]
        let word = (local[.auth] ?? settings[.auth]).map { $0.word(AuthenticationWord.self, what: "authentication") }
        if let word, word == nil { return nil }
        if remote[.secrets] != nil, secret == nil, word == .psk || (word == nil && certificate == nil) {
            return .preSharedKey(Self.noSecret)
        }
        switch (word ?? nil, secret, certificate) {
        case (.anonymous, _, _): return .anonymous
        case (.psk, let secret?, _), (nil, let secret?, nil):
            return AuthenticationReader.secret(secret).map { .preSharedKey($0) }
        case (.certificate, _, let certificate?), (nil, nil, let certificate?):
            guard let first = certificate.elements.first else {
                certificate.error("there is no certificate; expected { file: PATH, key: PATH }")
                return nil
            }
            return AuthenticationReader.certificate(first).map { .certificate($0) }
        case (.psk, nil, _):
            diagnostics.error("\"auth: psk\" needs \"secret: { file: PATH }\"", at: entry.origin)
        case (.certificate, _, nil):
            diagnostics.error(
                "\"auth: certificate\" needs \"certificate: { file: PATH, key: PATH }\"", at: entry.origin)
        case (nil, .some, .some):
            diagnostics.error(
                "both a secret and a certificate are given; say under local and remote which is used, with auth: psk or auth: certificate",
                at: entry.origin)
        case (nil, nil, nil):
            let isReported =
                settings.isMisspelt(.secret, .certificate, .local) || local.isMisspelt(.secret, .certificate)
            guard !isReported else { return nil }
            diagnostics.error(
                "nothing to prove our identity with; give \"secret: { file: PATH }\" or \"certificate: { file: PATH, key: PATH }\"",
                at: entry.origin)
        }
        return nil
    }

    /// The certificates after the first, each of which must name the identity too.
    private func alternativeCertificates(
        _ authentication: LocalAuthentication, _ identity: Identity
    ) -> [CertificateIdentity]? {
        guard case .certificate = authentication, let node = local[.certificate] ?? settings[.certificate] else {
            return []
        }
        let others = node.elements.dropFirst().map { element in
            (element: element, certificate: AuthenticationReader.certificate(element))
        }
        for case (let element, let certificate?) in others { checkName(identity, certificate, element) }
        let certificates = others.compactMap(\.certificate)
        return certificates.count == others.count ? certificates : nil
    }

    private func checkName(_ identity: Identity, _ certificate: CertificateIdentity, _ node: ConfigurationNode) {
        guard identity != certificate.subject, !certificate.subjectAltNames.contains(where: identity.matches) else {
            return
        }
        let names = ([certificate.subject] + certificate.subjectAltNames).map(\.description)
        node.error("the certificate does not name \(identity); expected one of \(names.joined(separator: ", "))")
    }

    private func remoteAuthentication(like local: LocalAuthentication?) -> RemoteAuthentication? {
        let secret = remote[.secret] ?? settings[.secret]
        let word = (remote[.auth] ?? settings[.auth]).map { $0.word(AuthenticationWord.self, what: "authentication") }
        if let word, word == nil { return nil }
        if let node = remote[.secrets] {
            guard word == nil || word == .psk, remote[.secret] == nil else {
                node.error("secrets by identity go with no other way of authentication; leave the one or the other out")
                return nil
            }
            return .preSharedKey(Self.noSecret)
        }
        let way: AuthenticationWord
        if let word = word ?? nil {
            way = word
        } else if remote[.secret] != nil {
            way = .psk
        } else if remote[.authorities] != nil {
            way = .certificate
        } else {
            switch local {
            case .preSharedKey: way = .psk
            case .certificate: way = .certificate
            case .anonymous: way = .anonymous
            case nil: return nil
            }
        }
        switch way {
        case .anonymous:
            (remote[.auth] ?? settings[.auth])?.warning("every peer is accepted without proof of who it is")
            return .anonymous
        case .psk:
            guard let secret else {
                diagnostics.error(
                    "the peer is to use a secret, but there is none; give \"secret: { file: PATH }\"", at: entry.origin)
                return nil
            }
            return AuthenticationReader.secret(secret).map { .preSharedKey($0) }
        case .certificate:
            if let node = remote[.authorities] ?? settings[.authorities] {
                return AuthenticationReader.authorities(node.elements).map { .certificate($0) }
            }
            guard let anchors = authorities.anchors else { return nil }
            guard !anchors.isEmpty else {
                diagnostics.error(
                    "the peer is to use a certificate, but no authority is believed; list the files of CA certificates under \"authorities\"",
                    at: entry.origin)
                return nil
            }
            return .certificate(anchors)
        }
    }
}

/// The authorities of the whole configuration.
struct ConfiguredAuthorities {
    /// `nil` if they could not be read.
    let anchors: TrustAnchors?
    /// Where they stand.
    let origin: Origin?
}
