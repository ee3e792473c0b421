import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets
import Testing

/// A choice of algorithms for ESP.
struct Transform: Sendable, CustomTestStringConvertible {
    let name: String
    let encryption: EncryptionAlgorithm
    var integrity: IntegrityAlgorithm?

    var testDescription: String { name }

    static let all = [
        Transform(name: "AES-GCM-128", encryption: .aesGCM16(128)),
        Transform(name: "AES-GCM-256", encryption: .aesGCM16(256)),
        Transform(name: "ChaCha20-Poly1305", encryption: .chaCha20Poly1305),
        Transform(name: "AES-CBC-128 HMAC-SHA2-256", encryption: .aesCBC(128), integrity: .hmacSHA2_256_128),
        Transform(name: "AES-CBC-256 HMAC-SHA2-256", encryption: .aesCBC(256), integrity: .hmacSHA2_256_128),
        Transform(name: "AES-CBC-256 HMAC-SHA2-384", encryption: .aesCBC(256), integrity: .hmacSHA2_384_192),
        Transform(name: "AES-CBC-256 HMAC-SHA2-512", encryption: .aesCBC(256), integrity: .hmacSHA2_512_256),
        Transform(name: "AES-CBC-128 HMAC-SHA1", encryption: .aesCBC(128), integrity: .hmacSHA1_96),
        Transform(name: "AES-CBC-128 AES-XCBC", encryption: .aesCBC(128), integrity: .aesXCBC_96),
        Transform(name: "AES-CTR-256 AES-CMAC", encryption: .aesCTR(256), integrity: .aesCMAC_96),
        Transform(name: "AES-CTR-128 HMAC-SHA2-256", encryption: .aesCTR(128), integrity: .hmacSHA2_256_128),
        Transform(name: "AES-CCM-128 8 octets", encryption: .aesCCM8(128)),
        Transform(name: "AES-CCM-192 12 octets", encryption: .aesCCM12(192)),
        Transform(name: "AES-CCM-256 16 octets", encryption: .aesCCM16(256)),
        Transform(name: "AES-GCM-128 8 octets", encryption: .aesGCM8(128)),
        Transform(name: "AES-GCM-256 12 octets", encryption: .aesGCM12(256)),
        Transform(name: "NULL HMAC-SHA2-256", encryption: .null, integrity: .hmacSHA2_256_128),
        Transform(name: "NULL AES-GMAC-256", encryption: .nullWithGMAC(256)),
        Transform(name: "AES-CCM-128 implicit IV", encryption: .aesCCM8ImplicitIV(128)),
        Transform(name: "AES-GCM-256 implicit IV", encryption: .aesGCM16ImplicitIV(256)),
        Transform(name: "ChaCha20-Poly1305 implicit IV", encryption: .chaCha20Poly1305ImplicitIV),
    ]

    /// Parameters of an association between 10.1.0.0/16 or 2001:db8:1::/48 (left) and 10.2.0.0/16 or 2001:db8:2::/48
    /// (right), as one of the two ends has them.
    func parameters(left: Bool = true, extended: Bool = true) throws -> SAParameters {
        let leftSide = [try selector("10.1.0.0/16"), try selector("2001:db8:1::/48")]
        let rightSide = [try selector("10.2.0.0/16"), try selector("2001:db8:2::/48")]
        let key = (0..<encryption.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
        let integrityKey = integrity.map { (0..<$0.keyLength).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 3) } }
        return SAParameters(
            spi: 0xc0de_0001, encryption: encryption, encryptionKey: SecretOctets(key), integrity: integrity,
            integrityKey: integrityKey.map { SecretOctets($0) }, extendedSequenceNumbers: extended, replayWindow: 64,
            encapsulation: .ip, local: SocketAddress(try address(left ? "192.0.2.1" : "192.0.2.2"), port: 4500),
            remote: SocketAddress(try address(left ? "192.0.2.2" : "192.0.2.1"), port: 4500),
            localSelectors: left ? leftSide : rightSide, remoteSelectors: left ? rightSide : leftSide)
    }
}

struct UnreadableText: Error { let text: String }

func selector(_ text: String) throws -> TrafficSelector {
    guard let prefix = IPPrefix(text) else { throw UnreadableText(text: text) }
    return TrafficSelector(prefix)
}

func address(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else { throw UnreadableText(text: text) }
    return address
}

/// Inner packets, of UDP, with payloads that differ by length.
enum InnerPacket {
    static func v4(
        _ count: Int, from source: String = "10.1.0.2", to destination: String = "10.2.0.2", trafficClass: UInt8 = 0
    ) throws -> [UInt8] {
        var octets: [UInt8] = [0x45, trafficClass] + UInt16(count).bigEndianOctets + [0, 1, 0x40, 0, 64, 17, 0, 0]
        octets += try address(source).octets + address(destination).octets
        let checksum = octets.withUnsafeBytes(InternetChecksum.checksum)
        octets.replaceSubrange(10..<12, with: checksum.bigEndianOctets)
        return octets + payload(count - 20)
    }

    static func v6(
        _ count: Int, from source: String = "2001:db8:1::2", to destination: String = "2001:db8:2::2",
        trafficClass: UInt8 = 0
    ) throws -> [UInt8] {
        [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + UInt16(count - 40).bigEndianOctets + [17, 64]
            + (try address(source).octets) + (try address(destination).octets) + payload(count - 40)
    }

    private static func payload(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 3 &+ count) }
    }
}

/// What a call on an association gave: the packet cut out of the buffer, and the rest.
struct Sealed {
    let result: SealResult
    let octets: [UInt8]
}

struct Opened {
    let result: OpenResult
    let octets: [UInt8]
    /// The ESP packet's memory as the call left it.
    let remains: [UInt8]
}

extension OutboundSA {
    /// Seals a copy of `inner` with exactly the head- and tailroom that is promised to be enough.
    mutating func seal(_ inner: [UInt8], tailroom: Int = OutboundSA.tailroom) -> Sealed {
        var buffer = [UInt8](repeating: 0xee, count: Self.headroom) + inner + [UInt8](repeating: 0xee, count: tailroom)
        let result = buffer.withUnsafeMutableBytes { seal($0, offset: Self.headroom, count: inner.count) }
        return Sealed(
            result: result,
            octets: result.drop == nil ? Array(buffer[result.offset..<result.offset + result.count]) : [])
    }
}

extension InboundSA {
    mutating func open(_ packet: [UInt8], outer: UInt8 = 0) -> Opened {
        var buffer = [0xdd, 0xdd, 0xdd] + packet + [0xdd, 0xdd]
        let result = buffer.withUnsafeMutableBytes {
            open($0, offset: 3, count: packet.count, outer: ReceivedHeader(trafficClass: outer))
        }
        return Opened(
            result: result,
            octets: result.drop == nil ? Array(buffer[result.offset..<result.offset + result.count]) : [],
            remains: Array(buffer[3..<3 + packet.count]))
    }
}
