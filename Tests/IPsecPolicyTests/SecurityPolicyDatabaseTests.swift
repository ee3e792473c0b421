import IPPacket
import IPsecPolicy
import Testing

struct SelectorSetTests {
    @Test("Outbound packets come from the local side, inbound ones from the remote side")
    func direction() throws {
        let set = SelectorSet(local: [try selector("10.1.0.0/16")], remote: [try selector("10.2.0.0/16")])
        let out = try packet("10.1.0.2", "10.2.0.2")
        let back = try packet("10.2.0.2", "10.1.0.2")
        #expect(set.match(out, .outbound) == .yes)
        #expect(set.match(back, .inbound) == .yes)
        #expect(set.match(out, .inbound) == .no)
        #expect(set.match(back, .outbound) == .no)
    }

    @Test("Both ends of each range are within, their neighbours are not")
    func edges() throws {
        let set = SelectorSet(
            local: [try selector("10.1.0.4-10.1.0.9", 6, 100...200)], remote: [try selector("0.0.0.0/0")])
        for (source, port, expected) in [
            ("10.1.0.4", 100, SelectorMatch.yes), ("10.1.0.9", 200, .yes), ("10.1.0.3", 100, .no),
            ("10.1.0.10", 100, .no), ("10.1.0.4", 99, .no), ("10.1.0.4", 201, .no),
        ] as [(String, UInt16, SelectorMatch)] {
            #expect(try set.match(packet(source, "10.2.0.2", from: port), .outbound) == expected)
        }
    }

    @Test("Families do not mix, whatever the numbers")
    func families() throws {
        let set = SelectorSet(local: [try selector("::/0")], remote: [try selector("::/0")])
        #expect(try set.match(packet("10.1.0.2", "10.2.0.2"), .outbound) == .no)
        #expect(try set.match(packet("::1", "::2"), .outbound) == .yes)
    }

    @Test("Without selectors nothing matches")
    func empty() throws {
        let set = SelectorSet(local: [], remote: [])
        #expect(try set.match(packet("10.1.0.2", "10.2.0.2"), .outbound) == .no)
    }

    @Test("A fragment without ports might lie within a range of ports, surely lies within any or OPAQUE")
    func hiddenPorts() throws {
        let fragment = try packet("10.1.0.2", "10.2.0.2", 6, .hidden, from: 0, to: 0)
        let all = try selector("0.0.0.0/0")
        #expect(
            try SelectorSet(local: [all], remote: [selector("0.0.0.0/0", 6, 80...80)]).match(fragment, .outbound)
                == .possible)
        #expect(
            try SelectorSet(local: [all], remote: [selector("0.0.0.0/0", 6, 0...80)]).match(fragment, .outbound)
                == .possible)
        #expect(
            try SelectorSet(local: [all], remote: [selector("0.0.0.0/0", 17, 80...80)]).match(fragment, .outbound)
                == .no)
        #expect(try SelectorSet(local: [all], remote: [selector("0.0.0.0/0", 6)]).match(fragment, .outbound) == .yes)
        #expect(try SelectorSet(local: [all], remote: [opaque("0.0.0.0/0", 6)]).match(fragment, .outbound) == .yes)
    }

    @Test("Ports that show never match OPAQUE")
    func shownPorts() throws {
        let set = SelectorSet(local: [try opaque("0.0.0.0/0", 6)], remote: [try opaque("0.0.0.0/0", 6)])
        #expect(try set.match(packet("10.1.0.2", "10.2.0.2"), .outbound) == .no)
    }

    @Test("A fragment that hides its protocol might lie within any one")
    func hiddenProtocol() throws {
        let fragment = try packet("2001:db8::1", "2001:db8::2", 0, .hidden, from: 0, to: 0)
        let all = try selector("::/0")
        #expect(try SelectorSet(local: [all], remote: [selector("::/0", 6)]).match(fragment, .outbound) == .possible)
        #expect(SelectorSet(local: [all], remote: [all]).match(fragment, .outbound) == .yes)
    }

    @Test(
        "An ICMP type is matched on the sender's side; OPAQUE on the other lets it pass one way (RFC 4301, section 4.4.1.1)"
    )
    func icmpOneWay() throws {
        let set = SelectorSet(
            local: [try selector("10.1.0.0/16", 1, 0x0800...0x08ff)], remote: [try opaque("10.2.0.0/16", 1)])
        #expect(try set.match(icmp("10.1.0.2", "10.2.0.2", type: 8), .outbound) == .yes)
        #expect(try set.match(icmp("10.1.0.2", "10.2.0.2", type: 0), .outbound) == .no)
        #expect(try set.match(icmp("10.2.0.2", "10.1.0.2", type: 8), .inbound) == .no)
    }

    @Test("An ICMP type that both sides name passes both ways")
    func icmpBothWays() throws {
        let set = SelectorSet(
            local: [try selector("10.1.0.0/16", 1, 0x0800...0x08ff)],
            remote: [try selector("10.2.0.0/16", 1, 0x0800...0x08ff)])
        #expect(try set.match(icmp("10.1.0.2", "10.2.0.2", type: 8, code: 255), .outbound) == .yes)
        #expect(try set.match(icmp("10.2.0.2", "10.1.0.2", type: 8), .inbound) == .yes)
        #expect(try set.match(icmp("10.1.0.2", "10.2.0.2", type: 9), .outbound) == .no)
    }
}

struct SecurityPolicyDatabaseTests {
    @Test("Of policies for the same addresses a packet meets the first for its class, then the others for it")
    func classes() throws {
        func policy(_ id: UInt32, _ dscp: DSCPSet?) throws -> SecurityPolicy {
            SecurityPolicy(
                id: id, action: .protect, local: [try selector("10.1.0.0/16")], remote: [try selector("10.2.0.0/16")],
                dscp: dscp)
        }
        let other = SecurityPolicy(
            id: 9, action: .protect, local: [try selector("10.1.0.0/16")], remote: [try selector("10.3.0.0/16")])
        let database = SecurityPolicyDatabase([
            try policy(1, DSCPSet([46])), try policy(2, DSCPSet([10, 46])), other, try policy(3, nil),
        ])
        let (distinguishes, plainDistinguishes) = (
            database.distinguishesClasses, SecurityPolicyDatabase([try policy(1, nil)]).distinguishesClasses
        )
        #expect(distinguishes && !plainDistinguishes)
        var packet = try packet("10.1.0.2", "10.2.0.2")
        let rows: [(UInt8, Int, UInt32, [Int])] = [
            (46, 0, 1, [1, 3]), (10, 1, 2, [3]), (0, 3, 3, []), (63, 3, 3, []),
        ]
        for (dscp, index, id, siblings) in rows {
            packet.dscp = dscp
            #expect(database.decision(for: packet, .outbound) == .protect(index: index, id: id))
            var found: [Int] = []
            var next = database.sibling(of: index, for: packet)
            while let sibling = next {
                found.append(sibling)
                next = database.sibling(of: sibling, for: packet)
            }
            #expect(found == siblings)
        }
        let alone = SecurityPolicyDatabase([try policy(1, DSCPSet([46]))])
        #expect(alone.decision(for: packet, .outbound) == .noPolicy)
    }

    @Test("Classes are 0 to 63")
    func classLimits() {
        #expect(DSCPSet([0, 63])?.values == [0, 63])
        #expect(DSCPSet([64]) == nil)
        #expect(DSCPSet([46])?.contains(110) == false)
        #expect(DSCPSet([UInt8]())?.isEmpty == true)
    }

    private func policy(
        _ id: UInt32, _ action: PolicyAction, _ local: [TrafficSelector], _ remote: [TrafficSelector]
    ) -> SecurityPolicy {
        SecurityPolicy(id: id, action: action, local: local, remote: remote)
    }

    @Test("The first policy that matches decides, though a later one fits closer")
    func order() throws {
        let wide = policy(7, .protect, [try selector("10.1.0.0/16")], [try selector("0.0.0.0/0")])
        let narrow = policy(8, .bypass, [try selector("10.1.0.0/16")], [try selector("10.2.0.2")])
        let packet = try packet("10.1.0.2", "10.2.0.2")
        #expect(SecurityPolicyDatabase([wide, narrow]).decision(for: packet, .outbound) == .protect(index: 0, id: 7))
        #expect(SecurityPolicyDatabase([narrow, wide]).decision(for: packet, .outbound) == .bypass(index: 0, id: 8))
    }

    @Test("What no policy matches is not let through (RFC 4301, section 4.4.1)")
    func noPolicy() throws {
        let database = SecurityPolicyDatabase([
            policy(1, .protect, [try selector("10.1.0.0/16")], [try selector("10.2.0.0/16")])
        ])
        #expect(try database.decision(for: packet("10.1.0.2", "10.3.0.2"), .outbound) == .noPolicy)
        #expect(try SecurityPolicyDatabase([]).decision(for: packet("10.1.0.2", "10.3.0.2"), .outbound) == .noPolicy)
    }

    @Test("A policy matches by any of its local with any of its remote selectors")
    func product() throws {
        let database = SecurityPolicyDatabase([
            policy(1, .discard, [], []),
            policy(
                2, .protect, [try selector("10.1.0.0/16"), try selector("2001:db8:1::/48")],
                [try selector("10.2.0.0/16"), try selector("10.4.0.0/16"), try selector("2001:db8:2::/48")]),
        ])
        #expect(try database.decision(for: packet("10.1.0.2", "10.4.0.2"), .outbound) == .protect(index: 1, id: 2))
        #expect(
            try database.decision(for: packet("2001:db8:1::1", "2001:db8:2::1"), .outbound) == .protect(index: 1, id: 2)
        )
        #expect(
            try database.decision(for: packet("2001:db8:2::1", "2001:db8:1::1"), .inbound) == .protect(index: 1, id: 2))
    }

    @Test("A fragment that may belong to a protected flow is never bypassed (RFC 4301, section 7.4)")
    func fragmentsDoNotLeak() throws {
        let all = try selector("0.0.0.0/0")
        let web = policy(1, .protect, [all], [try selector("0.0.0.0/0", 6, 80...80)])
        let database = SecurityPolicyDatabase([web, policy(2, .bypass, [all], [all])])
        let fragment = try packet("10.1.0.2", "10.2.0.2", 6, .hidden, from: 0, to: 0)
        #expect(database.decision(for: fragment, .outbound) == .ambiguousFragment)
        let datagram = try packet("10.1.0.2", "10.2.0.2", 17, .hidden, from: 0, to: 0)
        #expect(database.decision(for: datagram, .outbound) == .bypass(index: 1, id: 2))
    }

    @Test("A fragment goes with a later policy that protects it for certain")
    func fragmentProtected() throws {
        let all = try selector("0.0.0.0/0")
        let database = SecurityPolicyDatabase([
            policy(1, .bypass, [all], [try selector("0.0.0.0/0", 6, 22...22)]),
            policy(2, .protect, [all], [try selector("0.0.0.0/0", 6, 80...80)]),
            policy(3, .protect, [all], [try opaque("0.0.0.0/0", 6)]),
        ])
        let fragment = try packet("10.1.0.2", "10.2.0.2", 6, .hidden, from: 0, to: 0)
        #expect(database.decision(for: fragment, .outbound) == .protect(index: 2, id: 3))
    }

    @Test("Two thousand policies are looked through in order")
    func many() throws {
        let policies = try (0..<2000).map { index in
            policy(
                UInt32(index), .protect, [try selector("10.0.0.0/8")],
                [try selector("172.16.\(index / 250).\(index % 250)")])
        }
        let database = SecurityPolicyDatabase(policies)
        #expect(database.count == 2000)
        #expect(
            try database.decision(for: packet("10.1.0.2", "172.16.7.249"), .outbound) == .protect(index: 1999, id: 1999)
        )
    }
}
