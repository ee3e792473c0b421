import Lab
import Testing

/// Everything here builds networks and waits for real daemons: one test at a time, so that each finds a quiet machine.
@Suite("Interoperability", .serialized)
struct Interoperability {
    /// Fails, with the command that helps, where a program is missing: an absent peer is no reason to pass.
    static func requirePeers() throws {
        let missing = Prerequisites.missing(of: Prerequisites.interoperability)
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
    }
}
