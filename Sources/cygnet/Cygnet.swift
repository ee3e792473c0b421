import ArgumentParser
import Gateway

@main
struct Cygnet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cygnet",
        abstract: "IPsec with IKEv2: the daemon and the commands that steer it.",
        discussion: """
            Exit status: 0 success, 1 failed, 2 (status) a connection that ought to be up is down, 3 configuration, \
            4 no daemon, 5 not permitted, 10 peer silent, 11 authentication failed, 12 no common proposal, \
            13 unacceptable traffic selectors, 14 certificate, 15 refused by the peer otherwise, \
            16 peer's name not resolved, 64 wrong usage.
            """,
        version: GatewayVersion.current,
        subcommands: [
            Run.self, Check.self, Algorithms.self, Up.self, Down.self, Status.self, Events.self, Explain.self,
            Rekey.self, Redirect.self, Reload.self, Leases.self, SetLogLevel.self, Stop.self, Cleanup.self,
            DecodeCommand.self, LabCommand.self, DemoCommand.self,
        ])
}
