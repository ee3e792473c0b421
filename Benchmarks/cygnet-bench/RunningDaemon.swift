import Foundation
import Lab

/// One daemon of a scenario, of either make.
///
/// Its calls are not inlined: Swift 6.3.1 cannot compile some of the functions that they would be inlined into.
enum RunningDaemon: Sendable {
    case cygnet(CygnetDaemon)
    case charon(StrongSwan)

    @inline(never)
    init(_ daemon: FloodScenario.Daemon, _ side: Side, _ topology: Topology) async throws {
        var plan = TunnelPlan()
        // In a plan with a NAT the right takes its peer from anywhere; the topology has none.
        plan.isNATed = true
        plan.isUDPEncapsulated = true
        switch daemon {
        case .cygnet:
            let cygnet = try CygnetDaemon(at: side, of: topology, plan: plan)
            try await cygnet.start()
            self = .cygnet(cygnet)
        case .charon:
            let charon = try await StrongSwan(at: side, of: topology)
            try await charon.load(plan, side)
            self = .charon(charon)
        }
    }

    var processID: pid_t {
        switch self {
        case .cygnet(let daemon): daemon.processID ?? 0
        case .charon(let daemon): daemon.processID
        }
    }

    @inline(never)
    func connect(patience: Int) async throws -> Bool {
        switch self {
        case .cygnet(let daemon): try await daemon.up(timeout: .seconds(patience)).status == .exited(0)
        case .charon(let daemon): try await daemon.initiate(timeout: patience).status == .exited(0)
        }
    }

    @inline(never)
    func disconnect() async throws {
        switch self {
        case .cygnet(let daemon): _ = try await daemon.down()
        case .charon(let daemon): try await daemon.terminateIKE()
        }
    }

    func residentMegabytes() throws -> Double { try ProcessMemory.resident(processID) }
}
