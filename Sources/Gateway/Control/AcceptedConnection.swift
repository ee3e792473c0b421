import NIOCore
import Synchronization

/// A connection that somebody has made and that nobody has taken over yet.
///
/// NIO ends the process where a channel of this kind is let go without having been executed. A listener that closes does that
/// with those whom it has accepted and not handed over; here they are closed instead.
package final class AcceptedConnection: Sendable {
    package typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private let connection: Connection
    private let isTaken = Mutex(false)

    /// Call it on the channel's event loop.
    package init(_ channel: any Channel) throws {
        connection = try Connection(wrappingChannelSynchronously: channel)
    }

    /// The connection, which the caller executes.
    package func take() -> Connection {
        isTaken.withLock { $0 = true }
        return connection
    }

    deinit {
        guard !isTaken.withLock({ $0 }) else { return }
        Task { [connection] in try? await connection.executeThenClose { _, _ in } }
    }
}
