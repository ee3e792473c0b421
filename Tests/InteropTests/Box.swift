import Synchronization

/// Brings a value out of a concurrent closure.
final class Box<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
    func get() -> Value { value.withLock { $0 } }
    func update(_ change: (inout Value) -> Void) { value.withLock { change(&$0) } }
    func set(_ new: Value) { value.withLock { $0 = new } }
}
