import Foundation
import Gateway
import Glibc
import Logging
import Testing

/// Answers `watch` with three replies, `events` with one that others might follow, and anything else with an outcome.
private struct Responder: ControlResponder {
    func respond(to request: ControlRequest, reply: @Sendable (ControlReply) async throws -> Void) async throws {
        if request.command == .events {
            try await reply(ControlReply(lines: ["waiting"], isLast: false))
            // Nothing ever happens.
            try await Task.sleep(for: .seconds(3600))
        }
        guard request.command == .watch else {
            try await reply(
                ControlReply(.noProposal, lines: ["\(request.command.rawValue) \(request.connection ?? "-")"]))
            return
        }
        for number in 1...3 { try await reply(ControlReply(lines: ["\(number)"], isLast: number == 3)) }
    }
}

/// What a client heard, in order.
private actor Record {
    private(set) var lines: [String] = []
    func add(_ new: [String]) { lines += new }
}

@Suite("Control socket")
struct ControlTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs `body` beside a server on a socket of its own.
    private func withServer(_ body: @Sendable (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "cygnet-\(UUID().uuidString).sock").path
        let server = try await ControlServer(path: path, group: nil, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run(Responder()) }
            try await body(path)
            group.cancelAll()
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test("A request is answered with its outcome")
    func answer() async throws {
        try await withServer { path in
            let reply = try await ControlClient(path: path).perform(ControlRequest(.up, connection: "office"))
            #expect(reply.outcome == .noProposal)
            #expect(reply.lines == ["up office"])
        }
    }

    @Test("Replies that follow one another are handed over as they come")
    func stream() async throws {
        try await withServer { path in
            let record = Record()
            let last = try await ControlClient(path: path).perform(ControlRequest(.watch)) {
                await record.add($0.lines)
            }
            #expect(last.lines == ["3"])
            #expect(await record.lines == ["1", "2", "3"])
        }
    }

    @Test(
        "So many clients are served at once; one more is told so, and served when another has gone",
        .timeLimit(.minutes(5)))
    func limit() async throws {
        try await withServer { path in
            let client = ControlClient(path: path)
            let (begun, began) = AsyncStream<Void>.makeStream()
            var beginnings = begun.makeAsyncIterator()
            var followers: [Task<Void, Never>] = []
            for _ in 0..<ControlServer.clientLimit {
                followers.append(Task { _ = try? await client.perform(ControlRequest(.events)) { _ in began.yield() } })
                _ = await beginnings.next()
            }
            let refused = try await client.perform(ControlRequest(.status))
            #expect(refused.outcome == .failed)
            #expect(refused.lines.first?.contains("64 clients") == true)
            for follower in followers { follower.cancel() }
            // The server ends what it did for clients that have gone.
            while try await client.perform(ControlRequest(.status)).outcome != .noProposal {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    @Test("The socket is for its owner and group only")
    func mode() async throws {
        try await withServer { path in
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o660)
        }
    }

    @Test("A second server on the same socket is refused")
    func second() async throws {
        try await withServer { path in
            await #expect(throws: ControlSocketError.self) {
                _ = try await ControlServer(path: path, group: nil, logger: logger)
            }
        }
    }

    @Test("Clients that have come and that nobody has met are let go when the socket closes", .timeLimit(.minutes(5)))
    func unmet() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "cygnet-\(UUID().uuidString).sock").path
        let server = try await ControlServer(path: path, group: nil, logger: logger)
        let answered = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask { (try? await ControlClient(path: path).perform(ControlRequest(.status))) != nil }
            }
            await Task.yield()
            await server.close()
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(answered == 0)
    }

    @Test("Without a daemon, the client says what to do")
    func notRunning() async throws {
        do {
            try await ControlClient(path: "/nonexistent/control.sock").perform(ControlRequest(.status))
            Issue.record("someone answered")
        } catch {
            #expect(error.outcome == .notRunning)
            #expect(error.reason.contains("cygnet run"))
        }
    }

    @Test("Octets that are no request do not end the server", arguments: ["no request\n", "{}\n", "\n", "\u{1}\u{2}"])
    func nonsense(text: String) async throws {
        try await withServer { path in
            try send(Array(text.utf8), to: path)
            try send([UInt8](repeating: 0x61, count: ControlCoding.requestLimit + 100), to: path)
            let reply = try await ControlClient(path: path).perform(ControlRequest(.status))
            #expect(reply.outcome == .noProposal)
        }
    }

    private func send(_ octets: [UInt8], to path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(connected == 0)
        _ = Glibc.send(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL))
    }

    @Test("Every outcome has an exit status of its own, and wrong usage has another")
    func exitStatuses() {
        let statuses = Outcome.allCases.map(\.exitStatus)
        #expect(Set(statuses).count == statuses.count)
        #expect(!statuses.contains(64))
    }
}
