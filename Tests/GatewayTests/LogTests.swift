import Gateway
import Logging
import Testing

@Suite("Log lines")
struct LogTests {
    @Test("A line has time, level, event and fields in the order of their names")
    func line() {
        let line = CompactLogHandler.line(
            .info, "ike-established", ["remote": "192.0.2.2:500", "connection": "office"],
            at: (seconds: 1_700_000_000, milliseconds: 7))
        #expect(line == "2023-11-14T22:13:20.007Z info ike-established connection=office remote=192.0.2.2:500")
    }

    @Test("What a peer says cannot begin a line or a field of its own")
    func escaping() {
        let line = CompactLogHandler.line(
            .warning, "failed", ["peer": "a\nb error x=\"1\" \u{1b}[31m\u{2028}", "empty": ""], at: nil)
        #expect(line == #"<4>failed empty="" peer="a\nb error x=\"1\" \u{1b}[31m\u{2028}""#)
    }

    @Test("A long value is cut")
    func length() {
        let line = CompactLogHandler.line(.info, "event", ["text": "\(String(repeating: "x y", count: 9000))"], at: nil)
        #expect(line.count < 1100)
    }

    @Test("The threshold holds for loggers made before it was changed")
    func threshold() {
        let threshold = LogThreshold(.info)
        let logger = Logger(label: "test") { _ in CompactLogHandler(threshold: threshold) }
        threshold.level = .debug
        #expect(logger.logLevel == .debug)
    }
}
