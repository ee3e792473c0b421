import IKE
import IKEMessage
import IPsecCrypto
import Octets

/// Reads, and forges, the protected messages of hosts that export their keys.
public struct Wiretap {
    private let hosts: () -> [Host]

    /// - Parameter hosts: those whose keys are known; asked anew for each message.
    public init(_ hosts: @escaping () -> [Host]) { self.hosts = hosts }

    /// The payloads of a message; `nil` if it is a fragment, or of an SA that is not known.
    public func payloads(of octets: [UInt8]) -> [Payload]? {
        guard let message = try? Message(parsing: octets) else { return nil }
        guard case .encrypted(let payload) = message.payloads.last else {
            if case .encryptedFragment = message.payloads.last { return nil }
            return message.payloads
        }
        for cipher in ciphers(for: message.header) {
            guard let plaintext = try? cipher.open(payload.body, after: Array(octets[..<payload.offset])) else {
                continue
            }
            return Self.payloads(first: payload.innerFirst, plaintext)
        }
        return nil
    }

    /// The payloads of a message in fragments, the datagrams of which may stand in any order; `nil` if some are missing.
    public func payloads(ofFragments datagrams: [[UInt8]]) -> [Payload]? {
        var parts: [UInt16: [UInt8]] = [:]
        var (first, total) = (PayloadType.none, UInt16.max)
        for octets in datagrams {
            guard let message = try? Message(parsing: octets),
                case .encryptedFragment(let fragment) = message.payloads.last
            else { continue }
            let plaintext = ciphers(for: message.header).lazy.compactMap {
                try? $0.open(fragment.body, after: Array(octets[..<fragment.offset]))
            }.first
            parts[fragment.number] = plaintext
            total = fragment.total
            if fragment.number == 1 { first = fragment.innerFirst }
        }
        guard parts.count == Int(total) else { return nil }
        return Self.payloads(first: first, parts.sorted { $0.key < $1.key }.flatMap(\.value))
    }

    /// Payloads with headers of either format: what has one can hardly be read as the other.
    private static func payloads(first: PayloadType, _ octets: [UInt8]) -> [Payload]? {
        [PayloadFormat.classic, .extended].lazy.compactMap {
            try? Payload.parseChain(first: first, octets, offset: 0, format: $0)
        }.first
    }

    /// A message under the keys of the SA that the header names. `iv`: unlike any the real sender uses.
    public func seal(
        _ header: IKEHeader, _ payloads: [Payload], format: PayloadFormat = .classic, iv: UInt64
    ) -> [UInt8]? {
        let chain = try? Payload.serializeChain(payloads, format: format)
        return chain.flatMap { seal(header, first: $0.first, $0.octets, iv: iv) }
    }

    /// The same with octets that need not be well-formed.
    public func seal(_ header: IKEHeader, first: PayloadType, _ plaintext: [UInt8], iv: UInt64) -> [UInt8]? {
        seal(header, first: first, plaintext, fragment: nil, iv: iv)
    }

    /// A fragment of a message, number and total of which are given; `nil`: all of one. `leading`: what stands before it, unprotected.
    public func seal(
        _ header: IKEHeader, leading: [Payload] = [], first: PayloadType, _ plaintext: [UInt8],
        fragment: (number: UInt16, total: UInt16)?, iv: UInt64
    ) -> [UInt8]? {
        guard let cipher = ciphers(for: header).first else { return nil }
        let prefix = Message.encryptedPrefix(
            header: header, leading: leading, type: fragment == nil ? .encrypted : .encryptedFragment,
            innerFirst: first,
            fragment: fragment, bodyLength: cipher.sealedLength(of: plaintext.count))
        return (try? cipher.seal(plaintext, after: prefix, iv: iv.bigEndianOctets)).map { prefix + $0 }
    }

    /// One for each of the keys that the SA has had, the latest first.
    private func ciphers(for header: IKEHeader) -> [MessageCipher] {
        for host in hosts() {
            let ciphers = host.events.compactMap { event -> MessageCipher? in
                guard
                    case .keys(
                        .ike(header.initiatorSPI, header.responderSPI, let suite, let ei, let er, let ai, let ar)) =
                        event
                else { return nil }
                let isInitiator = header.flags.contains(.initiator)
                return try? MessageCipher(
                    encryption: suite.encryption, encryptionKey: isInitiator ? ei : er, integrity: suite.integrity,
                    integrityKey: suite.integrity == nil ? nil : (isInitiator ? ai : ar))
            }
            if !ciphers.isEmpty { return ciphers.reversed() }
        }
        return []
    }
}
