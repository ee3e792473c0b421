import Glibc
import Octets

/// The clocks of this host: one that only goes forward, also while the host sleeps, and the wall's.
struct GatewayClock: Sendable {
    /// What the wall clock, as it goes now, read at ``Instant/origin``, in nanoseconds since 1970. It changes when the wall
    /// clock is set, by hand or by NTP: timers do not mind, certificates are then judged by the new time.
    var originInUnixTime: Int64 { Self.read(CLOCK_REALTIME) - Self.read(CLOCK_BOOTTIME) }

    var now: Instant { Instant(nanoseconds: Self.read(CLOCK_BOOTTIME)) }

    /// The date and time of an instant, in UTC.
    func date(of instant: Instant) -> String {
        let unix = originInUnixTime + instant.nanoseconds
        return CompactLogHandler.timestamp(
            (seconds: Int(unix / 1_000_000_000), milliseconds: Int(unix % 1_000_000_000 / 1_000_000)))
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
