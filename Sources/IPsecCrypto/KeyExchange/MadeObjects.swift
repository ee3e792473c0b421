import Synchronization

/// What libcrypto makes once for each method of key exchange, and all of the process share.
///
/// Only what could be made is kept: where memory was short once, the next caller tries again.
struct MadeObjects<Value: Sendable>: ~Copyable, Sendable {
    private let made = Mutex<[KeyExchangeMethod: Value]>([:])
    private let make: @Sendable (KeyExchangeMethod) -> Value?

    init(_ make: @escaping @Sendable (KeyExchangeMethod) -> Value?) {
        self.make = make
    }

    /// - Throws: `failure` where it cannot be made.
    func named(_ method: KeyExchangeMethod, orThrow failure: CryptoError) throws(CryptoError) -> Value {
        let value = made.withLock { made -> Value? in
            if let value = made[method] { return value }
            let value = make(method)
            made[method] = value
            return value
        }
        guard let value else { throw failure }
        return value
    }
}
