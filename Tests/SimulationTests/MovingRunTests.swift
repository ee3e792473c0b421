import IKE
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Ten minutes on the move")
struct MovingRunTests {
    /// The left host wanders between addresses, and off the network for a while, as both sides rekey and messages are lost.
    @Test(
        "Whatever is lost and rekeyed meanwhile, both ends agree in the end on where the wanderer is", arguments: 1...6)
    func wanders(seed: UInt64) async {
        var random = SeededGenerator(seed: seed)
        let conditions = NetworkConditions(loss: 0.1, duplication: 0.1, delay: .milliseconds(2) ... .milliseconds(80))
        func change(_ connection: inout ConnectionConfiguration) {
            connection.localAddresses = []
            connection.acceptsAnyRemoteAddress = true
            connection.timing.rekeyAfter = .seconds(90)
            connection.timing.livenessInterval = .seconds(10)
            connection.timing.retransmission.limit = .seconds(5)
            connection.children[0].lifetime.rekeyAfter = .seconds(40)
        }
        let pair = await Pair(seed: seed, conditions: conditions, left: change, right: change)
        let places = ["192.0.2.1", "203.0.113.7", "203.0.113.8", "2001:db8::7"]
        await pair.world.run(for: .seconds(5))
        var moves = 0
        while pair.world.now < .origin + .seconds(600) {
            let isAway = Int.random(in: 0..<5, using: &random) == 0
            await pair.world.move("left", to: isAway ? [] : [places.randomElement(using: &random) ?? places[0]])
            await pair.world.run(for: .milliseconds(Int.random(in: 20...20_000, using: &random)))
            moves += 1
        }
        await pair.world.move("left", to: ["203.0.113.9"])
        pair.world.conditions = NetworkConditions()
        let place = IPAddress("203.0.113.9")
        let isSettled = await pair.world.run(atMost: .seconds(150)) {
            pair.isSettled && pair.right.outbound[1]?.remote.address == place
                && pair.left.outbound[1]?.local.address == place
                && pair.right.status("site")?.ikeSAs.first?.remote == "203.0.113.9:4500"
        }
        #expect(isSettled, "\(pair.summary), right sends to \(pair.right.outbound[1]?.remote.description ?? "nobody")")
        #expect(moves > 30)
        #expect(pair.faults.isEmpty)
    }
}
