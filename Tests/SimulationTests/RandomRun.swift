import IKE
import Octets
import Simulation

/// A quarter of an hour in the life of two gateways, all of whose circumstances follow from a seed.
struct RandomRun {
    let seed: UInt64
    /// What went against the rules, with the time.
    private(set) var complaints: [String] = []
    private(set) var ikeRekeys = 0
    private(set) var childRekeys = 0
    /// Stands for every octet that was sent.
    private(set) var digest: UInt64 = 0

    private var random: SeededGenerator
    private let isLossy: Bool
    private let kills: Bool
    private let duration: Duration

    init(seed: UInt64, isLossy: Bool, kills: Bool, duration: Duration = .seconds(900)) {
        self.seed = seed
        self.isLossy = isLossy
        self.kills = kills
        self.duration = duration
        random = SeededGenerator(seed: seed &* 0x2545_f491_4f6c_dd1d)
    }

    private mutating func draw(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &random) }

    private mutating func change(hasPFS: Bool) -> (inout ConnectionConfiguration) -> Void {
        let childLifetime = draw(20...60), ikeLifetime = draw(60...180)
        let startsAtBoot = Bool.random(using: &random)
        return { connection in
            if startsAtBoot { connection.start = .boot }
            connection.timing.rekeyAfter = .seconds(ikeLifetime)
            connection.timing.jitter = 0.5
            connection.timing.overtime = 0.5
            connection.timing.livenessInterval = .seconds(10)
            connection.timing.retransmission.limit = .seconds(3)
            connection.children[0].lifetime.rekeyAfter = .seconds(childLifetime)
            connection.children[0].lifetime.jitter = 0.5
            connection.children[0].lifetime.overtime = 0.5
            connection.children[0].espProposals = [
                ESPProposal(encryption: [.aesGCM16(256)], keyExchange: hasPFS ? [.curve25519] : [])
            ]
            connection.ikeProposals = [
                IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
            ]
        }
    }

    private mutating func network() -> NetworkConditions {
        NetworkConditions(
            loss: isLossy ? draw(0...0.2) : 0, duplication: draw(0...0.2),
            delay: .milliseconds(1) ... .milliseconds(Int(draw(2...300))))
    }

    mutating func run() async {
        // Whether there is perfect forward secrecy both sides must agree on.
        let hasPFS = Bool.random(using: &random)
        var current = await Pair(
            seed: seed, start: .boot, conditions: network(), left: change(hasPFS: hasPFS), right: change(hasPFS: hasPFS))
        let world = current.world
        if Bool.random(using: &random) { world.jobTime = .zero ... .milliseconds(Int(draw(1...40))) }
        var gapSince: Instant? = .origin
        var allowedGap: Duration = .seconds(60)
        let end = world.now + duration
        var killAt = kills ? world.now + .seconds(draw(100...800)) : .init(nanoseconds: .max)
        while await world.step(until: end) {
            let now = world.now
            if current.carries {
                if let since = gapSince {
                    let gap = now - since
                    // While the connection is being set up there may be two of it, one of which goes.
                    if gap > allowedGap, since > .origin + .seconds(10) { complain("no traffic for \(gap) until \(now)") }
                }
                gapSince = nil
                // With a fifth of the messages lost, one request in ten thousand is lost nine times: a peer that lives is
                // taken for dead, and the connection set up again when both have seen it.
                allowedGap = isLossy ? .seconds(45) : .zero
            } else if gapSince == nil {
                gapSince = now
            }
            if now >= killAt {
                killAt = .init(nanoseconds: .max)
                allowedGap = .seconds(90)
                gapSince = gapSince ?? now
                let isLeft = Bool.random(using: &random)
                complaints += current.faults.map { "\(now): \($0)" }
                current = await current.restarted(left: isLeft, after: .seconds(draw(0...40)))
            }
        }
        if let gapSince, world.now - gapSince > allowedGap { complain("no traffic since \(gapSince)") }
        count(current)
        await judge(current)
        for datagram in world.sent {
            for octet in datagram.octets { digest = (digest ^ UInt64(octet)) &* 0x100_0000_01b3 }
        }
        digest ^= UInt64(bitPattern: world.now.nanoseconds)
    }

    private mutating func complain(_ text: String) { complaints.append(text) }

    private mutating func count(_ pair: Pair) {
        for event in pair.left.events {
            switch event {
            case .ikeRekeyed: ikeRekeys += 1
            case .childRekeyed: childRekeys += 1
            default: break
            }
        }
    }

    /// The network calms down: both sides must come to agree; then all is taken down, and nothing may be left.
    private mutating func judge(_ pair: Pair) async {
        pair.world.conditions = NetworkConditions()
        if !(await pair.world.run(atMost: .seconds(120), until: { pair.isSettled })) {
            complain("not settled: \(pair.summary)")
        }
        for name in ["left", "right"] {
            await pair.world.act(name) { endpoint, now in try? endpoint.terminate("site", at: now) }
        }
        await pair.world.run(for: .seconds(120))
        for host in [pair.left, pair.right] {
            if host.endpoint.saCount != 0 { complain("\(host.name) keeps \(host.endpoint.saCount) IKE SAs") }
            if !host.inbound.isEmpty { complain("\(host.name) keeps inbound SAs \(host.inbound.keys.sorted())") }
            if !host.outbound.isEmpty { complain("\(host.name) keeps an outbound SA") }
            if host.endpoint.ikeSPICount + host.endpoint.childSPICount != 0 {
                complain("\(host.name) keeps \(host.endpoint.ikeSPICount) IKE and \(host.endpoint.childSPICount) child SPIs")
            }
        }
        complaints += pair.faults
    }
}

extension Pair {
    /// One IKE SA, the same at both sides, and the same children at both sides.
    var isSettled: Bool {
        guard carries, let left = left.status("site"), let right = right.status("site"), left.ikeSAs.count == 1,
            right.ikeSAs.count == 1, left.ikeSAs[0].localSPI == right.ikeSAs[0].remoteSPI,
            left.ikeSAs[0].remoteSPI == right.ikeSAs[0].localSPI, self.left.endpoint.saCount == 1,
            self.right.endpoint.saCount == 1
        else { return false }
        let ours = left.children.map { [$0.inboundSPI, $0.outboundSPI] }
        let theirs = right.children.map { [$0.outboundSPI, $0.inboundSPI] }
        return left.state == .up && right.state == .up && Set(ours) == Set(theirs)
    }

    var summary: String {
        [left, right].map { host in
            let status = host.status("site")
            return "\(host.name) \(status?.state.rawValue ?? "?") (\(status?.reason ?? "")) \(host.endpoint.saCount) IKE SAs, "
                + "children \(status?.children.map { "\($0.inboundSPI)/\($0.outboundSPI) \($0.state)" } ?? [])"
        }.joined(separator: "; ") + (carries ? "" : "; no traffic")
    }
}
