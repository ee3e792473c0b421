import IPPacket
import IPsecPolicy
import Testing

struct TrafficSelectorTests {
    @Test("Ends of two families, or in the wrong order, make no selector")
    func refused() throws {
        #expect(try TrafficSelector(first: address("10.0.0.1"), last: address("::1")) == nil)
        #expect(try TrafficSelector(first: address("10.0.0.2"), last: address("10.0.0.1")) == nil)
    }

    @Test(
        "A range that is a prefix is known as one",
        arguments: [
            "0.0.0.0/0", "10.1.0.0/16", "192.0.2.1/32", "::/0", "2001:db8::/32", "2001:db8::1/128",
        ])
    func prefix(text: String) throws {
        #expect(try selector(text).prefix?.description == text)
    }

    @Test("A range that is none has no prefix")
    func noPrefix() throws {
        #expect(try selector("10.0.0.1-10.0.0.2").prefix == nil)
        #expect(try selector("10.0.0.0-10.0.0.2").prefix == nil)
    }

    @Test("A range falls into the fewest prefixes")
    func prefixes() throws {
        #expect(
            try selector("10.0.0.1-10.0.0.8").prefixes.map(\.description) == [
                "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/32",
            ])
        #expect(try selector("0.0.0.0/0").prefixes == [.all(.v4)])
        #expect(try selector("::/0").prefixes == [.all(.v6)])
        #expect(try selector("255.255.255.254-255.255.255.255").prefixes.map(\.description) == ["255.255.255.254/31"])
        #expect(try selector("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").prefixes.count == 128)
    }

    @Test("The intersection has what both have")
    func intersection() throws {
        let web = try selector("10.0.0.0/8", 6, 80...443)
        #expect(try web.intersection(selector("10.1.0.0/16")) == selector("10.1.0.0/16", 6, 80...443))
        #expect(try web.intersection(selector("10.1.0.0/16", 6, 100...1000)) == selector("10.1.0.0/16", 6, 100...443))
        #expect(try web.intersection(selector("10.1.0.0/16", 17)) == nil)
        #expect(try web.intersection(selector("10.1.0.0/16", 6, 444...500)) == nil)
        #expect(try web.intersection(selector("11.0.0.0/8")) == nil)
        #expect(try web.intersection(selector("::/0")) == nil)
    }

    @Test("Any port includes OPAQUE; a range of ports does not (RFC 4301, section 4.4.1.1)")
    func opaquePorts() throws {
        let hidden = try opaque("10.0.0.0/8", 6)
        #expect(try selector("10.0.0.0/8", 6).intersection(hidden) == hidden)
        #expect(try selector("10.0.0.0/8", 6, 0...80).intersection(hidden) == nil)
        #expect(try selector("10.0.0.0/8").contains(hidden))
        #expect(try !hidden.contains(selector("10.0.0.0/8", 6)))
    }

    @Test("Selectors are described as a configuration would write them")
    func description() throws {
        #expect(try selector("10.1.0.0/16").description == "10.1.0.0/16")
        #expect(try selector("192.0.2.1/32", 6, 80...90).description == "192.0.2.1 tcp/80-90")
        #expect(try selector("10.0.0.1-10.0.0.2", 17, 53...53).description == "10.0.0.1-10.0.0.2 udp/53")
        #expect(try opaque("10.0.0.0/8", 6).description == "10.0.0.0/8 tcp/opaque")
        #expect(try selector("::/0", 99).description == "::/0 99")
    }
}

struct NarrowingTests {
    @Test("What both sides have is kept, in the order proposed (RFC 7296, section 2.9)")
    func narrowing() throws {
        let proposed = [try selector("10.2.0.0/16"), try selector("10.0.0.0/15"), try selector("2001:db8::/32")]
        let configured = [try selector("10.0.0.0/8"), try selector("2001:db8:1::/48")]
        #expect(
            Narrowing.narrow(proposed, to: configured) == [
                try selector("10.2.0.0/16"), try selector("10.0.0.0/15"), try selector("2001:db8:1::/48"),
            ])
    }

    @Test("Nothing in common is empty")
    func nothing() throws {
        #expect(try Narrowing.narrow([selector("10.0.0.0/8")], to: [selector("192.0.2.0/24")]).isEmpty)
        #expect(try Narrowing.narrow([], to: [selector("192.0.2.0/24")]).isEmpty)
    }

    @Test("A selector within another of the answer is left out")
    func redundant() throws {
        let proposed = [
            try selector("10.1.2.3/32", 6, 80...80), try selector("10.1.0.0/16"), try selector("10.1.4.0/24"),
        ]
        #expect(try Narrowing.narrow(proposed, to: [selector("0.0.0.0/0")]) == [selector("10.1.0.0/16")])
    }

    @Test("An answer outside the offer, or empty, is no subset")
    func subset() throws {
        let offered = [try selector("10.1.0.0/16"), try selector("10.2.0.0/16", 6)]
        #expect(try Narrowing.isSubset([selector("10.1.3.0/24"), selector("10.2.0.0/16", 6, 80...80)], of: offered))
        #expect(try !Narrowing.isSubset([selector("10.2.0.0/16")], of: offered))
        #expect(try !Narrowing.isSubset([selector("10.1.0.0/16"), selector("10.3.0.0/16")], of: offered))
        #expect(!Narrowing.isSubset([], of: offered))
    }
}
