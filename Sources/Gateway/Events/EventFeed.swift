import Synchronization

/// The events that wait for one reader. What a slow reader has no room for is counted, and told to it as one event.
package final class EventFeed: Sendable {
    /// Events that wait at most.
    package static let limit = 256

    private struct State {
        var waiting: [GatewayEvent] = []
        var lost: UInt64 = 0
        var isFinished = false
    }

    /// Only events of this connection are wanted; `nil`: all.
    private let connection: String?
    private let state = Mutex(State())
    /// Wakes the reader; more than one call is not kept, as it takes all there is.
    private let calls: AsyncStream<Void>
    private let call: AsyncStream<Void>.Continuation

    package init(connection: String? = nil) {
        self.connection = connection
        (calls, call) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Never waits, whatever the reader does.
    package func add(_ event: GatewayEvent) {
        if let connection, event.connection != connection { return }
        state.withLock { state in
            if state.waiting.count < Self.limit { state.waiting.append(event) } else { state.lost += 1 }
        }
        call.yield()
    }

    /// What waits is still read; then ``forEach(_:)`` returns.
    package func finish() {
        state.withLock { $0.isFinished = true }
        call.finish()
    }

    /// Hands events over as they come, until ``finish()``, cancellation, or an error of `body`.
    package func forEach(_ body: (GatewayEvent) async throws -> Void) async throws {
        for await _ in calls { try await handOver(body) }
        try await handOver(body)
    }

    private func handOver(_ body: (GatewayEvent) async throws -> Void) async throws {
        while true {
            let (events, lost) = state.withLock { state in
                defer {
                    state.waiting = []
                    state.lost = 0
                }
                return (state.waiting, state.lost)
            }
            for event in events { try await body(event) }
            if lost > 0, let last = events.last {
                // They came while the others waited to be taken.
                try await body(
                    GatewayEvent(
                        number: 0, time: last.time, name: .lost, connection: connection, fields: ["count": "\(lost)"]))
            }
            if events.isEmpty { return }
        }
    }
}

/// All who follow the daemon.
struct EventHub {
    private var feeds: [ObjectIdentifier: EventFeed] = [:]
    private var count: UInt64 = 0

    mutating func add(_ feed: EventFeed) { feeds[ObjectIdentifier(feed)] = feed }
    mutating func remove(_ feed: EventFeed) { feeds[ObjectIdentifier(feed)] = nil }

    mutating func publish(
        _ name: GatewayEvent.Name, connection: String?, fields: [String: String], at time: @autoclosure () -> String
    ) {
        count += 1
        guard !feeds.isEmpty else { return }
        let event = GatewayEvent(number: count, time: time(), name: name, connection: connection, fields: fields)
        for feed in feeds.values { feed.add(event) }
    }

    var isEmpty: Bool { feeds.isEmpty }

    /// Nothing more comes; who follows takes itself out when it has read the rest.
    func finish() {
        for feed in feeds.values { feed.finish() }
    }
}
