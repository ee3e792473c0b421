import Foundation
import IPsecCrypto
import Octets

extension Scenario {
    // MARK: Key exchange

    static let keyExchanges = KeyExchangeMethod.allCases.filter { !$0.isEncapsulation }.map { method in
        // The larger ones differ in their numbers alone.
        let isLong =
            switch method {
            case .modp3072, .modp4096, .modp6144, .modp8192, .brainpoolP384r1, .brainpoolP512r1: true
            default: false
            }
        return Scenario(
            name: "\(method)", isLong: isLong,
            steps: ["our public value", "their public value", "secret", "secret of the other side"]
        ) { _ in
            func key(_ octet: UInt8) -> KeyExchangeKey? {
                // Below every order of a curve.
                try? method.makeKey(
                    seed: SecretOctets([0] + [UInt8](repeating: octet, count: method.privateSeedLength - 1)))
            }
            let ours = key(0x31), theirs = key(0x57)
            let wrong = [UInt8](repeating: 0, count: method.publicValueLength)
            for key in [ours, theirs] {
                try expect((try? key?.sharedSecret(with: wrong)) == nil, "a public value of zeros is accepted")
            }
            var results: [String: [UInt8]] = [:]
            results["our public value"] = ours?.publicValue
            results["their public value"] = theirs?.publicValue
            if let ours, let theirs {
                results["secret"] = try? ours.sharedSecret(with: theirs.publicValue).unprotected
                results["secret of the other side"] = try? theirs.sharedSecret(with: ours.publicValue).unprotected
            }
            return results
        }
    }

    // MARK: Ed448

    static let ed448 = Scenario(name: "Ed448", steps: ["public key", "signature", "verdict"]) { _ in
        let secret: [UInt8] = [0x30, 0x47, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x71, 4, 0x3b, 4, 0x39]
        let der = Data(secret + [UInt8](repeating: 0x2a, count: 57)).base64EncodedString(
            options: .lineLength64Characters)
        let text = Array("what is signed".utf8)
        var results: [String: [UInt8]] = [:]
        guard let key = try? SigningKey(pem: "-----BEGIN PRIVATE KEY-----\n\(der)\n-----END PRIVATE KEY-----\n") else {
            return results
        }
        results["public key"] = key.publicKey.subjectPublicKeyInfo
        guard let signature = try? key.sign(text, with: .ed448) else { return results }
        results["signature"] = signature
        if key.publicKey.isValid(signature, of: text, with: .ed448) { results["verdict"] = [1] }
        try expect(!key.publicKey.isValid(signature, of: text + [0], with: .ed448), "a wrong signature is valid")
        return results
    }

    // MARK: Ciphers

    private static let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] =
        [128, 192, 256].flatMap { bits -> [(EncryptionAlgorithm, IntegrityAlgorithm?)] in
            [
                (.aesGCM8(bits), nil), (.aesCCM16(bits), nil), (.aesCBC(bits), .hmacSHA2_256_128),
                (.aesCTR(bits), .hmacSHA1_96),
            ]
        } + [
            (.aesCTR(128), .aesXCBC_96), (.aesCBC(256), .aesCMAC_96), (.aesCBC(128), .hmacSHA2_384_192),
            (.aesCBC(128), .hmacSHA2_512_256), (.chaCha20Poly1305, nil),
        ]

    private static let packetSuites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] =
        suites + [(.nullWithGMAC(128), nil), (.null, .hmacSHA2_256_128), (.aesGCM16ImplicitIV(256), nil)]

    private static func keys(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?
    ) -> (SecretOctets, SecretOctets?) {
        (
            SecretOctets([UInt8](repeating: 7, count: encryption.keyMaterialLength)),
            integrity.map { SecretOctets([UInt8](repeating: 9, count: $0.keyLength)) }
        )
    }

    private static let plaintext = (1...64).map { UInt8($0) }

    static let messages = suites.map { encryption, integrity in
        Scenario(
            name: "message by \(encryption), \(integrity.map { "\($0)" } ?? "combined")", steps: ["sealed", "opened"]
        ) { _ in
            let (key, integrityKey) = keys(encryption, integrity)
            var results: [String: [UInt8]] = [:]
            let cipher = try? MessageCipher(
                encryption: encryption, encryptionKey: key, integrity: integrity, integrityKey: integrityKey)
            let header: [UInt8] = [1, 2, 3, 4]
            guard let cipher else { return results }
            let sealed = try? cipher.seal(
                plaintext, after: header, iv: [UInt8](repeating: 5, count: cipher.ivLength))
            guard var sealed else { return results }
            results["sealed"] = sealed
            results["opened"] = try? cipher.open(sealed, after: header)
            sealed[sealed.count - 1] ^= 1
            try expect((try? cipher.open(sealed, after: header)) == nil, "a damaged message is opened")
            return results
        }
    }

    static let packets = packetSuites.flatMap { encryption, integrity in
        [false, true].map { extended in
            Scenario(
                name: "packet by \(encryption), \(integrity.map { "\($0)" } ?? "combined"), extended \(extended)",
                steps: ["sealed", "opened"]
            ) { _ in try packet(encryption, integrity, extended) }
        }
    }

    private static func packet(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?, _ extended: Bool
    ) throws -> [String: [UInt8]] {
        let (key, integrityKey) = keys(encryption, integrity)
        var results: [String: [UInt8]] = [:]
        guard
            var cipher = try? PacketCipher(
                encryption: encryption, encryptionKey: key, integrity: integrity, integrityKey: integrityKey,
                provider: .libcrypto)
        else { return results }
        let header = 8 + cipher.ivLength
        var packet = [0, 0, 1, 0, 0, 0, 0, 9] + [UInt8](repeating: 0, count: cipher.ivLength) + plaintext
        packet += [UInt8](repeating: 0, count: cipher.icvLength)
        let isSealed = packet.withUnsafeMutableBytes { octets in
            octets.baseAddress.map { cipher.seal($0, count: octets.count, sequence: 9, extended: extended) } ?? false
        }
        guard isSealed else { return results }
        results["sealed"] = packet

        func open(_ packet: inout [UInt8]) -> Bool {
            packet.withUnsafeMutableBytes { octets in
                octets.baseAddress.map { cipher.open($0, count: octets.count, sequenceHigh: 0, extended: extended) }
                    ?? false
            }
        }
        // Without encryption there is nothing to hide.
        let hides = packet[header..<header + 16] != plaintext[..<16]
        var damaged = packet
        damaged[packet.count - 1] ^= 1
        try expect(!open(&damaged), "a damaged packet is opened")
        try expect(!hides || damaged[header..<header + 16] != plaintext[..<16], "plaintext of a damaged packet is left")
        if open(&packet) {
            results["opened"] = packet
        } else {
            try expect(!hides || packet[header..<header + 16] != plaintext[..<16], "plaintext is left after a failure")
        }
        return results
    }
}
