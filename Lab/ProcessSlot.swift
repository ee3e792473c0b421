import Synchronization

/// Holds the present process of a daemon that is started more than once.
final class ProcessSlot: Sendable {
    private let process = Mutex<ChildProcess?>(nil)

    func get() -> ChildProcess? { process.withLock { $0 } }
    func set(_ new: ChildProcess) { process.withLock { $0 = new } }
}
