import Credentials
import Foundation
import IPPacket
import NIOCore
import NIOHTTP1
import NIOPosix
import Octets

/// Fetches CRLs and OCSP responses by HTTP, within limits that no certificate can stretch.
///
/// Each fetch ends by a deadline, whatever the other side does or leaves undone; redirections are not followed, so that the
/// address that is asked is the one that was checked.
package actor StatusFetcher {
    package struct Limits: Sendable {
        package var timeout: Duration = .seconds(5)
        package var allowsPrivateAddresses = false
        /// Fetches under way at once, in all and from one host.
        package var total = 16
        package var perHost = 4
        /// What could not be fetched is not tried again for so long.
        package var pause: Duration = .seconds(30)
        /// Octets of an answer.
        package var longest = StatusDocument.longest
        /// Lets the timeout pass; throws if it is cancelled before.
        package var wait: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

        package init() {}

        init(_ settings: RevocationSettings) {
            timeout = settings.timeout
            allowsPrivateAddresses = settings.allowsPrivateAddresses
        }
    }

    /// Why nothing came, as part of a sentence.
    struct Failure: Error, Sendable { let reason: String }

    private var limits: Limits
    private var underWay: [StatusRequest: EventLoopFuture<[UInt8]>] = [:]
    private var hosts: [String: Int] = [:]
    private var failed: [StatusRequest: (until: ContinuousClock.Instant, reason: String)] = [:]
    /// Names being looked up: the system's resolver cannot be stopped.
    private var lookUps = 0

    private static let failureLimit = 256
    private static let lookUpLimit = 8

    package init(_ limits: Limits) { self.limits = limits }

    func change(_ limits: Limits) {
        self.limits = limits
        failed = [:]
    }

    /// Fetches all at once.
    package func answers(to requests: [StatusRequest]) async -> [StatusAnswer] {
        await withTaskGroup(of: StatusAnswer.self) { group in
            for request in requests { group.addTask { await self.answer(to: request) } }
            var answers: [StatusAnswer] = []
            for await answer in group { answers.append(answer) }
            return answers
        }
    }

    private func answer(to request: StatusRequest) async -> StatusAnswer {
        do {
            return StatusAnswer(to: request, octets: try await fetch(request).get())
        } catch {
            let reason = (error as? Failure)?.reason ?? Self.text(of: error)
            return StatusAnswer(to: request, failure: reason)
        }
    }

    private static func text(of error: any Error) -> String {
        switch error {
        case let error as IOError: ReferencedFile.reason(error.errnoCode)
        case is ChannelError, is NIOConnectionError: "it cannot be connected to"
        case HTTPParserError.invalidEOFState: "the server ended the connection within its answer"
        default: "the answer is not HTTP"
        }
    }

    /// The fetch of this request that is under way, or a new one.
    private func fetch(_ request: StatusRequest) -> EventLoopFuture<[UInt8]> {
        if let same = underWay[request] { return same }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        func refuse(_ reason: String) -> EventLoopFuture<[UInt8]> { loop.makeFailedFuture(Failure(reason: reason)) }
        if let earlier = failed[request], earlier.until > .now { return refuse(earlier.reason) }
        guard let target = HTTPTarget(request.url) else { return refuse("it is not an http URL") }
        guard underWay.count < limits.total, hosts[target.host, default: 0] < limits.perHost else {
            return refuse("too much is being fetched already")
        }
        let promise = loop.makePromise(of: [UInt8].self)
        let timeout = limits.timeout
        let deadline = Task { [wait = limits.wait] in
            guard (try? await wait(timeout)) != nil else { return }
            promise.fail(Failure(reason: "no answer within \(MeasureSyntax.describe(timeout))"))
        }
        underWay[request] = promise.futureResult
        hosts[target.host, default: 0] += 1
        Task { await self.begin(request, target, promise) }
        promise.futureResult.whenComplete { result in
            deadline.cancel()
            Task { await self.ended(request, target.host, result) }
        }
        return promise.futureResult
    }

    private func ended(_ request: StatusRequest, _ host: String, _ result: Result<[UInt8], any Error>) {
        underWay[request] = nil
        hosts[host, default: 1] -= 1
        if hosts[host] == 0 { hosts[host] = nil }
        guard case .failure(let error) = result else {
            failed[request] = nil
            return
        }
        failed = failed.filter { $0.value.until > .now }
        guard failed.count < Self.failureLimit else { return }
        failed[request] = (.now + limits.pause, (error as? Failure)?.reason ?? Self.text(of: error))
    }

    private func begin(_ request: StatusRequest, _ target: HTTPTarget, _ promise: EventLoopPromise<[UInt8]>) async {
        do {
            let addresses = try await addresses(of: target.host)
            let allowed = limits.allowsPrivateAddresses ? addresses : addresses.filter(AddressScope.isPublic)
            guard !allowed.isEmpty else {
                let all = addresses.map(\.description).joined(separator: ", ")
                throw Failure(
                    reason: addresses.isEmpty
                        ? "\(target.host) has no address"
                        : "\(all) is not public, and daemon.revocation.private-addresses is not set")
            }
            try await HTTPExchange.run(
                target, body: request.body, at: allowed, longest: limits.longest, timeout: limits.timeout, promise)
        } catch {
            promise.fail(error)
        }
    }

    private func addresses(of host: String) async throws(Failure) -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        guard lookUps < Self.lookUpLimit else { throw Failure(reason: "too many names are being looked up") }
        lookUps += 1
        defer { lookUps -= 1 }
        return await HostResolver.addresses(of: host)
    }
}

/// What an `http` URL leads to.
struct HTTPTarget: Sendable {
    /// A name, or an address without brackets.
    let host: String
    let port: Int
    /// Path and query.
    let uri: String

    /// `nil` for other schemes, for user names, and for what is no URL.
    init?(_ url: String) {
        guard let parts = URLComponents(string: url), parts.scheme?.lowercased() == "http", parts.user == nil,
            parts.password == nil, let host = parts.host, !host.isEmpty, host.utf8.count <= 255
        else { return nil }
        self.host = (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host).lowercased()
        port = parts.port ?? 80
        guard (1...65535).contains(port) else { return nil }
        let path = parts.percentEncodedPath
        uri = (path.hasPrefix("/") ? path : "/" + path) + (parts.percentEncodedQuery.map { "?\($0)" } ?? "")
    }

    /// As the Host field has it (RFC 9110 section 7.2).
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == 80 ? name : "\(name):\(port)"
    }
}
