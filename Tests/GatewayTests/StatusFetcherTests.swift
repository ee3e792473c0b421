import Credentials
import Gateway
import IPPacket
import NIOCore
import NIOPosix
import Testing

/// How many have come to a server.
private actor Visits {
    private(set) var count = 0
    private var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    func add() {
        count += 1
        for (wanted, continuation) in waiting where wanted <= count { continuation.resume() }
        waiting.removeAll { $0.count <= count }
    }

    /// Waits until so many have come.
    func reached(_ wanted: Int) async {
        guard count < wanted else { return }
        await withCheckedContinuation { waiting.append((wanted, $0)) }
    }
}

/// A server that sends the same octets to everybody, or nothing, and counts who came.
private final class FixedServer: Sendable {
    let port: Int
    private let listener: NIOAsyncChannel<AcceptedConnection, Never>
    private let visits = Visits()

    /// - Parameter answer: what is sent when a request has come; `nil`: nothing, and the connection stays open.
    static func with(_ answer: [UInt8]?, _ body: (Int, Visits) async throws -> Void) async throws -> Int {
        let server = try await FixedServer()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve(answer) }
            try await body(server.port, server.visits)
            server.listener.channel.close(promise: nil)
            try await group.waitForAll()
            return await server.visits.count
        }
    }

    private init() async throws {
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(
            host: "127.0.0.1", port: 0
        ) {
            channel in channel.eventLoop.makeCompletedFuture { try AcceptedConnection(channel) }
        }
        port = listener.channel.localAddress?.port ?? 0
    }

    private func serve(_ answer: [UInt8]?) async throws {
        try await listener.executeThenClose { clients in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for try await client in clients {
                    await visits.add()
                    group.addTask {
                        try? await client.take().executeThenClose { requests, answers in
                            for try await _ in requests {
                                guard let answer else { continue }
                                try await answers.write(ByteBuffer(bytes: answer))
                                return
                            }
                        }
                    }
                }
            }
        }
    }
}

@Suite("Fetching of CRLs and OCSP responses")
struct StatusFetcherTests {
    private static func limits(_ change: (inout StatusFetcher.Limits) -> Void = { _ in }) -> StatusFetcher.Limits {
        var limits = StatusFetcher.Limits()
        limits.allowsPrivateAddresses = true
        // On a busy machine too whatever answers does so before; where nothing does, the test says when the time is over.
        limits.wait = { _ in try await Task.sleep(for: .seconds(60)) }
        change(&limits)
        return limits
    }

    /// What came, or why nothing did.
    private func fetch(_ fetcher: StatusFetcher, _ url: String, body: [UInt8]? = nil) async -> String {
        let answers = await fetcher.answers(to: [StatusRequest(url: url, body: body)])
        switch answers.first?.result {
        case .success(let octets): return String(decoding: octets, as: UTF8.self)
        case .failure(let failure): return "failed: \(failure.reason)"
        case nil: return "nothing"
        }
    }

    private static func http(_ status: String, _ headers: String = "", _ body: String) -> [UInt8] {
        Array("HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    @Test("The body of a good answer is handed over, whether something is got or posted")
    func good() async throws {
        _ = try await FixedServer.with(Self.http("200 OK", "", "a list")) { port, _ in
            let fetcher = StatusFetcher(Self.limits())
            #expect(await fetch(fetcher, "http://127.0.0.1:\(port)/ca.crl") == "a list")
            #expect(await fetch(fetcher, "http://127.0.0.1:\(port)/", body: [1, 2, 3]) == "a list")
        }
    }

    @Test("A server that accepts and says nothing is given up at the deadline, and left alone for a while")
    func silent() async throws {
        let visits = try await FixedServer.with(nil) { port, visits in
            let fetcher = StatusFetcher(Self.limits { $0.wait = { _ in await visits.reached(1) } })
            for _ in 0..<2 {
                #expect(await fetch(fetcher, "http://127.0.0.1:\(port)/") == "failed: no answer within 5s")
            }
        }
        #expect(visits == 1)
    }

    @Test("What is not HTTP, an error, a redirection and an answer that is too long are failures")
    func bad() async throws {
        let cases: [(answer: [UInt8], words: String)] = [
            (Array("SSH-2.0-OpenSSH_9.2\r\n".utf8), "not HTTP"),
            (Self.http("404 Not Found", "", "no"), "answered 404"),
            (Self.http("302 Found", "Location: http://127.0.0.1/other\r\n", ""), "answered 302"),
            (Self.http("200 OK", "", String(repeating: "x", count: 2000)), "longer than 1000"),
            (Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".utf8), "ended the connection"),
        ]
        for (answer, words) in cases {
            _ = try await FixedServer.with(answer) { port, _ in
                let fetcher = StatusFetcher(
                    Self.limits { $0.longest = 1000 })
                let result = await fetch(fetcher, "http://127.0.0.1:\(port)/")
                #expect(result.hasPrefix("failed: ") && result.contains(words), "\(words): \(result)")
            }
        }
    }

    @Test("Nothing connects to addresses that are not public, unless the configuration allows it")
    func privateAddress() async throws {
        let visits = try await FixedServer.with(Self.http("200 OK", "", "secret")) { port, _ in
            let fetcher = StatusFetcher(Self.limits { $0.allowsPrivateAddresses = false })
            for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
                let result = await fetch(fetcher, "http://\(host):\(port)/")
                #expect(result.contains("not public"), "\(host): \(result)")
            }
        }
        #expect(visits == 0)
    }

    @Test("The ranges that are not public")
    func ranges() throws {
        let closed = [
            "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1", "255.255.255.255", "::", "::1", "fd00::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ]
        for text in closed { #expect(!AddressScope.isPublic(try #require(IPAddress(text))), "\(text)") }
        for text in ["9.255.255.255", "11.0.0.0", "172.32.0.0", "8.8.8.8", "2606:4700::1", "64:ff9b::808:808"] {
            #expect(AddressScope.isPublic(try #require(IPAddress(text))), "\(text)")
        }
    }

    @Test("One host gets no more connections at once than it may")
    func perHost() async throws {
        let timeIsOver = Visits()
        let visits = try await FixedServer.with(nil) { port, visits in
            let fetcher = StatusFetcher(
                Self.limits {
                    $0.perHost = 2
                    $0.wait = { _ in await timeIsOver.reached(1) }
                })
            let requests = (0..<5).map { StatusRequest(url: "http://127.0.0.1:\(port)/\($0)", body: nil) }
            async let first = fetcher.answers(to: Array(requests.prefix(2)))
            await visits.reached(2)
            let others = await fetcher.answers(to: Array(requests.dropFirst(2)))
            await timeIsOver.add()
            for (answers, words) in [(others, "too much"), (await first, "no answer")] {
                for answer in answers {
                    guard case .failure(let failure) = answer.result else {
                        Issue.record("\(answer) is no failure")
                        continue
                    }
                    #expect(failure.reason.contains(words))
                }
            }
        }
        #expect(visits == 2)
    }

    @Test("The same is fetched once for all who want it at the same time")
    func shared() async throws {
        let visits = try await FixedServer.with(Self.http("200 OK", "", "a list")) { port, _ in
            let fetcher = StatusFetcher(Self.limits())
            let request = StatusRequest(url: "http://127.0.0.1:\(port)/", body: nil)
            let answers = await fetcher.answers(to: [request, request, request])
            #expect(answers.allSatisfy { (try? $0.result.get()) == Array("a list".utf8) })
        }
        #expect(visits == 1)
    }
}
