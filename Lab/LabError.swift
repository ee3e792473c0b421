import Foundation

/// Why a scenario could not be built, or what in it did not happen.
package struct LabError: Error, Sendable, CustomStringConvertible, LocalizedError {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }

    /// The last failed system call, with what it was meant to do.
    static func system(_ purpose: String, _ code: Int32 = errno) -> LabError {
        LabError("\(purpose): \(String(cString: strerror(code)))")
    }

    package var description: String { reason }
    package var errorDescription: String? { reason }
}
