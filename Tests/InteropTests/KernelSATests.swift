import Lab
import Testing

@Suite("What Linux says of its SAs")
struct KernelSATests {
    private static let text = """
        src 192.0.2.130 dst 192.0.2.2
        \tproto esp spi 0x26130000(638779392) reqid 16389(0x00004005) mode tunnel
        \treplay-window 0 seq 0x00000000 flag af-unspec esnextra_flag dont-encap-dscp (0x10100000)
        \taead rfc4106(gcm(aes)) 0x00 (288 bits) 128
        \tanti-replay esn context:
        \t seq-hi 0x0, seq 0x0, oseq-hi 0x0, oseq 0x14
        \tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0
        \tlifetime current:
        \t  1680(bytes), 20(packets)
        \tstats:
        \t  replay-window 0 replay 0 failed 0
        src 192.0.2.2 dst 192.0.2.130
        \tproto esp spi 0x7faafdf5(2141912565) reqid 0(0x00000000) mode transport
        \treplay-window 32 seq 0x00000005 flag  (0x00000000)
        \tauth-trunc hmac(sha384) 0x00 (384 bits) 192
        \tenc cbc(aes) 0x00 (256 bits)
        \tlifetime current:
        \t  0(bytes), 0(packets)
        src 192.0.2.2 dst 192.0.2.130
        \tproto esp spi 0x00000000(0) reqid 0(0x00000000) mode tunnel

        """

    @Test("algorithms, mode, encapsulation, sequence numbers and counters are read; an acquire is no SA")
    func reads() throws {
        let associations = KernelSA.parse(Self.text)
        try #require(associations.count == 2)
        let (combined, separate) = (associations[0], associations[1])
        #expect(combined.source == "192.0.2.130" && combined.spi == 0x2613_0000)
        #expect(combined.algorithms == ["rfc4106(gcm(aes))"] && combined.mode == "tunnel")
        #expect(combined.hasESN && combined.isUDPEncapsulated)
        #expect(combined.packets == 20 && combined.octets == 1680)
        #expect(separate.algorithms == ["cbc(aes)", "hmac(sha384)"] && separate.mode == "transport")
        #expect(!separate.hasESN && !separate.isUDPEncapsulated && separate.packets == 0)
    }
}
