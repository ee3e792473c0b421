import IPPacket
import IPsecCrypto
import Octets

/// Keys of IKE and ESP, as tables of Wireshark give them.
package struct KeyTable: Sendable {
    /// Where a key stands, for messages to a person: `esp_sa, line 3`.
    package struct Origin: Hashable, Sendable, CustomStringConvertible {
        package var file: String
        package var line: Int

        package init(file: String, line: Int) {
            self.file = file
            self.line = line
        }

        package var description: String { "\(file), line \(line)" }
    }

    /// The keys of one IKE SA.
    struct IKERow: Sendable {
        var initiatorSPI: UInt64
        var responderSPI: UInt64
        var ciphers: Ciphers
        var origin: Origin

        enum Ciphers: Sendable {
            case usable(ofInitiator: MessageCipher, ofResponder: MessageCipher)
            /// The algorithm is known, but not here.
            case unusable(String)
        }
    }

    /// The keys of one direction of ESP.
    struct ESPRow: Sendable {
        var source: AddressPattern
        var destination: AddressPattern
        var spi: SPIPattern
        var algorithms: Algorithms
        /// `nil` if the table does not say.
        var hasExtendedSequenceNumbers: Bool?
        /// The high 32 bits of the first packet's sequence number.
        var sequenceHigh: UInt32
        var origin: Origin

        enum Algorithms: Sendable {
            case usable(EncryptionAlgorithm, SecretOctets, IntegrityAlgorithm?, SecretOctets?)
            case unusable(String)
        }
    }

    /// The names of the tables in a directory of keys; those after the first hold rows that Wireshark refuses.
    package static let ikeFiles = ["ikev2_decryption_table", "ikev2_decryption_table_chacha20"]
    package static let espFiles = ["esp_sa", "esp_sa_chacha20"]

    private(set) var ike: [IKERow] = []
    private(set) var esp: [ESPRow] = []

    package init() {}

    package var isEmpty: Bool { ike.isEmpty && esp.isEmpty }

    /// Rows whose algorithms are not there in this program, with the reason.
    package var unusable: [String] {
        ike.compactMap { row in
            if case .unusable(let reason) = row.ciphers { "\(row.origin): \(reason)" } else { nil }
        }
            + esp.compactMap { row in
                if case .unusable(let reason) = row.algorithms { "\(row.origin): \(reason)" } else { nil }
            }
    }

    mutating func append(_ row: IKERow) { ike.append(row) }
    mutating func append(_ row: ESPRow) { esp.append(row) }
}

/// An address of `esp_sa`: written out, or with `*` for what does not matter.
enum AddressPattern: Hashable, Sendable {
    case any
    case exactly(IPAddress)
    /// Whole parts from the front, as in `10.1.*`; the rest does not matter.
    case beginning([UInt8])

    /// `nil` if the text is none of these.
    init?(_ text: String, _ family: IPFamily) {
        if text == "*" {
            self = .any
        } else if let address = IPAddress(text), address.family == family {
            self = .exactly(address)
        } else {
            let parts = text.split(separator: family == .v4 ? "." : ":", omittingEmptySubsequences: false)
            let known = parts.prefix { $0 != "*" }
            guard !known.isEmpty, known.count < parts.count, parts[known.count...].allSatisfy({ $0 == "*" }),
                parts.count <= (family == .v4 ? 4 : 8)
            else { return nil }
            var octets: [UInt8] = []
            for part in known {
                if family == .v4, let octet = UInt8(part) {
                    octets.append(octet)
                } else if family == .v6, let word = UInt16(part, radix: 16) {
                    octets += word.bigEndianOctets
                } else {
                    return nil
                }
            }
            self = .beginning(octets)
        }
    }

    func matches(_ address: IPAddress) -> Bool {
        switch self {
        case .any: true
        case .exactly(let wanted): wanted == address
        case .beginning(let octets): address.octets.starts(with: octets)
        }
    }
}

/// An SPI of `esp_sa`: `0xdeadbeef`, a decimal number, `*`, or hexadecimal digits with `*` in place of some.
struct SPIPattern: Hashable, Sendable {
    private let value: UInt32
    private let mask: UInt32

    init?(_ text: String) {
        if text == "*" {
            value = 0
            mask = 0
        } else if text.hasPrefix("0x") || text.hasPrefix("0X") {
            let digits = text.dropFirst(2)
            // One star alone at the end stands for all digits that are left.
            let isOpen = digits.hasSuffix("*") && digits.count < 8
            guard (1...8).contains(digits.count) else { return nil }
            var value: UInt32 = 0
            var mask: UInt32 = 0
            for digit in digits {
                guard digit == "*" || digit.isASCII && digit.isHexDigit else { return nil }
                value = value << 4 | UInt32(digit.hexDigitValue ?? 0)
                mask = mask << 4 | (digit == "*" ? 0 : 0xF)
            }
            let open = UInt32(4 * (8 - digits.count))
            self.value = isOpen ? value << open : value
            self.mask = isOpen ? mask << open : mask | ~(UInt32.max >> open)
        } else {
            guard let number = UInt32(text) else { return nil }
            value = number
            mask = .max
        }
    }

    func matches(_ spi: UInt32) -> Bool { (spi ^ value) & mask == 0 }

    /// The one SPI that is meant, if there is only one.
    var exact: UInt32? { mask == .max ? value : nil }
}
