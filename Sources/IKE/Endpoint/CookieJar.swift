import IPPacket
import IPsecCrypto
import Octets

/// Stateless cookies for IKE_SA_INIT (RFC 7296 section 2.6): `version | mark | HMAC(secret, Ni | IPi | SPIi | mark)`.
///
/// The mark is what else was demanded together with the cookie, two octets, so that this need not be remembered either (RFC
/// 8019 section 7.1.1.3). The secret is another in every period of ``lifetime``; that of the period before is still good, so that
/// an initiator in between gets through.
struct CookieJar {
    /// What stands in a cookie that was all that was demanded.
    static let noMark: [UInt8] = [0, 0]
    static let octetCount = 3 + PRF.hmacSHA2_256.outputLength
    static let secretLength = 32
    static let lifetime: Duration = .seconds(60)

    /// What the secrets of all periods come from.
    private let root: SecretOctets
    private var period: Int64 = -1
    private var secret: SecretOctets
    private var secretBefore: SecretOctets
    /// What a cookie is made from, in memory that is used again and again.
    private var input = OctetWriter(reservingCapacity: 288)

    init(secret: [UInt8]) {
        root = SecretOctets(secret)
        self.secret = root
        secretBefore = root
    }

    private mutating func renew(at now: Instant) {
        let present = now.nanoseconds / Self.lifetime.wholeNanoseconds
        guard present != period else { return }
        period = present
        secret = root.authenticationCode(of: present.bigEndianOctets)
        secretBefore = root.authenticationCode(of: (present - 1).bigEndianOctets)
    }

    private mutating func code(
        _ secret: SecretOctets, _ message: FirstMessage, _ address: IPAddress, mark: [UInt8]
    ) -> SecretOctets {
        input.removeAll()
        if let nonce = message.nonce { input.write(message.octets[nonce]) }
        input.write(address.octets)
        input.write(message.header.initiatorSPI)
        input.write(mark)
        return secret.authenticationCode(of: input.octets)
    }

    mutating func bake(for message: FirstMessage, from address: IPAddress, mark: [UInt8], at now: Instant) -> [UInt8] {
        renew(at: now)
        let code = code(secret, message, address, mark: mark)
        var cookie = OctetWriter(reservingCapacity: Self.octetCount)
        cookie.write(UInt8(truncatingIfNeeded: period))
        cookie.write(mark)
        cookie.write(code.unprotected)
        return cookie.octets
    }

    /// The mark in the cookie that a request brings back; `nil` if there is none, or it was not baked here for this request.
    mutating func mark(in message: FirstMessage, from address: IPAddress, at now: Instant) -> [UInt8]? {
        renew(at: now)
        guard let range = message.cookie, range.count == Self.octetCount else { return nil }
        let cookie = message.octets[range]
        let version = message.octets[range.lowerBound]
        let secret: SecretOctets
        switch version {
        case UInt8(truncatingIfNeeded: period): secret = self.secret
        case UInt8(truncatingIfNeeded: period - 1): secret = secretBefore
        default: return nil
        }
        let mark = Array(cookie.dropFirst().prefix(2))
        let code = code(secret, message, address, mark: mark)
        return constantTimeEqual(Array(cookie.dropFirst(3)), code.unprotected) ? mark : nil
    }
}
