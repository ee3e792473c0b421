import ArgumentParser
import Foundation
import Gateway

struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell what happens, as it happens, until interrupted.",
        discussion: "One line for each event; docs/events.md lists them. It ends when the daemon does.")

    @OptionGroup var control: ControlOptions
    @Argument(help: "A connection; without it, everything is told.") var name: String?
    @Flag(help: "Print JSON, one object on each line.") var json = false

    func run() async throws {
        let reply = try await control.perform(ControlRequest(.events, connection: name)) { [self] reply in
            guard let event = reply.event else { return }
            show(event)
        }
        for line in reply.lines { Terminal.complain(line) }
        guard reply.outcome == .success else { throw reply.outcome.exitCode }
    }

    private func show(_ event: GatewayEvent) {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            if let text = try? encoder.encode(event) { print(String(decoding: text, as: UTF8.self)) }
        } else {
            print(event.line)
        }
        Terminal.flush()
    }
}
