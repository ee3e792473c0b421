import IPPacket
import IPsecPolicy
import Octets
import Testing

struct PacketSelectorTests {
    private func read(_ hexadecimal: String) throws -> PacketSelector? {
        let octets = try #require([UInt8](hexadecimal: hexadecimal))
        return octets.withUnsafeBytes { PacketSelector($0) }
    }

    /// An IPv4 packet from 10.1.0.2 to 10.2.0.2.
    private func v4(_ ipProtocol: UInt8, _ payload: String, fragment: String = "0000") throws -> PacketSelector? {
        let length = 20 + payload.count / 2
        return try read(
            "4500" + UInt16(length).bigEndianOctets.hexadecimal + "1234" + fragment + "40" + [ipProtocol].hexadecimal
                + "0000" + "0a010002" + "0a020002" + payload)
    }

    /// An IPv6 packet from 2001:db8::1 to 2001:db8::2.
    private func v6(_ next: UInt8, _ payload: String) throws -> PacketSelector? {
        try read(
            "60000000" + UInt16(payload.count / 2).bigEndianOctets.hexadecimal + [next, 64].hexadecimal
                + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + payload)
    }

    @Test("Ports are read of the protocols that have them at their start", arguments: [UInt8(6), 17, 33, 132, 136])
    func ports(ipProtocol: UInt8) throws {
        let expected = try packet("10.1.0.2", "10.2.0.2", ipProtocol, from: 40000, to: 80)
        #expect(try v4(ipProtocol, "9c400050" + "00000000") == expected)
    }

    @Test("Type and code are read of ICMP, ICMPv6 and the mobility header")
    func types() throws {
        #expect(try v4(1, "08000000") == icmp("10.1.0.2", "10.2.0.2", type: 8))
        let neighbour = try #require(try v6(58, "8700abcd"))
        #expect(neighbour.ports == .typeAndCode && neighbour.sourcePort == 0x8700)
        let binding = try #require(try v6(135, "3b01050000000000"))
        #expect(binding.ports == .typeAndCode && binding.sourcePort == 0x0500)
    }

    @Test("Other protocols have no ports", arguments: [UInt8(47), 50, 4, 89])
    func noPorts(ipProtocol: UInt8) throws {
        #expect(try v4(ipProtocol, "9c400050")?.ports == PacketSelector.Ports.none)
    }

    @Test("A later fragment hides its ports; a first one shows them")
    func fragments() throws {
        #expect(try v4(6, "9c400050", fragment: "2000")?.ports == .ports)
        let later = try #require(try v4(6, "9c400050", fragment: "0001"))
        #expect(later.ports == .hidden && later.sourcePort == 0 && later.ipProtocol == 6)
        #expect(try v6(44, "0600000100000001" + "9c400050")?.ports == .ports)
        #expect(try v6(44, "0600000900000001" + "9c400050")?.ports == .hidden)
        #expect(try v6(44, "3c00000900000001" + "9c400050")?.ipProtocol == 0)
    }

    @Test("A header cut before its ports hides them")
    func short() throws {
        #expect(try v4(6, "9c4000")?.ports == .hidden)
        #expect(try v4(1, "08")?.ports == .hidden)
        #expect(try v4(17, "")?.ports == .hidden)
    }

    @Test("Extension headers are skipped")
    func extensionHeaders() throws {
        let found = try #require(try v6(0, "3c00000000000000" + "1100000000000000" + "9c400035"))
        #expect(found.ipProtocol == 17 && found.destinationPort == 53)
    }

    @Test("Malformed packets have no selectors")
    func malformed() throws {
        #expect(try read("") == nil)
        #expect(try read("4500001412") == nil)
        #expect(try v6(0, "3c01000000000000") == nil)
    }

    @Test("The selectors of just this packet are what an initiator puts first (RFC 7296, section 2.9)")
    func ownSelectors() throws {
        let found = try packet("10.1.0.2", "10.2.0.2")
        #expect(try found.sourceSelector == (selector("10.1.0.2", 6, 40000...40000)))
        #expect(try found.destinationSelector == (selector("10.2.0.2", 6, 80...80)))
        #expect(try packet("10.1.0.2", "10.2.0.2", 47, .none).sourceSelector == selector("10.1.0.2", 47))
    }

    @Test("Selectors are described for people")
    func description() throws {
        #expect(try packet("10.1.0.2", "10.2.0.2").description == "10.1.0.2:40000 -> 10.2.0.2:80 tcp")
        #expect(try icmp("10.1.0.2", "10.2.0.2", type: 8).description == "10.1.0.2 -> 10.2.0.2 icmp 8/0")
        #expect(try packet("10.1.0.2", "10.2.0.2", 17, .hidden).description == "10.1.0.2 -> 10.2.0.2 udp fragment")
    }
}
