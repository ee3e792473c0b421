import IKEMessage
import Octets

/// Which entries are wanted.
package struct EntryFilter: Sendable {
    package var includesESP = true
    /// Without any, all.
    package var exchanges: Set<ExchangeType> = []
    /// SPIs of IKE or ESP; without any, all.
    package var spis: Set<SPI> = []

    package init() {}

    package enum SPI: Hashable, Sendable {
        case ike(UInt64)
        case esp(UInt32)

        /// 16 hexadecimal digits for IKE, 8 for ESP, with or without `0x`.
        package init?(_ text: String) {
            let digits = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
            switch (digits.count, UInt64(digits, radix: 16)) {
            case (16, let value?): self = .ike(value)
            case (8, let value?): self = .esp(UInt32(truncatingIfNeeded: value))
            default: return nil
            }
        }
    }

    /// The exchange of a name like `IKE_AUTH`, in any case, or of a number.
    package static func exchange(_ text: String) -> ExchangeType? {
        ExchangeType.names.first { $0.value == text.uppercased() }?.key ?? UInt8(text).map(ExchangeType.init(rawValue:))
    }

    /// Messages of other versions have no exchange of IKEv2, and what is unreadable has nothing to go by: both pass only
    /// where nothing is asked for that they lack.
    package func admits(_ entry: DecodedEntry) -> Bool {
        switch entry.body {
        case .unreadable: exchanges.isEmpty && spis.isEmpty
        case .esp(let esp): includesESP && exchanges.isEmpty && (spis.isEmpty || spis.contains(.esp(esp.spi)))
        case .ike(let ike):
            (exchanges.isEmpty || !ike.isOtherVersion && exchanges.contains(ike.header.exchangeType))
                && (spis.isEmpty || spis.contains(.ike(ike.header.initiatorSPI))
                    || spis.contains(.ike(ike.header.responderSPI)))
        }
    }
}
