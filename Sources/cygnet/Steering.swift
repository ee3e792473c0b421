import ArgumentParser
import Gateway

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a connection up and wait until it is.",
        discussion: """
            Exit status: 0 it is up, 3 no such connection, 4 no daemon, 5 not permitted, 10 the peer is silent, \
            11 authentication failed, 12 no proposal in common, 13 unacceptable traffic selectors, 14 a certificate is \
            not accepted, 15 the peer refused otherwise, 16 the peer's name cannot be resolved, 1 anything else.
            """)

    @OptionGroup var control: ControlOptions
    @Argument(help: "The connection.") var name: String
    @Argument(help: "One child of it; without it, all.") var child: String?
    @Option(help: "Seconds to wait at most, 180 if not given; the attempt goes on after them.") var wait: Double?

    func run() async throws {
        try await control.tell(ControlRequest(.up, connection: name, child: child, seconds: wait))
    }
}

struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a connection down and leave it down.",
        discussion: "Its traffic stays blocked until somebody, or the peer, brings it up again.")

    @OptionGroup var control: ControlOptions
    @Argument(help: "The connection, or one of its peers as in \"roadwarrior[3]\".") var name: String
    @Argument(help: "One child of it; without it, all.") var child: String?

    func run() async throws {
        try await control.tell(ControlRequest(.down, connection: name, child: child))
    }
}

struct Rekey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replace keys now: of the IKE SA, of a child or of all children.",
        discussion: "Without a connection, those of all that are up. The rekeys are under way when this returns.")

    @OptionGroup var control: ControlOptions
    @Argument(help: "The connection; without it, all.") var name: String?
    @Argument(help: "One child of it.") var child: String?
    @Flag(help: "All children, and not the IKE SA.") var children = false

    func run() async throws {
        try await control.tell(ControlRequest(.rekey, connection: name, child: child, children: children))
    }
}

struct Redirect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send the peers that have called for a connection to another gateway (RFC 5685).",
        discussion: """
            Peers that have said that they can be redirected set up a tunnel there and leave this one; if they have not left \
            within half a minute, it is deleted. New callers are not affected: see `redirect` in the configuration.
            """)

    @OptionGroup var control: ControlOptions
    @Argument(help: "The connection.") var name: String
    @Argument(help: "The other gateway: an address or a full host name.") var gateway: String

    func run() async throws {
        try await control.tell(ControlRequest(.redirect, connection: name, gateway: gateway))
    }
}

struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let the daemon read its configuration again.",
        discussion: "Only what has changed is disturbed. With a mistake in it, everything stays as it is.")

    @OptionGroup var control: ControlOptions

    func run() async throws { try await control.tell(ControlRequest(.reload)) }
}

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell how a connection's last negotiation went, line by line.",
        discussion: "What was offered, wanted, chosen and refused, and which line of the configuration decided.")

    @OptionGroup var control: ControlOptions
    @Argument(help: "The connection; without it, all of them in brief.") var name: String?

    func run() async throws { try await control.tell(ControlRequest(.explain, connection: name)) }
}

struct SetLogLevel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-level", abstract: "Show or change the daemon's log level.")

    @OptionGroup var control: ControlOptions
    @Argument(help: "trace, debug, info, notice, warning, error or critical; without it, the present one is shown.")
    var level: LogLevel?

    func run() async throws { try await control.tell(ControlRequest(.logLevel, level: level?.rawValue)) }
}

struct Stop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End the daemon, telling peers first.")

    @OptionGroup var control: ControlOptions

    func run() async throws { try await control.tell(ControlRequest(.shutdown)) }
}
