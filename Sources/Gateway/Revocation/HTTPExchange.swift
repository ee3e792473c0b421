import IPPacket
import NIOCore
import NIOHTTP1
import NIOPosix
import Octets

/// One request and one answer over a connection of its own.
enum HTTPExchange {
    /// Addresses that are tried one after the other.
    private static let addressLimit = 3

    /// Sends the request; `promise` gets the body of the answer, or why there is none. When somebody else has ended it, the
    /// connection is closed.
    ///
    /// - Parameter body: an OCSP request to be posted; `nil` to get something.
    static func run(
        _ target: HTTPTarget, body: [UInt8]?, at addresses: [IPAddress], longest: Int, timeout: Duration,
        _ promise: EventLoopPromise<[UInt8]>
    ) async throws {
        let bootstrap = ClientBootstrap(group: promise.futureResult.eventLoop)
            .connectTimeout(.nanoseconds(timeout.wholeNanoseconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(HTTPAnswerCollector(promise, longest: longest))
                }
            }
        var connected: (any Channel)?
        var last: any Error = StatusFetcher.Failure(reason: "it has no address")
        for address in addresses.prefix(addressLimit) where connected == nil {
            do {
                let remote = try NIOCore.SocketAddress(ipAddress: "\(address)", port: target.port)
                connected = try await bootstrap.connect(to: remote).get()
            } catch {
                last = error
            }
        }
        guard let channel = connected else { throw last }
        promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
        var head = HTTPRequestHead(version: .http1_1, method: body == nil ? .GET : .POST, uri: target.uri)
        head.headers.add(name: "Host", value: target.authority)
        head.headers.add(name: "Connection", value: "close")
        head.headers.add(name: "User-Agent", value: "cygnet")
        if let body {
            head.headers.add(name: "Content-Type", value: "application/ocsp-request")
            head.headers.add(name: "Content-Length", value: "\(body.count)")
        }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
        try await channel.writeAndFlush(HTTPClientRequestPart.end(nil)).get()
    }
}

/// Gathers the body of an answer, up to a limit.
private final class HTTPAnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<[UInt8]>
    private let longest: Int
    private var octets: [UInt8] = []

    init(_ promise: EventLoopPromise<[UInt8]>, longest: Int) {
        self.promise = promise
        self.longest = longest
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if head.status != .ok { fail("the server answered \(head.status.code)", context) }
        case .body(let part):
            guard octets.count + part.readableBytes <= longest else {
                return fail("the answer is longer than \(longest) octets", context)
            }
            octets.append(contentsOf: part.readableBytesView)
        case .end:
            promise.succeed(octets)
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(StatusFetcher.Failure(reason: "the server ended the connection without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    private func fail(_ reason: String, _ context: ChannelHandlerContext) {
        promise.fail(StatusFetcher.Failure(reason: reason))
        context.close(promise: nil)
    }
}
