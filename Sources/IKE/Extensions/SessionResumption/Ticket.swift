// RFC 5723: the ticket, by value (appendix A shows one form; only its maker ever reads it).
import Credentials
import IKEMessage
import IPsecCrypto
import Octets

/// What a responder puts into a ticket, so that it need not keep anything itself.
struct Ticket {
    var connection: String
    var suite: IKESuite
    /// SK_d of the IKE SA that the ticket was given in.
    var skD: SecretOctets
    var initiatorIdentity: Identity
    var responderIdentity: Identity
    /// Seconds since 1970.
    var expiry: Int64
    /// When the peer proved who it is, likewise, and when the first of the certificates expires that it did so by.
    var authenticatedAt: Int64
    var certificateExpiry: Int64?
    /// Stands for the credentials the peer proved itself against: with others, it would have to prove itself again.
    var credentialDigest: [UInt8]

    /// What an SA that goes on from the ticket inherits.
    var authentication: PeerAuthentication {
        PeerAuthentication(time: authenticatedAt, certificateExpiry: certificateExpiry, ticketExpiry: expiry)
    }

    private static let version: UInt8 = 2
    private static let saltLength = 16

    // MARK: Sealing

    /// The ticket as the client keeps it: `version | salt | sealed content`. Each has a key of its own, made from `secret`
    /// and the salt, so that no nonce is ever used twice.
    func sealed(with secret: SecretOctets, salt: [UInt8]) throws(CryptoError) -> [UInt8] {
        let prefix = [Self.version] + salt
        let cipher = try Self.cipher(secret, salt)
        return prefix
            + (try cipher.seal(serialized(), after: prefix, iv: [UInt8](repeating: 0, count: cipher.ivLength)))
    }

    /// - Returns: `nil` for what was not sealed with this secret.
    init?(opening octets: [UInt8], with secret: SecretOctets) {
        let prefixLength = 1 + Self.saltLength
        guard octets.count > prefixLength, octets.first == Self.version else { return nil }
        let prefix = Array(octets[..<prefixLength])
        guard let cipher = try? Self.cipher(secret, Array(prefix.dropFirst())),
            let content = try? cipher.open(Array(octets[prefixLength...]), after: prefix),
            let ticket = try? Ticket(parsing: content)
        else { return nil }
        self = ticket
    }

    static func newSalt(_ context: EndpointContext) -> [UInt8] { context.randomOctets(saltLength) }

    private static func cipher(_ secret: SecretOctets, _ salt: [UInt8]) throws(CryptoError) -> MessageCipher {
        let encryption = EncryptionAlgorithm.aesGCM16(256)
        let key = secret.authenticationCode(of: Array("ticket".utf8) + salt)
        return try MessageCipher(
            encryption: encryption,
            encryptionKey: key + SecretOctets([UInt8](repeating: 0, count: encryption.saltLength)),
            integrity: nil, integrityKey: nil)
    }

    // MARK: Content

    init(
        connection: String, suite: IKESuite, skD: SecretOctets, initiatorIdentity: Identity,
        responderIdentity: Identity,
        expiry: Int64, authenticatedAt: Int64, certificateExpiry: Int64?, credentialDigest: [UInt8]
    ) {
        self.connection = connection
        self.suite = suite
        self.skD = skD
        self.initiatorIdentity = initiatorIdentity
        self.responderIdentity = responderIdentity
        self.expiry = expiry
        self.authenticatedAt = authenticatedAt
        self.certificateExpiry = certificateExpiry
        self.credentialDigest = credentialDigest
    }

    private func serialized() -> [UInt8] {
        var writer = OctetWriter()
        writer.write(UInt64(bitPattern: expiry))
        writer.write(UInt64(bitPattern: authenticatedAt))
        // No certificate that is good expires in 1970.
        writer.write(UInt64(bitPattern: certificateExpiry ?? 0))
        writer.write(suite.encryption.transformID)
        writer.write(suite.encryption.keyLengthAttribute ?? 0)
        writer.write(suite.prf.rawValue)
        writer.write(suite.integrity?.rawValue ?? 0)
        writer.write(suite.keyExchange.rawValue)
        writer.write(UInt8(clamping: suite.additional.count))
        for choice in suite.additional {
            writer.write(UInt8(clamping: choice.number))
            writer.write(choice.method?.rawValue ?? 0)
        }
        for part in [Array(connection.utf8), skD.unprotected, credentialDigest] { Self.write(part, to: &writer) }
        for identity in [initiatorIdentity, responderIdentity] {
            writer.write(identity.type)
            Self.write(identity.data, to: &writer)
        }
        return writer.octets
    }

    private static func write(_ part: [UInt8], to writer: inout OctetWriter) {
        writer.write(UInt16(clamping: part.count))
        writer.write(part.prefix(Int(UInt16.max)))
    }

    private static func read(_ reader: inout OctetReader, _ field: String) throws(OctetError) -> [UInt8] {
        let length = try reader.readUInt16("length")
        return try reader.readOctets(Int(length), field)
    }

    private init?(parsing content: [UInt8]) throws(OctetError) {
        var reader = OctetReader(content)
        expiry = Int64(bitPattern: try reader.readUInt64("expiry"))
        authenticatedAt = Int64(bitPattern: try reader.readUInt64("time of authentication"))
        let certificateExpiry = Int64(bitPattern: try reader.readUInt64("expiry of the certificates"))
        self.certificateExpiry = certificateExpiry == 0 ? nil : certificateExpiry
        let encryption = try reader.readUInt16("encryption"), keyLength = try reader.readUInt16("key length")
        let prf = try reader.readUInt16("PRF"), integrity = try reader.readUInt16("integrity")
        let keyExchange = try reader.readUInt16("key exchange")
        var additional: [AdditionalChoice] = []
        for _ in 0..<(try reader.readUInt8("number of additional key exchanges")) {
            let number = Int(try reader.readUInt8("additional key exchange"))
            additional.append(
                AdditionalChoice(
                    number: number, method: KeyExchangeMethod(rawValue: try reader.readUInt16("its method"))))
        }
        let name = try Self.read(&reader, "connection")
        skD = SecretOctets(try Self.read(&reader, "SK_d"))
        credentialDigest = try Self.read(&reader, "credential digest")
        let initiatorType = try reader.readUInt8("identity type")
        let initiator = try Self.read(&reader, "identity")
        let responderType = try reader.readUInt8("identity type")
        let responder = try Self.read(&reader, "identity")
        guard let connection = String(validating: name, as: UTF8.self),
            let cipher = EncryptionAlgorithm(transformID: encryption, keyBits: keyLength == 0 ? nil : keyLength),
            let prf = PRF(rawValue: prf), let method = KeyExchangeMethod(rawValue: keyExchange),
            let initiatorIdentity = Identity(type: initiatorType, data: initiator),
            let responderIdentity = Identity(type: responderType, data: responder)
        else { return nil }
        self.connection = connection
        self.initiatorIdentity = initiatorIdentity
        self.responderIdentity = responderIdentity
        suite = IKESuite(
            encryption: cipher, integrity: IntegrityAlgorithm(rawValue: integrity), prf: prf, keyExchange: method,
            additional: additional)
    }
}

extension RemoteAuthentication {
    /// A digest of what the peer has to prove itself against; `nil` where a ticket would prove nothing.
    func credentialDigest(_ secret: SecretOctets) -> [UInt8]? {
        switch self {
        case .preSharedKey(let key):
            secret.authenticationCode(of: SecretOctets(Array("psk".utf8)) + key).unprotected
        case .certificate(let anchors):
            secret.authenticationCode(of: Array("anchors \(anchors)".utf8)).unprotected
        case .anonymous: nil
        }
    }
}
