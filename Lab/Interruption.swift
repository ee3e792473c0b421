import Dispatch
import Foundation
import Synchronization

/// Takes the signals by which a person or the system ends a program, until `finish`.
package final class Interruption: @unchecked Sendable {
    private static let signals = [SIGINT, SIGTERM, SIGHUP]
    // Unchecked for this: dispatch sources are thread-safe, but not marked so on Linux. Set once, in `init`.
    private let sources: [any DispatchSourceSignal]
    private let caught = Mutex<Int32?>(nil)

    package init(_ action: @escaping @Sendable () -> Void) {
        sources = Self.signals.map { number in
            Glibc.signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for (number, source) in zip(Self.signals, sources) {
            source.setEventHandler { [weak self] in
                self?.caught.withLock { $0 = number }
                action()
            }
            source.resume()
        }
    }

    /// The signal that came, if any.
    package var signal: Int32? { caught.withLock { $0 } }

    /// Gives the signals their usual effect again.
    package func finish() {
        for source in sources { source.cancel() }
        for number in Self.signals { Glibc.signal(number, SIG_DFL) }
    }
}
