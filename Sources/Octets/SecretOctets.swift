#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Octets that are overwritten when the last owner lets go of them, compared in constant time, and never printed.
public final class SecretOctets: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    // Written only in `init` and `deinit`, so sharing it is safe.
    private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

    /// Makes `count` octets and lets `fill` write them.
    public init<E: Error>(count: Int, fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 16)
        let used = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        used.initializeMemory(as: UInt8.self, repeating: 0)
        do {
            try fill(used)
        } catch {
            Self.wipe(used)
            buffer.deallocate()
            throw error
        }
        storage = used
    }

    public convenience init(_ octets: some Collection<UInt8>) {
        self.init(count: octets.count) { (buffer: UnsafeMutableRawBufferPointer) in buffer.copyBytes(from: octets) }
    }

    deinit {
        Self.wipe(storage)
        storage.baseAddress?.deallocate()
    }

    private static func wipe(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress else { return }
        explicit_bzero(base, buffer.count)
    }

    public var count: Int { storage.count }
    public var isEmpty: Bool { storage.isEmpty }

    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(storage))
    }

    /// A copy of part of the octets, itself secret; the range is clamped to what is there.
    public subscript(_ range: Range<Int>) -> SecretOctets {
        SecretOctets(storage[range.clamped(to: 0..<count)])
    }

    /// A copy that is **not** wiped: for interfaces that take plain arrays, and for key logs the operator asked for.
    public var unprotected: [UInt8] { Array(storage) }

    /// Both, one after the other.
    public static func + (left: SecretOctets, right: SecretOctets) -> SecretOctets {
        SecretOctets(count: left.count + right.count) { (buffer: UnsafeMutableRawBufferPointer) in
            buffer.copyBytes(from: left.storage)
            UnsafeMutableRawBufferPointer(rebasing: buffer[left.count...]).copyBytes(from: right.storage)
        }
    }

    /// Equal in time that depends on the lengths only.
    public static func == (left: SecretOctets, right: SecretOctets) -> Bool {
        constantTimeEqual(left.storage, right.storage)
    }

    /// Hashes the length only, so that a table of secrets reveals nothing by its timing.
    public func hash(into hasher: inout Hasher) { hasher.combine(count) }

    public var description: String { "<\(count) secret octets>" }
    public var debugDescription: String { description }
}

/// Whether two octet sequences are equal, in time that depends on their lengths only.
public func constantTimeEqual(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for (a, b) in zip(left, right) { difference |= a ^ b }
    return difference == 0
}
