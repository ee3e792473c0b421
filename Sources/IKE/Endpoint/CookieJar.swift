import IPPacket
import IPsecCrypto
import Octets

/// Stateless cookies for IKE_SA_INIT (RFC 7296 section 2.6): `version | mark | HMAC(secret, Ni | IPi | SPIi | mark)`.
///
/// The mark is what else was demanded together with the cookie, two octets, so that this need not be remembered either (RFC
/// 8019 section 7.1.5). The secret is replaced from time to time; the one before is still good, so that an initiator in
/// between gets through.
struct CookieJar {
    /// What stands in a cookie that was all that was demanded.
    static let noMark: [UInt8] = [0, 0]
    static let octetCount = 3 + PRF.hmacSHA2_256.outputLength
    static let lifetime: Duration = .seconds(60)

    private var secrets: [(version: UInt8, secret: SecretOctets)] = []
    private var renewAt: Instant = .origin

    private mutating func renew(_ context: EndpointContext) {
        guard secrets.isEmpty || renewAt <= context.now else { return }
        let version = (secrets.first?.version ?? 0) &+ 1
        secrets.insert((version, SecretOctets(context.randomOctets(32))), at: 0)
        secrets.removeLast(max(0, secrets.count - 2))
        renewAt = context.now + Self.lifetime
    }

    private static func value(
        _ secret: (version: UInt8, secret: SecretOctets), _ message: FirstMessage, _ address: IPAddress, mark: [UInt8]
    ) -> [UInt8] {
        var input = OctetWriter(reservingCapacity: 288)
        if let nonce = message.nonce { input.write(message.octets[nonce]) }
        input.write(address.octets)
        input.write(message.header.initiatorSPI)
        input.write(mark)
        let code = PRF.hmacSHA2_256.compute(key: secret.secret, input.octets)
        return [secret.version] + mark + code.unprotected
    }

    mutating func bake(
        for message: FirstMessage, from address: IPAddress, mark: [UInt8], context: EndpointContext
    ) -> [UInt8] {
        renew(context)
        return secrets.first.map { Self.value($0, message, address, mark: mark) } ?? []
    }

    /// The mark in the cookie that a request brings back; `nil` if there is none, or it was not baked here for this request.
    mutating func mark(in message: FirstMessage, from address: IPAddress, context: EndpointContext) -> [UInt8]? {
        renew(context)
        guard let range = message.cookie, range.count == Self.octetCount else { return nil }
        let cookie = Array(message.octets[range])
        guard let secret = secrets.first(where: { $0.version == cookie[0] }) else { return nil }
        let mark = Array(cookie[1...2])
        return constantTimeEqual(cookie, Self.value(secret, message, address, mark: mark)) ? mark : nil
    }
}
