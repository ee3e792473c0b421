import IKE
import IPPacket
import IPsecCrypto
import Octets

/// A quarter of an hour in the life of two gateways, all of whose circumstances follow from a seed.
public struct RandomRun {
    /// What happens to the gateways besides their own rekeys.
    public struct Blows: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Up to a fifth of the datagrams is lost.
        public static let loss = Blows(rawValue: 1)
        /// One side crashes and begins anew.
        public static let kill = Blows(rawValue: 2)
        /// Left is behind a NAT, which forgets its mappings.
        public static let rebinding = Blows(rawValue: 4)
        /// A side sleeps for a while, or its clock is set forward.
        public static let clocks = Blows(rawValue: 8)
        /// Results, reports and installations are lost: the host has more to do than it can.
        public static let exhaustion = Blows(rawValue: 16)
        /// Left gets another address.
        public static let moving = Blows(rawValue: 32)
    }

    public let seed: UInt64
    /// What went against the rules, with the time.
    public private(set) var complaints: [String] = []
    public private(set) var ikeRekeys = 0
    public private(set) var childRekeys = 0
    public private(set) var exchanges = 0
    /// Stands for every octet that was sent.
    public private(set) var digest: UInt64 = 0

    private var random: SeededGenerator
    private let blows: Blows
    private let isRehearsed: Bool
    private let duration: Duration
    private let recording: JobRecording?

    /// - Parameters:
    ///   - isRehearsed: with a key exchange that costs nothing; otherwise with algorithms that the seed chooses.
    ///   - recording: see ``World/recording``.
    public init(
        seed: UInt64, _ blows: Blows = [], isRehearsed: Bool = false, duration: Duration = .seconds(900),
        recording: JobRecording? = nil
    ) {
        self.seed = seed
        self.blows = blows
        self.isRehearsed = isRehearsed
        self.duration = duration
        self.recording = recording
        random = SeededGenerator(seed: seed &* 0x2545_f491_4f6c_dd1d)
    }

    private mutating func draw(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &random) }

    /// What both sides must have alike.
    private struct Algorithms {
        let ike: IKEProposal
        let esp: ESPProposal
    }

    private mutating func algorithms() -> Algorithms {
        // Whether there is perfect forward secrecy both sides must agree on.
        let hasPFS = Bool.random(using: &random)
        guard !isRehearsed else {
            return Algorithms(
                ike: IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519]),
                esp: ESPProposal(encryption: [.aesGCM16(256)], keyExchange: hasPFS ? [.curve25519] : []))
        }
        let method: KeyExchangeMethod =
            [.curve25519, .ecp256, .curve25519, .ecp384].randomElement(using: &random) ?? .curve25519
        let prf: PRF = [.hmacSHA2_256, .hmacSHA2_384, .hmacSHA2_512].randomElement(using: &random) ?? .hmacSHA2_256
        let encryption: EncryptionAlgorithm =
            [.aesGCM16(256), .aesGCM16(128), .chaCha20Poly1305, .aesCBC(256)].randomElement(using: &random)
            ?? .aesGCM16(256)
        let integrity: [IntegrityAlgorithm] = encryption == .aesCBC(256) ? [.hmacSHA2_256_128] : []
        return Algorithms(
            ike: IKEProposal(encryption: [encryption], integrity: integrity, prf: [prf], keyExchange: [method]),
            esp: ESPProposal(encryption: [encryption], integrity: integrity, keyExchange: hasPFS ? [method] : []))
    }

    private mutating func change(_ algorithms: Algorithms) -> (inout ConnectionConfiguration) -> Void {
        let childLifetime = draw(20...60), ikeLifetime = draw(60...180)
        let startsAtBoot = Bool.random(using: &random)
        let moves = blows.contains(.moving)
        // Not drawn, so that other seeds make what they have always made.
        let isOptimized = seed % 3 == 0
        return { connection in
            connection.optimizedRekey = isOptimized
            if startsAtBoot, !connection.remoteAddresses.isEmpty { connection.start = .boot }
            if moves {
                connection.localAddresses = []
                connection.acceptsAnyRemoteAddress = true
            }
            connection.timing.rekeyAfter = .seconds(ikeLifetime)
            connection.timing.jitter = 0.5
            connection.timing.overtime = 0.5
            connection.timing.livenessInterval = Self.livenessInterval
            connection.timing.retransmission = Self.retransmission
            connection.children[0].lifetime.rekeyAfter = .seconds(childLifetime)
            connection.children[0].lifetime.jitter = 0.5
            connection.children[0].lifetime.overtime = 0.5
            connection.children[0].espProposals = [algorithms.esp]
            connection.ikeProposals = [algorithms.ike]
        }
    }

    private mutating func network() -> NetworkConditions {
        var conditions = NetworkConditions(
            loss: blows.contains(.loss) ? draw(0...0.2) : 0, duplication: draw(0...0.2),
            delay: .milliseconds(1) ... .milliseconds(Int(draw(2...300))))
        if blows.contains(.exhaustion) {
            conditions.jobLoss = draw(0...0.02)
            conditions.reportLoss = draw(0...0.3)
            conditions.installationFailure = draw(0...0.02)
        }
        return conditions
    }

    public mutating func run() async {
        let algorithms = algorithms()
        let nat = blows.contains(.rebinding) ? NAT(outside: "203.0.113.5") : nil
        let jobTime: ClosedRange<Duration> =
            Bool.random(using: &random) ? .zero ... .milliseconds(Int(draw(1...40))) : .zero ... .zero
        let (isRehearsed, recording) = (isRehearsed, recording)
        var current = await Pair(
            seed: seed, start: .boot, conditions: network(), behind: nat,
            prepare: { world in
                world.isRehearsing = isRehearsed
                world.recording = recording
                world.audits = true
                world.jobTime = jobTime
                world.historyLimit = 64
            }, left: change(algorithms), right: change(algorithms),
            endpoint: { $0.negotiationLimit = seed.isMultiple(of: 3) ? 1 : 128 })
        let world = current.world
        // While the connection is being set up there may be two of it, one of which goes.
        var outage = Outage(now: world.now, limit: max(.seconds(60), usualOutage))
        let end = world.now + duration
        var blowAt =
            blows.subtracting([.loss, .exhaustion]).isEmpty
            ? .init(nanoseconds: .max) : world.now + .seconds(draw(100...400))
        while await world.step(until: end) {
            let now = world.now
            if let gap = outage.note(carries: current.carries, at: now), now > .origin + .seconds(10) {
                complaints.append("no traffic for \(gap) until \(now)")
            }
            if outage.isOver { outage.limit = usualOutage }
            if now >= blowAt {
                blowAt = blows.contains(.kill) ? .init(nanoseconds: .max) : now + .seconds(draw(60...400))
                outage.expect(.seconds(100) + usualOutage, at: now)
                current = await strike(current, nat)
            }
        }
        if let gap = outage.note(carries: true, at: world.now) { complaints.append("no traffic for \(gap) at the end") }
        for tally in [current.left.tally] {
            ikeRekeys += tally.ikeRekeys
            childRekeys += tally.childRekeys
        }
        await judge(current)
        exchanges = world.exchangeCount
        digest = world.digest ^ UInt64(bitPattern: world.now.nanoseconds)
    }

    private static let livenessInterval: Duration = .seconds(10)

    private static var retransmission: RetransmissionPolicy {
        var policy = RetransmissionPolicy()
        policy.limit = .seconds(3)
        return policy
    }

    /// For how long there may be no traffic without a blow, as the timers explain it.
    private var usualOutage: Duration {
        // A computation that has been lost is waited for.
        if blows.contains(.exhaustion) { return .seconds(240) }
        if blows.isDisjoint(with: [.loss, .rebinding]) { return .zero }
        // A NAT's new mapping shows when left sends next. With a fifth of the messages lost, one request in ten thousand is
        // lost nine times: a peer that lives is taken for dead when it has been quiet and has been asked, and either exchange
        // of the IKE SA in its place may need all its repetitions too.
        return Self.livenessInterval + Self.retransmission.total * 3 + .seconds(5)
    }

    /// One blow of those that the run has.
    private mutating func strike(_ pair: Pair, _ nat: NAT?) async -> Pair {
        let world = pair.world
        var choices: [Blows] = []
        for blow in [Blows.kill, .rebinding, .clocks, .moving] where blows.contains(blow) { choices.append(blow) }
        let isLeft = Bool.random(using: &random)
        let name = isLeft ? "left" : "right"
        switch choices.randomElement(using: &random) {
        case .kill?:
            complaints += pair.faults
            return await pair.restarted(left: isLeft, after: .seconds(draw(0...40)))
        case .rebinding?:
            if let nat { await world.rebind(nat) }
        case .clocks?:
            if Bool.random(using: &random) {
                world.suspend(name, for: .seconds(draw(1...60)))
            } else {
                world.setClockForward(of: name, by: .seconds(draw(1...4000)))
            }
        case .moving?: await world.move("left", to: ["192.0.2.\(Int.random(in: 3...200, using: &random))"])
        default: break
        }
        return pair
    }

    /// The network calms down: both sides must come to agree; then all is taken down, and nothing may be left.
    private mutating func judge(_ pair: Pair) async {
        pair.world.conditions = NetworkConditions()
        if !(await pair.world.run(atMost: .seconds(300), until: { pair.isSettled })) {
            complaints.append("not settled: \(pair.summary)")
        }
        complaints += await pair.leavings()
        complaints += pair.faults
    }
}

/// For how long nothing has been carried, and whether that is explained.
public struct Outage {
    public private(set) var since: Instant?
    /// The longest that is explained.
    public var limit: Duration

    public init(now: Instant, limit: Duration) {
        since = now
        self.limit = limit
    }

    public var isOver: Bool { since == nil }

    /// Takes in how things are; returns how long the outage was that has just ended, if it was too long.
    public mutating func note(carries: Bool, at now: Instant) -> Duration? {
        guard carries else {
            if since == nil { since = now }
            return nil
        }
        defer { since = nil }
        return since.flatMap { now - $0 > limit ? now - $0 : nil }
    }

    /// Something has happened that explains an outage from now on.
    public mutating func expect(_ limit: Duration, at now: Instant) {
        since = now
        self.limit = limit
    }
}

extension Pair {
    /// One IKE SA, the same at both sides, and the same children at both sides.
    public var isSettled: Bool {
        guard carries, let left = left.status("site"), let right = right.status("site"), left.ikeSAs.count == 1,
            right.ikeSAs.count == 1, left.ikeSAs[0].localSPI == right.ikeSAs[0].remoteSPI,
            left.ikeSAs[0].remoteSPI == right.ikeSAs[0].localSPI, self.left.endpoint.saCount == 1,
            self.right.endpoint.saCount == 1
        else { return false }
        let ours = left.children.map { [$0.inboundSPI, $0.outboundSPI] }
        let theirs = right.children.map { [$0.outboundSPI, $0.inboundSPI] }
        return left.state == .up && right.state == .up && Set(ours) == Set(theirs)
    }

    public var summary: String {
        [left, right].map { host in
            let status = host.status("site")
            return
                "\(host.name) \(status?.state.rawValue ?? "?") (\(status?.reason ?? "")) \(host.endpoint.saCount) IKE SAs, "
                + "children \(status?.children.map { "\($0.inboundSPI)/\($0.outboundSPI) \($0.state)" } ?? [])"
        }.joined(separator: "; ") + (carries ? "" : "; no traffic")
    }

    /// Takes everything down; returns what is left of it.
    public func leavings() async -> [String] {
        for name in ["left", "right"] {
            await world.act(name) { endpoint, now in try? endpoint.terminate("site", at: now) }
        }
        await world.run(for: .seconds(120))
        return world.hosts.values.sorted { $0.name < $1.name }.flatMap(\.leavings)
    }
}

extension Host {
    /// What is in tables that ought to be empty.
    public var leavings: [String] {
        var leavings: [String] = []
        if endpoint.saCount != 0 { leavings.append("\(name) keeps \(endpoint.saCount) IKE SAs") }
        if !inbound.isEmpty { leavings.append("\(name) keeps inbound SAs \(inbound.keys.sorted())") }
        if !outbound.isEmpty { leavings.append("\(name) keeps an outbound SA") }
        if endpoint.ikeSPICount + endpoint.childSPICount != 0 {
            leavings.append("\(name) keeps \(endpoint.ikeSPICount) IKE and \(endpoint.childSPICount) child SPIs")
        }
        if endpoint.jobCount != 0 { leavings.append("\(name) waits for \(endpoint.jobCount) jobs") }
        return leavings
    }
}
