import Glibc
import Logging
import Synchronization

/// Writes one line for each event to standard error: time, level, event, then `key=value` pairs.
///
/// Everything that came from outside is escaped, so that no peer can begin a line of its own. Under systemd the time is
/// left to the journal and the level goes in front in the journal's own way.
public struct CompactLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    private let threshold: LogThreshold
    private let forJournal: Bool

    public init(threshold: LogThreshold, forJournal: Bool = getenv("JOURNAL_STREAM") != nil) {
        self.threshold = threshold
        self.forJournal = forJournal
    }

    /// The level that holds for the whole process.
    public var logLevel: Logger.Level {
        get { threshold.level }
        set { threshold.level = newValue }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let fields = event.metadata.map { metadata.merging($0) { _, new in new } } ?? metadata
        var octets = Array(
            Self.line(event.level, "\(event.message)", fields, at: forJournal ? nil : Self.wallClock()).utf8)
        octets.append(UInt8(ascii: "\n"))
        // One write for one line, so that lines of several threads do not mix.
        _ = octets.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The line without its end. Without a time the level is given as the journal's priority.
    package static func line(
        _ level: Logger.Level, _ event: String, _ fields: Logger.Metadata, at time: (seconds: Int, milliseconds: Int)?
    ) -> String {
        var line = time.map { "\(timestamp($0)) \(level.rawValue) " } ?? "<\(priority(level))>"
        line += escaped(event)
        return line + text(of: fields.mapValues { "\($0)" })
    }

    /// ` key=value` for each, in the order of the keys.
    static func text(of fields: [String: String]) -> String {
        fields.sorted { $0.key < $1.key }.map { " \(escaped($0.key))=\(field($0.value))" }.joined()
    }

    /// A value as it is if it is one plain word, else between quotation marks.
    private static func field(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                $0.value > 0x20 && $0.value < 0x7f && $0 != "\"" && $0 != "\\" && $0 != "="
            }
        return isPlain ? text : quoted(text, limit: 1000)
    }

    private static func escaped(_ text: String) -> String {
        String(quoted(text, limit: 1000).dropFirst().dropLast())
    }

    private static func wallClock() -> (seconds: Int, milliseconds: Int) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return (now.tv_sec, now.tv_nsec / 1_000_000)
    }

    /// RFC 3339 in UTC.
    static func timestamp(_ time: (seconds: Int, milliseconds: Int)) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let fraction = String(repeating: "0", count: max(0, 3 - "\(time.milliseconds)".count)) + "\(time.milliseconds)"
        return
            "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

/// The least level that is logged, shared by all loggers of the process so that it can be changed at run time.
public final class LogThreshold: Sendable {
    private let storage: Mutex<Logger.Level>

    public init(_ level: Logger.Level) { storage = Mutex(level) }

    public var level: Logger.Level {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }
}
