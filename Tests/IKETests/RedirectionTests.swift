import Credentials
import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Redirection (RFC 5685)")
struct RedirectionTests {
    private static let third = "198.51.100.9"
    private static let thirdAddress = IPAddress(v4: 0xc633_6409)

    /// The client left, the gateway right that it knows, and another with the same configuration.
    private struct Trio {
        let pair: Pair
        let third: Host
        var world: World { pair.world }
        var left: Host { pair.left }

        func isUp(at address: IPAddress) -> Bool {
            guard let status = left.status("site"), status.ikeSAs.count == 1, left.isUp("site") else { return false }
            return left.outbound[1]?.remote.address == address
        }

        /// What left sent in IKE_SA_INIT to an address.
        func firstMessages(to address: IPAddress) -> [[Payload]] {
            world.sent.filter { $0.isRequest(.ikeSAInit) && pair.isFromLeft($0) && $0.remote.address == address }
                .compactMap { (try? Message(parsing: $0.octets))?.payloads }
        }
    }

    private static func gateway(
        at address: String, _ change: (inout ConnectionConfiguration) -> Void
    ) -> ConnectionConfiguration {
        Pair.configuration(isLeft: false, start: .none) {
            $0.localAddresses = [IPAddress(address)].compactMap(\.self)
            change(&$0)
        }
    }

    private static func trio(
        seed: UInt64, left: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        right: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        third change: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Trio {
        let pair = await Pair(seed: seed, start: .none, left: left, right: right, endpoint: { $0.exportsKeys = true })
        let third = await pair.world.add("third", Self.third, [gateway(at: Self.third, change)])
        pair.world.names["gw3.example.org"] = [Self.third]
        return Trio(pair: pair, third: third)
    }

    @Test("A redirected caller calls the other gateway, saying who sent it", arguments: [true, false])
    func beforeKeys(byName: Bool) async throws {
        let target: GatewayIdentity = byName ? .name("gw3.example.org") : .address(Self.thirdAddress)
        let trio = await Self.trio(seed: 1, right: { $0.redirect = target })
        await trio.pair.initiate()
        #expect(await trio.world.run(atMost: .seconds(5)) { trio.isUp(at: Self.thirdAddress) })
        #expect(
            trio.firstMessages(to: trio.pair.right.address).allSatisfy { $0.contains(NotifyType.redirectSupported) })
        let request = try #require(trio.firstMessages(to: Self.thirdAddress).first)
        var from: [UInt8]?
        for case .notify(let notify) in request where notify.type == .redirectedFrom { from = notify.data }
        #expect(from == [1, 4, 198, 51, 100, 2])
        #expect(!request.contains(NotifyType.redirectSupported))
        #expect(trio.pair.right.endpoint.saCount == 0)
        #expect(trio.pair.faults.isEmpty)
    }

    @Test("Who does not follow says nothing of it and is served", arguments: [true, false])
    func notFollowing(isClient: Bool) async {
        let trio = await Self.trio(
            seed: 2, left: { $0.followsRedirects = !isClient },
            right: { $0.redirect = isClient ? .address(Self.thirdAddress) : nil })
        await trio.pair.initiate()
        #expect(await trio.world.run(atMost: .seconds(5)) { trio.pair.isUp })
        let supports = trio.firstMessages(to: trio.pair.right.address).contains {
            $0.contains(NotifyType.redirectSupported)
        }
        #expect(supports == !isClient)
    }

    private static func forgery(of request: IKEDatagram, nonce: [UInt8], to gateway: [UInt8]) -> IKEDatagram? {
        let data = gateway + nonce
        return request.answered(with: [
            .notify(NotifyPayload(protocolID: .none, spi: [], type: .redirect, data: data))
        ])
    }

    private static func nonce(of request: IKEDatagram) -> [UInt8] {
        for case .nonce(let octets) in (try? Message(parsing: request.octets))?.payloads ?? [] { return octets }
        return []
    }

    @Test("A REDIRECT without our nonce, or that names no gateway, is passed over")
    func wrongNonce() async {
        let gateways: [[UInt8]] = [
            [1, 4, 198, 51, 100, 9], [1, 4, 0, 0, 0, 0], [1, 5, 1, 2, 3, 4, 5], [2, 4, 1, 2, 3, 4], [3, 0], [9, 1, 1],
            [1], [],
            [3, 4] + Array("a;rm".utf8), [1, 255, 1],
        ]
        for (index, gateway) in gateways.enumerated() {
            let trio = await Self.trio(seed: 3)
            trio.world.tap = { [world = trio.world] datagram in
                guard datagram.isRequest(.ikeSAInit) else { return [datagram] }
                let nonce = index == 0 ? [UInt8](repeating: 1, count: 32) : Self.nonce(of: datagram)
                if let forged = Self.forgery(of: datagram, nonce: nonce, to: gateway) { world.inject(forged) }
                return []
            }
            await trio.pair.initiate()
            await trio.world.run(for: .seconds(5))
            #expect(trio.firstMessages(to: Self.thirdAddress).isEmpty, "\(gateway)")
            #expect(trio.left.endpoint.saCount == 1, "\(gateway)")
        }
    }

    @Test("A forged REDIRECT on whose heels the good answer follows has no effect")
    func forgedBefore() async {
        let trio = await Self.trio(seed: 4)
        trio.world.tap = { [world = trio.world] datagram in
            if datagram.isRequest(.ikeSAInit),
                let forged = Self.forgery(of: datagram, nonce: Self.nonce(of: datagram), to: [1, 4, 198, 51, 100, 9])
            {
                world.inject(forged)
            }
            return [datagram]
        }
        await trio.pair.initiate()
        #expect(await trio.world.run(atMost: .seconds(5)) { trio.pair.isUp })
        await trio.world.run(for: .seconds(2))
        #expect(trio.firstMessages(to: Self.thirdAddress).isEmpty)
        #expect(trio.pair.agrees())
    }

    @Test("Where only the identity tells the connection, the caller is sent away in IKE_AUTH, with no child made")
    func inAuth() async throws {
        let pair = await Pair(seed: 5, start: .none, endpoint: { $0.exportsKeys = true })
        pair.world.kill("right")
        let redirecting = Self.gateway(at: "198.51.100.2") { $0.redirect = .address(Self.thirdAddress) }
        var other = Self.gateway(at: "198.51.100.2") { $0.remoteIdentity = .fqdn("other.example") }
        other.name = "other"
        let right = await pair.world.add(
            "right", "198.51.100.2", [redirecting, other],
            settings: {
                var settings = EndpointConfiguration()
                settings.exportsKeys = true
                return settings
            }())
        let third = await pair.world.add("third", Self.third, [Self.gateway(at: Self.third) { _ in }])
        let trio = Trio(pair: pair, third: third)
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(5)) { trio.isUp(at: Self.thirdAddress) })
        await pair.world.run(for: .seconds(5))
        let answer = try #require(
            pair.world.sent.first { $0.isResponse(.ikeAuth) && $0.local.address == right.address })
        let wiretap = Wiretap { [right] }
        let payloads = try #require(wiretap.payloads(of: answer.octets))
        #expect(payloads.contains(NotifyType.redirect) && payloads.contains(PayloadType.authentication))
        #expect(!payloads.contains(PayloadType.securityAssociation))
        #expect(right.status("site")?.ikeSAs.isEmpty == true && right.inbound.isEmpty)
        #expect(trio.left.refusals.isEmpty)
        #expect(trio.isUp(at: Self.thirdAddress))
        #expect(trio.left.faults.isEmpty)
    }

    @Test("The peer of an established SA is sent away: it calls the other gateway first and leaves then")
    func established() async {
        let trio = await Self.trio(seed: 6)
        await trio.pair.initiate()
        _ = await trio.world.run(atMost: .seconds(5)) { trio.pair.isUp }
        let count = await trio.world.act("right") { endpoint, now in
            try? endpoint.redirect("site", to: .address(Self.thirdAddress), at: now)
        }
        #expect(count == .some(.some(1)))
        _ = await trio.world.run(atMost: .seconds(1)) { trio.left.outbound[1]?.remote.address == Self.thirdAddress }
        // Both are there for a moment.
        #expect(trio.left.status("site")?.ikeSAs.count == 2)
        await trio.world.run(for: .seconds(5))
        #expect(trio.isUp(at: Self.thirdAddress))
        #expect(trio.pair.right.status("site")?.ikeSAs.isEmpty == true)
        #expect(trio.pair.faults.isEmpty)
    }

    @Test("Only whoever called can be sent away, and only if it has said that it can")
    func whoCanBeRedirected() async {
        let trio = await Self.trio(seed: 7, left: { $0.followsRedirects = false })
        await trio.pair.initiate()
        _ = await trio.world.run(atMost: .seconds(5)) { trio.pair.isUp }
        for name in ["left", "right"] {
            await trio.world.act(name) { endpoint, now in
                #expect(throws: ControlError.noRedirection("site")) {
                    try endpoint.redirect("site", to: .address(Self.thirdAddress), at: now)
                }
            }
        }
    }

    @Test("A peer that does not leave is done without after half a minute, and comes back where it knows")
    func stays() async {
        let trio = await Self.trio(seed: 8, left: { $0.start = .boot })
        _ = await trio.world.run(atMost: .seconds(5)) { trio.pair.isUp }
        await trio.world.act("right") { endpoint, now in
            _ = try? endpoint.redirect("site", to: .name("nowhere.example.org"), at: now)
        }
        await trio.world.run(for: .seconds(20))
        #expect(trio.pair.isUp)
        let before = trio.pair.ikeSPI
        #expect(await trio.world.run(atMost: .seconds(60)) { trio.pair.isUp && trio.pair.ikeSPI != before })
    }

    @Test("Gateways that send a caller round in circles are asked no more than six times in five minutes")
    func circles() async {
        let fourth = IPAddress(v4: 0xc633_640a)
        let trio = await Self.trio(
            seed: 9, right: { $0.redirect = .address(Self.thirdAddress) }, third: { $0.redirect = .address(fourth) })
        let back = GatewayIdentity.address(trio.pair.right.address)
        await trio.world.add("fourth", "\(fourth)", [Self.gateway(at: "\(fourth)") { $0.redirect = back }])
        await trio.pair.initiate()
        await trio.world.run(for: .seconds(20))
        let calls = trio.world.sent.filter { $0.isRequest(.ikeSAInit) && trio.pair.isFromLeft($0) }
        #expect(calls.count == 6)
        #expect(trio.left.refusals.contains { $0.reason.contains("circles") })
    }

    @Test("Who was sent here from the gateway that new callers are sent to is served")
    func noPingPong() async {
        let trio = await Self.trio(seed: 10, right: { $0.redirect = .address(Self.thirdAddress) })
        let back = GatewayIdentity.address(trio.pair.right.address)
        trio.world.kill("third")
        await trio.world.add("third", Self.third, [Self.gateway(at: Self.third) { $0.redirect = back }])
        await trio.pair.initiate()
        #expect(await trio.world.run(atMost: .seconds(5)) { trio.isUp(at: Self.thirdAddress) })
    }
}
