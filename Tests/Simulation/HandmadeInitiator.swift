import IKE
import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// An initiator that is no endpoint but a test's own hand: it calls a pair's right side with the address, the identity and the secret of the
/// left one, says what no endpoint would, and proves that it has said it. The left side is to be silent.
public final class HandmadeInitiator {
    private let pair: Pair
    private let spi: UInt64 = 0x6861_6e64_6d61_6465
    private let nonce = [UInt8](repeating: 0x4e, count: 32)
    private var request: [UInt8] = []
    private var response: [UInt8] = []
    private var peerSPI: UInt64 = 0
    private var peerNonce: [UInt8] = []
    private var keys: IKEKeys?
    private var transcript = IntermediateTranscript()
    private var nextID: UInt32 = 1
    private var nextIV: UInt64 = 1
    /// The format of what is protected.
    public var format = PayloadFormat.classic

    public enum Failure: Error {
        case noAnswer(ExchangeType)
        /// The answer lacks what comes next.
        case refused([Payload])
    }

    public init(_ pair: Pair) { self.pair = pair }

    // MARK: IKE_SA_INIT

    /// IKE_SA_INIT with AES-GCM-256, HMAC-SHA2-256 and X25519.
    ///
    /// - Parameters:
    ///   - additional: the methods of ADDKE1, ADDKE2 and so on.
    ///   - others: payloads behind SA, KE and Nonce.
    /// - Returns: the payloads of the answer.
    /// - Throws: ``Failure``, or what the message or the key exchange fails by.
    @discardableResult
    public func begin(additional: [KeyExchangeMethod] = [], saying others: [Payload] = []) async throws -> [Payload] {
        let key = try Self.key(.curve25519)
        let proposal = IKEProposal(
            encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
            additional: additional.enumerated().map {
                AdditionalKeyExchange(number: $0.offset + 1, methods: [$0.element])
            })
        let payloads: [Payload] = [
            .securityAssociation(SecurityAssociationPayload(proposals: [proposal.payload(number: 1)])),
            .keyExchange(KeyExchangePayload(method: key.method.rawValue, data: key.publicValue)), .nonce(nonce),
        ]
        let header = header(.ikeSAInit, id: 0)
        request = Message(header: header, payloads: payloads + others).serialized()
        response = try await send(request, .ikeSAInit)
        let answer = try Message(parsing: response)
        peerSPI = answer.header.responderSPI
        for case .nonce(let nonce) in answer.payloads { peerNonce = nonce }
        guard let exchange = Self.keyExchange(answer.payloads) else { throw Failure.refused(answer.payloads) }
        keys = try IKEKeys.initial(
            suite: IKESuite(
                encryption: .aesGCM16(256), integrity: nil, prf: .hmacSHA2_256, keyExchange: .curve25519),
            sharedSecret: try key.sharedSecret(with: exchange.data), initiatorNonce: nonce, responderNonce: peerNonce,
            initiatorSPI: spi, responderSPI: peerSPI)
        return answer.payloads
    }

    private static func key(_ method: KeyExchangeMethod) throws -> KeyExchangeKey {
        try method.makeKey(seed: SecretOctets([UInt8](repeating: 7, count: method.privateSeedLength)))
    }

    private static func keyExchange(_ payloads: [Payload]) -> KeyExchangePayload? {
        payloads.lazy.compactMap { if case .keyExchange(let exchange) = $0 { exchange } else { nil } }.first
    }

    // MARK: IKE_INTERMEDIATE

    /// IKE_INTERMEDIATE, with a key exchange or without.
    ///
    /// - Parameter others: payloads behind KE.
    /// - Returns: the payloads of the answer.
    /// - Throws: as ``begin(additional:saying:)``.
    @discardableResult
    public func intermediate(_ method: KeyExchangeMethod? = nil, saying others: [Payload] = []) async throws
        -> [Payload]
    {
        let key = try method.map(Self.key)
        let exchange = key.map {
            Payload.keyExchange(KeyExchangePayload(method: $0.method.rawValue, data: $0.publicValue))
        }
        let payloads = (exchange.map { [$0] } ?? []) + others
        guard let old = keys else { throw Failure.noAnswer(.ikeSAInit) }
        try transcript.add(
            try IntermediateTranscript.octets(of: header(.ikeIntermediate, id: nextID), payloads, format: format),
            ofInitiator: true, key: old.skPi, prf: old.suite.prf)
        let (answer, octets) = try await exchangeOctets(.ikeIntermediate, payloads)
        try transcript.add(octets, ofInitiator: false, key: old.skPr, prf: old.suite.prf)
        if let key {
            guard let theirs = Self.keyExchange(answer) else { throw Failure.refused(answer) }
            keys = try old.rekeyed(
                suite: old.suite, sharedSecret: try key.sharedSecret(with: theirs.data), initiatorNonce: nonce,
                responderNonce: peerNonce, initiatorSPI: spi, responderSPI: peerSPI)
        }
        return answer
    }

    // MARK: IKE_AUTH

    /// The authentication data of the left side's shared secret.
    ///
    /// - Parameters:
    ///   - ppk: a post-quantum preshared key that is mixed in (RFC 8784).
    ///   - coversAnswer: the answer of IKE_SA_INIT is proved too, as in draft-ietf-ipsecme-ikev2-downgrade-prevention.
    public func proof(ppk: SecretOctets? = nil, coversAnswer: Bool = false) throws -> [UInt8] {
        guard var keys else { throw Failure.noAnswer(.ikeSAInit) }
        if let ppk { keys = try keys.mixed(with: ppk) }
        let signed = try AuthenticationOctets.signed(
            message: request, otherNonce: peerNonce, identityBody: Self.identity.serializedBody, key: keys.skPi,
            prf: keys.suite.prf, intermediate: transcript.octets(beforeMessage: nextID))
        let before = coversAnswer ? [UInt8](repeating: 0, count: 8) + response : []
        return try AuthenticationOctets.sharedKeyProof(Pair.secret, octets: before + signed, prf: keys.suite.prf)
            .unprotected
    }

    private static let identity = IdentificationPayload(type: .fqdn, data: Array("left.example".utf8))

    /// IKE_AUTH with a child for the pair's networks.
    ///
    /// - Parameters:
    ///   - proof: the authentication data; `nil`: that of ``proof(ppk:coversAnswer:)`` without either.
    ///   - others: payloads behind those that belong to it.
    /// - Returns: the payloads of the answer.
    /// - Throws: as ``begin(additional:saying:)``.
    @discardableResult
    public func authenticate(_ proof: [UInt8]? = nil, saying others: [Payload] = []) async throws -> [Payload] {
        let payloads: [Payload] = [
            .identificationInitiator(Self.identity),
            .authentication(AuthenticationPayload(method: .sharedKey, data: try proof ?? self.proof())),
            .securityAssociation(
                SecurityAssociationPayload(proposals: [
                    ESPProposal(encryption: [.aesGCM16(256)]).payload(number: 1, spi: 4096, withKeyExchange: false)
                ])),
            .trafficSelectorsInitiator(TrafficSelectorPayload(selectors: Pair.selector("10.1.0.0/16").map(\.wire))),
            .trafficSelectorsResponder(TrafficSelectorPayload(selectors: Pair.selector("10.2.0.0/16").map(\.wire))),
        ]
        return try await exchange(.ikeAuth, payloads + others)
    }

    // MARK: Messages

    /// Any exchange with these payloads in its protected request.
    ///
    /// - Returns: the payloads of the answer.
    /// - Throws: as ``begin(additional:saying:)``.
    @discardableResult
    public func exchange(_ type: ExchangeType, _ payloads: [Payload]) async throws -> [Payload] {
        try await exchangeOctets(type, payloads).payloads
    }

    /// - Returns: what the answer says, and what IKE_AUTH proves of it.
    private func exchangeOctets(_ type: ExchangeType, _ payloads: [Payload]) async throws -> (
        payloads: [Payload], transcript: [UInt8]
    ) {
        guard let keys else { throw Failure.noAnswer(.ikeSAInit) }
        let chain = try Payload.serializeChain(payloads, format: format)
        let cipher = try MessageCipher(
            encryption: keys.suite.encryption, encryptionKey: keys.skEi, integrity: nil, integrityKey: nil)
        let prefix = Message.encryptedPrefix(
            header: header(type, id: nextID), leading: [], type: .encrypted, innerFirst: chain.first, fragment: nil,
            bodyLength: cipher.sealedLength(of: chain.octets.count))
        nextIV += 1
        let octets = try await send(
            prefix + (try cipher.seal(chain.octets, after: prefix, iv: nextIV.bigEndianOctets)), type)
        nextID += 1
        guard case .encrypted(let payload) = try Message(parsing: octets).payloads.last else {
            throw Failure.noAnswer(type)
        }
        let outer = Array(octets[..<payload.offset])
        let plaintext = try MessageCipher(
            encryption: keys.suite.encryption, encryptionKey: keys.skEr, integrity: nil, integrityKey: nil
        ).open(payload.body, after: outer)
        return (
            try Payload.parseChain(first: payload.innerFirst, plaintext, offset: 0, format: format),
            IntermediateTranscript.octets(prefix: outer, plaintext: plaintext, format: format)
        )
    }

    private func header(_ type: ExchangeType, id: UInt32) -> IKEHeader {
        IKEHeader(initiatorSPI: spi, responderSPI: peerSPI, exchangeType: type, flags: .initiator, messageID: id)
    }

    private func send(_ octets: [UInt8], _ type: ExchangeType) async throws -> [UInt8] {
        let before = pair.world.sent.count
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(200))
        let answer = pair.world.sent.dropFirst(before).last { $0.octets.starts(with: spi.bigEndianOctets) }
        guard let answer else { throw Failure.noAnswer(type) }
        return answer.octets
    }
}
