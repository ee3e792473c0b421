import IPPacket

/// How the gateways of a scenario prove who they are.
package enum AuthenticationChoice: String, Sendable, CaseIterable {
    case preSharedKey = "PSK"
    case rsa = "RSA"
    case ecdsa = "ECDSA"
    case ed25519 = "Ed25519"
}

/// What protects the packets, of IKE as of ESP.
package enum EncryptionChoice: String, Sendable, CaseIterable {
    case aes256gcm16 = "aes256gcm16"
    case chacha20poly1305 = "chacha20poly1305"
    case aes256sha256 = "aes256-sha256"
    case aes256sha384 = "aes256-sha384"

    /// The algorithms of an IKE proposal, without the key exchange; strongSwan and Cygnet have the same words for them.
    var ikeAlgorithms: String { isCombined ? "\(rawValue)-prfsha256" : rawValue }
    /// Whether one algorithm both encrypts and authenticates.
    var isCombined: Bool { self == .aes256gcm16 || self == .chacha20poly1305 }
    /// What strongSwan calls the encryption algorithm in its reports.
    package var strongSwanReport: String {
        switch self {
        case .aes256gcm16: "AES_GCM_16-256"
        case .chacha20poly1305: "CHACHA20_POLY1305"
        case .aes256sha256: "AES_CBC-256/HMAC_SHA2_256_128"
        case .aes256sha384: "AES_CBC-256/HMAC_SHA2_384_192"
        }
    }
    /// What Linux calls it.
    package var kernelReport: String {
        switch self {
        case .aes256gcm16: "rfc4106(gcm(aes))"
        case .chacha20poly1305: "rfc7539esp(chacha20,poly1305)"
        case .aes256sha256: "cbc(aes)/hmac(sha256)"
        case .aes256sha384: "cbc(aes)/hmac(sha384)"
        }
    }

    /// Whether one of Cygnet's reports names these algorithms; its words are for people and may change.
    package func isNamed(in report: String) -> Bool {
        let parts =
            switch self {
            case .aes256gcm16: ["gcm", "256"]
            case .chacha20poly1305: ["chacha20"]
            case .aes256sha256: ["cbc", "256", "sha2256"]
            case .aes256sha384: ["cbc", "256", "sha2384"]
            }
        return parts.allSatisfy(report.lettersAndDigits.contains)
    }
}

extension String {
    fileprivate var lettersAndDigits: String { lowercased().filter { $0.isLetter || $0.isNumber } }
}

package enum KeyExchangeChoice: String, Sendable, CaseIterable {
    case x25519
    case ecp384
    case modp3072

    package var strongSwanReport: String {
        switch self {
        case .x25519: "CURVE_25519"
        case .ecp384: "ECP_384"
        case .modp3072: "MODP_3072"
        }
    }

    /// Whether one of Cygnet's reports names this method.
    package func isNamed(in report: String) -> Bool {
        report.lettersAndDigits.contains(self == .x25519 ? "25519" : rawValue)
    }
}

/// One tunnel between the gateways of a `Topology`, described once and written out for whichever daemon runs at an
/// end. Left initiates.
package struct TunnelPlan: Sendable {
    package var authentication = AuthenticationChoice.preSharedKey
    package var encryption = EncryptionChoice.aes256gcm16
    package var keyExchange = KeyExchangeChoice.x25519
    /// Proposals for IKE and ESP in place of those that `encryption` and `keyExchange` make; both daemons have the same words
    /// for all they share.
    package var proposals: (ike: String, esp: String)?
    /// The same for a peer that has words of its own: Libreswan's `ike` and `esp`, OpenIKED's `ikesa` and `childsa`.
    package var peerProposals: (ike: String, esp: String)?
    package var inner = IPFamily.v4
    package var outer = IPFamily.v4
    package var isNATed = false
    /// Seconds after which an end replaces its child SA or IKE SA; 0 for never in a test's time.
    package var childRekeySeconds: [Side: Int] = [:]
    package var ikeRekeySeconds: [Side: Int] = [:]
    /// Seconds of silence after which an end asks whether the other lives; 0 for never.
    package var livenessSeconds: [Side: Int] = [:]
    /// Whether neither end proves, or says, who it is (RFC 7619); Cygnet and Libreswan can.
    package var isAnonymous = false
    /// Kinds of further certificates that a Cygnet at an end has, beside that of `authentication`.
    package var alternatives: [Side: [AuthenticationChoice]] = [:]
    /// Octets of an extension that does nothing but make the certificate of an end so much longer.
    package var certificateFiller: [Side: Int] = [:]
    package var preSharedKey = "correct horse battery staple"
    /// Of keys for RSA.
    package var rsaKeyBits = 2048
    /// Whether the child protects packets between the gateways themselves, in transport mode.
    package var isTransport = false
    /// Whether ESP goes in UDP though no NAT asks for it.
    package var isUDPEncapsulated = false
    /// Whether addresses may change (MOBIKE); the left end then uses whatever address it has.
    package var isMobile = false
    /// Whether extended sequence numbers are insisted on; `nil` where nothing is said of them.
    package var hasESN: Bool?
    /// The left side asks the right one for addresses of these families, and both networks of the right are behind it; the right
    /// takes whoever is below `example.org`.
    package var assigned: [IPFamily] = []
    /// Further lines for the pool in Cygnet's configuration.
    package var poolLines: [String] = []
    /// A second child, so that the network of the left is halved between the two.
    package var hasSecondChild = false
    /// Pairs of threads of a Cygnet's data plane; `nil` for as many as suit the machine.
    package var workers: Int?
    /// More children for the same traffic, at an end that is Cygnet: names, and what is said of each besides.
    package var siblings: [Side: [(name: String, words: String)]] = [:]
    /// What the peer's configuration says besides, in its own words.
    package var peerLines = PeerLines()

    package init() {}

    var ikeProposal: String { proposals?.ike ?? "\(encryption.ikeAlgorithms)-\(keyExchange.rawValue)" }
    /// With the key exchange when the child is rekeyed, without it in IKE_AUTH.
    var espProposal: String { proposals?.esp ?? "\(encryption.rawValue)-\(keyExchange.rawValue)" }

    /// What daemons call the connection and its child.
    package static let connection = "office"
    package static let child = "net"

    package static let secondChild = "more"
    /// What the right side gives where addresses are asked for.
    package static let poolName = "road"
    package static func pool(_ family: IPFamily) -> String { family == .v4 ? "10.9.0.0/24" : "fd00:9::/64" }
    package static func dnsServer(_ family: IPFamily) -> String { family == .v4 ? "10.2.0.53" : "fd00:2::53" }
    package static let domain = "corp.example"

    /// The children by name, each with the traffic of an end; none for the addresses that the end is given.
    func children(_ side: Side) -> [(name: String, traffic: [String])] {
        guard assigned.isEmpty else {
            return [(Self.child, side == .left ? [] : assigned.map { Topology.network(side, $0).description })]
        }
        guard hasSecondChild else { return [(Self.child, [network(side).description])] }
        let parts = side == .right ? [network(side), network(side)] : network(side).halves
        return zip([Self.child, Self.secondChild], parts).map { ($0, [$1.description]) }
    }

    package static func identity(_ side: Side) -> String { "\(side.rawValue).example.org" }

    package func localAddress(_ side: Side) -> IPAddress { Topology.outerAddress(side, outer) }
    /// Where an end finds the other; `nil` if a NAT hides it.
    package func remoteAddress(_ side: Side) -> IPAddress? {
        isNATed && side == .right ? nil : Topology.outerAddress(side.other, outer)
    }
    /// Networks that stand in the configurations in place of the topology's.
    package var networks: [Side: IPPrefix] = [:]
    package func network(_ side: Side) -> IPPrefix { networks[side] ?? Topology.network(side, inner) }

    /// Lines of a peer's configuration, by where they belong.
    package struct PeerLines: Sendable {
        /// strongSwan: section `charon`; Libreswan: `config setup`; OpenIKED: the beginning.
        package var daemon: [String] = []
        /// strongSwan: section of the connection; Libreswan: `conn`; OpenIKED: the policy's end.
        package var connection: [String] = []
        /// strongSwan: section of the child; not for the others, which have none.
        package var child: [String] = []
        /// strongSwan: section of the other end; not for the others.
        package var remote: [String] = []
        /// strongSwan: sections beside `connections`, such as `pools`; Libreswan: sections beside `conn`.
        package var other: [String] = []
        /// Libreswan: lines of ipsec.secrets; not for the others, which have secrets among the rest.
        package var secrets: [String] = []

        package init() {}
    }

    /// The networks whose addresses must not be seen at the router.
    package static let protectedNetworks: [IPPrefix] = Side.allCases.flatMap { side in
        IPFamily.allCases.map { Topology.network(side, $0) }
    }
}

extension IPPrefix {
    fileprivate var halves: [IPPrefix] {
        [IPPrefix(first, length: length + 1), IPPrefix(last, length: length + 1)].compactMap(\.self)
    }
}
