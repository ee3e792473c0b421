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
            return try? Payload.parseChain(first: payload.innerFirst, plaintext, offset: 0)
        }
        return nil
    }

    /// A message under the keys of the SA that the header names. `iv`: unlike any the real sender uses.
    public func seal(_ header: IKEHeader, _ payloads: [Payload], iv: UInt64) -> [UInt8]? {
        let chain = Payload.serializeChain(payloads)
        return seal(header, first: chain.first, chain.octets, iv: iv)
    }

    /// The same with octets that need not be well-formed.
    public func seal(_ header: IKEHeader, first: PayloadType, _ plaintext: [UInt8], iv: UInt64) -> [UInt8]? {
        seal(header, first: first, plaintext, fragment: nil, iv: iv)
    }

    /// A fragment of a message, number and total of which are given; `nil`: all of one.
    public func seal(
        _ header: IKEHeader, first: PayloadType, _ plaintext: [UInt8], fragment: (number: UInt16, total: UInt16)?,
        iv: UInt64
    ) -> [UInt8]? {
        guard let cipher = ciphers(for: header).first else { return nil }
        let prefix = Message.encryptedPrefix(
            header: header, leading: [], type: fragment == nil ? .encrypted : .encryptedFragment, innerFirst: first,
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
