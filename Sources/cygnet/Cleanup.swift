import ArgumentParser
import Dataplane
import Gateway

struct Cleanup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove the rules, routes and table of nftables that a killed daemon has left.",
        discussion: """
            They keep the traffic of its connections from leaving and arriving in clear; the next start of the daemon takes them over. \
            Not to be used while a daemon runs.
            """)

    @OptionGroup var control: ControlOptions
    @Flag(help: "Also if a daemon runs, whose traffic then leaves in clear.") var force = false

    func run() throws {
        let socket = control.socket ?? DaemonSettings.defaultControlSocket
        guard force || !ControlClient.isAnswered(socket) else {
            Terminal.complain("cygnet: a daemon answers on \(socket); end it first with `cygnet stop`")
            throw Outcome.failed.exitCode
        }
        do {
            let removed = try UserspaceDataplane.cleanup(force: force)
            for line in removed { print("removed \(line)") }
            if removed.isEmpty { print("nothing to remove") }
        } catch {
            let remedy =
                switch error.code {
                case .inUse: "; end it first with `cygnet stop` (--socket names its socket), or use --force"
                case .notPermitted: "; run it as root"
                default: ""
                }
            Terminal.complain("cygnet: \(error.reason)\(remedy)")
            throw (error.code == .notPermitted ? Outcome.notPermitted : .failed).exitCode
        }
    }
}
