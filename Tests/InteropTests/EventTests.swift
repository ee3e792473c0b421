import Foundation
import Gateway
import Lab
import Testing

extension Interoperability {
    @Suite("Events", .serialized)
    struct Events {
        @Test(
            "`cygnet events` tells how a tunnel with strongSwan comes, goes, and how the daemon ends",
            .timeLimit(.minutes(1)))
        func course() async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: .left) { encounter in
                let file = "\(encounter.laboratory.directory)/events"
                let follower = try encounter.cygnet.followEvents(["--json", TunnelPlan.connection], file: file)
                @Sendable func events() throws -> [GatewayEvent] {
                    try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
                        try JSONDecoder().decode(GatewayEvent.self, from: Data($0.utf8))
                    }
                }
                // Whether it follows already cannot be seen: it is asked to follow something that happens again and again.
                try await encounter.wait(for: "the first event") {
                    _ = try await encounter.cygnet.up()
                    _ = try await encounter.cygnet.down()
                    return try !events().isEmpty
                }
                let before = try events().count
                try await encounter.initiate()
                try await encounter.cygnet.down().orThrow()
                #expect(await encounter.cygnet.stop()?.isSuccess == true)
                #expect(await follower.wait() == .exited(0))
                let course = try events().dropFirst(before)
                #expect(course.allSatisfy { $0.connection == TunnelPlan.connection })
                #expect(zip(course, course.dropFirst()).allSatisfy { $0.number < $1.number })
                let words = course.map { $0.fields["state"] ?? $0.name }
                let expected = [
                    "connecting", "ike-established", "child-established", "up", "child-closed", "ike-closed", "idle",
                ]
                var rest = words[...]
                for word in expected {
                    let place = rest.firstIndex(of: word)
                    #expect(place != nil, "\(word) in \(words)")
                    rest = rest.dropFirst(place.map { $0 - rest.startIndex + 1 } ?? 0)
                }
            }
        }

        @Test(
            "A stranger's call that is refused does not end the wait for our own, nor hides how that went",
            .timeLimit(.minutes(1)))
        func stranger() async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                // What right sends arrives, with proposals nobody wants; left's own calls do not.
                let rules = """
                    table inet lab {
                        chain oneway {
                            type filter hook forward priority 0
                            iifname "left" udp sport 500 udp dport 500 meta length > 150 drop
                        }
                    }

                    """
                try await topology.router.run(["nft", "-f", "-"], input: rules).orThrow()
                let retransmission = "retransmission: { first: 200ms, factor: 1.5, limit: 1s, tries: 4 }"
                let left = try CygnetDaemon(
                    at: .left, of: topology, plan: TunnelPlan(), extraLines: [retransmission])
                var other = TunnelPlan()
                other.encryption = .aes256sha256
                let right = try CygnetDaemon(
                    at: .right, of: topology, plan: other, start: "boot",
                    extraLines: ["retry: { first: 100ms, limit: 100ms }"])
                try await left.start()
                try await right.start()
                let result = try await left.up()
                let explanation = try await left.explain()
                #expect(result.status == .exited(10), "\(result.complaint)\n\(explanation)")
                let course = explanation.split(separator: "Callers refused").first ?? ""
                #expect(course.contains("IKE SA") && course.contains("as initiator"), "\(explanation)")
                #expect(explanation.contains("Callers refused"), "\(explanation)")
                let lines = left.log.split(separator: "\n").filter { $0.contains("caller-refused") }
                // Five in ten seconds, and the wait has lasted less than twenty.
                #expect((1...10).contains(lines.count), "\(left.log)")
            }
            #expect(Laboratory.leftovers().isEmpty)
        }
    }
}
