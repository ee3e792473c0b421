import CLinux
import Glibc

/// A thread that runs one function to its end.
struct WorkerThread: @unchecked Sendable {
    // `pthread_t` is a number or pointer the C library hands out; it is only ever given back to it.
    private let thread: pthread_t

    private final class Entry {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// - Parameter name: at most 15 octets, seen in `top -H`.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(DataplaneError) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(
            Entry {
                cygnet_name_thread(name)
                body()
            }
        ).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Entry>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, context)
        guard code == 0 else {
            Unmanaged<Entry>.fromOpaque(context).release()
            throw .system(code, "make the thread \(name)")
        }
        self.thread = thread
    }

    func join() { pthread_join(thread, nil) }
}
