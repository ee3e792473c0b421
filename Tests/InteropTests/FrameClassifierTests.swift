import IPPacket
import Lab
import Testing

@Suite("What a capture says of a frame")
struct FrameClassifierTests {
    private func classify(_ packets: [UInt8]...) -> [FrameClass] {
        var classifier = FrameClassifier(protected: TunnelPlan.protectedNetworks)
        return packets.map { packet in
            let type: [UInt8] = packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xdd]
            return classifier.classify([UInt8](repeating: 2, count: 12) + type + packet)
        }
    }

    /// An IPv4 packet, without a checksum, which nobody looks at.
    private func v4(
        _ source: String = "192.0.2.2", _ destination: String = "192.0.2.130", protocol number: UInt8,
        fragment: UInt16 = 0,
        _ payload: [UInt8]
    ) -> [UInt8] {
        let addresses = [source, destination].flatMap { IPAddress($0)?.octets ?? [] }
        return [
            0x45, 0, 0, UInt8(20 + payload.count), 0, 7, UInt8(fragment >> 8), UInt8(fragment & 0xff), 64, number, 0, 0,
        ]
            + addresses + payload
    }

    private func udp(_ source: UInt16, _ destination: UInt16, _ payload: [UInt8]) -> [UInt8] {
        [source, destination, UInt16(8 + payload.count), 0].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] } + payload
    }

    private let message = [UInt8](repeating: 1, count: 28)

    @Test("UDP port 500 is IKE, whichever end has it")
    func port500() {
        #expect(
            classify(v4(protocol: 17, udp(500, 500, message)), v4(protocol: 17, udp(1024, 500, message))) == [
                .ike, .ike,
            ])
    }

    @Test(
        "UDP port 4500 is IKE after four zero octets, a keepalive if it is one octet ff, else ESP (RFC 3948, section 2)"
    )
    func port4500() {
        #expect(
            classify(
                v4(protocol: 17, udp(4500, 4500, [0, 0, 0, 0] + message)), v4(protocol: 17, udp(4500, 4500, [0xff])),
                v4(protocol: 17, udp(4500, 4500, message))) == [.ike, .keepalive, .espInUDP])
    }

    @Test("IP protocol 50 is ESP and its SPI is noted")
    func plainESP() {
        var classifier = FrameClassifier(protected: [])
        let packet = v4(protocol: 50, [0, 0, 1, 2, 0, 0, 0, 1])
        #expect(classifier.classify([UInt8](repeating: 0, count: 12) + [0x08, 0x00] + packet) == .esp)
        #expect(classifier.espSPIs == [0x102])
    }

    @Test("an address of a protected network is clear text, even in what looks like IKE")
    func clearText() {
        #expect(
            classify(
                v4("10.1.0.2", "10.2.0.2", protocol: 1, [8, 0]),
                v4("192.0.2.2", "10.2.0.2", protocol: 17, udp(500, 500, message))
            ) == [.clearText, .clearText])
    }

    @Test("later fragments follow the first")
    func fragments() {
        #expect(
            classify(
                v4(protocol: 17, fragment: 0x2000, udp(500, 500, message)),
                v4(protocol: 17, fragment: 0x0005, [1, 2, 3])
            ) == [.ike, .ike])
        #expect(classify(v4(protocol: 17, fragment: 0x0005, [1, 2, 3])) == [.other])
    }

    @Test("neighbour discovery belongs to the link, an echo request does not")
    func icmp6() {
        func v6(_ type: UInt8) -> [UInt8] {
            let addresses = ["2001:db8:1::2", "2001:db8:1::1"].flatMap { IPAddress($0)?.octets ?? [] }
            return [0x60, 0, 0, 0, 0, 4, 58, 255] + addresses + [type, 0, 0, 0]
        }
        #expect(classify(v6(135), v6(128), v6(2)) == [.link, .other, .outerError])
    }

    @Test("frames cut short are nothing that may pass")
    func short() {
        let whole = v4(protocol: 17, udp(4500, 4500, message))
        for count in 1..<28 {
            #expect(classify(Array(whole.prefix(count)))[0].isProtected == false)
        }
    }
}
