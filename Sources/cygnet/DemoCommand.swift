import ArgumentParser
import Lab

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Set up two gateways in network namespaces, let them agree on keys and carry packets.",
        discussion: "Touches nothing outside its namespaces and leaves nothing behind. Needs no configuration.")

    func run() async throws {
        let status = await Demo().run()
        guard status == 0 else { throw ExitCode(status) }
    }
}
