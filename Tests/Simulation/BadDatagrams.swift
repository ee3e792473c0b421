import IKE
import IPPacket
import Octets

/// What a gateway with a tunnel gets on UDP 500 that nobody with keys has sent: the messages of a conversation, damaged, from
/// 256 addresses. Time passes, and the two gateways go on to talk to each other.
public struct BadDatagrams {
    public let pair: Pair
    public private(set) var sent = 0
    /// Answers to them.
    public private(set) var answers = 0
    /// The most IKE SAs at a time.
    public private(set) var mostSAs = 0
    private var now: Instant
    private var random: SeededGenerator
    private let corpus: [[UInt8]]

    /// Makes a tunnel come up.
    public init(seed: UInt64) async {
        // Anybody may call the one on the right.
        pair = await Pair(seed: seed, right: { $0.acceptsAnyRemoteAddress = true })
        _ = await pair.world.run(atMost: .seconds(5)) { [pair] in pair.isUp }
        await pair.world.run(for: .seconds(1))
        corpus = pair.world.sent.map(\.octets)
        random = SeededGenerator(seed: seed)
        now = pair.world.now
    }

    /// Sends so many, one each 200 µs.
    public mutating func run(count: Int) async {
        let right = SocketAddress(pair.right.address, port: 500)
        for _ in 0..<count {
            guard var octets = corpus.randomElement(using: &random) else { return }
            for _ in 0..<3 {
                octets[Int.random(in: 0..<octets.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let bits = random.next()
            if bits & 1 == 0 { octets.replaceSubrange(24..<28, with: UInt32(octets.count).bigEndianOctets) }
            if bits & 6 == 0 { octets.removeLast(Int.random(in: 0..<octets.count, using: &random)) }
            let remote = SocketAddress(
                IPAddress(v4: 0xcb00_7100 | UInt32(truncatingIfNeeded: bits >> 32 & 0xff)), port: 500)
            now = now + .microseconds(200)
            sent += 1
            pair.right.endpoint.receive(
                IKEDatagram(octets: octets, local: right, remote: remote, nonESPMarker: false), at: now)
            await settle()
            mostSAs = max(mostSAs, pair.right.endpoint.saCount)
        }
    }

    /// Lets both do what they have to do, and hands over what they have for each other.
    private mutating func settle() async {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for (host, peer) in [(pair.right, pair.left), (pair.left, pair.right)] {
                if let deadline = host.endpoint.nextDeadline, deadline <= now { host.endpoint.handleTimeout(at: now) }
                while let output = host.endpoint.nextOutput() {
                    isQuiet = false
                    switch output {
                    case .compute(let job): host.endpoint.complete(job.id, with: await job.run(), at: now)
                    case .send(var datagram) where datagram.remote.address == peer.address:
                        (datagram.local, datagram.remote) = (datagram.remote, datagram.local)
                        peer.endpoint.receive(datagram, at: now)
                    case .send: answers += 1
                    default: break
                    }
                }
            }
        }
    }
}
