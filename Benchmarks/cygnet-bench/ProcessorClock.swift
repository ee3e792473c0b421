import Foundation

/// Time the processor has spent on us, which others on the machine do not add to.
enum ProcessorClock {
    /// Nanoseconds the calling thread has run.
    @inline(__always)
    static func thread() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// Nanoseconds since an arbitrary moment, whoever had the processor.
    static func wall() -> Int64 { read(CLOCK_MONOTONIC) }

    @inline(__always)
    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// What one reading of ``thread()`` costs, in nanoseconds: a part of every interval between two.
    static let cost: Double = {
        let count = 20_000
        let begin = thread()
        for _ in 0..<count { _ = thread() }
        return Double(thread() - begin) / Double(count)
    }()
}

extension Array<Double> {
    /// The middle one in order of size; 0 of none.
    var median: Double {
        guard !isEmpty else { return 0 }
        let sorted = sorted()
        return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2
    }
}
