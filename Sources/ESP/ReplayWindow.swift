/// The anti-replay window of a receiver (RFC 4303, section 3.4.3), with 64-bit sequence numbers where they are extended
/// (section 2.2.1 and appendix A).
///
/// A ring of bits that is cleared ahead and never shifted (RFC 6479). ``check(_:)`` comes before a packet is decrypted and
/// changes nothing; ``accept(_:)`` comes after the packet has proved authentic.
public struct ReplayWindow: ~Copyable, Sendable {
    /// What the window says of a sequence number.
    public enum Verdict: Hashable, Sendable {
        /// It may be new; the value is the whole number, high bits inferred.
        case fresh(UInt64)
        case replayed
        /// Left of the window, or a number no sender uses.
        case stale
    }

    /// What became of the number of an authentic packet.
    public enum Acceptance: Hashable, Sendable {
        /// The highest so far.
        case newest
        /// New, with a higher one before.
        case late
        case replayed
        case stale
    }

    /// The largest window, in packets.
    public static let maximumSize = 4096
    /// How late a packet may be for its high bits to be inferred when nothing is checked.
    private static let inferenceSize = UInt64(maximumSize)

    /// The ring has a word more than the window, so that the word that holds the right edge may be partly in the future;
    /// rounded up to a power of two. (Not an `InlineArray`: reading one element of it through `self` copies it whole.)
    private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>
    private let wordMask: UInt64
    /// The highest number accepted: T of appendix A. 0 before the first.
    public private(set) var highest: UInt64
    /// W of appendix A; 0 if replays are not looked for.
    public let size: Int
    public let isExtended: Bool

    /// - Parameters:
    ///   - size: packets; values outside 0 to ``maximumSize`` are taken as the nearest of these.
    ///   - highest: the highest number accepted already; numbers up to it count as not received.
    public init(size: Int, extended: Bool, highest: UInt64 = 0) {
        self.size = min(max(size, 0), Self.maximumSize)
        isExtended = extended
        self.highest = highest
        var count = 1
        while count < (self.size + 63) / 64 + 1 { count *= 2 }
        words = .allocate(capacity: count)
        words.initialize(repeating: 0, count: count)
        wordMask = UInt64(count - 1)
    }

    deinit { words.deallocate() }

    /// Infers the whole sequence number from the 32 bits in the packet and looks it up.
    @inline(__always)
    public func check(_ low: UInt32) -> Verdict {
        guard let number = infer(low) else { return .stale }
        return check(whole: number)
    }

    /// Looks up a sequence number that is sent whole.
    @inline(__always)
    func check(whole number: UInt64) -> Verdict {
        guard number != 0 else { return .stale }
        guard size > 0, number <= highest else { return .fresh(number) }
        guard highest - number < UInt64(size) else { return .stale }
        return words[word(number)] & Self.bit(number) == 0 ? .fresh(number) : .replayed
    }

    /// The number with these low bits that is the nearest from the window's left edge on. That is appendix A2.2 with both of
    /// its cases in one: below the edge in this subspace means above it in the next.
    @inline(__always)
    private func infer(_ low: UInt32) -> UInt64? {
        guard isExtended else { return UInt64(low) }
        let span = size > 0 ? UInt64(size) : Self.inferenceSize
        let edge = highest >= span ? highest - span + 1 : 0
        let candidate = edge & 0xffff_ffff_0000_0000 | UInt64(low)
        guard candidate < edge else { return candidate }
        // Past the last subspace there is no sequence number.
        let (next, overflow) = candidate.addingReportingOverflow(1 << 32)
        return overflow ? nil : next
    }

    /// Marks a number as received and moves the window if it lies to the right.
    ///
    /// - Parameter number: as ``check(_:)`` gave it, of a packet since found authentic. Others may have been accepted meanwhile.
    @inline(__always)
    @discardableResult
    public mutating func accept(_ number: UInt64) -> Acceptance {
        guard number <= highest else {
            advance(to: number)
            if size > 0 { words[word(number)] |= Self.bit(number) }
            return .newest
        }
        guard size > 0 else { return .late }
        guard highest - number < UInt64(size) else { return .stale }
        guard words[word(number)] & Self.bit(number) == 0 else { return .replayed }
        words[word(number)] |= Self.bit(number)
        return .late
    }

    @inline(__always)
    private mutating func advance(to number: UInt64) {
        let old = highest >> 6
        let steps = min((number >> 6) - old, wordMask + 1)
        var step: UInt64 = 1
        while step <= steps {
            words[Int(truncatingIfNeeded: (old &+ step) & wordMask)] = 0
            step += 1
        }
        highest = number
    }

    @inline(__always)
    private func word(_ number: UInt64) -> Int { Int(truncatingIfNeeded: (number >> 6) & wordMask) }

    @inline(__always)
    private static func bit(_ number: UInt64) -> UInt64 { 1 << (number & 63) }
}
