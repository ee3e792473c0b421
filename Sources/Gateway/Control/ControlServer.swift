import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Whoever carries out requests.
package protocol ControlResponder: Sendable {
    /// Carries out a request; `reply` may be called several times and throws when the client has gone.
    func respond(to request: ControlRequest, reply: @Sendable (ControlReply) async throws -> Void) async throws
}

/// Why the control socket could not be opened.
package struct ControlSocketError: Error {
    package let isPermission: Bool
    package let reason: String
}

/// Serves the control socket. Who may connect is the file's business: mode 0660, root and the configured group.
package final class ControlServer: Sendable {
    private typealias Connection = AcceptedConnection.Connection

    private let path: String
    private let listener: NIOAsyncChannel<AcceptedConnection, Never>
    private let logger: Logger
    /// Clients that are in.
    private let count = Mutex(0)
    /// Who comes when so many are in already is told so and let go.
    package static let clientLimit = 64

    package init(path: String, group: gid_t?, logger: Logger) async throws(ControlSocketError) {
        self.path = path
        self.logger = logger
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            let directory = String(path[..<slash])
            // The daemon's umask would keep the configured group out.
            if mkdir(directory, 0o755) == 0 { chmod(directory, 0o755) }
        }
        guard !ControlClient.isAnswered(path) else {
            throw ControlSocketError(
                isPermission: false,
                reason: "another daemon already answers on \(path); stop it, or give another --socket")
        }
        // The daemon's umask lets no one else in between binding and changing the mode.
        do {
            listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: 16)
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ByteToMessageHandler(ControlLineDecoder(limit: ControlCoding.requestLimit)))
                        return try AcceptedConnection(channel)
                    }
                }
        } catch is UnixDomainSocketPathWrongType {
            throw ControlSocketError(
                isPermission: false,
                reason:
                    "cannot open the control socket \(path): something else has this name, which is left as it is; give another --socket"
            )
        } catch {
            let number = (error as? IOError)?.errnoCode ?? 0
            throw ControlSocketError(
                isPermission: number == EACCES || number == EPERM,
                reason:
                    "cannot open the control socket \(path): \(number == 0 ? "\(error)" : ReferencedFile.reason(number))"
            )
        }
        if let group { chown(path, .max, group) }
        chmod(path, 0o660)
    }

    /// Answers clients until ``stopListening()``; whoever is connected then is let go.
    package func run(_ responder: some ControlResponder) async {
        do {
            try await listener.executeThenClose { clients in
                await withDiscardingTaskGroup { group in
                    do {
                        for try await accepted in clients {
                            group.addTask {
                                let client = accepted.take()
                                let isIn = self.count.withLock { count in
                                    count += 1
                                    return count <= Self.clientLimit
                                }
                                if isIn { await self.serve(client, responder) }
                                // Who is turned away takes nobody's place meanwhile.
                                self.count.withLock { $0 -= 1 }
                                if !isIn { await self.turnAway(client) }
                            }
                        }
                    } catch {
                        if !Task.isCancelled { self.logger.error("control socket failed") }
                    }
                    group.cancelAll()
                }
            }
        } catch {
            logger.error("control socket failed")
        }
        unlink(path)
    }

    /// Lets nobody in any more, which ends ``run(_:)``. Clients that are in already are met first.
    package func stopListening() {
        listener.channel.close(promise: nil)
        unlink(path)
    }

    /// Closes the socket if it is not to be served after all. Who has come already is let go.
    package func close() async {
        stopListening()
        try? await listener.executeThenClose { clients in
            for try await accepted in clients { try? await accepted.take().executeThenClose { _, _ in } }
        }
    }

    private func turnAway(_ client: Connection) async {
        // Who is silent is not waited for.
        let channel = client.channel
        let end = channel.eventLoop.scheduleTask(in: .seconds(5)) { channel.close(promise: nil) }
        defer { end.cancel() }
        try? await client.executeThenClose { requests, replies in
            // Whoever is cut off while it asks does not hear the answer.
            for try await _ in requests {
                let text = "\(Self.clientLimit) clients use the control socket already; try again when one has gone"
                try await replies.write(ControlCoding.line(ControlReply(.failed, lines: [text])))
                break
            }
        }
    }

    private func serve(_ client: Connection, _ responder: some ControlResponder) async {
        // What is carried out for a client that has gone ends, also while there is nothing to tell it.
        let current = Mutex<Task<Void, any Error>?>(nil)
        client.channel.closeFuture.whenComplete { _ in current.withLock { $0?.cancel() } }
        do {
            try await client.executeThenClose { requests, replies in
                for try await line in requests {
                    guard let request = try? ControlCoding.value(ControlRequest.self, from: line) else {
                        try await replies.write(
                            ControlCoding.line(ControlReply(.failed, lines: ["the request cannot be understood"])))
                        continue
                    }
                    let work = Task {
                        try await responder.respond(to: request) { reply in
                            try await replies.write(ControlCoding.line(reply))
                        }
                    }
                    current.withLock { $0 = work }
                    if !client.channel.isActive { work.cancel() }
                    try await withTaskCancellationHandler {
                        try await work.value
                    } onCancel: {
                        work.cancel()
                    }
                }
            }
        } catch {
            logger.debug("control client left early")
        }
    }
}
