import IKE
import IKEMessage
import Octets

/// Goes through all orders in which a few exchanges of two gateways can cross (RFC 7296 sections 2.8 and 2.25), one after the
/// other and none twice.
///
/// At each point there is a choice: which datagram on its way arrives next, whether one is lost, whether a side begins the next
/// of its exchanges, or, while there is one still to be begun, whether time passes until something is due. Depth first: a run is
/// a list of choices, and the next run differs in the last choice that has an alternative.
public struct CollisionExplorer {
    /// What a side does.
    public enum Act: String, Sendable, CaseIterable {
        case rekeyChild, rekeyIKE, deleteChild, deleteIKE, createChild, reauthenticate

        var removesChild: Bool { self == .deleteChild || self == .deleteIKE }
    }

    /// Which form rekeys have that change nothing.
    public enum Form: Sendable {
        case regular
        /// Both sides can do draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt.
        case optimized
        /// Left asks in that form first, is refused, and goes on in the regular form.
        case refused
    }

    /// Something that went wrong, with all that is needed to see it again.
    public struct Failure: Sendable {
        public let choices: [Int]
        public let complaints: [String]
        /// The messages, and what else happened, in order.
        public let trace: [String]
    }

    /// What each side does, in this order.
    public let left: [Act]
    public let right: [Act]
    public let seed: UInt64
    public let form: Form
    /// How many datagrams are lost at most.
    public let losses: Int
    public private(set) var runs = 0
    public private(set) var exchanges = 0
    /// Negotiations, of either side, in which a rekey had the optimized form.
    public private(set) var optimizedRekeys = 0
    public private(set) var failures: [Failure] = []
    /// All orders have been gone through.
    public private(set) var isComplete = false
    private var choices: [Int] = []

    public init(left: [Act], right: [Act], seed: UInt64, losses: Int = 0, form: Form = .regular) {
        self.form = form
        self.left = left
        self.right = right
        self.seed = seed
        self.losses = losses
    }

    /// Goes through up to `limit` further orders; stops at the third failure.
    ///
    /// Depth first, what is left out for lack of time would all be early choices. So, unless that reaches the end, the second half
    /// of the runs are choices drawn at random.
    public mutating func explore(atMost limit: Int) async {
        var left = limit
        while left > 0, !isComplete, failures.count < 3 {
            left -= 1
            if left >= limit / 2 {
                let run = await attempt(choices, random: nil)
                guard let last = run.taken.lastIndex(where: { $0.choice + 1 < $0.alternatives }) else {
                    isComplete = true
                    return
                }
                choices = run.taken[..<last].map(\.choice) + [run.taken[last].choice + 1]
            } else {
                _ = await attempt([], random: SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(left)))
            }
        }
    }

    private mutating func attempt(_ choices: [Int], random: SeededGenerator?) async -> Run {
        let run = await run(choices, random: random, isTraced: false)
        runs += 1
        exchanges += run.exchanges
        optimizedRekeys += run.optimizedRekeys
        if !run.complaints.isEmpty {
            let taken = run.taken.map(\.choice)
            let traced = await self.run(taken, random: nil, isTraced: true)
            failures.append(Failure(choices: taken, complaints: run.complaints, trace: traced.trace))
        }
        return run
    }

    // MARK: One run

    private struct Run {
        var taken: [(choice: Int, alternatives: Int)] = []
        var complaints: [String] = []
        var trace: [String] = []
        var exchanges = 0
        var optimizedRekeys = 0
    }

    private enum Choice {
        case deliver(Int)
        case begin(isLeft: Bool)
        case wait
        case lose(Int)
    }

    private func run(_ prefix: [Int], random: SeededGenerator?, isTraced: Bool) async -> Run {
        var random = random
        var run = Run()
        let form = form
        let change: (inout ConnectionConfiguration) -> Void = { connection in
            connection.optimizedRekey = form != .regular
            var extra = connection.children[0]
            extra.name = "extra"
            extra.policyID = 2
            extra.start = StartPolicy.none
            let (ours, theirs) = (Pair.selector("10.3.0.0/16"), Pair.selector("10.4.0.0/16"))
            let isLeft = connection.origin.file == "left.yaml"
            extra.localSelectors = isLeft ? ours : theirs
            extra.remoteSelectors = isLeft ? theirs : ours
            connection.children.append(extra)
            connection.timing.livenessInterval = nil
            // Long enough that nothing but what is explored happens.
            connection.timing.rekeyAfter = .seconds(90_000)
        }
        let pair = await Pair(
            seed: seed,
            prepare: {
                $0.isRehearsing = true
                $0.audits = true
            }, left: change, right: change, endpoint: { $0.exportsKeys = isTraced || form == .refused })
        let world = pair.world
        _ = await world.run(atMost: .seconds(5)) { pair.isUp }
        await world.run(for: .seconds(1))
        if form != .regular {
            // The first rekey of a child made in IKE_AUTH is a regular one.
            await perform(.rekeyChild, "left", pair)
            await world.run(for: .seconds(6))
        }
        if form == .refused { pair.spoilOptimizedRekeysOfLeft() }
        let begun = world.sent.count
        world.delivers = false
        var (left, right, losses) = (left[...], right[...], losses)
        let mayInterrupt = (self.left + self.right).contains { $0.removesChild || $0 == .reauthenticate }
        func watch() {
            if !mayInterrupt, run.complaints.isEmpty, !pair.carries {
                run.complaints.append("\(world.now): no traffic")
            }
        }
        while !(world.waiting.isEmpty && left.isEmpty && right.isEmpty), run.taken.count < 200 {
            let waiting = world.waiting
            var open: [Choice] = waiting.map { .deliver($0.serial) }
            if !left.isEmpty { open.append(.begin(isLeft: true)) }
            if !right.isEmpty { open.append(.begin(isLeft: false)) }
            // What follows in a while, such as the deletion of an old pair, may cross what is begun then.
            let isSoon = world.nextInstant.map { $0 - world.now <= .seconds(3) } ?? false
            if waiting.isEmpty, isSoon { open.append(.wait) }
            if losses > 0 { open += waiting.map { .lose($0.serial) } }
            var choice = run.taken.count < prefix.count ? min(prefix[run.taken.count], open.count - 1) : 0
            if var generator = random {
                choice = Int.random(in: 0..<open.count, using: &generator)
                random = generator
            }
            run.taken.append((choice, open.count))
            switch open[choice] {
            case .deliver(let serial):
                if isTraced { note("arrives", serial, pair, &run) }
                await world.deliver(serial)
            case .begin(let isLeft):
                let act = (isLeft ? left.popFirst() : right.popFirst()) ?? .rekeyChild
                if isTraced { run.trace.append("\(world.now): \(isLeft ? "left" : "right") begins \(act.rawValue)") }
                await perform(act, isLeft ? "left" : "right", pair)
            case .wait:
                if isTraced { run.trace.append("\(world.now): time passes") }
                _ = await world.step(until: .init(nanoseconds: .max))
            case .lose(let serial):
                losses -= 1
                if isTraced { note("is lost", serial, pair, &run) }
                world.lose(serial)
            }
            watch()
        }
        world.delivers = true
        if isTraced { run.trace.append("\(world.now): no more choices") }
        let end = world.now + .seconds(45)
        while await world.step(until: end) { watch() }
        if isTraced {
            run.trace += world.sent[begun...].map { "sent: " + pair.words(for: $0) }
        }
        judge(pair, &run)
        run.complaints += await pair.leavings()
        run.complaints += pair.faults
        run.exchanges = world.exchangeCount
        run.optimizedRekeys = (pair.left.narratives + pair.right.narratives).count { narrative in
            narrative.lines.contains { $0.text.contains("N(OPTIMIZED_REKEY)") }
        }
        return run
    }

    private func note(_ what: String, _ serial: Int, _ pair: Pair, _ run: inout Run) {
        guard let waiting = pair.world.waiting.first(where: { $0.serial == serial }) else { return }
        run.trace.append("\(pair.world.now): \(what): \(pair.words(for: waiting.datagram))")
    }

    private func perform(_ act: Act, _ name: String, _ pair: Pair) async {
        await pair.world.act(name) { endpoint, now in
            switch act {
            case .rekeyChild: try? endpoint.rekey("site", child: "net", at: now)
            case .rekeyIKE: try? endpoint.rekey("site", at: now)
            case .deleteChild: try? endpoint.terminate("site", child: "net", at: now)
            case .deleteIKE: try? endpoint.terminate("site", at: now)
            case .createChild: try? endpoint.initiate("site", child: "extra", at: now)
            case .reauthenticate: endpoint.reauthenticate("site", at: now)
            }
        }
    }

    /// Both sides have the same, and packets pass unless the tunnel was taken down.
    private func judge(_ pair: Pair, _ run: inout Run) {
        let (left, right) = (pair.left.endpoint.survey("site"), pair.right.endpoint.survey("site"))
        func say(_ text: String) { run.complaints.append("\(text): \(pair.summary)") }
        if left.count > 1 || right.count > 1 { say("more than one IKE SA") }
        if Set(left.map(\.localSPI)) != Set(right.map(\.remoteSPI)) { return say("the sides have different IKE SAs") }
        let ours = Set(left.flatMap(\.children).map { [$0.inboundSPI, $0.outboundSPI] })
        let theirs = Set(right.flatMap(\.children).map { [$0.outboundSPI, $0.inboundSPI] })
        if ours != theirs { say("the sides have different children") }
        // Left keeps "net" up, unless a person has taken it down there.
        if !pair.carries, !self.left.contains(where: \.removesChild) { say("the tunnel is not back") }
    }
}

extension Pair {
    /// Changes left's requests for optimized rekeys so that they are refused.
    fileprivate func spoilOptimizedRekeysOfLeft() {
        let (wiretap, address) = (wiretap, left.address)
        let type = CodePoints().notify(.optimizedRekey)
        world.tap = { datagram in
            guard datagram.local.address == address, let payloads = wiretap.payloads(of: datagram.octets) else {
                return [datagram]
            }
            var reader = OctetReader(datagram.octets)
            var isChanged = false
            let changed = payloads.map { payload -> Payload in
                guard case .notify(var notify) = payload, notify.type == type else { return payload }
                isChanged = true
                notify.data.append(0)
                return .notify(notify)
            }
            guard isChanged, let header = try? IKEHeader(parsing: &reader), !header.flags.contains(.response),
                let octets = wiretap.seal(header, changed, iv: 1 << 40 + UInt64(header.messageID))
            else { return [datagram] }
            return [
                IKEDatagram(
                    octets: octets, local: datagram.local, remote: datagram.remote,
                    nonESPMarker: datagram.nonESPMarker)
            ]
        }
    }

    /// A message in a few words, as far as keys are exported.
    public func words(for datagram: IKEDatagram) -> String {
        var reader = OctetReader(datagram.octets)
        guard let header = try? IKEHeader(parsing: &reader) else { return "what cannot be read" }
        let payloads =
            wiretap.payloads(of: datagram.octets)?.map { payload in
                switch payload {
                case .notify(let notify): "N(\(notify.type))"
                case .delete(let delete): "D(\(delete.protocolID), \(delete.spis.map(\.hexadecimal)))"
                default: "\(payload.type)"
                }
            }.joined(separator: ", ") ?? "sealed"
        let isFromLeft = datagram.local.address == left.address
        return "\(isFromLeft ? "left" : "right"): \(header.exchangeType) "
            + "\(header.flags.contains(.response) ? "response" : "request") \(header.messageID) of "
            + "\(String(header.initiatorSPI, radix: 16)): \(payloads)"
    }
}

extension CollisionExplorer {
    /// All sequences of up to so many acts, divided between the two sides in all ways; each side's act at least one.
    public static func sets(upTo count: Int) -> [(left: [Act], right: [Act])] {
        var sequences: [[[Act]]] = [[[]]]
        for length in 1...max(1, count) {
            sequences.append(sequences[length - 1].flatMap { sequence in Act.allCases.map { sequence + [$0] } })
        }
        var sets: [(left: [Act], right: [Act])] = []
        for total in 2...max(2, count) {
            for length in 1..<total {
                for left in sequences[length] { for right in sequences[total - length] { sets.append((left, right)) } }
            }
        }
        return sets
    }
}
