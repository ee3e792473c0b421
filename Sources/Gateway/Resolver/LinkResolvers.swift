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
    /// Not in force any more, as it is no longer wanted: a summary of what was.
    case unset(String)
    /// No longer wanted, and could not be taken away: the reason.
    case remaining(String)
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
        /// Whose plan is in force.
        private var holder: (connection: String, plan: ResolverPlan)?
        /// What could not be set since the device was last free, by connection.
        private var failed: [String: ResolverPlan] = [:]
        /// Something of ours may be set although it should not be.
        private var remainder: Remainder?

        private struct Remainder {
            /// What was in force, if it was.
            let holder: (connection: String, plan: ResolverPlan)?
        }

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
            if plan != nil, let holder, holder.connection != connection, failed[connection] == nil {
                await tell(connection, .waiting(for: holder.connection))
            }
        }

        /// What failed does not take the device from a connection that has it.
        mutating func tryAgain() async {
            if holder == nil { failed = [:] }
            await settle()
        }

        mutating func release() async {
            wanted = []
            await settle()
        }

        /// Makes one wish true: the holder's for as long as it has one, else the first that has not failed.
        private mutating func settle() async {
            failed = failed.filter { name, plan in wanted.contains { $0.connection == name && $0.plan == plan } }
            if let holder, !wanted.contains(where: { $0.connection == holder.connection }) {
                self.holder = nil
                failed = [:]
                await revert(holder)
            } else if remainder != nil {
                await revert(nil)
            }
            while remainder == nil, let next = next() {
                guard holder?.plan != next.plan else { return }
                do throws(SubordinateProgram.Failure) {
                    for call in ResolvedCall.apply(next.plan, to: try link()) { try await perform(call) }
                    holder = next
                    return await tell(next.connection, .set)
                } catch {
                    // Half of it is worse than nothing.
                    holder = nil
                    failed[next.connection] = next.plan
                    await revert(nil)
                    await tell(next.connection, .failed(error.reason))
                }
            }
        }

        private func next() -> (connection: String, plan: ResolverPlan)? {
            wanted.first { $0.connection == holder?.connection } ?? wanted.first { failed[$0.connection] == nil }
        }

        /// - Parameter former: what was in force.
        private mutating func revert(_ former: (connection: String, plan: ResolverPlan)?) async {
            let former = former ?? remainder?.holder
            remainder = nil
            do throws(SubordinateProgram.Failure) {
                // With the device its settings are gone.
                if let link = try? link() {
                    for call in ResolvedCall.revert(link) { try await perform(call) }
                }
                if let former { await tell(former.connection, .unset(former.plan.summary)) }
            } catch {
                remainder = Remainder(holder: former)
                if let former { await tell(former.connection, .remaining(error.reason)) }
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
