/// When a packet was captured.
package struct CaptureTime: Hashable, Sendable, CustomStringConvertible {
    /// Since 1970, UTC.
    package let seconds: Int64
    /// Below 1 000 000 000.
    package let nanoseconds: Int

    package init(seconds: Int64, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = min(max(nanoseconds, 0), 999_999_999)
    }

    /// A time stamp of pcapng: units since 1970, with the resolution of its interface (draft-ietf-opsawg-pcapng section 4.2).
    ///
    /// - Parameters:
    ///   - resolution: with the highest bit clear, units of 10 to the power of minus so many seconds; with it set, of 2.
    ///   - offset: seconds to be added.
    init(units: UInt64, resolution: UInt8, offset: Int64) {
        let exponent = Int(resolution & 0x7F)
        let whole: UInt64
        let fraction: UInt128
        if resolution & 0x80 != 0 {
            whole = exponent < 64 ? units >> UInt64(exponent) : 0
            let rest = exponent < 64 ? units & ((1 << UInt64(exponent)) - 1) : units
            fraction = (UInt128(rest) * 1_000_000_000) >> UInt128(exponent)
        } else if exponent <= 19 {
            let (quotient, rest) = units.quotientAndRemainder(dividingBy: Self.powerOfTen(exponent))
            whole = quotient
            fraction = UInt128(rest) * 1_000_000_000 / UInt128(Self.powerOfTen(exponent))
        } else {
            // Sixty-four bits of such units are less than two seconds.
            whole = 0
            fraction = exponent - 9 > 19 ? 0 : UInt128(units / Self.powerOfTen(exponent - 9))
        }
        let (sum, overflow) = Int64(clamping: whole).addingReportingOverflow(offset)
        self.init(seconds: overflow ? .max : sum, nanoseconds: Int(clamping: fraction))
    }

    private static func powerOfTen(_ exponent: Int) -> UInt64 { (0..<exponent).reduce(1) { power, _ in power * 10 } }

    /// For what measures time from an origin of its own.
    var nanosecondsSinceOrigin: Int64 {
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = scaled.addingReportingOverflow(Int64(nanoseconds))
        return overflowed ? .max : sum
    }

    /// As RFC 3339 writes it, in UTC: `2026-11-03T10:15:30.123456Z`; nine digits where microseconds do not do.
    package var description: String {
        let digits = nanoseconds.isMultiple(of: 1000) ? (nanoseconds / 1000, 6) : (nanoseconds, 9)
        let fraction = Self.padded(digits.0, digits.1)
        // Years of four digits; what a damaged file has beyond them is shown as it is.
        guard (-62_135_596_800..<253_402_300_800).contains(seconds) else { return "\(seconds).\(fraction)" }
        let day = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let second = Int(seconds - day * 86400)
        let date = Self.civil(day)
        return "\(Self.padded(date.year, 4))-\(Self.padded(date.month, 2))-\(Self.padded(date.day, 2))T"
            + "\(Self.padded(second / 3600, 2)):\(Self.padded(second / 60 % 60, 2)):\(Self.padded(second % 60, 2))"
            + ".\(fraction)Z"
    }

    /// The Gregorian date of a day counted from 1970. Years begin with March here, so that the leap day is their last one.
    private static func civil(_ day: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(day) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isAfterDecember = month >= 10
        return (
            yearOfEra + era * 400 + (isAfterDecember ? 1 : 0), isAfterDecember ? month - 9 : month + 3,
            dayOfYear - (153 * month + 2) / 5 + 1
        )
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(width - text.count, 0)) + text
    }
}
