import ArgumentParser
import Gateway

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a configuration and report every mistake in it.",
        discussion:
            "Needs no daemon and changes nothing, but must be able to read the secrets: run it as the daemon's user.")

    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The configuration, instead of --config.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @Flag(name: .shortAndLong, help: "Say nothing if all is well.")
    var quiet = false

    func run() throws {
        var options = options
        if let file { options.path = file }
        let configuration = try options.read()
        guard !quiet else { return }
        let children = configuration.connections.map(\.configuration.children.count).reduce(0, +)
        print(
            "\(options.path): no mistakes; \(counted(configuration.connections.count, "connection")), \(counted(children, "child", "children")), \(counted(configuration.policies.count, "policy", "policies"))"
        )
    }

    private func counted(_ number: Int, _ one: String, _ many: String? = nil) -> String {
        "\(number) \(number == 1 ? one : many ?? one + "s")"
    }
}
