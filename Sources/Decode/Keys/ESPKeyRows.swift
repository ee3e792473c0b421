import IPPacket
import IPsecCrypto
import Octets

extension KeyTable {
    /// Adds the rows of an `esp_sa`: family, source, destination, SPI, encryption algorithm and key, integrity algorithm and
    /// key; newer files also say whether sequence numbers are extended, and their high 32 bits.
    ///
    /// - Parameters:
    ///   - octets: the file.
    ///   - file: its name, for errors.
    package mutating func addESP(_ octets: [UInt8], file: String) throws(KeyTableError) {
        for row in try KeyTableText(octets, file: file).rows { append(try Self.espRow(row)) }
    }

    private static func espRow(_ row: KeyTableText.Row) throws(KeyTableError) -> ESPRow {
        guard (8...10).contains(row.fields.count) else {
            throw row.error(
                "\(row.fields.count) fields; 8 to 10 are expected: family, source, destination, SPI, encryption algorithm, "
                    + "key, integrity algorithm, key, length of sequence numbers, their high bits")
        }
        let family: IPFamily
        switch row.fields[0] {
        case "IPv4": family = .v4
        case "IPv6": family = .v6
        default: throw row.error("field 1, family: \"\(row.fields[0])\" instead of \"IPv4\" or \"IPv6\"")
        }
        guard let spi = SPIPattern(row.fields[3]) else {
            throw row.error(
                "field 4, SPI: \"\(row.fields[3])\"; 0x and up to 8 hexadecimal digits, a number, or * are expected")
        }
        let encryption = try row.algorithm(4, "encryption algorithm", in: AnalyserNames.espEncryption)
        let integrity = try row.algorithm(6, "integrity algorithm", in: AnalyserNames.espIntegrity)
        let key = try key(row, 5, "encryption key")
        let integrityKey = try Self.key(row, 7, "integrity key")
        let algorithms: ESPRow.Algorithms
        switch Suite.find(encryption, integrity, key: key, in: row, names: (4, 6)) {
        case .unusable(let reason): algorithms = .unusable(reason)
        case .usable(let encryption, let integrity):
            let integrityKey = integrity == nil ? nil : integrityKey
            do throws(CryptoError) {
                // Made only to find out here, with the line at hand, whether the keys fit.
                _ = try PacketCipher(
                    encryption: encryption, encryptionKey: key, integrity: integrity, integrityKey: integrityKey)
                algorithms = .usable(encryption, key, integrity, integrityKey)
            } catch {
                // Without a check of integrity nothing is opened here, whatever other programs do.
                guard error.code == .unsupportedAlgorithm else { throw row.error(error.reason) }
                algorithms = .unusable(error.reason)
            }
        }
        return ESPRow(
            source: try pattern(row, 1, "source", family), destination: try pattern(row, 2, "destination", family),
            spi: spi, algorithms: algorithms, hasExtendedSequenceNumbers: try isExtended(row),
            sequenceHigh: try sequenceHigh(row), origin: row.origin)
    }

    private static func pattern(
        _ row: KeyTableText.Row, _ field: Int, _ name: String, _ family: IPFamily
    ) throws(KeyTableError) -> AddressPattern {
        guard let pattern = AddressPattern(row.fields[field], family) else {
            throw row.error(
                "field \(field + 1), \(name): \"\(row.fields[field])\"; an \(family) address or * is expected")
        }
        return pattern
    }

    /// Hexadecimal after `0x`; anything else is taken as it is, octet by octet.
    private static func key(_ row: KeyTableText.Row, _ field: Int, _ name: String) throws(KeyTableError) -> SecretOctets
    {
        let text = row.fields[field]
        guard text.hasPrefix("0x") || text.hasPrefix("0X") else { return SecretOctets(Array(text.utf8)) }
        return try row.secret(hexadecimal: field, name)
    }

    private static func isExtended(_ row: KeyTableText.Row) throws(KeyTableError) -> Bool? {
        guard row.fields.count > 8 else { return nil }
        switch row.fields[8] {
        case "32-bit": return false
        case "64-bit": return true
        case "": return nil
        default:
            throw row.error(
                "field 9, length of sequence numbers: \"\(row.fields[8])\" instead of \"32-bit\" or \"64-bit\"")
        }
    }

    private static func sequenceHigh(_ row: KeyTableText.Row) throws(KeyTableError) -> UInt32 {
        guard row.fields.count > 9, !row.fields[9].isEmpty else { return 0 }
        let text = row.fields[9]
        guard let high = UInt32(text.hasPrefix("0x") ? text.dropFirst(2) : text[...], radix: 16) else {
            throw row.error("field 10, high bits of sequence numbers: up to 8 hexadecimal digits are expected")
        }
        return high
    }
}
