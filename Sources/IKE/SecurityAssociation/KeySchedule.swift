import IPsecCrypto
import Octets

/// The algorithms of an IKE SA.
public struct IKESuite: Hashable, Sendable {
    public var encryption: EncryptionAlgorithm
    /// `nil` exactly when the encryption is AEAD.
    public var integrity: IntegrityAlgorithm?
    public var prf: PRF
    public var keyExchange: KeyExchangeMethod
    /// What was chosen for each additional key exchange that was offered.
    public var additional: [AdditionalChoice]

    package init(
        encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, prf: PRF, keyExchange: KeyExchangeMethod,
        additional: [AdditionalChoice] = []
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.prf = prf
        self.keyExchange = keyExchange
        self.additional = additional
    }
}

/// What was chosen for an additional key exchange (RFC 9370, section 2.2.1).
public struct AdditionalChoice: Hashable, Sendable {
    /// 1 to 7: of ADDKE1 to ADDKE7.
    public var number: Int
    /// `nil`: NONE, so that it does not take place.
    public var method: KeyExchangeMethod?
}

extension [AdditionalChoice] {
    /// The methods of those that take place, in their order.
    var methods: [KeyExchangeMethod] { compactMap(\.method) }
}

/// The algorithms of a child SA.
public struct ChildSuite: Hashable, Sendable {
    public var encryption: EncryptionAlgorithm
    /// `nil` exactly when the encryption is AEAD.
    public var integrity: IntegrityAlgorithm?
    /// The key exchange of this child's own CREATE_CHILD_SA, if it had one.
    public var keyExchange: KeyExchangeMethod?
    /// What was chosen for each additional key exchange that was offered.
    public var additional: [AdditionalChoice]
    public var sequenceNumbers: SequenceNumbers

    package init(
        encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, keyExchange: KeyExchangeMethod?,
        additional: [AdditionalChoice] = [], sequenceNumbers: SequenceNumbers
    ) {
        self.encryption = encryption
        self.integrity = integrity
        self.keyExchange = keyExchange
        self.additional = additional
        self.sequenceNumbers = sequenceNumbers
    }
}

/// The keys of an IKE SA (RFC 7296 section 2.14).
package struct IKEKeys: Sendable {
    package let suite: IKESuite
    package let skD: SecretOctets
    package let skAi: SecretOctets
    package let skAr: SecretOctets
    package let skEi: SecretOctets
    package let skEr: SecretOctets
    package let skPi: SecretOctets
    package let skPr: SecretOctets

    /// - Parameter seed: SKEYSEED, already computed.
    private init(
        suite: IKESuite, seed: SecretOctets, nonces: [UInt8], initiatorSPI: UInt64, responderSPI: UInt64
    ) throws(CryptoError) {
        let prfLength = suite.prf.outputLength
        let integrityLength = suite.integrity?.keyLength ?? 0
        let encryptionLength = suite.encryption.keyMaterialLength
        let material = try suite.prf.plus(
            key: seed, seed: nonces + initiatorSPI.bigEndianOctets + responderSPI.bigEndianOctets,
            count: 3 * prfLength + 2 * integrityLength + 2 * encryptionLength)
        var offset = 0
        func take(_ count: Int) -> SecretOctets {
            defer { offset += count }
            return material[offset..<offset + count]
        }
        self.suite = suite
        skD = take(prfLength)
        skAi = take(integrityLength)
        skAr = take(integrityLength)
        skEi = take(encryptionLength)
        skEr = take(encryptionLength)
        skPi = take(prfLength)
        skPr = take(prfLength)
    }

    /// Keys of a new IKE SA: `SKEYSEED = prf(Ni | Nr, g^ir)`; of the nonces, the PRFs of AES take only the beginnings there.
    package static func initial(
        suite: IKESuite, sharedSecret: SecretOctets, initiatorNonce: [UInt8], responderNonce: [UInt8],
        initiatorSPI: UInt64, responderSPI: UInt64
    ) throws(CryptoError) -> IKEKeys {
        let nonces = initiatorNonce + responderNonce
        let key = suite.prf.seedKey(initiatorNonce: initiatorNonce, responderNonce: responderNonce)
        let seed = try suite.prf.compute(key: key, sharedSecret)
        return try IKEKeys(
            suite: suite, seed: seed, nonces: nonces, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// Keys of the IKE SA that replaces one with these keys: `SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr)`, with the
    /// PRF of the old SA (RFC 7296 section 2.18). Secrets of additional key exchanges come behind the nonces (RFC 9370 section
    /// 2.2.4).
    ///
    /// With the suite, nonces and SPIs of these keys it is also what IKE_INTERMEDIATE makes of them (section 2.2.2).
    package func rekeyed(
        suite: IKESuite, sharedSecret: SecretOctets, additional: [SecretOctets] = [], initiatorNonce: [UInt8],
        responderNonce: [UInt8], initiatorSPI: UInt64, responderSPI: UInt64
    ) throws(CryptoError) -> IKEKeys {
        let nonces = initiatorNonce + responderNonce
        let stirred = additional.reduce(sharedSecret + SecretOctets(nonces), +)
        let seed = try self.suite.prf.compute(key: skD, stirred)
        return try IKEKeys(
            suite: suite, seed: seed, nonces: nonces, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// These keys with a post-quantum preshared key mixed in: `SK_d = prf+(PPK, SK_d')`, and SK_pi and SK_pr likewise (RFC 8784
    /// section 3).
    package func mixed(with ppk: SecretOctets) throws(CryptoError) -> IKEKeys {
        func mix(_ key: SecretOctets) throws(CryptoError) -> SecretOctets {
            try suite.prf.plus(key: ppk, seed: key.unprotected, count: key.count)
        }
        return IKEKeys(self, skD: try mix(skD), skPi: try mix(skPi), skPr: try mix(skPr))
    }

    /// Keys that depend on a post-quantum preshared key in all their parts: `SKEYSEED' = prf+(PPK, SK_d)`, of as many octets as the PRF's
    /// key has, expanded as for a new IKE SA with its nonces and SPIs (RFC 9867).
    package func mixed(
        intermediate ppk: SecretOctets, initiatorNonce: [UInt8], responderNonce: [UInt8], initiatorSPI: UInt64,
        responderSPI: UInt64
    ) throws(CryptoError) -> IKEKeys {
        let seed = try suite.prf.plus(key: ppk, seed: skD.unprotected, count: suite.prf.outputLength)
        return try IKEKeys(
            suite: suite, seed: seed, nonces: initiatorNonce + responderNonce, initiatorSPI: initiatorSPI,
            responderSPI: responderSPI)
    }

    private init(_ keys: IKEKeys, skD: SecretOctets, skPi: SecretOctets, skPr: SecretOctets) {
        suite = keys.suite
        self.skD = skD
        skAi = keys.skAi
        skAr = keys.skAr
        skEi = keys.skEi
        skEr = keys.skEr
        self.skPi = skPi
        self.skPr = skPr
    }

    /// Keys of an IKE SA that goes on from a ticket: `SKEYSEED = prf(SK_d (old), "Resumption" | Ni | Nr)` (RFC 5723
    /// section 5.1).
    package static func resumed(
        suite: IKESuite, skD: SecretOctets, initiatorNonce: [UInt8], responderNonce: [UInt8], initiatorSPI: UInt64,
        responderSPI: UInt64
    ) throws(CryptoError) -> IKEKeys {
        let nonces = initiatorNonce + responderNonce
        let seed = try suite.prf.compute(key: skD, Array("Resumption".utf8) + nonces)
        return try IKEKeys(
            suite: suite, seed: seed, nonces: nonces, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// Protection of the messages that the original initiator, or responder, sends.
    func cipher(ofInitiator initiator: Bool) throws(CryptoError) -> MessageCipher {
        try MessageCipher(
            encryption: suite.encryption, encryptionKey: initiator ? skEi : skEr, integrity: suite.integrity,
            integrityKey: suite.integrity == nil ? nil : (initiator ? skAi : skAr))
    }

    /// Keying material of a child SA (RFC 7296 section 2.17): what the exchange's initiator sends with comes first. Secrets of
    /// additional key exchanges come behind the nonces (RFC 9370 section 2.2.4).
    package func childKeys(
        suite child: ChildSuite, sharedSecret: SecretOctets?, additional: [SecretOctets] = [], initiatorNonce: [UInt8],
        responderNonce: [UInt8]
    ) throws(CryptoError) -> ChildKeys {
        let encryptionLength = child.encryption.keyMaterialLength
        let integrityLength = child.integrity?.keyLength ?? 0
        var seed = initiatorNonce + responderNonce
        if let sharedSecret { seed = sharedSecret.unprotected + seed }
        for secret in additional { seed += secret.unprotected }
        let material = try suite.prf.plus(key: skD, seed: seed, count: 2 * (encryptionLength + integrityLength))
        func keys(from start: Int) -> DirectionKeys {
            DirectionKeys(
                encryption: material[start..<start + encryptionLength],
                integrity: child.integrity == nil
                    ? nil : material[start + encryptionLength..<start + encryptionLength + integrityLength])
        }
        return ChildKeys(fromInitiator: keys(from: 0), fromResponder: keys(from: encryptionLength + integrityLength))
    }
}

/// The keys of one direction of a child SA.
public struct DirectionKeys: Hashable, Sendable {
    /// The cipher's key, followed by the salt where the cipher has one.
    public var encryption: SecretOctets
    public var integrity: SecretOctets?
}

/// The keys of a child SA, named for the sides of the exchange that created it.
package struct ChildKeys: Sendable {
    package var fromInitiator: DirectionKeys
    package var fromResponder: DirectionKeys
}
