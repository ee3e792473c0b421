import IPPacket
import Testing

struct AddressTests {
    @Test(
        "Addresses are read and written in their usual notation",
        arguments: [
            "0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2:3:4", "::ffff:192.0.2.1",
        ])
    func notation(text: String) throws {
        #expect(try #require(IPAddress(text)).description == text)
    }

    @Test(
        "Anything else is no address",
        arguments: ["", "192.0.2", "192.0.2.256", "2001:db8::1%eth0", "10.0.0.1/8", "gw", " ::1"])
    func refused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("Multicast is 224.0.0.0/4 and ff00::/8, and nothing beside them")
    func multicast() throws {
        for text in ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::16"] {
            #expect(try #require(IPAddress(text)).isMulticast)
        }
        for text in ["223.255.255.255", "240.0.0.0", "255.255.255.255", "fe80::1", "::"] {
            #expect(try !#require(IPAddress(text)).isMulticast)
        }
    }

    @Test("Octets make the address they came from; other lengths make none")
    func octets() throws {
        for text in ["192.0.2.1", "2001:db8::1"] {
            let address = try #require(IPAddress(text))
            #expect(IPAddress(octets: address.octets) == address)
        }
        for count in [0, 3, 5, 15, 17, 40] { #expect(IPAddress(octets: [UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test("IPv4 comes before IPv6, then the number decides")
    func order() throws {
        let sorted = ["10.0.0.1", "10.0.0.2", "255.255.255.255", "::", "::1", "ff::"]
        #expect(sorted.reversed().compactMap { IPAddress($0) }.sorted().map(\.description) == sorted)
    }

    @Test("A prefix clears host bits and knows its ends")
    func prefix() throws {
        let prefix = try #require(IPPrefix("10.1.255.7/17"))
        #expect(prefix.description == "10.1.128.0/17")
        #expect(prefix.last == IPAddress("10.1.255.255"))
        #expect(IPPrefix("192.0.2.1")?.length == 32)
        #expect(IPPrefix("2001:db8::1/0") == IPPrefix.all(.v6))
        #expect(IPPrefix.all(.v6).last == IPAddress.last(.v6))
        #expect(IPPrefix.all(.v4).last == IPAddress("255.255.255.255"))
    }

    @Test(
        "Lengths that do not fit make no prefix",
        arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/1/2", "/8", "10.0.0.0/+8"])
    func refusedPrefix(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test("A prefix contains the addresses and prefixes within, of its family only")
    func containment() throws {
        let prefix = try #require(IPPrefix("10.1.0.0/16"))
        #expect(try prefix.contains(#require(IPAddress("10.1.255.255"))))
        #expect(try !prefix.contains(#require(IPAddress("10.2.0.0"))))
        #expect(try !prefix.contains(#require(IPAddress("::10.1.0.1"))))
        #expect(try prefix.contains(#require(IPPrefix("10.1.2.0/24"))))
        #expect(try !prefix.contains(#require(IPPrefix("10.0.0.0/8"))))
    }

    @Test("An IPv6 socket address has brackets")
    func socketAddress() throws {
        #expect(try SocketAddress(#require(IPAddress("::1")), port: 4500).description == "[::1]:4500")
        #expect(try SocketAddress(#require(IPAddress("192.0.2.1")), port: 500).description == "192.0.2.1:500")
    }

    @Test("Unspecified, loopback, multicast and broadcast addresses are not one host elsewhere")
    func unicast() {
        let others = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]
        #expect(others.compactMap { IPAddress($0) }.allSatisfy { !$0.isUnicastHost })
        #expect(
            ["10.0.0.1", "223.255.255.255", "fe80::1", "2001:db8::1"].compactMap { IPAddress($0) }.allSatisfy {
                $0.isUnicastHost
            })
    }
}
