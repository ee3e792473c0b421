import Credentials
import IKE
import IPsecCrypto
import Octets

extension GatewayConnection {
    /// A digest of all that the connection is made of, wherever it was written: the same for two readings exactly when
    /// nothing would run differently. It stands for secrets without telling anything of them.
    func fingerprint() -> String {
        var plain = configuration
        plain.origin = Self.nowhere
        plain.origins = [:]
        plain.fingerprint = ""
        for index in plain.ikeProposals.indices { plain.ikeProposals[index].origin = nil }
        for index in plain.children.indices {
            plain.children[index].origin = Self.nowhere
            plain.children[index].origins = [:]
            for proposal in plain.children[index].espProposals.indices {
                plain.children[index].espProposals[proposal].origin = nil
            }
        }
        var parts = [Self.digest(ofPublicPartOf: plain, hosts)]
        switch configuration.localAuthentication {
        case .anonymous: parts.append("anonymous")
        case .preSharedKey where !configuration.peerSecrets.isEmpty: parts.append("by peer")
        case .preSharedKey(let secret): parts.append(Self.digest(secret))
        case .certificate(let own):
            for octets in [own.leafDER] + own.intermediatesDER + [own.signingKey.publicKey.subjectPublicKeyInfo] {
                parts.append(Self.digest(octets))
            }
        }
        for certificate in configuration.alternativeCertificates {
            parts += ([certificate.leafDER] + certificate.intermediatesDER).map(Self.digest)
            parts.append(Self.digest(certificate.signingKey.publicKey.subjectPublicKeyInfo))
        }
        switch configuration.remoteAuthentication {
        case .anonymous: parts.append("anonymous")
        case .preSharedKey where !configuration.peerSecrets.isEmpty: parts.append("by peer")
        case .preSharedKey(let secret): parts.append(Self.digest(secret))
        case .certificate(let anchors): parts.append(Self.digest(Array("\(anchors)".utf8)))
        }
        for ppk in configuration.ppks { parts += [Self.digest(ppk.identifier), Self.digest(ppk.secret)] }
        for peer in configuration.peerSecrets { parts += ["\(peer.identity)", Self.digest(peer.secret)] }
        return Self.digest(Array(parts.joined(separator: " ").utf8))
    }

    /// Two keyed hashes of all but what identifies the peers to each other, field by field: to put thousands of connections into
    /// words would take seconds. What is added to the configuration is taken in without being named here.
    private static func digest(ofPublicPartOf connection: ConnectionConfiguration, _ hosts: [RemoteHost]) -> String {
        var hashers = (Hasher(), Hasher())
        hashers.1.combine(0)
        func add(_ value: some Hashable) {
            hashers.0.combine(value)
            hashers.1.combine(value)
        }
        for (label, value) in Mirror(reflecting: connection).children {
            switch value {
            case let value as any Hashable: add(value)
            case is LocalAuthentication, is RemoteAuthentication, is [PeerSecret], is [PostquantumPresharedKey],
                is [CertificateIdentity]:
                continue
            default: add("\(value)")
            }
            add(label)
        }
        add(hosts)
        return "\(hashers.0.finalize()) \(hashers.1.finalize())"
    }

    private static let nowhere = Origin(file: "", line: 0, column: 0, key: "")
    /// Drawn anew by each process, so that what is kept of a secret cannot be compared with guesses elsewhere.
    private static let key = SecretOctets((0..<32).map { _ in UInt8.random(in: 0...255) })

    private static func digest(_ octets: [UInt8]) -> String {
        key.authenticationCode(of: octets).unprotected.hexadecimal
    }

    private static func digest(_ secret: SecretOctets) -> String {
        key.authenticationCode(of: secret).unprotected.hexadecimal
    }
}
