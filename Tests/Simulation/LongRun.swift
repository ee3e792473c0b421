import IKE
import Octets

/// One pair for years: it rekeys, loses one datagram in twenty, is behind a NAT that forgets, and each side is restarted in turn,
/// one a day. Nothing may be missing for longer than the timers explain, and nothing may pile up.
public struct LongRun {
    public let seed: UInt64
    public private(set) var complaints: [String] = []
    public private(set) var hours = 0
    public private(set) var exchanges = 0
    public private(set) var tally = Tally()
    /// Interruptions of traffic: how many, and for how long altogether.
    public private(set) var outages = 0
    public private(set) var timeOut: Duration = .zero
    private var random: SeededGenerator

    public init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed &* 0x9e6c_63d0_876a_68ee)
    }

    /// Lets so many hours pass; `progress` is told after each day and says whether to go on.
    public mutating func run(hours total: Int, progress: (LongRun) -> Bool = { _ in true }) async {
        let nat = NAT(outside: "203.0.113.5")
        let change: (inout ConnectionConfiguration) -> Void = { connection in
            connection.timing.livenessInterval = Self.livenessInterval
            connection.children[0].lifetime.rekeyAfter = .seconds(3600)
        }
        var conditions = NetworkConditions(loss: 0.05, duplication: 0.01, delay: .milliseconds(1) ... .milliseconds(80))
        conditions.reportLoss = 0.01
        var pair = await Pair(
            seed: seed, conditions: conditions, behind: nat,
            prepare: { world in
                world.isRehearsing = true
                world.historyLimit = 64
            }, left: change, right: change)
        let world = pair.world
        var outage = Outage(now: world.now, limit: Self.afterRestart)
        var beganAt: Instant? = world.now
        var size = 0
        while hours < total {
            let end = world.now + .seconds(3600)
            // At a time of its own in each hour the NAT forgets its mappings.
            let rebindAt = world.now + .seconds(Double.random(in: 0..<3600, using: &random))
            var isRebound = false
            while await world.step(until: end) {
                if !isRebound, world.now >= rebindAt {
                    isRebound = true
                    await world.rebind(nat)
                }
                let carries = pair.carries
                if carries, let began = beganAt {
                    outages += 1
                    timeOut += world.now - began
                    beganAt = nil
                } else if !carries, beganAt == nil {
                    beganAt = world.now
                }
                if let gap = outage.note(carries: carries, at: world.now) {
                    complaints.append("no traffic for \(gap) until \(world.now)")
                    complaints += [pair.left, pair.right].map { "\($0.name): \($0.recentEvents)" }
                }
                if outage.isOver { outage.limit = Self.usual }
            }
            hours += 1
            guard hours % 24 == 0 else { continue }
            // Once a day tables are looked through, and one side crashes.
            complaints += pair.left.endpoint.audit().map { "\(world.now): left: \($0)" }
            complaints += pair.right.endpoint.audit().map { "\(world.now): right: \($0)" }
            complaints += world.faults + pair.left.faults + pair.right.faults
            size = max(
                size,
                pair.left.endpoint.saCount + pair.left.endpoint.childSPICount + pair.right.endpoint.saCount
                    + pair.right.endpoint.childSPICount)
            if size > 24 { complaints.append("\(size) SAs and SPIs are kept for one connection") }
            exchanges = world.exchangeCount
            let isLeft = hours / 24 % 2 == 0
            tally += (isLeft ? pair.left : pair.right).tally
            if outage.isOver { beganAt = world.now }
            outage.expect(Self.afterRestart, at: world.now)
            pair = await pair.restarted(left: isLeft, after: .seconds(Double.random(in: 0...60, using: &random)))
            guard complaints.isEmpty, progress(self) else { break }
        }
        tally += pair.left.tally
        tally += pair.right.tally
        exchanges = world.exchangeCount
        world.conditions = NetworkConditions()
        if !(await world.run(atMost: .seconds(600), until: { pair.isSettled })) {
            complaints.append("not settled: \(pair.summary)")
        }
        complaints += await pair.leavings()
    }

    /// The peer is asked whether it lives when nothing has been heard of it for so long.
    private static let livenessInterval: Duration = .seconds(120)
    /// A new mapping of the NAT shows with the next packet from left. If that goes unnoticed, what right sends is lost until
    /// right has asked for a sign of life, given left up, told nobody who can hear it, and left has found the same and called
    /// again, which may take some repetitions.
    private static var usual: Duration { livenessInterval + RetransmissionPolicy().total + .seconds(60) }
    /// Right must find that left is gone, or left that right is, which looks the same; and the side that was restarted was away
    /// for up to a minute.
    private static var afterRestart: Duration { usual + .seconds(60) }
}

extension Tally {
    public static func += (left: inout Tally, right: Tally) {
        left.established += right.established
        left.ikeRekeys += right.ikeRekeys
        left.childRekeys += right.childRekeys
        left.deadPeers += right.deadPeers
        left.failures += right.failures
    }
}
