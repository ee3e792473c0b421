/// Why a capture cannot be read on: where in the file, and what was expected there.
package struct CaptureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Offset of the fault from the start of the file, in octets.
    package let offset: Int
    /// What is wrong, and what would have been right; continues a sentence.
    package let reason: String

    package var description: String { "octet \(offset): \(reason)" }
}
