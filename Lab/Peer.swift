/// A modern IKE daemon in quarters of its own, set up and steered as any scenario needs.
///
/// Where a daemon has no command for something, the call fails and says so.
package protocol Peer: Sendable {
    var quarters: any Quarters { get }
    /// What the daemon wrote.
    var log: String { get }

    /// Gives the daemon one end of a plan as its whole configuration.
    func load(_ plan: TunnelPlan, _ side: Side, credentials: PKI.Credentials?) async throws
    /// Brings up the plan's child, and with it the IKE SA. A refusal is an answer, not an error.
    func initiate() async throws(LabError) -> CommandResult
    func rekeyChild() async throws(LabError)
    func rekeyIKE() async throws(LabError)
    func terminateChild() async throws(LabError)
    func terminateIKE() async throws(LabError)
    /// What the daemon and its data path say was negotiated and has passed.
    func report() async throws -> PeerReport
}

/// The peers, with where their ESP is.
package enum PeerKind: String, Sendable, CaseIterable {
    case strongSwan = "strongSwan 6.1"
    case strongSwanInUserSpace = "strongSwan 6.1, libipsec"
    case libreswan = "Libreswan 5.2"
    /// Built from source; Debian has an earlier one.
    case newerLibreswan = "Libreswan 5.4"
    case openIKED = "OpenIKED 7.4"

    /// Why a peer that `make peers` goes on without cannot be had, with what to run; `nil` for all others.
    package func absence() async -> String? {
        guard self == .newerLibreswan, await !PeerFiles.hasNewerLibreswan() else { return nil }
        return "\(rawValue) has not been made: run `Lab/peers/make-libreswan`"
    }

    /// Starts the daemon, without a connection, in a guest or on the machine's own kernel.
    package func start(at side: Side, of topology: Topology) async throws -> any Peer {
        let files = try await PeerFiles.locate()
        if let absence = await absence() { throw LabError(absence) }
        if self == .strongSwanInUserSpace {
            return ModernStrongSwan(in: try Chroot(at: side, of: topology, files: files), hasKernelESP: false)
        }
        let guest = try await Guest(at: side, of: topology, files: files)
        return switch self {
        case .strongSwan, .strongSwanInUserSpace: ModernStrongSwan(in: guest, hasKernelESP: true)
        case .libreswan: Libreswan(in: guest)
        case .newerLibreswan: Libreswan(in: guest, installed: PeerFiles.newerLibreswan)
        case .openIKED: OpenIKED(in: guest)
        }
    }
}

/// What a peer says was negotiated and has passed.
package struct PeerReport: Sendable {
    /// One direction of a child SA.
    package struct ESP: Sendable {
        package let isInbound: Bool
        package let spi: UInt32
        /// In the words of Linux, or of strongSwan where its ESP is in user space.
        package let protection: String
        package let mode: String
        package let isUDPEncapsulated: Bool
        package let hasESN: Bool
        package let packets: Int
        package let octets: Int
    }

    /// The IKE SAs that are established, each in the daemon's own words.
    package let ikeSAs: [String]
    package let esp: [ESP]

    package var inbound: [ESP] { esp.filter(\.isInbound) }
    package var outbound: [ESP] { esp.filter { !$0.isInbound } }
    package var isEmpty: Bool { ikeSAs.isEmpty && esp.isEmpty }
}
