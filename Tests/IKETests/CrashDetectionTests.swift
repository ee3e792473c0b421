import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Quick crash detection (RFC 6290)")
struct CrashDetectionTests {
    private func pair(seed: UInt64, hasSecret: Bool = true) async -> Pair {
        let pair = await Pair(
            seed: seed,
            endpoint: {
                $0.exportsKeys = true
                if hasSecret { $0.crashDetectionSecret = SecretOctets([UInt8](repeating: 7, count: 32)) }
            })
        _ = await pair.world.run(atMost: .seconds(5)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        return pair
    }

    private func tokens(_ payloads: [Payload]) -> [[UInt8]] {
        payloads.compactMap {
            if case .notify(let notify) = $0, notify.type == .quickCrashDetection { notify.data } else { nil }
        }
    }

    @Test("A peer that has restarted is found out by the first message after it, not by the end of retransmissions")
    func restartedPeer() async {
        var pair = await pair(seed: 1)
        #expect(pair.isUp)
        pair = await pair.restarted(left: false, after: .seconds(1))
        // The next sign of life is due 30 s after the last message.
        let began = pair.world.now
        #expect(await pair.world.run(atMost: .seconds(33)) { pair.isUp })
        #expect(pair.left.refusals.map(\.cause) == [.peerRestarted])
        #expect(pair.world.now - began < .seconds(33))
    }

    @Test("Without a secret that outlives the crash, the retransmissions have to end first")
    func withoutSecret() async {
        var pair = await pair(seed: 2, hasSecret: false)
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(!(await pair.world.run(atMost: .seconds(60)) { pair.isUp }))
        #expect(pair.left.refusals.isEmpty)
    }

    @Test("Both sides give each other a token in IKE_AUTH, each its own for the SA's SPIs")
    func tokensInAuthentication() async throws {
        let pair = await pair(seed: 3)
        let request = try #require(
            pair.world.sent.first { $0.isRequest(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        let response = try #require(
            pair.world.sent.first { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        #expect(tokens(request).map(\.count) == [32])
        #expect(tokens(response).map(\.count) == [32])
    }

    @Test("A token that is not the peer's has no effect, nor has INVALID_IKE_SPI without one")
    func forgedToken() async throws {
        let pair = await pair(seed: 4)
        let spi = pair.ikeSPI
        let request = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) })
        let invalid = Payload.notify(NotifyPayload(protocolID: .none, spi: [], type: .invalidIKESPI, data: []))
        let responderSPI = try #require(pair.left.status("site")?.ikeSAs.first?.remoteSPI)
        for token in [nil, [UInt8](repeating: 0, count: 32), [], [UInt8](repeating: 1, count: 200)] as [[UInt8]?] {
            var payloads = [invalid]
            if let token {
                payloads.append(
                    .notify(NotifyPayload(protocolID: .ike, spi: [], type: .quickCrashDetection, data: token)))
            }
            pair.world.inject(try #require(request.answered(with: payloads, responderSPI: responderSPI)))
            await pair.world.run(for: .milliseconds(100))
        }
        #expect(pair.ikeSPI == spi)
        #expect(pair.agrees())
    }

    /// Tokens in the answers to an unprotected request of a stranger's that names the SPIs of `header`.
    private func tokens(
        of world: World, at host: Host, _ header: IKEHeader, _ flags: IKEHeader.Flags, _ exchange: ExchangeType
    ) async throws -> [[UInt8]] {
        let request = Message(
            header: IKEHeader(
                initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI, exchangeType: exchange,
                flags: flags, messageID: 0),
            payloads: [])
        let stranger = SocketAddress(try #require(IPAddress("203.0.113.9")), port: 500)
        let before = world.sent.count
        world.inject(
            IKEDatagram(
                octets: request.serialized(), local: stranger, remote: SocketAddress(host.address, port: 500),
                nonESPMarker: false))
        await world.run(for: .milliseconds(50))
        let answers = world.sent[before...].filter { $0.remote == stranger }
        return answers.flatMap { tokens((try? Message(parsing: $0.octets))?.payloads ?? []) }
    }

    @Test("The token of an IKE SA that is up is told to nobody, whichever side it is asked of and in whichever role")
    func askedByStranger() async throws {
        let pair = await pair(seed: 7)
        let header = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) }?.header)
        for host in [pair.left, pair.right] {
            for flags in [[], .initiator] as [IKEHeader.Flags] {
                for exchange in [.informational, .createChildSA, .ikeAuth] as [ExchangeType] {
                    let told = try await tokens(of: pair.world, at: host, header, flags, exchange)
                    #expect(told.isEmpty, "\(host.name), \(flags), \(exchange)")
                }
            }
        }
        #expect(pair.agrees())
    }

    @Test("Of an SA that is gone the token depends on the role: asking in the other side's place brings another")
    func roles() async throws {
        let pair = await pair(seed: 8)
        let header = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) }?.header)
        let given = try #require(
            pair.world.sent.first { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        pair.world.kill("left")
        let restarted = await pair.restarted(left: false, after: .zero)
        let world = restarted.world, right = restarted.right
        #expect(try await tokens(of: world, at: right, header, .initiator, .informational) == tokens(given))
        let mirrored = try await tokens(of: world, at: right, header, [], .informational)
        #expect(mirrored.count == 1 && mirrored != tokens(given))
    }

    @Test("An IKE SA that has been rekeyed gets a new token, and the crash is found out all the same")
    func afterRekey() async {
        var pair = await pair(seed: 5)
        await pair.rekeyIKE("left")
        await pair.rest()
        #expect(pair.agrees())
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(33)) { pair.isUp })
        #expect(pair.left.refusals.map(\.cause) == [.peerRestarted])
    }

    @Test("The answer to a message of an unknown SA is not longer than a few dozen octets more than an error")
    func noAmplification() async throws {
        let pair = await pair(seed: 6)
        let request = try #require(pair.world.sent.last { $0.isRequest(.ikeAuth) })
        pair.world.kill("left")
        let restarted = await pair.restarted(left: false, after: .zero)
        let before = restarted.world.sent.count
        restarted.world.inject(request)
        await restarted.world.run(for: .milliseconds(50))
        let answers = restarted.world.sent[before...].filter { $0.remote == request.local }
        #expect(answers.count == 1)
        #expect(answers.allSatisfy { $0.octets.count <= request.octets.count })
    }
}
