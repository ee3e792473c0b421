import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

/// What remains, and what is said, when a message comes too early, is the last that arrives, or begins something that fails.
@Suite("Failures leave nothing behind") struct FailurePathTests {
    private func datagram(_ pair: Pair, _ octets: [UInt8], toLeft: Bool = false) -> IKEDatagram {
        let left = SocketAddress(pair.left.address, port: 500), right = SocketAddress(pair.right.address, port: 500)
        return IKEDatagram(
            octets: octets, local: toLeft ? right : left, remote: toLeft ? left : right, nonESPMarker: false)
    }

    @Test(
        "Whichever message is the last that arrives, what is left of it ends, and the connection can come up again",
        arguments: 0..<18)
    func lastMessage(number: Int) async {
        let pair = await Pair(seed: UInt64(number), start: .none)
        var count = 0
        var isCut = false
        pair.world.tap = { datagram in
            defer { count += 1 }
            if count == number { isCut = true }
            return isCut ? [] : [datagram]
        }
        await pair.initiate()
        for act in 0..<4 where !isCut {
            await pair.world.run(for: .seconds(4))
            switch act {
            case 0: await pair.rekeyChild("left")
            case 1: await pair.rekeyIKE("right")
            case 2: await pair.rekeyIKE("left")
            default: await pair.terminate("right")
            }
        }
        await pair.world.run(for: .seconds(900))
        #expect(isCut)
        isCut = false
        count = .min / 2
        for name in ["left", "right"] { await pair.terminate(name) }
        await pair.world.run(for: .seconds(900))
        #expect(pair.isEmpty)
        await pair.initiate()
        #expect(await pair.world.run(atMost: .seconds(30)) { pair.agrees() })
        #expect(pair.left.endpoint.saCount == 1 && pair.right.endpoint.saCount == 1)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "Authentic messages before authentication, with everything but the proof, establish nothing",
        arguments: [ExchangeType.ikeAuth, .createChildSA, .informational], [false, true])
    func early(exchange: ExchangeType, isResponse: Bool) async {
        let pair = await Pair(seed: 21, start: .none, endpoint: { $0.exportsKeys = true })
        let wiretap = pair.wiretap
        pair.world.tap = { datagram in
            // In the place of IKE_AUTH's request or response, under its keys, one without AUTH.
            guard var header = datagram.header, header.exchangeType == .ikeAuth,
                header.flags.contains(.response) == isResponse
            else { return [datagram] }
            let payloads = wiretap.payloads(of: datagram.octets) ?? []
            let others = payloads.filter { if case .authentication = $0 { false } else { true } }
            #expect(others.count == payloads.count - 1)
            header.exchangeType = exchange
            var forged = datagram
            forged.octets = wiretap.seal(header, others, iv: 1 << 60) ?? []
            return [forged]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(20))
        // Who was to be shown a proof and saw none is up with nobody.
        let host = isResponse ? pair.left : pair.right
        #expect(!host.isUp("site"))
        #expect(host.outbound.isEmpty)
        pair.world.tap = nil
        await pair.world.run(for: .seconds(900))
        #expect(pair.faults.isEmpty)
    }

    @Test("While a responder has no keys yet, nothing that claims to be protected is answered")
    func withoutKeys() async throws {
        let pair = await Pair(seed: 22, start: .none)
        pair.world.jobTime = .milliseconds(100) ... .milliseconds(100)
        await pair.initiate()
        await pair.world.run(for: .milliseconds(150))
        let request = try #require(pair.world.sent.last?.header)
        #expect(request.exchangeType == .ikeSAInit)
        let sa = try #require(pair.right.status("site").flatMap { _ in pair.world.sent.count } == 1 ? request : nil)
        let before = pair.world.sent.count
        for exchange in [ExchangeType.ikeAuth, .createChildSA, .informational] {
            for id in 0..<3 as Range<UInt32> {
                let body = [UInt8](repeating: 9, count: 64)
                let message = Message(
                    header: IKEHeader(
                        initiatorSPI: sa.initiatorSPI, responderSPI: 0, exchangeType: exchange, flags: .initiator,
                        messageID: id),
                    payloads: [.encrypted(EncryptedPayload(innerFirst: .authentication, body: body))])
                pair.world.inject(datagram(pair, message.serialized()))
            }
        }
        await pair.world.run(for: .milliseconds(20))
        // Only that there is no such SA, and that unprotected.
        for answer in pair.world.sent.dropFirst(before) {
            let message = try Message(parsing: answer.octets)
            #expect(message.payloads.contains(.invalidIKESPI) && message.payloads.count == 1)
        }
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
    }

    @Test("An error answer to IKE_SA_INIT names no SPI of ours, and no state stands behind it")
    func statelessErrors() async throws {
        let pair = await Pair(seed: 23, start: .none)
        let good = ESPProposal(encryption: [.aesGCM16(256)]).payload(number: 1, spi: 4096, withKeyExchange: true)
        let bodies: [[Payload]] = [
            [], [.nonce([UInt8](repeating: 1, count: 32))],
            [
                .securityAssociation(SecurityAssociationPayload(proposals: [good])),
                .keyExchange(KeyExchangePayload(method: 31, data: [UInt8](repeating: 7, count: 32))),
                .nonce([UInt8](repeating: 9, count: 32)),
            ],
            [.unknown(RawPayload(type: PayloadType(rawValue: 200), isCritical: true, body: [1]))],
        ]
        // What is too short for an answer gets none.
        var answered = 0
        for payloads in bodies {
            let before = pair.world.sent.count
            let header = IKEHeader(
                initiatorSPI: 77, responderSPI: 0, exchangeType: .ikeSAInit, flags: .initiator, messageID: 0)
            pair.world.inject(datagram(pair, Message(header: header, payloads: payloads).serialized()))
            await pair.world.run(for: .milliseconds(50))
            let answers = pair.world.sent.dropFirst(before)
            #expect(answers.count <= 1)
            answered += answers.count
            #expect(answers.allSatisfy { $0.header?.responderSPI == 0 && $0.header?.initiatorSPI == 77 })
            #expect(pair.right.endpoint.saCount == 0 && pair.right.endpoint.ikeSPICount == 0)
        }
        #expect(answered >= 2)
    }

    @Test(
        "A list of hash algorithms with an odd octet at its end is passed over, and the exchange goes on",
        arguments: 0..<6)
    func oddHashes(count: Int) async throws {
        let pair = await Pair(seed: 24, start: .none)
        pair.world.tap = { datagram in
            guard datagram.isRequest(.ikeSAInit), let message = try? Message(parsing: datagram.octets) else {
                return [datagram]
            }
            let payloads = message.payloads.map { payload -> Payload in
                guard case .notify(let notify) = payload, notify.type == .signatureHashAlgorithms else {
                    return payload
                }
                return .notify(
                    NotifyPayload(
                        protocolID: .none, spi: [], type: .signatureHashAlgorithms,
                        data: [UInt8](repeating: 0, count: count)))
            }
            #expect(payloads.contains(.signatureHashAlgorithms))
            var changed = datagram
            changed.octets = Message(header: message.header, payloads: payloads).serialized()
            return [changed]
        }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(8))
        await pair.world.run(for: .milliseconds(50))
        #expect(pair.world.sent.contains { $0.isResponse(.ikeSAInit) && $0.header?.responderSPI != 0 })
    }

    @Test(
        "No datagram makes more than one computation begin, or more than one answer, before its sender has proved anything"
    )
    func budget() async {
        let pair = await Pair(seed: 25, start: .none)
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        let first = pair.world.sent.first { $0.isRequest(.ikeSAInit) }?.octets ?? []
        var random = SeededGenerator(seed: 1)
        for number in 0..<2000 {
            var octets = first
            // A new SPI for the initiator each time, so that it is a new caller.
            for index in 0..<8 { octets[index] = UInt8.random(in: 1...255, using: &random) }
            if number.isMultiple(of: 2) { octets[Int.random(in: 16..<octets.count, using: &random)] ^= 0x55 }
            let (jobs, sent) = (pair.world.jobCount, pair.world.sent.count)
            let now = pair.world.now
            pair.right.endpoint.receive(
                IKEDatagram(
                    octets: octets, local: SocketAddress(pair.right.address, port: 500),
                    remote: SocketAddress(IPAddress(v4: 0xcb00_7100 + UInt32(number % 200)), port: 500),
                    nonESPMarker: false),
                at: now)
            var computations = 0, answers = 0
            while let output = pair.right.endpoint.nextOutput() {
                if case .compute = output { computations += 1 }
                if case .send = output { answers += 1 }
            }
            #expect(computations <= 1 && answers <= 1)
            #expect(jobs == pair.world.jobCount && sent == pair.world.sent.count)
        }
        #expect(pair.right.endpoint.saCount <= 1025)
    }
}
