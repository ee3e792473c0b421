import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

// draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt
@Suite("Optimized rekeys")
struct OptimizedRekeyTests {
    private typealias Change = (inout ConnectionConfiguration) -> Void

    private static func pair(
        seed: UInt64, left: Bool = true, right: Bool = true, _ change: @escaping Change = { _ in }
    ) async -> Pair {
        await Pair.established(
            seed: seed,
            left: {
                $0.optimizedRekey = left
                change(&$0)
            },
            right: {
                $0.optimizedRekey = right
                change(&$0)
            })
    }

    private static func esp(
        _ methods: [KeyExchangeMethod], additional: [AdditionalKeyExchange] = [],
        _ encryption: EncryptionAlgorithm = .aesGCM16(256), _ integrity: [IntegrityAlgorithm] = [],
        _ numbers: [SequenceNumbers] = [.extended]
    ) -> Change {
        {
            $0.children[0].espProposals = [
                ESPProposal(
                    encryption: [encryption], integrity: integrity, keyExchange: methods, additional: additional,
                    sequenceNumbers: numbers)
            ]
        }
    }

    // MARK: Form

    @Test("OPTIMIZED_REKEY_SUPPORTED has eight octets, in the request of IKE_AUTH and its answer")
    func supported() async throws {
        let pair = await Self.pair(seed: 1)
        for isResponse in [false, true] {
            let datagram = try #require(
                pair.world.sent.first { $0.header?.exchangeType == .ikeAuth && $0.isResponse == isResponse })
            let payloads = try #require(pair.wiretap.payloads(of: datagram.octets))
            #expect(payloads.octets(of: NotifyType(rawValue: 51201)) == [[0, 0, 0, 8, 0, 0, 0xc8, 0x01]])
        }
    }

    @Test(
        "OPTIMIZED_REKEY has the SPI in its data: 16 octets for an IKE SA, 12 for a child, and SA and TS are not there")
    func form() async throws {
        let pair = await Self.pair(seed: 2)
        await pair.rekeyIKE("left")
        await pair.rest()
        let ike = try #require(pair.rekeys().first)
        #expect(ike.request.map(\.type) == [.notify, .nonce, .keyExchange])
        #expect(ike.answer.map(\.type) == [.notify, .nonce, .keyExchange])
        let spis = try #require(pair.left.status("site")?.ikeSAs.first)
        #expect(
            ike.request.octets(of: .optimizedRekey)
                == [[0, 0, 0, 16, 0, 0, 0xc8, 0x02] + spis.localSPI.bigEndianOctets])
        #expect(
            ike.answer.octets(of: .optimizedRekey)
                == [[0, 0, 0, 16, 0, 0, 0xc8, 0x02] + spis.remoteSPI.bigEndianOctets])
        for _ in 0..<2 {
            await pair.rekeyChild("left")
            await pair.rest()
        }
        let child = try #require(pair.rekeys().last)
        #expect(child.request.map(\.type) == [.notify, .notify, .nonce])
        #expect(child.answer.map(\.type) == [.notify, .nonce])
        let status = try #require(pair.left.status("site")?.children.first)
        #expect(
            child.request.octets(of: .optimizedRekey)
                == [[0, 0, 0, 12, 0, 0, 0xc8, 0x02] + status.inboundSPI.bigEndianOctets])
        #expect(
            child.answer.octets(of: .optimizedRekey)
                == [[0, 0, 0, 12, 0, 0, 0xc8, 0x02] + status.outboundSPI.bigEndianOctets])
        #expect(pair.agrees())
    }

    @Test("A rekey takes fewer octets on the wire than in the regular form")
    func octets() async throws {
        func sizes(_ isOptimized: Bool) async -> [Int] {
            let pair = await Self.pair(seed: 3, left: isOptimized, right: isOptimized)
            for _ in 0..<2 {
                await pair.rekeyChild("left")
                await pair.rest()
            }
            await pair.rekeyIKE("left")
            await pair.rest()
            return pair.world.sent.filter { $0.header?.exchangeType == .createChildSA }.map(\.octets.count)
        }
        let (regular, optimized) = (await sizes(false), await sizes(true))
        #expect(regular.count == 6 && optimized.count == 6)
        // The first rekey of the child is regular in both.
        #expect(zip(regular, optimized).map { $0 == $1 } == [true, true, false, false, false, false])
        // Requests save more than answers, which have one proposal.
        #expect(zip(regular, optimized).dropFirst(2).allSatisfy { $0 >= $1 + 32 }, "\(regular) \(optimized)")
    }

    // MARK: Agreement

    @Test("It is done when both sides have said so, and otherwise not")
    func agreement() async {
        for (left, right) in [(true, true), (true, false), (false, true), (false, false)] {
            let pair = await Self.pair(seed: 4, left: left, right: right)
            for side in ["left", "right"] {
                await pair.rekeyIKE(side)
                await pair.rest()
                await pair.rekeyChild(side)
                await pair.rest()
            }
            #expect(pair.agrees())
            #expect(pair.faults.isEmpty)
            let isAgreed = left && right
            // The first rekey of the child is regular.
            #expect(pair.rekeys().map(\.isOptimized) == [isAgreed, false, isAgreed, isAgreed])
            for host in [pair.left, pair.right] {
                #expect(host.status("site")?.ikeSAs.first?.optimizedRekey == isAgreed)
            }
        }
    }

    @Test("Both sides explain what was agreed on, and why the first rekey of a child is regular")
    func explained() async {
        let pair = await Self.pair(seed: 5)
        await pair.rekeyChild("left")
        await pair.rest()
        await pair.rekeyChild("left")
        await pair.rest()
        for host in [pair.left, pair.right] {
            let lines = host.narratives.map { $0.lines.map(\.text) }
            #expect(lines.first?.contains("optimized rekeys") == true)
            #expect(lines.last?.contains { $0.hasPrefix("child net as the pair before: ENCR_AES_GCM_16") } == true)
            #expect(lines.last?.contains { $0.contains("N(OPTIMIZED_REKEY)") } == true)
        }
        #expect(
            pair.left.narratives.flatMap(\.lines).contains {
                $0.text.hasPrefix("child net: the first rekey has the regular")
            })
        let other = await Self.pair(seed: 5, right: false)
        #expect(
            other.left.narratives.flatMap(\.lines).contains { $0.text.hasPrefix("the peer has no optimized rekeys") })
    }

    @Test("An announcement with data, or one that names an SA, is none")
    func malformedAnnouncement() async {
        for notify in [
            NotifyPayload(protocolID: .none, spi: [], type: NotifyType(rawValue: 51201), data: [0]),
            NotifyPayload(protocolID: .esp, spi: [1, 2, 3, 4], type: NotifyType(rawValue: 51201), data: []),
        ] {
            let pair = await Pair(
                seed: 6, start: .none, left: { $0.optimizedRekey = true }, right: { $0.optimizedRekey = true },
                endpoint: { $0.exportsKeys = true })
            pair.rewrite {
                $0.isRequest(.ikeAuth)
            } change: { payloads in
                payloads.filter { !$0.is(NotifyType(rawValue: 51201)) } + [.notify(notify)]
            }
            await pair.initiate()
            await pair.rest()
            #expect(pair.agrees())
            #expect(pair.right.status("site")?.ikeSAs.first?.optimizedRekey == false)
        }
    }

    @Test("An announcement made twice is made once")
    func doubledAnnouncement() async {
        let pair = await Pair(
            seed: 15, start: .none, left: { $0.optimizedRekey = true }, right: { $0.optimizedRekey = true },
            endpoint: { $0.exportsKeys = true })
        pair.rewrite {
            $0.header?.exchangeType == .ikeAuth
        } change: { payloads in
            payloads + payloads.filter { $0.is(NotifyType(rawValue: 51201)) }
        }
        await pair.initiate()
        await pair.rest()
        #expect(pair.right.status("site")?.ikeSAs.first?.optimizedRekey == true)
        await pair.rekeyIKE("right")
        await pair.rest()
        #expect(pair.agrees() && pair.faults.isEmpty)
    }

    @Test("Other numbers than the usual ones serve as well, if both sides have the same")
    func otherNumbers() async {
        for isCommon in [true, false] {
            let pair = await Pair(
                seed: 7, left: { $0.optimizedRekey = true }, right: { $0.optimizedRekey = true },
                endpoint: {
                    $0.exportsKeys = true
                    $0.codePoints[.optimizedRekeySupported] = 45001
                    $0.codePoints[.optimizedRekey] = 45002
                })
            if !isCommon {
                // What the right side would see of a left one with the usual number.
                pair.rewrite {
                    $0.isRequest(.ikeAuth)
                } change: { payloads in
                    payloads.map { payload in
                        guard case .notify(var notify) = payload, notify.type.rawValue == 45001 else { return payload }
                        notify.type = NotifyType(rawValue: 51201)
                        return .notify(notify)
                    }
                }
            }
            await pair.rest()
            await pair.rekeyIKE("right")
            await pair.rest()
            #expect(pair.agrees())
            let rekey = pair.rekeys().first?.request ?? []
            #expect(rekey.contains(NotifyType(rawValue: 45002)) == isCommon)
            #expect(rekey.contains(PayloadType.securityAssociation) != isCommon)
        }
    }

    // MARK: What is inherited

    @Test("The new child has all that the old one has, but SPIs and keys", arguments: 0..<7)
    func inherited(kind: Int) async throws {
        let changes: [Change] = [
            Self.esp([]), Self.esp([.curve25519]),
            Self.esp([.ecp384], .aesCBC(256), [.hmacSHA2_512_256], [.sequential32]),
            {
                $0.children[0].tfcPadding = 1300
                $0.children[0].replayWindow = 128
                $0.children[0].copiesDSCP = false
                $0.children[0].lifetime.rekeyAfterOctets = 1 << 30
            },
            // Narrowed by the right side.
            {
                if $0.origin.file == "left.yaml" { $0.children[0].remoteSelectors = Pair.selector("10.0.0.0/8") }
            },
            // Transport mode between the two hosts.
            {
                let isLeft = $0.origin.file == "left.yaml"
                $0.children[0].mode = .transport
                $0.children[0].localSelectors = Pair.selector(isLeft ? "192.0.2.1/32" : "198.51.100.2/32")
                $0.children[0].remoteSelectors = Pair.selector(isLeft ? "198.51.100.2/32" : "192.0.2.1/32")
            },
            Self.esp([], .chaCha20Poly1305),
        ]
        let pair = await Self.pair(seed: 8, changes[kind])
        await pair.rekeyChild("left")
        await pair.rest()
        for side in ["left", "right"] {
            let before = (pair.left.inbound.values.first, pair.right.inbound.values.first)
            await pair.rekeyChild(side)
            await pair.rest()
            let rekey = try #require(pair.rekeys().last)
            #expect(rekey.isOptimized)
            #expect(!rekey.request.contains(NotifyType.useTransportMode))
            for (old, new) in [
                (before.0, pair.left.inbound.values.first), (before.1, pair.right.inbound.values.first),
            ] {
                let (old, new) = (try #require(old), try #require(new))
                #expect(old.inboundSPI != new.inboundSPI && old.outboundSPI != new.outboundSPI)
                #expect(old.inboundKeys != new.inboundKeys && old.outboundKeys != new.outboundKeys)
                #expect(old.suite == new.suite && old.mode == new.mode && old.policyID == new.policyID)
                #expect(old.localSelectors == new.localSelectors && old.remoteSelectors == new.remoteSelectors)
                #expect(old.tfcPadding == new.tfcPadding && old.copiesDSCP == new.copiesDSCP)
                #expect(old.replayWindow == new.replayWindow && old.lifetime == new.lifetime)
                // Perfect forward secrecy: the same method, or none as before.
                #expect(rekey.request.keyExchangeMethod == old.suite.keyExchange)
                #expect(rekey.answer.keyExchangeMethod == old.suite.keyExchange)
            }
        }
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("A new IKE SA has the algorithms of the old one, and what else belongs to it")
    func inheritedIKE() async {
        let pair = await Self.pair(seed: 9) {
            $0.ikeProposals = [
                IKEProposal(
                    encryption: [.aesCBC(256)], integrity: [.hmacSHA2_384_192], prf: [.hmacSHA2_512],
                    keyExchange: [.ecp521])
            ]
        }
        let before = pair.left.status("site")?.ikeSAs.first
        for side in ["left", "right", "left"] {
            await pair.rekeyIKE(side)
            await pair.rest()
        }
        #expect(pair.rekeys().map(\.isOptimized) == [true, true, true])
        let after = pair.left.status("site")?.ikeSAs.first
        #expect(after?.suite == before?.suite && after?.localSPI != before?.localSPI)
        #expect(after?.optimizedRekey == true)
        #expect(pair.agrees())
    }

    @Test(
        "As many exchanges follow as the old SA had additional key exchanges (RFC 9370)", arguments: ["left", "right"])
    func severalKeyExchanges(side: String) async {
        let additional = [
            AdditionalKeyExchange(number: 1, methods: [.mlKEM768]),
            AdditionalKeyExchange(number: 3, methods: [.ecp384]),
        ]
        let pair = await Self.pair(seed: 10) {
            $0.ikeProposals = [
                IKEProposal(
                    encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                    additional: additional)
            ]
            Self.esp([.curve25519], additional: additional)(&$0)
        }
        func followUps() -> Int {
            var ids: Set<[UInt64]> = []
            for datagram in pair.world.sent where datagram.isRequest(.ikeFollowupKE) {
                guard let header = datagram.header else { continue }
                ids.insert([header.initiatorSPI, UInt64(header.messageID), pair.isFromLeft(datagram) ? 1 : 0])
            }
            return ids.count
        }
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(followUps() == 2)
        await pair.rekeyChild(side)
        await pair.rest()
        #expect(followUps() == 4)
        await pair.rekeyIKE(side)
        await pair.rest()
        #expect(followUps() == 6)
        #expect(pair.rekeys().map(\.isOptimized) == [false, true, true])
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.additional.map(\.method) == [.mlKEM768, .ecp384])
        #expect(pair.left.status("site")?.children.first?.suite.additional.map(\.method) == [.mlKEM768, .ecp384])
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("Rekeys do not put off the time when the peers have to authenticate each other again (RFC 4478)")
    func lifetime() async {
        let pair = await Pair.established(
            seed: 11,
            left: {
                $0.optimizedRekey = true
                $0.timing.rekeyAfter = .seconds(20)
            },
            right: {
                $0.optimizedRekey = true
                $0.timing.reauthenticateAfter = .seconds(100)
            })
        await pair.world.run(for: .seconds(101))
        #expect(pair.rekeys().filter(\.isOptimized).count >= 3)
        #expect(pair.world.sent.filter { $0.isRequest(.ikeSAInit) && pair.isFromLeft($0) }.count == 2)
        await pair.rest()
        #expect(pair.agrees())
    }

    // MARK: When it does not come about

    @Test(
        "To a refusal the regular form follows at once, and after that the other again", arguments: ["child", "ike"])
    func refused(kind: String) async {
        let pair = await Self.pair(seed: 12)
        await pair.rekeyChild("left")
        await pair.rest()
        // As if the right side had it switched off.
        pair.rewrite {
            pair.isFromLeft($0) && $0.isRequest(.createChildSA)
        } change: { payloads in
            payloads.map { payload in
                guard case .notify(var notify) = payload, notify.type == .optimizedRekey else { return payload }
                notify.data.append(0)
                return .notify(notify)
            }
        }
        let begun = pair.rekeys().count
        let time = pair.world.now
        await (kind == "ike" ? pair.rekeyIKE("left") : pair.rekeyChild("left"))
        _ = await pair.world.run(atMost: .seconds(5)) { pair.rekeys().count == begun + 2 }
        #expect(pair.world.now - time < .milliseconds(500))
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        pair.world.tap = nil
        await (kind == "ike" ? pair.rekeyIKE("left") : pair.rekeyChild("left"))
        await pair.rest()
        let rekeys = pair.rekeys().dropFirst(begun)
        #expect(rekeys.map(\.isOptimized) == [true, false, true])
        #expect(rekeys.first?.answer.contains(NotifyType.noProposalChosen) == true)
        #expect(pair.right.inbound.count == 1)
        #expect(pair.agrees())
    }

    @Test("That the peer has no room for more says nothing against the form", arguments: ["child", "ike"])
    func noRoom(kind: String) async {
        let pair = await Self.pair(seed: 13)
        await pair.rekeyChild("left")
        await pair.rest()
        pair.rewrite {
            !pair.isFromLeft($0) && $0.isResponse(.createChildSA)
        } change: { _ in
            [.notify(NotifyPayload(protocolID: .none, spi: [], type: .noAdditionalSAs, data: []))]
        }
        let begun = pair.rekeys().count
        await (kind == "ike" ? pair.rekeyIKE("left") : pair.rekeyChild("left"))
        await pair.rest()
        await (kind == "ike" ? pair.rekeyIKE("left") : pair.rekeyChild("left"))
        await pair.rest()
        let forms = pair.world.sent.filter { pair.isFromLeft($0) && $0.isRequest(.createChildSA) }.map { datagram in
            pair.wiretap.payloads(of: datagram.octets)?.contains { payload in
                if case .notify(let notify) = payload { notify.type == .optimizedRekey } else { false }
            } ?? false
        }
        #expect(forms.dropFirst(begun).count >= 2)
        #expect(!forms.dropFirst(begun).contains(false))
    }

    @Test("Of the peer's two forms either is answered, whichever form our own rekeys have")
    func bothForms() async {
        let pair = await Self.pair(seed: 13)
        await pair.rekeyChild("right")
        await pair.rest()
        // The left side is refused once, and has not rekeyed in the regular form since.
        pair.rewrite {
            pair.isFromLeft($0) && $0.isRequest(.createChildSA)
        } change: { payloads in
            payloads.filter { !$0.is(.optimizedRekey) }
        }
        await pair.rekeyIKE("right")
        await pair.rest()
        pair.world.tap = nil
        await pair.rekeyChild("right")
        await pair.rest()
        #expect(pair.rekeys().map(\.isOptimized) == [false, true, true])
        #expect(pair.agrees())
    }

    @Test("After a reload that changes a connection nothing is left to be rekeyed as before: it is negotiated anew")
    func reload() async {
        let pair = await Pair.established(
            seed: 14,
            left: {
                $0.optimizedRekey = true
                $0.children[0].espProposals = ESPProposal.defaults
            }, right: { $0.optimizedRekey = true })
        await pair.rekeyChild("left")
        await pair.rest()
        var changed = Pair.configuration(isLeft: false, start: .none) { $0.optimizedRekey = true }
        Self.esp([], .chaCha20Poly1305)(&changed)
        changed.fingerprint = "changed"
        let before = pair.ikeSPI
        await pair.world.act("right") { endpoint, now in endpoint.apply([changed], at: now) }
        await pair.world.run(for: .seconds(40))
        #expect(pair.ikeSPI != before)
        #expect(pair.agrees())
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.rekeys().map(\.isOptimized) == [false, false])
        #expect(pair.left.inbound.values.first?.suite.encryption == .chaCha20Poly1305)
    }

    @Test("With a post-quantum preshared key of RFC 9867 it is not agreed on, with one of RFC 8784 it is")
    func presharedKeys() async {
        for exchange in [PPKExchange.intermediate, .auth] {
            let pair = await Self.pair(seed: 19) {
                $0.ppks = [
                    PostquantumPresharedKey(
                        identifier: Array("one".utf8), secret: SecretOctets([UInt8](repeating: 5, count: 32)))
                ]
                $0.requiresPPK = true
                $0.ppkExchange = exchange
            }
            await pair.rekeyIKE("left")
            await pair.rest()
            #expect(pair.agrees())
            #expect(pair.rekeys().map(\.isOptimized) == [exchange == .auth])
        }
    }

    @Test("Over a network that loses and doubles, rekeys of both kinds by both sides leave them in agreement")
    func loss() async {
        for seed in 15...18 as ClosedRange<UInt64> {
            let conditions = NetworkConditions(
                loss: 0.25, duplication: 0.2, delay: .milliseconds(5) ... .milliseconds(200))
            let pair = await Pair(
                seed: seed, conditions: conditions,
                left: { $0.optimizedRekey = true }, right: { $0.optimizedRekey = true },
                endpoint: { $0.exportsKeys = true })
            _ = await pair.world.run(atMost: .seconds(60)) { pair.isUp }
            for side in ["left", "right", "left"] {
                await pair.rekeyChild(side)
                await pair.world.run(for: .seconds(25))
                await pair.rekeyIKE(side)
                await pair.world.run(for: .seconds(25))
            }
            await pair.world.run(for: .seconds(60))
            #expect(pair.agrees())
            #expect(pair.faults.isEmpty)
            #expect(pair.rekeys().filter(\.isOptimized).count >= 4)
        }
    }

    @Test("Rekeys of both sides that cross leave one new SA", arguments: 20...27 as ClosedRange<UInt64>)
    func crossing(seed: UInt64) async {
        let pair = await Self.pair(seed: seed, Self.esp([.curve25519]))
        await pair.rekeyChild("left")
        await pair.rest()
        for isIKE in [false, true] {
            for side in ["left", "right"] { await (isIKE ? pair.rekeyIKE(side) : pair.rekeyChild(side)) }
            await pair.rest()
            #expect(pair.agrees())
        }
        #expect(pair.rekeys().map(\.isOptimized) == [false, true, true, true, true])
        #expect(pair.faults.isEmpty)
    }
}

extension NotifyType {
    fileprivate static let optimizedRekey = NotifyType(rawValue: 51202)
}

extension Payload {
    func `is`(_ type: NotifyType) -> Bool { if case .notify(let notify) = self { notify.type == type } else { false } }
}

extension [Payload] {
    /// Each notification of a type as it would stand last in a message.
    fileprivate func octets(of type: NotifyType) -> [[UInt8]] {
        filter { $0.is(type) }.map { Payload.serializeChain([$0]).octets }
    }

    fileprivate var keyExchangeMethod: KeyExchangeMethod? {
        for case .keyExchange(let payload) in self { return KeyExchangeMethod(rawValue: payload.method) }
        return nil
    }
}

/// A CREATE_CHILD_SA exchange as a wiretap heard it.
struct HeardRekey {
    var request: [Payload]
    var answer: [Payload]
    var isOptimized: Bool { request.contains(NotifyType.optimizedRekey) }
}

extension Pair {
    /// All CREATE_CHILD_SA exchanges, in the order of their requests.
    func rekeys() -> [HeardRekey] {
        struct Key: Hashable {
            let spi: UInt64
            let isFromLeft: Bool
            let id: UInt32
        }
        var order: [Key] = []
        var heard: [Key: HeardRekey] = [:]
        for datagram in world.sent {
            guard let header = datagram.header, header.exchangeType == .createChildSA,
                let payloads = wiretap.payloads(of: datagram.octets)
            else { continue }
            let key = Key(
                spi: header.initiatorSPI, isFromLeft: isFromLeft(datagram) != datagram.isResponse, id: header.messageID)
            if datagram.isResponse {
                heard[key]?.answer = payloads
            } else if heard[key] == nil {
                order.append(key)
                heard[key] = HeardRekey(request: payloads, answer: [])
            }
        }
        return order.compactMap { heard[$0] }
    }
}
