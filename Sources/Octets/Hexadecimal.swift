extension Collection<UInt8> {
    /// The octets as lower-case hexadecimal digits, two for each.
    public var hexadecimal: String {
        var text = ""
        text.reserveCapacity(count * 2)
        for octet in self {
            text += octet < 16 ? "0" + String(octet, radix: 16) : String(octet, radix: 16)
        }
        return text
    }
}

extension Array<UInt8> {
    /// Octets from hexadecimal digits; white space is skipped. `nil` if anything else stands there or a digit is left over.
    public init?(hexadecimal text: some StringProtocol) {
        var octets: [UInt8] = []
        var high: UInt8?
        for character in text where !character.isWhitespace {
            guard character.isASCII, let digit = character.hexDigitValue.map(UInt8.init) else { return nil }
            if let first = high {
                octets.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard high == nil else { return nil }
        self = octets
    }
}
