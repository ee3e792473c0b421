import Foundation
import Gateway
import IKE
import Octets
import Testing

@Suite("Events")
struct EventTests {
    private func event(_ number: Int, connection: String? = "office") -> GatewayEvent {
        GatewayEvent(
            number: UInt64(number), time: "2026-11-03T10:15:30.123Z", name: .peerDead, connection: connection,
            fields: [:])
    }

    /// What a reader of the feed hears when nothing more comes.
    private func heard(_ feed: EventFeed) async throws -> [GatewayEvent] {
        feed.finish()
        var events: [GatewayEvent] = []
        try await feed.forEach { events.append($0) }
        return events
    }

    private static func text(_ path: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The words between backticks with which the rows below a heading begin.
    private static func rows(below heading: String) throws -> [String] {
        let section = try text("docs/events.md").split(separator: "\n## \(heading)\n")[1].split(separator: "\n## ")[0]
        return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map {
            String($0.split(separator: "`")[1])
        }
    }

    @Test("The manual lists every event, and no other")
    func names() throws {
        #expect(try Self.rows(below: "Names") == GatewayEvent.Name.allCases.map(\.rawValue))
    }

    @Test("The manual lists every state of a connection, and no other")
    func states() throws {
        #expect(try Self.rows(below: "States") == ConnectionStatus.State.allCases.map(\.rawValue))
    }

    @Test("The manual lists every cause of a refusal")
    func causes() throws {
        let manual = try Self.text("docs/events.md")
        for cause in Refusal.Cause.allCases { #expect(manual.contains("`\(cause.rawValue)`"), "\(cause)") }
    }

    @Test("An event that a newer daemon tells of is read all the same")
    func unknown() throws {
        let text = #"{"fields":{"a":"b"},"name":"not-known-here","number":1,"time":"T"}"#
        let event = try JSONDecoder().decode(GatewayEvent.self, from: Data(text.utf8))
        #expect(event.line == "T not-known-here a=b")
    }

    @Test("A reader that is too slow loses the newest events and is told how many")
    func slow() async throws {
        let feed = EventFeed()
        for number in 1...EventFeed.limit + 7 { feed.add(event(number)) }
        let events = try await heard(feed)
        #expect(events.count == EventFeed.limit + 1)
        #expect(events.dropLast().map(\.number) == (1...UInt64(EventFeed.limit)).map(\.self))
        #expect(events.last?.name == "lost")
        #expect(events.last?.fields == ["count": "7"])
    }

    @Test("At the limit nothing is lost")
    func full() async throws {
        let feed = EventFeed()
        for number in 1...EventFeed.limit { feed.add(event(number)) }
        #expect(try await heard(feed).allSatisfy { $0.name != "lost" })
    }

    @Test("A reader that asks for one connection hears of no other")
    func filter() async throws {
        let feed = EventFeed(connection: "office")
        feed.add(event(1))
        feed.add(event(2, connection: "home"))
        feed.add(event(3, connection: nil))
        feed.add(event(4))
        #expect(try await heard(feed).map(\.number) == [1, 4])
    }

    @Test("A reader that is cancelled stops waiting")
    func cancelled() async throws {
        let feed = EventFeed()
        let reader = Task { try await feed.forEach { _ in } }
        reader.cancel()
        try await reader.value
    }

    @Test("What a peer says begins no line and no field of its own")
    func text() {
        let event = GatewayEvent(
            number: 1, time: "T", name: .ikeWarning, connection: "office", fields: ["text": "a\nb connection=other"])
        #expect(event.line == #"T ike-warning connection=office text="a\nb connection=other""#)
    }

    @Test("Of many refused callers few are told of, and the rest are counted")
    func callers() {
        var log = CallerLog()
        let told = (0..<100).count { _ in log.admit(at: .origin).isTold }
        #expect(told == CallerLog.limit)
        let next = log.admit(at: .origin + CallerLog.window)
        #expect(next.isTold && next.passedOver == 100 - UInt64(CallerLog.limit))
        #expect(log.admit(at: .origin + CallerLog.window).passedOver == 0)
    }
}
