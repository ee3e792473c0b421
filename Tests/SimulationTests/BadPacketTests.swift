import ESP
import Simulation
import Testing

/// Short runs of what `make soak` does for long, with an eye on memory.
@Suite("Bad packets") struct BadPacketTests {
    @Test("No ESP packet that is damaged, forged or repeated passes, and good ones between them do")
    func packets() throws {
        var packets = BadPackets(seed: 1)
        try packets.run(count: 200_000)
        #expect(packets.sent == 200_000)
        #expect(packets.drops.values.reduce(0, +) == packets.sent)
        #expect(packets.good == 200 && packets.arrived == packets.good)
        // Each check has had something to refuse.
        for reason in [DropReason.malformedESP, .wrongSPI, .replayed, .notAuthentic] {
            #expect(packets.drops[reason, default: 0] > 1000, "\(reason)")
        }
    }

    @Test("Bad datagrams leave the tunnel as it was, and no more half-open SAs than there may be")
    func datagrams() async {
        var datagrams = await BadDatagrams(seed: 26)
        await datagrams.run(count: 30_000)
        #expect(datagrams.pair.isUp)
        #expect(datagrams.mostSAs > 8 && datagrams.mostSAs <= 1025)
        #expect(datagrams.answers > 0 && datagrams.answers < datagrams.sent)
    }
}
