import IPPacket
import Testing

struct CongestionNotificationTests {
    /// RFC 6040, figure 4, row by row: arriving inner field; then what to forward for outer Not-ECT, ECT(0), ECT(1), CE.
    private static let figure4: [(inner: ECN, forwarded: [ECN?])] = [
        (.notECT, [.notECT, .notECT, .notECT, nil]),
        (.ect0, [.ect0, .ect0, .ect1, .ce]),
        (.ect1, [.ect1, .ect1, .ect1, .ce]),
        (.ce, [.ce, .ce, .ce, .ce]),
    ]
    private static let columns: [ECN] = [.notECT, .ect0, .ect1, .ce]

    @Test("All sixteen combinations leave the tunnel as RFC 6040, figure 4, has them", arguments: 0..<16)
    func decapsulation(cell: Int) {
        let row = Self.figure4[cell / 4]
        #expect(ECN.decapsulated(inner: row.inner, outer: Self.columns[cell % 4]) == row.forwarded[cell % 4])
    }

    @Test("The five combinations that figure 4 marks are suspicious, no others")
    func suspicious() {
        let marked: Set<[ECN]> = [
            [.notECT, .ect0], [.notECT, .ect1], [.notECT, .ce], [.ect1, .ect0], [.ce, .ect1],
        ]
        for inner in ECN.allCases {
            for outer in ECN.allCases {
                #expect(ECN.isSuspicious(inner: inner, outer: outer) == marked.contains([inner, outer]))
            }
        }
    }

    @Test("The field is read from the low two bits (RFC 3168, section 5)")
    func codepoints() {
        #expect([0xfc, 0xfd, 0xfe, 0xff].map { ECN(trafficClass: $0) } == [.notECT, .ect1, .ect0, .ce])
    }

    @Test("Marking keeps DSCP, flow label and a right IPv4 checksum", arguments: ECN.allCases)
    func marking(ecn: ECN) {
        var v4 = SamplePackets.v4(trafficClass: 0xba)
        v4.withUnsafeMutableBytes { if let base = $0.baseAddress { TrafficClass.setECN(ecn, in: base, .v4) } }
        #expect(v4[1] == 0xb8 | ecn.rawValue)
        #expect(SamplePackets.naiveChecksum(v4) == 0)
        var v6 = SamplePackets.v6(trafficClass: 0xba)
        v6.withUnsafeMutableBytes { if let base = $0.baseAddress { TrafficClass.setECN(ecn, in: base, .v6) } }
        #expect(v6 == SamplePackets.v6(trafficClass: 0xb8 | ecn.rawValue))
    }
}
