import IPsecCrypto
import Octets

extension KeyTable {
    /// Adds the rows of an `ikev2_decryption_table`: both SPIs, SK_ei, SK_er, encryption algorithm, SK_ai, SK_ar, integrity
    /// algorithm.
    ///
    /// - Parameters:
    ///   - octets: the file.
    ///   - file: its name, for errors.
    package mutating func addIKE(_ octets: [UInt8], file: String) throws(KeyTableError) {
        for row in try KeyTableText(octets, file: file).rows { append(try Self.ikeRow(row)) }
    }

    private static func ikeRow(_ row: KeyTableText.Row) throws(KeyTableError) -> IKERow {
        guard row.fields.count == 8 else {
            throw row.error(
                "\(row.fields.count) fields; 8 are expected: initiator's SPI, responder's SPI, SK_ei, SK_er, "
                    + "encryption algorithm, SK_ai, SK_ar, integrity algorithm")
        }
        let initiatorSPI = try spi(row, 0, "initiator's SPI")
        let responderSPI = try spi(row, 1, "responder's SPI")
        let encryption = try row.algorithm(4, "encryption algorithm", in: AnalyserNames.ikeEncryption)
        let integrity = try row.algorithm(7, "integrity algorithm", in: AnalyserNames.ikeIntegrity)
        let keys = (
            ei: try row.secret(hexadecimal: 2, "SK_ei"), er: try row.secret(hexadecimal: 3, "SK_er"),
            ai: try row.secret(hexadecimal: 5, "SK_ai"), ar: try row.secret(hexadecimal: 6, "SK_ar")
        )
        let ciphers: IKERow.Ciphers
        switch Suite.find(encryption, integrity, key: keys.ei, in: row, names: (4, 7)) {
        case .unusable(let reason): ciphers = .unusable(reason)
        case .usable(let encryption, let integrity):
            do throws(CryptoError) {
                func cipher(_ key: SecretOctets, _ integrityKey: SecretOctets) throws(CryptoError) -> MessageCipher {
                    try MessageCipher(
                        encryption: encryption, encryptionKey: key, integrity: integrity,
                        integrityKey: integrity == nil ? nil : integrityKey)
                }
                ciphers = .usable(
                    ofInitiator: try cipher(keys.ei, keys.ai), ofResponder: try cipher(keys.er, keys.ar))
            } catch {
                // Without a check of integrity nothing is opened here, whatever other programs do.
                guard error.code == .unsupportedAlgorithm else { throw row.error(error.reason) }
                ciphers = .unusable(error.reason)
            }
        }
        return IKERow(initiatorSPI: initiatorSPI, responderSPI: responderSPI, ciphers: ciphers, origin: row.origin)
    }

    private static func spi(_ row: KeyTableText.Row, _ field: Int, _ name: String) throws(KeyTableError) -> UInt64 {
        let text = row.fields[field]
        let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
        guard digits.count == 16, let octets = [UInt8](hexadecimal: digits) else {
            throw row.error("field \(field + 1), \(name): 16 hexadecimal digits are expected")
        }
        return octets.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension KeyTable {
    /// The algorithms of a row, if this program has them.
    enum Suite {
        case usable(EncryptionAlgorithm, IntegrityAlgorithm?)
        case unusable(String)

        /// - Parameter key: tells the size of the key where the name does not.
        static func find(
            _ encryption: (value: AnalyserNames.Encryption?, reason: String),
            _ integrity: (value: AnalyserNames.Integrity?, reason: String), key: SecretOctets, in row: KeyTableText.Row,
            names: (encryption: Int, integrity: Int)
        ) -> Suite {
            guard let wanted = encryption.value else { return .unusable(encryption.reason) }
            guard let check = integrity.value else { return .unusable(integrity.reason) }
            let bits = wanted.keyBits ?? UInt16(clamping: max(key.count - wanted.saltLength, 0) * 8)
            // Of those without a choice of key sizes the attribute is left out.
            guard
                let algorithm = EncryptionAlgorithm(transformID: wanted.transformID, keyBits: bits)
                    ?? EncryptionAlgorithm(transformID: wanted.transformID, keyBits: nil)
            else {
                return .unusable(
                    "\"\(row.fields[names.encryption])\" with a key of \(key.count) octets is not implemented")
            }
            guard let number = check.transformID else { return .usable(algorithm, nil) }
            guard let integrity = IntegrityAlgorithm(rawValue: number) else {
                return .unusable("\"\(row.fields[names.integrity])\" is not implemented")
            }
            return .usable(algorithm, integrity)
        }
    }
}
