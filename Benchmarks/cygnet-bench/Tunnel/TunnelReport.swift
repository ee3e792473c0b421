/// The tables of `cygnet-bench tunnel`.
struct TunnelReport {
    let series: [MeasureSeries]
    let command: String
    let length: RunLength
    let rounds: Int

    func report(_ output: OutputOptions) -> Report {
        var parts: [Report.Part] = [
            .commands([
                "Benchmarks/fetch-wireguard-go", "Benchmarks/fetch-wireguard-go bookworm", output.command(command),
            ]),
            .text(method),
            .table(goals),
        ]
        for one in series {
            parts.append(.text(one.measure.title.prefix(1).uppercased() + one.measure.title.dropFirst() + ":"))
            parts.append(.table(figures(one)))
            for carrier in one.absent { parts.append(.text("\(carrier.name) took no part: it is not there.")) }
            for failure in one.failures { parts.append(.text("Failed: \(failure)")) }
        }
        return Report(title: "Through the tunnel", parts: parts)
    }

    private var method: String {
        """
        From the left host over both gateways and the router to the right host, all on this machine: every part shares its \
        processors. Medians of \(rounds) run\(rounds == 1 ? "" : "s"), of faults the most, the carriers of a measure in turn, each run with namespaces \
        of its own. Before it, with nothing started, the right host cannot be reached; after it, the counters of the tunnel \
        device at both ends have to hold all octets delivered. Cygnet has ESP in UDP and AES-256-GCM where nothing else is said, \
        strongSwan AES-256-GCM, wireguard-go ChaCha20-Poly1305. TCP is iperf3 for \(length.seconds) s; processor seconds are those \
        of both daemons, user and system. UDP is a sender with `sendmmsg` and a sink that knows each datagram by its number; \
        the rate without loss is the highest found by halving, in steps of \(length.stepSeconds.text(1)) s, with at most \
        \((LosslessSearch.tolerance * 100).text(1)) % lost. Sizes are those of IP packets.
        """
    }

    private var goals: [[String]] {
        var rows = [["Measure", "Carried by", "Goal", "Reached", "Met"]]
        for one in series {
            for goal in one.measure.goals where one.carriers.contains(goal.carrier) || one.absent.contains(goal.carrier)
            {
                let reached = goal.reached(one.summary)
                let met = reached.map { goal.isMet(by: $0) ? "yes" : "no" } ?? "–"
                let digits = goal.reference == nil ? 0 : 2
                rows.append([
                    one.measure.title, goal.carrier.name, goal.text, reached?.text(digits) ?? "not measured", met,
                ])
            }
        }
        return rows
    }

    private func figures(_ one: MeasureSeries) -> [[String]] {
        let present = Quantity.allCases.filter { quantity in
            one.carriers.contains { carrier in
                let values = one.values(carrier, quantity)
                // That nothing was rekeyed need not be told.
                return quantity == .rekeys ? values.contains { $0 > 0 } : !values.isEmpty
            }
        }
        var head = ["Carried by"]
        for quantity in present {
            head += quantity.hasRange ? [quantity.heading, "Lowest to highest"] : [quantity.heading]
        }
        return [head]
            + one.carriers.map { carrier in
                var row = [carrier.name]
                for quantity in present {
                    let values = one.values(carrier, quantity)
                    row.append(quantity.summary(values).map(quantity.text) ?? "–")
                    guard quantity.hasRange else { continue }
                    let ends = [values.min(), values.max()].compactMap { $0.map(quantity.text) }
                    row.append(ends.isEmpty ? "–" : ends.joined(separator: " – "))
                }
                return row
            }
    }
}
