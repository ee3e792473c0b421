import ArgumentParser
import Foundation
import Gateway

struct Leases: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show which peers have addresses of the pools.",
        discussion: """
            A peer that is gone keeps its address until another has to have it: such leases are offline. \
            Exit status: 0 success, 4 no daemon, 5 not permitted.
            """)

    @OptionGroup var control: ControlOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let reply = try await control.perform(ControlRequest(.leases))
        let leases = reply.leases ?? []
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(leases), as: UTF8.self))
        } else if leases.isEmpty {
            print("no address of a pool has been given")
        } else {
            let rows = leases.map {
                [$0.pool, $0.address, $0.state, StatusTable.time($0.since), $0.identity ?? "anonymous"]
            }
            for line in StatusTable.table(["POOL", "ADDRESS", "STATE", "SINCE", "IDENTITY"], rows) { print(line) }
        }
        Terminal.flush()
    }
}
