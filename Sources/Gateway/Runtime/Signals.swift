@preconcurrency import Dispatch
import Glibc

/// Signals of the process as a stream, in place of their usual effect.
enum Signals {
    /// - Returns: the numbers of the signals as they come. The stream is for one reader.
    static func stream(_ numbers: [Int32]) -> AsyncStream<Int32> {
        AsyncStream { continuation in
            let sources = numbers.map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            continuation.onTermination = { _ in
                for source in sources { source.cancel() }
            }
        }
    }
}
