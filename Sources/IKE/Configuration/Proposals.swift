import IPsecCrypto

/// One of the additional key exchanges of a proposal (RFC 9370).
public struct AdditionalKeyExchange: Sendable, Hashable {
    /// 1 to 7: of ADDKE1 to ADDKE7.
    public var number: Int
    /// The alternatives, best first.
    public var methods: [KeyExchangeMethod]
    /// Whether it may be left out: NONE is one of the alternatives.
    public var isOptional: Bool

    public init(number: Int, methods: [KeyExchangeMethod], isOptional: Bool = false) {
        self.number = number
        self.methods = methods
        self.isOptional = isOptional
    }
}

/// One proposal for an IKE SA: any combination of one algorithm of each kind is acceptable.
public struct IKEProposal: Sendable, Hashable {
    public var encryption: [EncryptionAlgorithm]
    /// Empty exactly when the encryption algorithms are AEAD.
    public var integrity: [IntegrityAlgorithm]
    public var prf: [PRF]
    public var keyExchange: [KeyExchangeMethod]
    /// Further key exchanges after the first, by their numbers.
    public var additional: [AdditionalKeyExchange]
    public var origin: Origin?

    public init(
        encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm] = [], prf: [PRF],
        keyExchange: [KeyExchangeMethod], additional: [AdditionalKeyExchange] = [], origin: Origin? = nil
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.prf = prf
        self.keyExchange = keyExchange
        self.additional = additional
        self.origin = origin
    }

    /// What is offered where nothing is configured: a key exchange with ML-KEM besides, then ``classical`` for peers without.
    public static let defaults =
        [
            IKEProposal(
                encryption: [.aesGCM16(256), .chaCha20Poly1305, .aesGCM16(128)],
                prf: [.hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512], keyExchange: [.curve25519, .ecp256, .ecp384],
                additional: [AdditionalKeyExchange(number: 1, methods: [.mlKEM768, .mlKEM1024])])
        ] + classical

    /// Whether nobody learns the keys who finds out later what the classical key exchange hides.
    public var isPostQuantum: Bool {
        keyExchange.allSatisfy(\.isEncapsulation)
            || additional.contains { !$0.isOptional && $0.methods.allSatisfy(\.isEncapsulation) }
    }

    /// The algorithms that RFC 8247 wants, strongest first.
    public static let classical = [
        IKEProposal(
            encryption: [.aesGCM16(256), .chaCha20Poly1305, .aesGCM16(128)],
            prf: [.hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512],
            keyExchange: [.curve25519, .ecp256, .ecp384, .modp3072, .modp2048]),
        IKEProposal(
            encryption: [.aesCBC(256), .aesCBC(128)],
            integrity: [.hmacSHA2_256_128, .hmacSHA2_384_192, .hmacSHA2_512_256],
            prf: [.hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512],
            keyExchange: [.curve25519, .ecp256, .ecp384, .modp3072, .modp2048]),
    ]
}

/// How ESP numbers packets (transform type 5).
public enum SequenceNumbers: UInt16, Sendable, CaseIterable {
    /// 32-bit sequence numbers.
    case sequential32 = 0
    /// Extended sequence numbers: 64 bits of which 32 are sent (RFC 4304).
    case extended = 1
}

/// One proposal for a child SA protected by ESP.
public struct ESPProposal: Sendable, Hashable {
    public var encryption: [EncryptionAlgorithm]
    /// Empty exactly when the encryption algorithms are AEAD.
    public var integrity: [IntegrityAlgorithm]
    /// Key exchange methods for perfect forward secrecy; empty: none. In the first exchange it plays no part.
    public var keyExchange: [KeyExchangeMethod]
    /// Further key exchanges after that one, by their numbers.
    public var additional: [AdditionalKeyExchange]
    public var sequenceNumbers: [SequenceNumbers]
    public var origin: Origin?

    public init(
        encryption: [EncryptionAlgorithm], integrity: [IntegrityAlgorithm] = [],
        keyExchange: [KeyExchangeMethod] = [], additional: [AdditionalKeyExchange] = [],
        sequenceNumbers: [SequenceNumbers] = [.extended, .sequential32],
        origin: Origin? = nil
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.keyExchange = keyExchange
        self.additional = additional
        self.sequenceNumbers = sequenceNumbers
        self.origin = origin
    }

    /// What is offered where nothing is configured: the algorithms that RFC 8221 wants, strongest first.
    public static let defaults = [
        ESPProposal(encryption: [.aesGCM16(256), .chaCha20Poly1305, .aesGCM16(128)]),
        ESPProposal(
            encryption: [.aesCBC(256), .aesCBC(128)],
            integrity: [.hmacSHA2_256_128, .hmacSHA2_384_192, .hmacSHA2_512_256]),
    ]
}
