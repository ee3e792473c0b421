import IPPacket

// Scalars with a meaning: numbers, switches, words, times, sizes, addresses.

extension ConfigurationNode {
    /// `yes` or `no`, with the other spellings of YAML 1.1.
    func bool() -> Bool? {
        guard let text = text(expected: "yes or no") else { return nil }
        switch text.lowercased() {
        case "yes", "true", "on": return true
        case "no", "false", "off": return false
        default:
            error("expected yes or no, found \(quoted(text))")
            return nil
        }
    }

    func integer(in range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = text(expected: expected) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            error("expected \(expected), found \(quoted(text))")
            return nil
        }
        return value
    }

    /// One of the words of an enumeration.
    func word<Word: ConfigurationKey>(_ words: Word.Type, what: String) -> Word? {
        guard let text = text(expected: "one of \(Word.words.joined(separator: ", "))") else { return nil }
        if let word = Word(rawValue: text) { return word }
        error(NearestWord.complaint(about: text, what: what, expected: Word.words))
        return nil
    }

    /// A time with its unit, such as `30s`, `10 minutes` or `1h30m`.
    func duration(in range: ClosedRange<Duration>) -> Duration? {
        guard let text = text(expected: "a time such as 30s or 10 minutes") else { return nil }
        switch MeasureSyntax.parse(text, units: MeasureSyntax.times) {
        case .failure(let complaint):
            error(complaint.text)
            return nil
        case .success(let milliseconds):
            let duration = Duration.milliseconds(milliseconds)
            guard range.contains(duration) else {
                error(
                    "\(quoted(text)) is out of range; expected \(MeasureSyntax.describe(range.lowerBound)) to \(MeasureSyntax.describe(range.upperBound))"
                )
                return nil
            }
            return duration
        }
    }

    /// A time as ``duration(in:)`` reads it, or `never`, which is `nil` within the result.
    func timeOrNever(from least: Duration) -> LimitedTime? {
        if node.scalar?.string == "never" { return LimitedTime(value: nil) }
        return duration(in: least...(.seconds(365 * 86400))).map { LimitedTime(value: $0) }
    }

    /// A part of a hundred, such as `10%`, as a fraction.
    func percentage(upTo limit: Int) -> Double? {
        let expected = "a percentage from 0% to \(limit)%"
        guard let text = text(expected: expected) else { return nil }
        guard text.hasSuffix("%"), let value = Int(text.dropLast()), (0...limit).contains(value) else {
            error("expected \(expected), found \(quoted(text))")
            return nil
        }
        return Double(value) / 100
    }

    func decimal(in range: ClosedRange<Double>) -> Double? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = text(expected: expected) else { return nil }
        guard let value = Double(text), range.contains(value) else {
            error("expected \(expected), found \(quoted(text))")
            return nil
        }
        return value
    }

    /// A number of octets with its unit, such as `10GB` or `512 MiB`.
    func octets() -> UInt64? {
        guard let text = text(expected: "a size such as 10GB or 512MiB") else { return nil }
        switch MeasureSyntax.parse(text, units: MeasureSyntax.sizes) {
        case .failure(let complaint):
            error(complaint.text)
            return nil
        case .success(let octets):
            guard octets > 0 else {
                error("expected a size above zero, found \(quoted(text))")
                return nil
            }
            return UInt64(octets)
        }
    }

    func address() -> IPAddress? {
        guard let text = text(expected: "an IPv4 or IPv6 address") else { return nil }
        guard let address = IPAddress(text) else {
            error("\(quoted(text)) is not an address; expected IPv4 such as 192.0.2.1 or IPv6 such as 2001:db8::1")
            return nil
        }
        return address
    }
}

/// A time after which something is done; `nil` for never.
struct LimitedTime {
    let value: Duration?
}

/// Numbers with units.
package enum MeasureSyntax {
    package struct Complaint: Error { package let text: String }

    package struct Units: Sendable {
        let what: String
        let example: String
        /// Every accepted spelling with its factor.
        let factors: [String: Int64]
        /// The spellings named in messages.
        let shown: [String]
    }

    /// Factors in milliseconds.
    package static let times = Units(
        what: "time", example: "s",
        factors: [
            "ms": 1, "millisecond": 1, "milliseconds": 1,
            "s": 1000, "sec": 1000, "second": 1000, "seconds": 1000,
            "m": 60_000, "min": 60_000, "minute": 60_000, "minutes": 60_000,
            "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
            "d": 86_400_000, "day": 86_400_000, "days": 86_400_000,
        ],
        shown: ["ms", "s", "seconds", "m", "minutes", "h", "hours", "d", "days"])

    /// Factors in octets.
    package static let sizes = Units(
        what: "size", example: "MB",
        factors: [
            "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
            "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
        ],
        shown: ["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"])

    /// One or more numbers, each with a unit, added up.
    package static func parse(_ text: String, units: Units) -> Result<Int64, Complaint> {
        var rest = text.drop { $0 == " " }
        var total: Int64 = 0
        guard !rest.isEmpty else { return .failure(Complaint(text: "expected a \(units.what), found \(quoted(text))")) }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int64(digits) else {
                return .failure(
                    Complaint(text: "expected a \(units.what) such as 10\(units.example), found \(quoted(text))"))
            }
            rest = rest.dropFirst(digits.count).drop { $0 == " " }
            let unit = rest.prefix { $0.isLetter }
            if unit.isEmpty {
                guard number == 0, rest.isEmpty, total == 0 else {
                    return .failure(
                        Complaint(
                            text: rest.isEmpty
                                ? "the number \(digits) has no unit; expected a \(units.what) such as \(digits)\(units.example), units are \(units.shown.joined(separator: ", "))"
                                : "expected a \(units.what) such as 10\(units.example), found \(quoted(text))"))
                }
                return .success(0)
            }
            guard let factor = units.factors[String(unit)] else {
                return .failure(
                    Complaint(
                        text: NearestWord.complaint(about: unit, what: "unit", expected: units.shown)))
            }
            let (product, overflow) = number.multipliedReportingOverflow(by: factor)
            let (sum, overflowed) = total.addingReportingOverflow(product)
            guard !overflow, !overflowed else {
                return .failure(Complaint(text: "\(quoted(text)) is too large"))
            }
            total = sum
            rest = rest.dropFirst(unit.count).drop { $0 == " " }
        }
        return .success(total)
    }

    /// The shortest exact notation of a time.
    static func describe(_ duration: Duration) -> String {
        let milliseconds = duration.wholeNanoseconds / 1_000_000
        guard milliseconds != 0 else { return "0s" }
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] as [(String, Int64)]
        where milliseconds % factor == 0 {
            return "\(milliseconds / factor)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
