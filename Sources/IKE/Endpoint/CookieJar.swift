import IPPacket
import IPsecCrypto
import Octets

/// Stateless cookies for IKE_SA_INIT (RFC 7296 section 2.6): `version | HMAC(secret, Ni | IPi | SPIi)`.
///
/// The secret is replaced from time to time; the one before is still good, so that an initiator in between gets through.
struct CookieJar {
    private var secrets: [(version: UInt8, secret: SecretOctets)] = []
    private var renewAt: Instant = .origin
    static let lifetime: Duration = .seconds(60)

    private mutating func renew(_ context: EndpointContext) {
        guard secrets.isEmpty || renewAt <= context.now else { return }
        let version = (secrets.first?.version ?? 0) &+ 1
        secrets.insert((version, SecretOctets(context.randomOctets(32))), at: 0)
        secrets.removeLast(max(0, secrets.count - 2))
        renewAt = context.now + Self.lifetime
    }

    private static func value(
        _ secret: (version: UInt8, secret: SecretOctets), _ nonce: [UInt8], _ address: IPAddress, _ spi: UInt64
    ) -> [UInt8] {
        [secret.version]
            + PRF.hmacSHA2_256.compute(key: secret.secret, nonce + address.octets + spi.bigEndianOctets).unprotected
    }

    mutating func bake(nonce: [UInt8], address: IPAddress, initiatorSPI: UInt64, context: EndpointContext) -> [UInt8] {
        renew(context)
        return secrets.first.map { Self.value($0, nonce, address, initiatorSPI) } ?? []
    }

    mutating func accepts(
        _ cookie: [UInt8], nonce: [UInt8], address: IPAddress, initiatorSPI: UInt64, context: EndpointContext
    ) -> Bool {
        renew(context)
        guard let secret = secrets.first(where: { $0.version == cookie.first }) else { return false }
        return constantTimeEqual(cookie, Self.value(secret, nonce, address, initiatorSPI))
    }
}
