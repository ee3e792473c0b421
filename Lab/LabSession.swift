import Foundation

/// What has to be so before scenarios are played.
package enum LabSession {
    /// Moves into namespaces of its own, as ``Isolation`` does.
    ///
    /// - Returns: the exit status, if the program has run inside; `nil` inside.
    package static func enter() async throws(LabError) -> Int32? {
        let missing = Prerequisites.missing(of: Prerequisites.demo)
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        guard access("/dev/net/tun", R_OK | W_OK) == 0 else {
            throw LabError("/dev/net/tun cannot be used by this user; the gateways need it for their tunnel devices")
        }
        return try await Isolation.enter()
    }
}
