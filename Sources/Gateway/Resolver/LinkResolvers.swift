import Glibc
import IKE

/// What has become of the resolvers of one connection.
package enum ResolverState: Equatable, Sendable {
    /// Only shown, as the configuration says.
    case shown
    /// In force.
    case set
    /// Not in force yet, or not any more: another connection has the device.
    case waiting(for: String)
    case failed(String)
    /// There is nothing that could be set.
    case nothing
}

/// Sets the resolvers of one network device, of one connection at a time: systemd-resolved keeps settings by device, and the
/// domains of one peer are no business of another's resolvers (RFC 8598 section 9).
///
/// Wishes are fulfilled one after the other, away from the caller, in the order in which they are uttered.
package final class LinkResolvers: Sendable {
    /// Executes one call.
    package typealias Perform = @Sendable (ResolvedCall) async throws(SubordinateProgram.Failure) -> Void

    private enum Wish: Sendable {
        case want(connection: String, ResolverPlan?)
        case tryAgain
        case release(CheckedContinuation<Void, Never>)
    }

    private let wishes: AsyncStream<Wish>.Continuation

    /// - Parameters:
    ///   - device: the name of the tunnel device.
    ///   - tell: is told what has become of a connection's resolvers.
    package init(
        device: String, perform: @escaping Perform,
        tell: @escaping @Sendable (_ connection: String, ResolverState) async -> Void
    ) {
        let (stream, wishes) = AsyncStream<Wish>.makeStream()
        self.wishes = wishes
        Task {
            var link = Link(device: device, perform: perform, tell: tell)
            for await wish in stream {
                switch wish {
                case .want(let connection, let plan): await link.change(connection, plan)
                case .tryAgain: await link.tryAgain()
                case .release(let continuation):
                    await link.release()
                    continuation.resume()
                }
            }
        }
    }

    deinit { wishes.finish() }

    /// Sets what the plan says as soon as the device is free; `nil`: the connection has no resolvers any more.
    package func want(_ plan: ResolverPlan?, of connection: String) {
        wishes.yield(.want(connection: connection, plan))
    }

    /// Tries again what has failed.
    package func tryAgain() { wishes.yield(.tryAgain) }

    /// Takes away what is set, and returns when that is done, or after `limit`.
    package func release(atMost limit: Duration = .seconds(60)) async {
        let (ends, end) = AsyncStream<Void>.makeStream()
        Task {
            await withCheckedContinuation { continuation in
                if case .enqueued = wishes.yield(.release(continuation)) { return }
                continuation.resume()
            }
            end.finish()
        }
        let timer = Task {
            try await Task.sleep(for: limit)
            end.finish()
        }
        for await _ in ends {}
        timer.cancel()
    }

    private struct Link {
        let device: String
        let perform: Perform
        let tell: @Sendable (String, ResolverState) async -> Void
        /// In the order in which they came.
        private var wanted: [(connection: String, plan: ResolverPlan)] = []
        /// Whose plan is in force, or was to be and could not.
        private var holder: (connection: String, plan: ResolverPlan, isSet: Bool)?

        init(
            device: String, perform: @escaping Perform, tell: @escaping @Sendable (String, ResolverState) async -> Void
        ) {
            self.device = device
            self.perform = perform
            self.tell = tell
        }

        mutating func change(_ connection: String, _ plan: ResolverPlan?) async {
            if let index = wanted.firstIndex(where: { $0.connection == connection }) {
                if let plan { wanted[index].plan = plan } else { wanted.remove(at: index) }
            } else if let plan {
                wanted.append((connection, plan))
            }
            await settle()
            if plan != nil, let holder, holder.connection != connection {
                await tell(connection, .waiting(for: holder.connection))
            }
        }

        mutating func tryAgain() async {
            guard let holder, !holder.isSet else { return }
            self.holder = nil
            await settle()
        }

        mutating func release() async {
            wanted = []
            await settle()
        }

        /// Makes the first wish of all true.
        private mutating func settle() async {
            let first = wanted.first
            if let holder, let first, holder.connection == first.connection, holder.plan == first.plan { return }
            if let holder, holder.isSet, first == nil || holder.connection != first?.connection { await revert() }
            holder = nil
            guard let first else { return }
            do throws(SubordinateProgram.Failure) {
                for call in ResolvedCall.apply(first.plan, to: try link()) { try await perform(call) }
                holder = (first.connection, first.plan, true)
                await tell(first.connection, .set)
            } catch {
                holder = (first.connection, first.plan, false)
                // Half of it is worse than nothing.
                await revert()
                await tell(first.connection, .failed(error.reason))
            }
        }

        private func revert() async {
            guard let link = try? link() else { return }
            do throws(SubordinateProgram.Failure) {
                for call in ResolvedCall.revert(link) { try await perform(call) }
            } catch {
                // It goes with the device at the latest.
                return
            }
        }

        private func link() throws(SubordinateProgram.Failure) -> Int32 {
            let index = if_nametoindex(device)
            guard index > 0 else { throw SubordinateProgram.Failure(reason: "there is no device \(device)") }
            return Int32(clamping: index)
        }
    }
}

extension LinkResolvers {
    /// Has `busctl` make the calls, which is part of systemd.
    package static func busctl(path: String? = nil) -> Perform {
        { call throws(SubordinateProgram.Failure) in
            let places = path.map { [$0] } ?? ["/usr/bin/busctl", "/bin/busctl"]
            guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
                throw SubordinateProgram.Failure(
                    reason: "\(places[0]) is missing, by which systemd-resolved is told; install systemd")
            }
            // Where the bus is may be told to the daemon; nothing else of its environment is passed on.
            var environment = ["LANG": "C.UTF-8"]
            if let address = getenv("DBUS_SYSTEM_BUS_ADDRESS") {
                environment["DBUS_SYSTEM_BUS_ADDRESS"] = String(cString: address)
            }
            try await SubordinateProgram(path: found, environment: environment).run(
                call.arguments, deadline: .seconds(ResolvedCall.timeout + 2))
        }
    }
}
