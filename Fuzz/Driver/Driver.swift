import Foundation
import FuzzTargets

/// libFuzzer's own main function, with what it is to call for each input. It ends the process.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ takeIn: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// `cygnet-fuzz list`, `cygnet-fuzz seed TARGET DIRECTORY`, or `cygnet-fuzz TARGET` and libFuzzer's arguments.
@main
enum Driver {
    static func main() async throws {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "list": print(FuzzTarget.all.map(\.name).joined(separator: "\n"))
        case "seed" where arguments.count == 4: try await seed(arguments[2], arguments[3])
        // libFuzzer begins this program anew to merge corpora, with its own arguments only.
        case let option? where option.hasPrefix("-"): try fuzz(environment(variable) ?? option, arguments)
        case let name?:
            setenv(variable, name, 1)
            try fuzz(name, [arguments[0]] + arguments.dropFirst(2))
        case nil: throw Usage(description: "list, seed TARGET DIRECTORY, or TARGET and libFuzzer's arguments")
        }
    }

    private static let variable = "CYGNET_FUZZ_TARGET"

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private struct Usage: Error, CustomStringConvertible { let description: String }

    private static func target(_ name: String) throws -> FuzzTarget {
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            throw Usage(description: "there is no target \(name)")
        }
        return target
    }

    private static func seed(_ name: String, _ directory: String) async throws {
        for (index, octets) in try await target(name).seeds().enumerated() {
            try Data(octets).write(to: URL(fileURLWithPath: "\(directory)/seed-\(index)"))
        }
    }

    private static func fuzz(_ name: String, _ given: [String]) throws {
        let target = try target(name)
        Current.target = target
        var arguments = given
        if !arguments.contains(where: { $0.hasPrefix("-max_len=") }) {
            arguments.insert("-max_len=\(target.longest)", at: 1)
        }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var count = Int32(arguments.count)
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            guard var start = buffer.baseAddress else { return 1 as Int32 }
            return runFuzzer(&count, &start) { octets, count in
                Current.takeIn(Array(UnsafeBufferPointer(start: octets, count: count)))
                return 0
            }
        }
        exit(status)
    }
}

/// What is being fuzzed. libFuzzer has one thread and waits for each input.
private enum Current {
    nonisolated(unsafe) static var target: FuzzTarget?

    static func takeIn(_ octets: [UInt8]) {
        guard let target else { return }
        let isDone = DispatchSemaphore(value: 0)
        Task.detached {
            do {
                try await target.run(octets)
            } catch {
                fatalError("\(target.name): \(error)")
            }
            isDone.signal()
        }
        isDone.wait()
    }
}
