import Glibc
import NIOCore
import NIOPosix

/// The other end of the control socket.
public struct ControlClient: Sendable {
    /// Why no answer came.
    public struct Failure: Error, Sendable {
        public let outcome: Outcome
        public let reason: String
    }

    private let path: String

    public init(path: String) { self.path = path }

    /// Sends a request and hands over the replies as they come; the last is also returned.
    @discardableResult
    public func perform(
        _ request: ControlRequest, each: @Sendable (ControlReply) async -> Void = { _ in }
    ) async throws(Failure) -> ControlReply {
        let channel = try await connect()
        do {
            return try await channel.executeThenClose { lines, requests in
                try await requests.write(ControlCoding.line(request))
                for try await line in lines {
                    let reply = try ControlCoding.value(ControlReply.self, from: line)
                    await each(reply)
                    if reply.isLast { return reply }
                }
                throw Failure(outcome: .notRunning, reason: "the daemon ended before it answered")
            }
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(outcome: .failed, reason: "the conversation with the daemon on \(path) broke off")
        }
    }

    private func connect() async throws(Failure) -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        do {
            return try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ByteToMessageHandler(ControlLineDecoder(limit: ControlCoding.replyLimit)))
                        return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            switch (error as? IOError)?.errnoCode ?? 0 {
            case ENOENT, ECONNREFUSED:
                throw Failure(
                    outcome: .notRunning,
                    reason:
                        "no daemon answers on \(path); start it with `systemctl start cygnet` or `cygnet run`, or name its socket with --socket"
                )
            case EACCES, EPERM:
                throw Failure(
                    outcome: .notPermitted,
                    reason:
                        "no permission to use \(path); run the command with sudo, or as a member of the group named by daemon.control.group"
                )
            case let number:
                throw Failure(outcome: .failed, reason: "cannot connect to \(path): \(ReferencedFile.reason(number))")
            }
        }
    }

    /// Whether someone accepts connections on the socket.
    package static func isAnswered(_ path: String) -> Bool {
        guard var address = sockaddr_un(path: path) else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
