import Gateway

/// The data plane as tables for a person: what it is made of and has done, or how fast it goes between two moments.
struct DataplaneTable {
    let lines: [String]

    /// - Parameter before: a report from earlier; rates are those since then. `nil`: all since the daemon began.
    init(_ now: TrafficReport, since before: TrafficReport? = nil) {
        var lines = Self.workers(now, since: before)
        lines += [""] + Self.queues(now, since: before)
        let drops = now.drops.filter { $0.value > before?.drops[$0.key] ?? 0 }.sorted { $0.key < $1.key }
        if let before {
            let seconds = Self.seconds(now, before)
            lines += [""]
            lines.append(
                drops.isEmpty
                    ? "no packet dropped"
                    : "dropped a second: "
                        + drops.map { "\($0.key) \(Self.rate($0.value &- (before.drops[$0.key] ?? 0), seconds))" }
                        .joined(separator: ", "))
        } else {
            let offloads = now.offloads.map { [$0.name, $0.isOn ? "on" : "off", $0.detail] }
            if !offloads.isEmpty { lines += [""] + StatusTable.table(["OFFLOAD", "STATE", ""], offloads) }
            if now.streams != StreamsReport() { lines += ["", Self.streams(now.streams)] }
            if !now.ciphers.isEmpty { lines += ["", "ciphers: " + now.ciphers.joined(separator: ", then ")] }
            lines.append(
                "packets dropped: "
                    + (drops.isEmpty ? "none" : drops.map { "\($0.key) \($0.value)" }.joined(separator: ", ")))
        }
        self.lines = lines
    }

    private static func workers(_ now: TrafficReport, since before: TrafficReport?) -> [String] {
        let rows = now.workers.map { worker in
            let past = before?.workers.first { $0.name == worker.name }
            let seconds = before.map { Self.seconds(now, $0) } ?? 0
            func count(_ path: KeyPath<WorkerReport, UInt64>) -> UInt64 {
                worker[keyPath: path] &- (past?[keyPath: path] ?? 0)
            }
            let processor = count(\.processorTime)
            return [
                worker.name,
                past == nil ? "\(count(\.packetsIn))" : rate(count(\.packetsIn), seconds),
                past == nil ? "\(count(\.packetsOut))" : rate(count(\.packetsOut), seconds),
                past == nil ? StatusTable.octets(count(\.octetsIn)) : bits(count(\.octetsIn), seconds),
                past == nil ? StatusTable.octets(count(\.octetsOut)) : bits(count(\.octetsOut), seconds),
                quotient(count(\.packetsIn), count(\.reads)), quotient(count(\.packetsOut), count(\.writes)),
                past == nil ? "\(count(\.handedOver))" : rate(count(\.handedOver), seconds),
                past == nil
                    ? "\(Double(processor / 100_000) / 10) s"
                    : "\(Int((Double(processor) / 10_000 / max(seconds, 0.001)).rounded())) %",
            ]
        }
        let unit = before == nil ? "" : "/S"
        return StatusTable.table(
            [
                "WORKER", "PACKETS\(unit) IN", "PACKETS\(unit) OUT", before == nil ? "OCTETS IN" : "BIT/S IN",
                before == nil ? "OCTETS OUT" : "BIT/S OUT", "PER READ", "PER WRITE",
                "HANDED OVER\(unit)", "PROCESSOR",
            ], rows)
    }

    private static func streams(_ streams: StreamsReport) -> String {
        let counts = [
            ("open", UInt64(max(streams.open, 0))), ("accepted", streams.accepted), ("opened", streams.opened),
            ("refused", streams.refused), ("given up unproved", streams.expired), ("malformed", streams.malformed),
            ("with TLS", streams.secured), ("resumed", streams.resumed), ("without the TLS wanted", streams.unsecured),
            ("packets in", streams.packetsIn), ("packets out", streams.packetsOut),
        ].filter { $0.1 > 0 }
        return "TCP connections: " + counts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }

    private static func queues(_ now: TrafficReport, since before: TrafficReport?) -> [String] {
        StatusTable.table(
            ["QUEUE", "WAITING", before == nil ? "LOST" : "LOST/S"],
            now.queues.map { queue in
                let past = before?.queues.first { $0.name == queue.name }
                return [
                    queue.name, queue.waiting.map(StatusTable.octets) ?? "–",
                    before.map { rate(queue.dropped &- (past?.dropped ?? 0), seconds(now, $0)) } ?? "\(queue.dropped)",
                ]
            })
    }

    private static func seconds(_ now: TrafficReport, _ before: TrafficReport) -> Double {
        max(Double(now.readAt &- before.readAt) / 1000, 0.001)
    }

    private static func rate(_ count: UInt64, _ seconds: Double) -> String {
        "\(Int((Double(count) / seconds).rounded()))"
    }

    private static func bits(_ octets: UInt64, _ seconds: Double) -> String {
        let rate = Double(octets) * 8 / seconds
        return switch rate {
        case ..<10_000: "\(Int(rate)) "
        case ..<10_000_000: "\(Int(rate / 1000)) k"
        case ..<10_000_000_000: "\(Int(rate / 1_000_000)) M"
        default: "\(Double(Int(rate / 100_000_000)) / 10) G"
        }
    }

    private static func quotient(_ count: UInt64, _ calls: UInt64) -> String {
        calls == 0 ? "–" : "\(Double(Int(Double(count) / Double(calls) * 10)) / 10)"
    }
}
