/// An entrance for octets from outside, for a fuzzer and for the tests that repeat what a fuzzer has found.
///
/// A target has a file of its own that extends this type with a static property, which stands in ``all``.
package struct FuzzTarget: Sendable {
    /// As it is called on the command line, and as the folders in `Fuzz/Corpus` and `Fuzz/Findings` are.
    package let name: String
    /// Longer inputs are of no use, in octets.
    package let longest: Int
    /// Inputs to begin with, made anew each time.
    package let seeds: @Sendable () async throws -> [[UInt8]]
    /// Takes an input in. Throws if what came of it must not be; bad input as such is nothing to throw for.
    package let run: @Sendable ([UInt8]) async throws -> Void

    package static let all: [FuzzTarget] = [
        .messages, .chains, .extendedChains, .certificates, .status, .identities, .configuration, .captures, .exchanges,
        .datagrams,
        .esp, .control, .streams,
    ]
}

/// Something that must hold does not.
package struct FuzzFinding: Error, CustomStringConvertible {
    package let description: String
}

/// Throws a ``FuzzFinding`` if the condition does not hold.
func expect(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    guard condition else { throw FuzzFinding(description: text()) }
}

/// Takes an input apart from its beginning; where nothing is left, numbers are 0 and octets none.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ octets: [UInt8]) { rest = octets[...] }

    mutating func octet() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func octets(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Octets behind their number in two octets, as ``written(_:)`` writes them.
    mutating func part() -> [UInt8] {
        let count = Int(octet()) << 8 | Int(octet())
        return octets(count)
    }

    static func written(_ part: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: part.count >> 8), UInt8(truncatingIfNeeded: part.count)] + part
    }
}
