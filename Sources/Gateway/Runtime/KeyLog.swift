import Glibc
import IKE
import IPPacket
import IPsecCrypto
import Octets

/// Writes keys in the form of Wireshark's tables, for those who have to look into captures: `ikev2_decryption_table` and
/// `esp_sa`, to be put into a Wireshark profile. Rows for ChaCha20-Poly1305 are apart, in files that end with `_chacha20`: append
/// them to the others for a Wireshark that knows it. `cygnet decode` reads all of them.
///
/// Whoever has these files can read all traffic of the SAs in them. They are made anew at each start, for the owner only.
struct KeyLog: Sendable {
    struct Failure: Error { let reason: String }

    let directory: String

    private static let ikeFile = "ikev2_decryption_table"
    private static let espFile = "esp_sa"
    /// A Wireshark that does not know the cipher of a row refuses the whole table, and 4.0 does not know this one.
    private static let newerESPFile = "esp_sa_chacha20"
    private static let newerIKEFile = "ikev2_decryption_table_chacha20"

    init(directory: String) throws(Failure) {
        self.directory = directory
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw Failure(reason: "cannot make the directory \(directory) for keys: \(ReferencedFile.reason(errno))")
        }
        for file in [Self.ikeFile, Self.newerIKEFile, Self.espFile, Self.newerESPFile] {
            let path = "\(directory)/\(file)"
            unlink(path)
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else {
                throw Failure(reason: "cannot write keys to \(path): \(ReferencedFile.reason(errno))")
            }
            close(descriptor)
        }
    }

    /// Adds the keys of an SA. One that the analyser has no name for is left out.
    func add(_ keys: ExportedKeys) {
        switch keys {
        case .ike(let initiatorSPI, let responderSPI, let suite, let ei, let er, let ai, let ar):
            let line = Self.ikeLine(initiatorSPI, responderSPI, suite, ei: ei, er: er, ai: ai, ar: ar)
            let file = suite.encryption == .chaCha20Poly1305 ? Self.newerIKEFile : Self.ikeFile
            if let line { append(line, to: file) }
        case .child(let child):
            let file = child.suite.encryption == .chaCha20Poly1305 ? Self.newerESPFile : Self.espFile
            for line in Self.espLines(child) { append(line, to: file) }
        }
    }

    private func append(_ line: String, to file: String) {
        let descriptor = open("\(directory)/\(file)", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let octets = Array((line + "\n").utf8)
        _ = write(descriptor, octets, octets.count)
    }

    // MARK: Wireshark's words

    static func ikeLine(
        _ initiatorSPI: UInt64, _ responderSPI: UInt64, _ suite: IKESuite, ei: SecretOctets, er: SecretOctets,
        ai: SecretOctets, ar: SecretOctets
    ) -> String? {
        guard let encryption = ikeName(suite.encryption), let integrity = ikeName(suite.integrity) else { return nil }
        let fields = [
            initiatorSPI.bigEndianOctets.hexadecimal, responderSPI.bigEndianOctets.hexadecimal, text(ei), text(er),
            "\"\(encryption)\"", text(ai), text(ar), "\"\(integrity)\"",
        ]
        return fields.joined(separator: ",")
    }

    static func espLines(_ child: ChildSADescription) -> [String] {
        guard let encryption = espName(child.suite.encryption) else { return [] }
        let integrity = espName(child.suite.integrity)
        func line(_ spi: UInt32, _ keys: DirectionKeys, from source: IPAddress, to destination: IPAddress) -> String {
            let fields = [
                "\(source.family)", "\(source)", "\(destination)", "0x" + spi.bigEndianOctets.hexadecimal, encryption,
                "0x" + text(keys.encryption), integrity, keys.integrity.map { "0x" + text($0) } ?? "",
            ]
            return fields.map { "\"\($0)\"" }.joined(separator: ",")
        }
        return [
            line(child.inboundSPI, child.inboundKeys, from: child.remote.address, to: child.local.address),
            line(child.outboundSPI, child.outboundKeys, from: child.local.address, to: child.remote.address),
        ]
    }

    private static func ikeName(_ encryption: EncryptionAlgorithm) -> String? {
        let bits = encryption.keyBits
        return switch encryption {
        case .chaCha20Poly1305: "ChaCha20-Poly1305 [RFC7634]"
        case .aesGCM16(bits): "AES-GCM-\(bits) with 16 octet ICV [RFC5282]"
        case .aesGCM12(bits): "AES-GCM-\(bits) with 12 octet ICV [RFC5282]"
        case .aesGCM8(bits): "AES-GCM-\(bits) with 8 octet ICV [RFC5282]"
        case .aesCCM16(bits): "AES-CCM-\(bits) with 16 octet ICV [RFC5282]"
        case .aesCCM12(bits): "AES-CCM-\(bits) with 12 octet ICV [RFC5282]"
        case .aesCCM8(bits): "AES-CCM-\(bits) with 8 octet ICV [RFC5282]"
        case .aesCBC(bits): "AES-CBC-\(bits) [RFC3602]"
        case .aesCTR(bits): "AES-CTR-\(bits) [RFC5930]"
        default: nil
        }
    }

    private static func ikeName(_ integrity: IntegrityAlgorithm?) -> String? {
        switch integrity {
        case .hmacSHA1_96: "HMAC_SHA1_96 [RFC2404]"
        case .hmacSHA2_256_128: "HMAC_SHA2_256_128 [RFC4868]"
        case .hmacSHA2_384_192: "HMAC_SHA2_384_192 [RFC4868]"
        case .hmacSHA2_512_256: "HMAC_SHA2_512_256 [RFC4868]"
        case .aesXCBC_96, .aesCMAC_96: nil
        case nil: "NONE [RFC4306]"
        }
    }

    private static func espName(_ encryption: EncryptionAlgorithm) -> String? {
        let bits = encryption.keyBits
        // A case for AES with no bits at all would be a mistake.
        guard bits > 0 else { return encryption == .null ? "NULL" : nil }
        return switch encryption {
        case .chaCha20Poly1305: "ChaCha20 with Poly1305 [RFC7634]"
        case .aesGCM16(bits): "AES-GCM with 16 octet ICV [RFC4106]"
        case .aesGCM12(bits): "AES-GCM with 12 octet ICV [RFC4106]"
        case .aesGCM8(bits): "AES-GCM with 8 octet ICV [RFC4106]"
        case .aesCBC(bits): "AES-CBC [RFC3602]"
        case .aesCTR(bits): "AES-CTR [RFC3686]"
        default: nil
        }
    }

    private static func espName(_ integrity: IntegrityAlgorithm?) -> String {
        switch integrity {
        case .hmacSHA1_96: "HMAC-SHA-1-96 [RFC2404]"
        case .hmacSHA2_256_128: "HMAC-SHA-256-128 [RFC4868]"
        case .hmacSHA2_384_192: "HMAC-SHA-384-192 [RFC4868]"
        case .hmacSHA2_512_256: "HMAC-SHA-512-256 [RFC4868]"
        case .aesXCBC_96, .aesCMAC_96: "ANY 96 bit authentication [no checking]"
        case nil: "NULL"
        }
    }

    private static func text(_ key: SecretOctets) -> String { key.unprotected.hexadecimal }
}
