import Foundation
import Gateway
import IKE
import IPPacket
import Synchronization
import Testing

@Suite("Telling systemd-resolved")
struct LinkResolversTests {
    private static func plan(
        _ servers: [(String, UInt16?, String?)] = [("10.2.0.53", nil, nil)], for domains: [String] = ["corp.example"]
    ) -> ResolverPlan {
        var plan = ResolverPlan(use: .resolved)
        plan.servers = servers.compactMap { server in
            IPAddress(server.0).map { .init($0, port: server.1, name: server.2) }
        }
        plan.domains = domains
        return plan
    }

    /// Calls that were made, and what was told of them.
    private final class Record: Sendable {
        private let lines = Mutex<[String]>([])
        private let failing = Mutex<Set<String>>([])

        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        func setFailing(_ methods: Set<String>) { failing.withLock { $0 = methods } }
        func isFailing(_ method: String) -> Bool { failing.withLock { $0.contains(method) } }

        func resolvers(of device: String = "lo") -> LinkResolvers {
            LinkResolvers(device: device) { call throws(SubordinateProgram.Failure) in
                let method = call.arguments[8]
                self.add(method)
                if self.isFailing(method) { throw SubordinateProgram.Failure(reason: "no") }
            } tell: { connection, state in
                self.add("\(connection): \(state)")
            }
        }
    }

    private static let set = [
        "SetLinkDefaultRoute", "SetLinkDomains", "SetLinkDNSEx", "SetLinkDNSOverTLS", "FlushCaches",
    ]
    private static let revert = ["RevertLink", "FlushCaches"]

    private static func unset(_ connection: String, _ plan: ResolverPlan = plan()) -> String {
        "\(connection): unset(\"\(plan.summary)\")"
    }

    @Test(
        "What a program could take for an option is no domain", arguments: ["-Hx.corp.example", "-h", "a.-b.example"])
    func options(_ name: String) {
        #expect(!DomainName.isDomain(name))
        #expect(DomainName.isDomain("_sip.a-b.example"))
    }

    @Test(
        "Each call has busctl's arguments, nothing of them an option or for a shell, and TLS is on before servers are set"
    )
    func arguments() {
        let plan = Self.plan(
            [("10.2.0.53", 8853, "a.example.org"), ("2001:db8::1", nil, "b.example.org")], for: ["x.org", "."])
        let calls = ResolvedCall.apply(plan, to: 7).map { Array($0.arguments.dropFirst(8)) }
        #expect(
            calls == [
                ["SetLinkDNSOverTLS", "is", "7", "yes"], ["SetLinkDefaultRoute", "ib", "7", "true"],
                ["SetLinkDomains", "ia(sb)", "7", "2", "x.org", "true", ".", "true"],
                [
                    "SetLinkDNSEx", "ia(iayqs)", "7", "2", "2", "4", "10", "2", "0", "53", "8853", "a.example.org",
                    "10",
                    "16", "32", "1", "13", "184", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "1", "0",
                    "b.example.org",
                ],
                ["FlushCaches"],
            ])
        #expect(
            ResolvedCall.apply(plan, to: 7).first?.arguments.prefix(8) == [
                "--system", "--quiet", "--timeout=4", "--", "call", "org.freedesktop.resolve1",
                "/org/freedesktop/resolve1",
                "org.freedesktop.resolve1.Manager",
            ])
        let plain = ResolvedCall.apply(Self.plan(), to: 7).map { Array($0.arguments.dropFirst(10)) }
        #expect(plain[0] == ["7", "false"] && plain[3] == ["7", "no"])
        #expect(plain[2] == ["7", "1", "2", "4", "10", "2", "0", "53", "0", ""])
    }

    @Test("What is wanted is set once, and taken away when it is wanted no more")
    func lifetime() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan(), of: "a")
        resolvers.want(Self.plan(), of: "a")
        resolvers.want(nil, of: "a")
        resolvers.want(nil, of: "a")
        await resolvers.release()
        #expect(record.all == Self.set + ["a: set"] + Self.revert + [Self.unset("a")])
    }

    @Test("Whatever is set is taken away at the end")
    func release() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan(), of: "a")
        await resolvers.release()
        await resolvers.release()
        #expect(record.all == Self.set + ["a: set"] + Self.revert + [Self.unset("a")])
    }

    @Test("Who ends does not wait for a service that never answers")
    func silentService() async {
        let resolvers = LinkResolvers(device: "lo") { _ throws(SubordinateProgram.Failure) in
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
        } tell: { _, _ in
        }
        resolvers.want(Self.plan(), of: "a")
        await resolvers.release(atMost: .milliseconds(50))
    }

    @Test("A device has the resolvers of one connection at a time; the next has its turn when that ends")
    func turns() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan(), of: "a")
        resolvers.want(Self.plan(for: ["x.org"]), of: "b")
        resolvers.want(nil, of: "a")
        await resolvers.release()
        #expect(
            record.all == Self.set + ["a: set", "b: waiting(for: \"a\")"] + Self.revert + [Self.unset("a")] + Self.set
                + ["b: set"] + Self.revert + [Self.unset("b", Self.plan(for: ["x.org"]))])
    }

    @Test("A changed plan is set in place of the one before")
    func change() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan(), of: "a")
        resolvers.want(Self.plan(for: ["x.org"]), of: "a")
        await resolvers.release()
        #expect(
            record.all == Self.set + ["a: set"] + Self.set + ["a: set"] + Self.revert
                + [Self.unset("a", Self.plan(for: ["x.org"]))])
    }

    @Test("When a plan without TLS follows one with it, no server is asked in clear that was to be asked by TLS")
    func withoutTLSAfterwards() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan([("10.2.0.53", nil, "a.example.org")]), of: "a")
        resolvers.want(Self.plan(), of: "a")
        await resolvers.release()
        let methods = record.all.filter { $0 == "SetLinkDNSEx" || $0 == "SetLinkDNSOverTLS" }
        #expect(methods == ["SetLinkDNSOverTLS", "SetLinkDNSEx", "SetLinkDNSEx", "SetLinkDNSOverTLS"])
    }

    @Test(
        "What cannot be taken away is told of, tried again before anything else is set, and told to be gone when it is")
    func remaining() async {
        let record = Record()
        let resolvers = record.resolvers()
        resolvers.want(Self.plan(), of: "a")
        await Self.wait { record.all.contains("a: set") }
        record.setFailing(["RevertLink"])
        resolvers.want(nil, of: "a")
        resolvers.want(Self.plan(for: ["x.org"]), of: "b")
        await Self.wait { record.all.count { $0 == "RevertLink" } >= 2 }
        #expect(record.all.contains("a: remaining(\"no\")"))
        #expect(!record.all.contains { $0.hasPrefix("a: unset") || $0 == "b: set" })
        record.setFailing([])
        resolvers.tryAgain()
        await Self.wait { record.all.contains("b: set") }
        let told = record.all.filter { $0.hasPrefix("a: unset") || $0 == "b: set" }
        #expect(told == [Self.unset("a"), "b: set"])
    }

    @Test("A connection whose resolvers cannot be set keeps no other from the device, and does not take it back")
    func failureOfOne() async {
        let record = Record()
        let resolvers = record.resolvers()
        record.setFailing(["SetLinkDNSOverTLS"])
        resolvers.want(Self.plan(), of: "a")
        await Self.wait { record.all.contains { $0.hasPrefix("a: failed") } }
        record.setFailing([])
        resolvers.want(Self.plan(for: ["x.org"]), of: "b")
        resolvers.tryAgain()
        resolvers.want(nil, of: "b")
        await resolvers.release()
        let told = record.all.filter { $0.contains(":") }
        #expect(
            told == [
                "a: failed(\"no\")", "b: set", Self.unset("b", Self.plan(for: ["x.org"])), "a: set", Self.unset("a"),
            ])
    }

    @Test("Where a call fails nothing of the rest stays, and it is tried again when asked to")
    func failure() async {
        let record = Record()
        let resolvers = record.resolvers()
        record.setFailing(["SetLinkDomains"])
        resolvers.want(Self.plan(), of: "a")
        // Nothing is under way afterwards.
        await Self.wait { record.all.contains { $0.hasPrefix("a: failed") } }
        #expect(record.all == Array(Self.set.prefix(2)) + Self.revert + ["a: failed(\"no\")"])
        record.setFailing([])
        resolvers.tryAgain()
        resolvers.tryAgain()
        await resolvers.release()
        #expect(Array(record.all.dropFirst(5)) == Self.set + ["a: set"] + Self.revert + [Self.unset("a")])
    }

    @Test("Without the device nothing is called")
    func noDevice() async {
        let record = Record()
        let resolvers = record.resolvers(of: "not-there")
        resolvers.want(Self.plan(), of: "a")
        await resolvers.release()
        #expect(record.all == ["a: failed(\"there is no device not-there\")"])
    }

    @Test("A missing busctl is named")
    func missingProgram() async {
        await #expect {
            try await LinkResolvers.busctl(path: "/nonexistent/busctl")(.flushCaches)
        } throws: { error in
            (error as? SubordinateProgram.Failure)?.reason.contains("/nonexistent/busctl is missing") == true
        }
    }

    // MARK: Programs

    private static func shell(_ text: String, deadline: Duration = .seconds(20)) async throws(SubordinateProgram
        .Failure)
    {
        try await SubordinateProgram(path: "/bin/sh", environment: ["A": "b"]).run(["-c", text], deadline: deadline)
    }

    @Test("A program sees the environment it is given and no other, and nothing is interpreted in its arguments")
    func environment() async throws {
        try await Self.shell("test \"$A\" = b -a -z \"$HOME\" -a \"$0\" = /bin/sh")
        let program = SubordinateProgram(path: "/usr/bin/test", environment: [:])
        try await program.run(["$(id) `id`; # *", "=", "$(id) `id`; # *"], deadline: .seconds(20))
    }

    @Test("What a program that fails says is the reason; one that says nothing is named by its status")
    func complaints() async {
        await #expect(throws: SubordinateProgram.Failure.self) { try await Self.shell("exit 3") }
        await #expect {
            try await Self.shell("echo one >&2; echo two >&2; head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")
        } throws: { error in
            guard let reason = (error as? SubordinateProgram.Failure)?.reason else { return false }
            return reason.hasPrefix("one two") && reason.utf8.count <= 4096
        }
    }

    @Test("A program that does not end is killed")
    func deadline() async {
        await #expect {
            try await Self.shell("exec sleep 1000", deadline: .milliseconds(200))
        } throws: { error in
            (error as? SubordinateProgram.Failure)?.reason.contains("no answer within") == true
        }
    }

    @Test("So is one that has closed its standard error")
    func silentDeadline() async {
        await #expect {
            try await Self.shell("exec 2>&-; exec sleep 1000", deadline: .milliseconds(200))
        } throws: { error in
            (error as? SubordinateProgram.Failure)?.reason.contains("no answer within") == true
        }
    }

    private static func wait(for condition: () -> Bool) async {
        for _ in 0..<2000 where !condition() { try? await Task.sleep(for: .milliseconds(5)) }
    }
}
