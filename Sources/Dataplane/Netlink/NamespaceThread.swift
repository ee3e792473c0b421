import CLinux
import Glibc

/// Runs work in another network namespace. A namespace belongs to a thread, so the work gets a thread of its own; what it
/// opens stays in that namespace.
enum NamespaceThread {
    /// Runs `body` in the namespace at `path`, or right here if there is none, and waits for it.
    static func run<Value>(
        in path: String?, _ body: () throws(DataplaneError) -> Value
    ) throws(DataplaneError) -> Value {
        guard let path else { return try body() }
        var result: Result<Value, DataplaneError> = .failure(DataplaneError(.system, "cannot make a thread"))
        try withoutActuallyEscaping(body) { (body) throws(DataplaneError) in
            let work = {
                let code = cygnet_set_network_namespace(path)
                guard code == 0 else {
                    result = .failure(.system(-code, "enter the network namespace \(path)"))
                    return
                }
                do throws(DataplaneError) {
                    result = .success(try body())
                } catch {
                    result = .failure(error)
                }
            }
            // The thread is joined before `work` and what it captures go out of scope.
            nonisolated(unsafe) let handedOver = work
            try WorkerThread(name: "cygnet-netns") { handedOver() }.join()
        }
        return try result.get()
    }
}
