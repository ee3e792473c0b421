import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Transport mode (RFC 7296, sections 1.3.1 and 2.23.1)")
struct TransportModeTests {
    private static let left = "192.0.2.1/32"
    private static let right = "198.51.100.2/32"
    private static let outside = IPAddress(v4: 0xcb00_7105)

    /// Both ends protect traffic between themselves.
    private static func hosts(
        _ mode: ModeWish, isLeft: Bool, remote: String? = nil
    ) -> (inout ConnectionConfiguration) -> Void {
        {
            $0.children[0].mode = mode
            $0.children[0].localSelectors = Pair.selector(isLeft ? left : right)
            $0.children[0].remoteSelectors = Pair.selector(remote ?? (isLeft ? right : left))
        }
    }

    private func pair(seed: UInt64, _ ours: ModeWish, _ theirs: ModeWish) async -> Pair {
        await Pair.established(
            seed: seed, left: Self.hosts(ours, isLeft: true), right: Self.hosts(theirs, isLeft: false))
    }

    private func notifies(_ pair: Pair, _ datagram: IKEDatagram?) -> Bool {
        guard let payloads = datagram.flatMap({ pair.wiretap.payloads(of: $0.octets) }) else { return false }
        return payloads.contains {
            if case .notify(let notify) = $0 { notify.type == .useTransportMode && notify.data.isEmpty } else { false }
        }
    }

    @Test("Both sides notify USE_TRANSPORT_MODE, and the child has that mode and the two hosts at either")
    func agreed() async throws {
        let pair = await pair(seed: 1, .transport, .transport)
        #expect(pair.agrees())
        #expect(notifies(pair, pair.world.sent.first { $0.isRequest(.ikeAuth) }))
        #expect(notifies(pair, pair.world.sent.first { $0.isResponse(.ikeAuth) }))
        let (ours, theirs) = (
            try #require(pair.left.inbound.values.first), try #require(pair.right.inbound.values.first)
        )
        let hosts = TransportHosts(
            local: pair.left.address, remote: pair.right.address, localAtPeer: pair.left.address,
            remoteAtPeer: pair.right.address)
        #expect(ours.mode == .transport(hosts))
        #expect(theirs.mode.name == "transport")
        #expect(ours.localSelectors == Pair.selector(Self.left))
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A rekey by either side keeps transport mode, also through a rekey of the IKE SA", arguments: ["left", "right"])
    func rekey(side: String) async {
        let pair = await pair(seed: 2, .transport, .transport)
        await pair.rekeyIKE(side)
        await pair.rest()
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.childSPIs != old)
        #expect(pair.agrees())
        #expect(
            (pair.left.inbound.values.map(\.mode.name) + pair.right.inbound.values.map(\.mode.name)) == [
                "transport", "transport",
            ])
    }

    @Test("Where the peer wants a tunnel, prefer-transport takes one", arguments: [true, false])
    func fallback(initiatorPrefers: Bool) async {
        let pair = await pair(
            seed: 3, initiatorPrefers ? .preferTransport : .tunnel, initiatorPrefers ? .tunnel : .preferTransport)
        #expect(pair.agrees())
        #expect(pair.left.inbound.values.first?.mode == .tunnel)
        #expect(pair.right.inbound.values.first?.mode == .tunnel)
    }

    @Test(
        "Where the peer wants a tunnel, transport has none, says so with its line, and both sides are without the child",
        arguments: [true, false])
    func refused(initiatorInsists: Bool) async {
        let pair = await Pair(
            seed: 4, start: .none, left: Self.hosts(initiatorInsists ? .transport : .tunnel, isLeft: true),
            right: Self.hosts(initiatorInsists ? .tunnel : .transport, isLeft: false))
        await pair.initiate()
        await pair.world.run(for: .seconds(10))
        let refusal = (initiatorInsists ? pair.left : pair.right).refusals.first
        #expect(refusal?.reason.contains("transport mode") == true)
        #expect(refusal?.cause == .noProposal)
        #expect(refusal?.origins.isEmpty == false)
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.outbound.isEmpty && pair.right.outbound.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test("A child for a whole network of peers is agreed upon for the one that calls")
    func narrowedToHost() async {
        let pair = await Pair.established(
            seed: 5, left: Self.hosts(.transport, isLeft: true),
            right: Self.hosts(.transport, isLeft: false, remote: "192.0.2.0/24"))
        #expect(pair.right.inbound.values.first?.remoteSelectors == Pair.selector(Self.left))
    }

    @Test("An answer in transport mode to an offer of a tunnel ends the child")
    func unasked() async {
        let pair = await pair(seed: 6, .tunnel, .preferTransport)
        let wiretap = pair.wiretap
        pair.world.tap = { datagram in
            guard datagram.isResponse(.createChildSA), let header = datagram.header,
                let payloads = wiretap.payloads(of: datagram.octets),
                let forged = wiretap.seal(header, payloads + [.notify(Self.useTransportMode)], iv: 0xffff_0001)
            else { return [datagram] }
            var datagram = datagram
            datagram.octets = forged
            return [datagram]
        }
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(3))
        #expect(pair.childSPIs == old)
        #expect(pair.left.refusals.last?.cause == .protocolViolation)
    }

    private static let useTransportMode = NotifyPayload(protocolID: .none, spi: [], type: .useTransportMode, data: [])

    private static let visible = IPAddress(v4: 0xcb00_7209)

    /// Left is 192.0.2.1 behind a NAT that shows 203.0.113.5. Right is 198.51.100.2, which is hidden behind 203.0.114.9 if it
    /// has a NAT too.
    private func pairBehindNAT(seed: UInt64, isRightHidden: Bool) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none, behind: NAT(outside: "203.0.113.5"),
            rightBehind: isRightHidden ? NAT(outside: "203.0.114.9", server: "198.51.100.2") : nil,
            left: {
                Self.hosts(.transport, isLeft: true, remote: isRightHidden ? "203.0.114.9/32" : nil)(&$0)
                if isRightHidden { $0.remoteAddresses = [Self.visible] }
            },
            right: { Self.hosts(.transport, isLeft: false, remote: "203.0.113.0/24")(&$0) },
            endpoint: { $0.exportsKeys = true })
        await pair.initiate()
        _ = await pair.world.run(atMost: .seconds(3)) { pair.isUp }
        await pair.world.run(for: .milliseconds(500))
        return pair
    }

    /// Lets what left sends, as far as it is `wanted`, seem to come from another address than its NAT's; answers get there.
    private func forgeSource(_ address: IPAddress, in pair: Pair, of wanted: @escaping (IKEDatagram) -> Bool) {
        pair.world.tap = { datagram in
            var datagram = datagram
            if datagram.local.address == Self.outside, wanted(datagram) { datagram.local.address = address }
            if datagram.remote.address == address { datagram.remote.address = Self.outside }
            return [datagram]
        }
    }

    private static let victim = IPAddress(v4: 0xcb00_714d)

    @Test("An IKE_AUTH request with a forged source gets its sender no child for the host of that address")
    func forgedSource() async throws {
        let pair = await Pair(
            seed: 9, start: .none, behind: NAT(outside: "203.0.113.5"),
            left: {
                Self.hosts(.transport, isLeft: true)(&$0)
                $0.mobility = false
            },
            right: { Self.hosts(.transport, isLeft: false, remote: "203.0.113.0/24")(&$0) })
        forgeSource(Self.victim, in: pair) { $0.isRequest(.ikeAuth) }
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(3)) { !pair.right.inbound.isEmpty })
        let child = try #require(pair.right.inbound.values.first)
        #expect(child.remoteSelectors == [TrafficSelector(IPPrefix(Self.outside))])
        #expect(child.remote == SocketAddress(Self.outside, port: child.remote.port))
    }

    @Test("A child ends when its host has another address, and gets none for one that only messages come from")
    func movedSource() async throws {
        let pair = await Pair(
            seed: 10, behind: NAT(outside: "203.0.113.5"),
            left: {
                Self.hosts(.transport, isLeft: true)(&$0)
                $0.mobility = false
            },
            right: { Self.hosts(.transport, isLeft: false, remote: "203.0.113.0/24")(&$0) },
            endpoint: { $0.exportsKeys = true })
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.isUp })
        await pair.world.run(for: .milliseconds(500))
        forgeSource(Self.victim, in: pair) { _ in true }
        await pair.rekeyIKE("left")
        await pair.world.run(for: .seconds(30))
        #expect(pair.right.status("site")?.ikeSAs.first?.remote.hasPrefix("203.0.113.77:") == true)
        #expect(pair.right.inbound.isEmpty && pair.right.outbound.isEmpty)
        #expect(pair.right.refusals.last?.reason.contains("transport mode is for the host that the peer is") == true)
        // Where it was when it set up the SA, there can be one again.
        pair.world.tap = nil
        await pair.rekeyIKE("left")
        #expect(await pair.world.run(atMost: .seconds(600)) { pair.isUp })
        #expect(pair.right.inbound.values.first?.remoteSelectors == [TrafficSelector(IPPrefix(Self.outside))])
        #expect(pair.faults.isEmpty)
    }

    @Test("A host that moves by MOBIKE gets a child for its new address when it has answered there")
    func mobileHost() async throws {
        func change(_ isLeft: Bool) -> (inout ConnectionConfiguration) -> Void {
            {
                Self.hosts(.transport, isLeft: isLeft, remote: isLeft ? nil : "192.0.2.0/24")(&$0)
                guard isLeft else { return }
                $0.localAddresses = []
                $0.children[0].localSelectors = Pair.selector("192.0.2.0/24")
            }
        }
        let pair = await Pair.established(seed: 11, left: change(true), right: change(false))
        #expect(pair.right.inbound.values.first?.remoteSelectors == Pair.selector(Self.left))
        await pair.world.move("left", to: ["192.0.2.9"])
        await pair.world.run(for: .seconds(30))
        #expect(pair.right.inbound.values.map(\.remoteSelectors) == [Pair.selector("192.0.2.9/32")])
        #expect(pair.right.inbound.values.first?.mode.name == "transport")
        #expect(pair.right.outbound[1]?.remote.address == IPAddress("192.0.2.9"))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("Where a peer returns our selectors as it got them, though a NAT hides us, the addresses it sees are unknown")
    func untranslated() async throws {
        let pair = await pairBehindNAT(seed: 8, isRightHidden: false)
        let (wiretap, inside) = (pair.wiretap, Pair.selector(Self.left).map(\.wire))
        pair.world.tap = { datagram in
            var datagram = datagram
            if datagram.isResponse(.createChildSA), let header = datagram.header,
                let payloads = wiretap.payloads(of: datagram.octets),
                let forged = wiretap.seal(
                    header,
                    payloads.map {
                        if case .trafficSelectorsInitiator = $0 {
                            .trafficSelectorsInitiator(TrafficSelectorPayload(selectors: inside))
                        } else {
                            $0
                        }
                    }, iv: 0xffff_0001)
            {
                datagram.octets = forged
            }
            return [datagram]
        }
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.childSPIs != old)
        guard case .transport(let hosts) = try #require(pair.left.inbound.values.first).mode else {
            Issue.record("a tunnel")
            return
        }
        #expect(hosts.isTranslationUnknown)
        #expect(hosts.localAtPeer == pair.left.address)
    }

    @Test(
        "Behind NATs, each side has the addresses it knows in its selectors, and knows those the other makes checksums with",
        arguments: [true, false], ["", "left", "right"])
    func behindNAT(isRightHidden: Bool, rekeyedBy: String) async throws {
        let pair = await pairBehindNAT(seed: 7, isRightHidden: isRightHidden)
        #expect(pair.isUp)
        if !rekeyedBy.isEmpty {
            let old = pair.childSPIs
            await pair.rekeyChild(rekeyedBy)
            await pair.rest()
            #expect(pair.childSPIs != old)
        }
        let seen = isRightHidden ? Self.visible : pair.right.address
        let (ours, theirs) = (
            try #require(pair.left.inbound.values.first), try #require(pair.right.inbound.values.first)
        )
        #expect(
            ours.mode
                == .transport(
                    TransportHosts(
                        local: pair.left.address, remote: seen, localAtPeer: Self.outside,
                        remoteAtPeer: pair.right.address)))
        #expect(
            theirs.mode
                == .transport(
                    TransportHosts(
                        local: pair.right.address, remote: Self.outside, localAtPeer: seen,
                        remoteAtPeer: pair.left.address)))
        #expect(ours.remoteSelectors == [TrafficSelector(IPPrefix(seen))])
        #expect(theirs.remoteSelectors == [TrafficSelector(IPPrefix(Self.outside))])
        #expect(theirs.localSelectors == Pair.selector(Self.right))
        #expect(ours.isEncapsulatedInUDP && theirs.isEncapsulatedInUDP)
        #expect(pair.faults.isEmpty)
    }
}
