import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Child SAs")
struct ChildTests {
    private func child(_ name: String, _ policy: UInt32, _ ours: String, _ theirs: String) -> ChildConfiguration {
        ChildConfiguration(
            name: name, origin: Origin(file: "x.yaml", line: 9, column: 1, key: "children.\(name)"), policyID: policy,
            localSelectors: Pair.selector(ours), remoteSelectors: Pair.selector(theirs))
    }

    /// A second child beside the first, the same at both sides unless `theirs` says otherwise.
    private func pairWithTwo(
        seed: UInt64, theirs: String = "10.4.0.0/16",
        right: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Pair {
        await Pair.established(
            seed: seed, left: { $0.children.append(self.child("more", 2, "10.3.0.0/16", "10.4.0.0/16")) },
            right: {
                $0.children.append(self.child("more", 2, theirs, "10.3.0.0/16"))
                right(&$0)
            })
    }

    private func carries(_ pair: Pair, _ policy: UInt32) -> Bool {
        pair.left.reaches(pair.right, policy: policy) && pair.right.reaches(pair.left, policy: policy)
    }

    @Test("The second child of a connection follows in an exchange of its own")
    func further() async {
        let pair = await pairWithTwo(seed: 1)
        #expect(carries(pair, 1) && carries(pair, 2))
        #expect(pair.world.sent.count == 6)
        #expect(pair.agrees(children: 2))
    }

    @Test("A child that is refused leaves the IKE SA and the other child alone, and the responder names its line")
    func refused() async {
        let pair = await pairWithTwo(seed: 2, theirs: "10.99.0.0/16")
        #expect(carries(pair, 1))
        #expect(pair.agrees(children: 1))
        #expect(pair.right.refusals.last?.cause == .unacceptableSelectors)
        #expect(pair.right.refusals.last?.origins.isEmpty == false)
        #expect(pair.left.refusals.last?.cause == .unacceptableSelectors)
        #expect(pair.left.refusals.last?.decidedBy == .peer)
        #expect(pair.left.endpoint.childSPICount == 1)
    }

    @Test("A first child that is refused leaves the IKE SA up", arguments: [true, false])
    func firstRefused(bySelectors: Bool) async {
        let pair = await Pair.established(
            seed: 3, left: { $0.start = .none },
            right: {
                if bySelectors {
                    $0.children[0].localSelectors = Pair.selector("172.16.0.0/12")
                } else {
                    $0.children[0].espProposals = [
                        ESPProposal(encryption: [.aesCBC(192)], integrity: [.hmacSHA2_256_128])
                    ]
                }
            })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.right.status("site")?.ikeSAs.count == 1)
        #expect(pair.left.refusals.first?.cause == (bySelectors ? .unacceptableSelectors : .noProposal))
        #expect(pair.right.refusals.first?.cause == (bySelectors ? .unacceptableSelectors : .noProposal))
        #expect(pair.left.endpoint.childSPICount == 0)
        #expect(pair.left.status("site")?.state == .failed)
    }

    @Test("A responder narrows the selectors to what it allows, and both sides know (RFC 7296 section 2.9)")
    func narrowing() async {
        let pair = await Pair.established(
            seed: 4,
            right: {
                $0.children[0].localSelectors = Pair.selector("10.2.3.0/24")
                $0.children[0].remoteSelectors = Pair.selector("10.0.0.0/8")
            })
        let left = pair.left.inbound.values.first, right = pair.right.inbound.values.first
        #expect(left?.remoteSelectors == Pair.selector("10.2.3.0/24"))
        #expect(left?.localSelectors == Pair.selector("10.1.0.0/16"))
        #expect(right?.localSelectors == Pair.selector("10.2.3.0/24"))
        #expect(right?.remoteSelectors == Pair.selector("10.1.0.0/16"))
    }

    @Test(
        "A selector keeps its value on the wire and back", arguments: ["10.1.0.0/16", "2001:db8::/32", "192.0.2.7/32"])
    func coding(text: String) {
        let selector = Pair.selector(text)
        #expect(selector.compactMap { TrafficSelector($0.wire) } == selector)
        #expect(!selector.isEmpty)
    }

    @Test("A child is rekeyed by either side: new SPIs and keys, the old pair gone", arguments: ["left", "right"])
    func rekey(side: String) async {
        let pair = await Pair.established(seed: 5)
        let old = pair.childSPIs
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.childSPIs != old)
        #expect(pair.faults.isEmpty)
        #expect(pair.left.endpoint.childSPICount == 1)
        #expect(pair.right.endpoint.childSPICount == 1)
    }

    @Test("Packets pass at every instant of a rekey", arguments: ["left", "right"])
    func continuity(side: String) async {
        let pair = await Pair.established(seed: 6)
        await pair.rekeyChild(side)
        await pair.rekeyIKE(side)
        let end = pair.world.now + .seconds(8)
        while await pair.world.step(until: end) { #expect(pair.carries) }
    }

    @Test("A responder sends on the old pair until it hears from the new one", arguments: [true, false])
    func handover(hasTraffic: Bool) async {
        let pair = await Pair.established(seed: 7)
        pair.world.carriesTraffic = hasTraffic
        let old = pair.right.outbound[1]?.outboundSPI
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(500))
        #expect((pair.right.outbound[1]?.outboundSPI == old) == !hasTraffic)
        await pair.rest()
        #expect(pair.right.outbound[1]?.outboundSPI != old)
        #expect(pair.carries)
    }

    @Test("With perfect forward secrecy a rekey has a key exchange, without it has none", arguments: [true, false])
    func forwardSecrecy(hasPFS: Bool) async {
        let change: (inout ConnectionConfiguration) -> Void = {
            $0.children[0].espProposals = [
                ESPProposal(encryption: [.aesGCM16(256)], keyExchange: hasPFS ? [.curve25519, .ecp256] : [])
            ]
        }
        let pair = await Pair.established(seed: 8, left: change, right: change)
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.left.inbound.values.first?.suite.keyExchange == (hasPFS ? .curve25519 : nil))
        let rekeys = pair.world.sent.filter { $0.isRequest(.createChildSA) }.compactMap {
            pair.wiretap.payloads(of: $0.octets)
        }
        #expect(rekeys.count == 1)
        #expect(rekeys[0].contains(.keyExchange) == hasPFS)
        #expect(rekeys[0].contains(.rekeySA))
        #expect(pair.agrees())
    }

    @Test("A responder that wants another key exchange for a child is given it")
    func invalidKE() async {
        let pair = await Pair.established(
            seed: 9,
            left: {
                $0.children[0].espProposals = [
                    ESPProposal(encryption: [.aesGCM16(256)], keyExchange: [.curve25519, .ecp256])
                ]
            },
            right: { $0.children[0].espProposals = [ESPProposal(encryption: [.aesGCM16(256)], keyExchange: [.ecp256])] }
        )
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.left.inbound.values.first?.suite.keyExchange == .ecp256)
        #expect(pair.agrees())
    }

    @Test("A rekey of the IKE SA by either side keeps the children as they are", arguments: ["left", "right"])
    func rekeyIKE(side: String) async {
        let pair = await Pair.established(seed: 10)
        let old = pair.ikeSPI, children = pair.childSPIs
        await pair.rekeyIKE(side)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.ikeSPI != old)
        #expect(pair.childSPIs == children)
        #expect(pair.left.status("site")?.ikeSAs.first?.isInitiator == (side == "left"))
        // The new SA is good for new children, and rekeys again.
        await pair.rekeyChild("right")
        await pair.rekeyIKE(side)
        // Where the two cross, either may be put off by up to four seconds, and more than once.
        await pair.rest()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A child that the peer has forgotten is made anew")
    func notFound() async {
        let pair = await Pair.established(seed: 11)
        // What left asks to have rekeyed is replaced by an SPI that right does not know.
        var forged = false
        let old = pair.childSPIs
        pair.world.tap = { datagram in
            guard !forged, pair.isFromLeft(datagram), datagram.isRequest(.createChildSA), let header = datagram.header,
                let payloads = pair.wiretap.payloads(of: datagram.octets), payloads.contains(.rekeySA)
            else { return [datagram] }
            forged = true
            let changed = payloads.map { payload -> Payload in
                guard case .notify(var notify) = payload, notify.type == .rekeySA else { return payload }
                notify.spi = [0xde, 0xad, 0xbe, 0xef]
                return .notify(notify)
            }
            var copy = datagram
            copy.octets = pair.wiretap.seal(header, changed, iv: 1 << 40) ?? []
            return [copy]
        }
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(forged)
        #expect(pair.carries)
        #expect(pair.childSPIs.count == 1)
        #expect(pair.childSPIs != old)
    }

    @Test("An IKE SA that cannot be rekeyed ends with its lifetime, and is set up again")
    func ikeLifetime() async {
        let pair = await Pair.established(
            seed: 12,
            left: {
                $0.timing.rekeyAfter = .seconds(20)
                $0.ikeProposals[0].prf = [.hmacSHA2_256]
            })
        let old = pair.ikeSPI
        pair.world.tap = { $0.isRequest(.createChildSA) ? [] : [$0] }
        await pair.world.run(for: .seconds(23))
        #expect(pair.ikeSPI != old)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A child that cannot be rekeyed ends with its lifetime at both sides, and is made anew")
    func childLifetime() async {
        let pair = await Pair.established(seed: 13, left: { $0.children[0].lifetime.rekeyAfter = .seconds(20) })
        let old = pair.childSPIs
        var blocked = true
        pair.world.tap = { blocked && $0.isRequest(.createChildSA) ? [] : [$0] }
        await pair.world.run(for: .seconds(22.5))
        #expect(pair.childSPIs.allSatisfy { !old.contains($0) })
        blocked = false
        await pair.world.run(for: .seconds(40))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A hard limit of packets or octets ends a child, a soft one rekeys it", arguments: [true, false])
    func limits(isHard: Bool) async {
        let pair = await Pair.established(seed: 14)
        let old = pair.childSPIs
        let spi = pair.left.outbound[1]?.inboundSPI ?? 0
        await pair.world.act("left") { endpoint, now in
            endpoint.handle(isHard ? .hardLimit(spi: spi) : .softLimit(spi: spi), at: now)
        }
        if isHard {
            await pair.world.run(for: .milliseconds(50))
            #expect(pair.left.outbound.isEmpty)
        }
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.childSPIs != old)
    }

    /// Adds an error to the first answer of a CREATE_CHILD_SA exchange, and loses what `loses` says.
    private func spoilAnswer(of pair: Pair, losing loses: @escaping (IKEDatagram) -> Bool = { _ in false }) {
        let error = Payload.notify(
            NotifyPayload(protocolID: .none, spi: [], type: NotifyType(rawValue: 8191), data: []))
        var iv: UInt64 = 1 << 42
        var changed = 0
        pair.world.tap = { datagram in
            guard changed == 0 || !loses(datagram) else { return [] }
            guard changed == 0, datagram.isResponse(.createChildSA), let header = datagram.header,
                let payloads = pair.wiretap.payloads(of: datagram.octets),
                let octets = pair.wiretap.seal(header, payloads + [error], iv: iv)
            else { return [datagram] }
            iv += 1
            changed += 1
            var datagram = datagram
            datagram.octets = octets
            return [datagram]
        }
    }

    @Test("An error in an answer means that the request failed, whatever else is in it (RFC 7296 section 3.10.1)")
    func errorBesideSA() async {
        let pair = await Pair.established(seed: 31)
        let before = Set(pair.left.inbound.keys)
        spoilAnswer(of: pair)
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.left.refusals.last?.cause == .protocolViolation)
        #expect(Set(pair.left.inbound.keys) == before)
        #expect(pair.agrees())
    }

    @Test("The SPI of a child that was not taken on is free again when the peer dies before it has deleted it")
    func undoneChildOfDeadPeer() async {
        let pair = await Pair.established(seed: 32, right: { $0.deadPeerAction = .clear })
        spoilAnswer(of: pair) { $0.isResponse }
        await pair.rekeyChild("left")
        #expect(
            await pair.world.run(atMost: .seconds(150)) { pair.left.endpoint.status().first?.ikeSAs.isEmpty ?? true })
        #expect(pair.left.refusals.contains { $0.cause == .protocolViolation })
        await pair.terminate("left")
        #expect(pair.left.endpoint.childSPICount == 0)
    }
}
