import Octets

/// The octets of a published vector; nothing at all for a misprint, which no test can then match.
func octets(_ hexadecimal: String) -> [UInt8] { Array(hexadecimal: hexadecimal) ?? [] }

func secret(_ hexadecimal: String) -> SecretOctets { SecretOctets(octets(hexadecimal)) }

/// `count` octets counting up from `first`.
func counting(_ count: Int, from first: UInt8 = 1) -> [UInt8] {
    (0..<count).map { first &+ UInt8(truncatingIfNeeded: $0) }
}
