import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("NAT traversal")
struct NATTests {
    private static let outside = IPAddress(v4: 0xcb00_7105)

    /// A NAT before left: right sees another address and port.
    private final class Translator {
        var outsidePorts: [UInt16: UInt16] = [500: 30500, 4500: 34500]

        func install(in pair: Pair) {
            pair.world.tap = { [self] datagram in
                var datagram = datagram
                if pair.isFromLeft(datagram) {
                    datagram.local = SocketAddress(
                        NATTests.outside, port: outsidePorts[datagram.local.port] ?? datagram.local.port)
                } else if datagram.remote.address == NATTests.outside {
                    guard let inside = outsidePorts.first(where: { $0.value == datagram.remote.port })?.key else {
                        return []
                    }
                    datagram.remote = SocketAddress(pair.left.address, port: inside)
                }
                return [datagram]
            }
        }
    }

    private func pairBehindNAT(seed: UInt64) async -> (Pair, Translator) {
        let pair = await Pair(
            seed: seed, start: .none, left: { $0.mobility = false },
            right: {
                $0.acceptsAnyRemoteAddress = true; $0.remoteAddresses = []
            },
            endpoint: { $0.exportsKeys = true })
        let translator = Translator()
        translator.install(in: pair)
        await pair.initiate()
        _ = await pair.world.run(atMost: .seconds(2)) { pair.isUp }
        await pair.world.run(for: .milliseconds(500))
        return (pair, translator)
    }

    @Test("Without a NAT and without MOBIKE, IKE stays at port 500 and ESP goes without UDP")
    func none() async {
        let pair = await Pair.established(seed: 1, left: { $0.mobility = false })
        #expect(pair.world.sent.allSatisfy { $0.remote.port == 500 && !$0.nonESPMarker })
        #expect(pair.left.inbound.values.allSatisfy { !$0.isEncapsulatedInUDP })
    }

    @Test("Behind a NAT, IKE moves to port 4500 and ESP goes in UDP, as both sides know")
    func floating() async {
        let (pair, _) = await pairBehindNAT(seed: 2)
        #expect(pair.isUp)
        #expect(pair.left.status("site")?.ikeSAs.first?.isBehindNAT == true)
        #expect(pair.right.status("site")?.ikeSAs.first?.isPeerBehindNAT == true)
        #expect(pair.world.sent.filter { $0.header?.exchangeType != .ikeSAInit }.allSatisfy { $0.nonESPMarker })
        #expect(pair.left.inbound.values.first?.remote.port == 4500)
        #expect(pair.right.inbound.values.first?.remote == SocketAddress(Self.outside, port: 34500))
        #expect(pair.right.inbound.values.first?.isEncapsulatedInUDP == true)
        #expect(pair.faults.isEmpty)
    }

    @Test("A new mapping of the NAT is followed when an authentic message comes from it")
    func rebinding() async {
        let (pair, translator) = await pairBehindNAT(seed: 3)
        translator.outsidePorts[4500] = 34999
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.right.inbound.values.first?.remote == SocketAddress(Self.outside, port: 34999))
        #expect(pair.right.outbound[1]?.remote == SocketAddress(Self.outside, port: 34999))
        #expect(pair.faults.isEmpty)
    }

    @Test("A message that is not authentic moves nothing")
    func forged() async {
        let (pair, _) = await pairBehindNAT(seed: 4)
        guard var copy = pair.world.sent.last(where: { pair.isFromLeft($0) }) else { return }
        copy.local = SocketAddress(IPAddress(v4: 0x0a09_0807), port: 4500)
        copy.octets[23] = 2
        copy.octets[copy.octets.count - 1] ^= 1
        pair.world.inject(copy)
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.outbound[1]?.remote == SocketAddress(Self.outside, port: 34500))
    }

    @Test("Authentic ESP from another port moves the SA, IKE included")
    func espMoved() async {
        let (pair, translator) = await pairBehindNAT(seed: 5)
        translator.outsidePorts[4500] = 34999
        let moved = SocketAddress(Self.outside, port: 34999)
        let spi = pair.right.inbound.keys.first ?? 0
        await pair.world.act("right") { endpoint, now in
            endpoint.handle(.peerMoved(spi: spi, remote: moved), at: now)
        }
        #expect(pair.right.outbound[1]?.remote == moved)
        await pair.rekeyChild("right")
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("Without a NAT before the peer, nothing makes its address move")
    func noNAT() async {
        let pair = await Pair.established(seed: 6)
        let spi = pair.right.inbound.keys.first ?? 0
        let before = pair.right.outbound[1]?.remote
        await pair.world.act("right") { endpoint, now in
            endpoint.handle(.peerMoved(spi: spi, remote: SocketAddress(Self.outside, port: 4500)), at: now)
        }
        #expect(pair.right.outbound[1]?.remote == before)
    }

    @Test("The side behind the NAT keeps the mapping alive while it has nothing to send")
    func keepalives() async {
        let (pair, _) = await pairBehindNAT(seed: 7)
        await pair.world.run(for: .seconds(120))
        #expect((3...7).contains(pair.left.keepalives))
        #expect(pair.right.keepalives == 0)
    }

    @Test("UDP can be asked for without a NAT, by either side", arguments: [true, false])
    func forced(byLeft: Bool) async {
        let pair = await Pair.established(
            seed: 8, left: { if byLeft { $0.encapsulation = .udp } }, right: { if !byLeft { $0.encapsulation = .udp } })
        #expect(pair.isUp)
        #expect(pair.left.inbound.values.allSatisfy { $0.isEncapsulatedInUDP })
        #expect(pair.right.inbound.values.allSatisfy { $0.isEncapsulatedInUDP })
        #expect(pair.left.inbound.values.first?.remote.port == 4500)
        #expect(pair.right.inbound.values.first?.remote.port == 4500)
    }
}
