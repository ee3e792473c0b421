import CertificateFixtures
import Credentials
import IKE
import IKEMessage
import IPsecCrypto
import Octets
import Simulation
import Testing

@Suite("Session resumption (RFC 5723)")
struct ResumptionTests {
    private static func resuming(_ connection: inout ConnectionConfiguration) {
        connection.resumption = true
        connection.fingerprint = "1"
        connection.timing.livenessInterval = .seconds(5)
        connection.timing.retransmission.tries = 2
    }

    private func pair(
        seed: UInt64, left: @escaping (inout ConnectionConfiguration) -> Void = ResumptionTests.resuming,
        right: @escaping (inout ConnectionConfiguration) -> Void = ResumptionTests.resuming, hasSecret: Bool = true,
        cookies: Bool = false
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, left: left, right: right,
            endpoint: {
                $0.exportsKeys = true
                if hasSecret { $0.ticketSecret = SecretOctets([UInt8](repeating: 9, count: 32)) }
                if cookies { $0.cookieThreshold = 0 }
            })
        _ = await pair.world.run(atMost: .seconds(5)) { pair.isUp }
        await pair.world.run(for: .seconds(1))
        return pair
    }

    private func requests(_ pair: Pair, _ exchange: ExchangeType) -> [IKEDatagram] {
        pair.world.sent.filter { $0.isRequest(exchange) && pair.isFromLeft($0) }
    }

    @Test("After a restart of the responder the initiator goes on from its ticket, without a key exchange")
    func afterRestart() async throws {
        var pair = await pair(seed: 1)
        #expect(pair.agrees())
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(requests(pair, .ikeSAInit).count == 1)
        let resumption = try #require(requests(pair, .ikeSessionResume).first)
        let message = try Message(parsing: resumption.octets)
        #expect(!message.payloads.contains(PayloadType.keyExchange))
        #expect(message.payloads.contains(NotifyType.ticketOpaque))
        #expect(message.header.responderSPI == 0)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.left.status("site")?.ikeSAs.first?.remoteIdentity == "right.example")
        #expect(pair.faults.isEmpty)
    }

    @Test("A ticket is used once; the resumed SA brings the next, which works as well")
    func usedOnce() async {
        var pair = await pair(seed: 2)
        for _ in 0..<3 {
            pair = await pair.restarted(left: false, after: .seconds(1))
            #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
            await pair.rest()
        }
        #expect(requests(pair, .ikeSAInit).count == 1)
        let tickets = requests(pair, .ikeSessionResume).compactMap { datagram -> [UInt8]? in
            let payloads = (try? Message(parsing: datagram.octets))?.payloads ?? []
            for case .notify(let notify) in payloads where notify.type == .ticketOpaque { return notify.data }
            return nil
        }
        #expect(tickets.count == 3)
        #expect(Set(tickets).count == 3)
    }

    @Test("A responder that cannot open the ticket says TICKET_NACK, and a full exchange follows at once")
    func refusedTicket() async {
        var pair = await pair(seed: 3)
        pair.world.tap = { datagram in
            guard datagram.isRequest(.ikeSessionResume) else { return [datagram] }
            var changed = datagram
            changed.octets[changed.octets.count / 2] ^= 1
            return [changed]
        }
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(requests(pair, .ikeSessionResume).count >= 1)
        #expect(requests(pair, .ikeSAInit).count == 2)
        #expect(pair.faults.isEmpty)
    }

    @Test("Under a flood the cookie comes before the ticket is looked at")
    func withCookie() async {
        var pair = await pair(seed: 4, cookies: true)
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        let first = requests(pair, .ikeSessionResume)
        #expect(first.count == 2)
        let answer = pair.world.sent.first { $0.isResponse(.ikeSessionResume) }
        let payloads = answer.flatMap { try? Message(parsing: $0.octets) }?.payloads ?? []
        #expect(payloads.contains(NotifyType.cookie))
    }

    @Test("Without a secret to seal tickets with, the answer to a request is TICKET_NACK")
    func noTickets() async throws {
        let pair = await pair(seed: 5, hasSecret: false)
        let response = try #require(
            pair.world.sent.first { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        #expect(response.contains(NotifyType.ticketNack))
        #expect(pair.agrees())
    }

    @Test("A connection that is taken down, by either side, is not resumed but set up anew")
    func takenDown() async {
        for side in ["left", "right"] {
            let pair = await pair(seed: 6)
            await pair.terminate(side)
            await pair.rest()
            await pair.initiate()
            #expect(await pair.world.run(atMost: .seconds(30)) { pair.isUp })
            #expect(requests(pair, .ikeSessionResume).isEmpty)
        }
    }

    @Test(
        "A ticket is good for one change of the secret it was sealed with, and not for two", arguments: [true, false])
    func changedSecret(isKnown: Bool) async throws {
        var pair = await pair(seed: 41)
        func secret(_ octet: UInt8) -> SecretOctets { SecretOctets([UInt8](repeating: octet, count: 32)) }
        pair = await pair.restarted(left: false, after: .seconds(1))
        await pair.world.act("right") { endpoint, _ in
            endpoint.setTicketSecrets(secret(10), former: secret(isKnown ? 9 : 8))
        }
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(requests(pair, .ikeSessionResume).count == 1)
        #expect(requests(pair, .ikeSAInit).count == (isKnown ? 1 : 2))
        await pair.rest()
        #expect(pair.agrees())
    }

    @Test("Who insists on a post-quantum preshared key neither asks for tickets nor uses any")
    func requiredPPK() async throws {
        let change: (inout ConnectionConfiguration) -> Void = {
            Self.resuming(&$0)
            $0.ppks = [
                PostquantumPresharedKey(identifier: [0x41], secret: SecretOctets([UInt8](repeating: 1, count: 32)))
            ]
        }
        var pair = await pair(
            seed: 42,
            left: {
                change(&$0)
                $0.requiresPPK = true
            }, right: change)
        let request = try #require(
            pair.world.sent.first { $0.isRequest(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        #expect(!request.contains(NotifyType.ticketRequest))
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(requests(pair, .ikeSessionResume).isEmpty)
    }

    @Test("Somebody who has seen the ticket cannot use it: IKE_AUTH needs the keys of the session")
    func stolenTicket() async throws {
        var pair = await pair(seed: 7)
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        let request = try #require(requests(pair, .ikeSessionResume).first)
        let before = pair.right.status("site")?.ikeSAs.map(\.localSPI)
        // The same ticket under another SPI: a thief's.
        var stolen = request
        stolen.octets[0] ^= 0x55
        pair.world.inject(stolen)
        await pair.world.run(for: .seconds(40))
        #expect(pair.right.status("site")?.ikeSAs.map(\.localSPI) == before)
        #expect(pair.right.endpoint.halfOpenCount == 0)
    }

    @Test("An IKE SA that has been rekeyed gets a ticket of its own")
    func afterRekey() async {
        var pair = await pair(seed: 8)
        await pair.rekeyIKE("left")
        await pair.rest()
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(requests(pair, .ikeSAInit).count == 1)
        #expect(requests(pair, .ikeSessionResume).count == 1)
    }

    @Test("Tickets that beget tickets last no longer than the first: then the peers authenticate each other again")
    func chainOfTickets() async {
        func lifetime(_ connection: inout ConnectionConfiguration) {
            Self.resuming(&connection)
            connection.timing.ticketLifetime = .seconds(100)
        }
        var pair = await pair(seed: 10, left: lifetime, right: lifetime)
        for _ in 0..<4 {
            await pair.world.run(for: .seconds(30))
            pair = await pair.restarted(left: false, after: .seconds(1))
            #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
            await pair.rest()
        }
        // Some 160 s have passed, with a ticket that was never older than 50 s.
        #expect(requests(pair, .ikeSAInit).count == 2)
        #expect(requests(pair, .ikeSessionResume).count == 3)
    }

    @Test("A resumed SA is to be authenticated again when the SA before would have been")
    func reauthentication() async throws {
        var pair = await pair(
            seed: 11,
            right: {
                Self.resuming(&$0)
                $0.timing.reauthenticateAfter = .seconds(200)
            })
        await pair.world.run(for: .seconds(99))
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        let response = try #require(
            pair.world.sent.last { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        let lifetimes = response.compactMap { payload -> [UInt8]? in
            if case .notify(let notify) = payload, notify.type == .authLifetime { notify.data } else { nil }
        }
        #expect(lifetimes.count == 1)
        #expect((60...99).contains(lifetimes.first?.last ?? 0) && lifetimes.first?.prefix(3) == [0, 0, 0])
        #expect(requests(pair, .ikeSAInit).count == 1)
        await pair.world.run(for: .seconds(100))
        #expect(requests(pair, .ikeSAInit).count == 2)
        #expect(pair.agrees())
    }

    @Test("No ticket is good for longer than the certificates that its peer has authenticated by")
    func certificateExpiry() async throws {
        let root = try TestAuthority.root()
        let anchors = try TrustAnchors(pem: [try root.pem])
        let leaf = try root.leaf([.dnsName("left.example")]) { $0.notAfter = testTime + 60 }
        let identity = try CertificateIdentity(certificatePEM: leaf.pem, intermediatesPEM: [], keyPEM: leaf.keyPEM)
        let pair = await Pair(
            seed: 12,
            left: {
                Self.resuming(&$0)
                $0.localAuthentication = .certificate(identity)
            },
            right: {
                Self.resuming(&$0)
                $0.remoteAuthentication = .certificate(anchors)
                $0.revocation = .off
            },
            endpoint: {
                $0.exportsKeys = true
                $0.unixTimeAtOrigin = .seconds(testTime)
                $0.ticketSecret = SecretOctets([UInt8](repeating: 9, count: 32))
            })
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        let response = try #require(
            pair.world.sent.last { $0.isResponse(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        let lifetimes = response.compactMap { payload -> [UInt8]? in
            guard case .notify(let notify) = payload, notify.type == .ticketLTOpaque else { return nil }
            return Array(notify.data.prefix(4))
        }
        #expect(lifetimes.count == 1)
        #expect((55...60).contains(lifetimes.first?.last ?? 0) && lifetimes.first?.prefix(3) == [0, 0, 0])
    }

    @Test("A responder with another pre-shared key takes no ticket that was given under the old one")
    func credentialsChanged() async {
        let pair = await pair(seed: 9)
        let other = SecretOctets(Array("another battery altogether".utf8))
        var changed = Pair.configuration(isLeft: false, start: .none, change: Self.resuming)
        changed.remoteAuthentication = .preSharedKey(other)
        changed.fingerprint = "2"
        pair.world.kill("right")
        var settings = EndpointConfiguration()
        settings.ticketSecret = SecretOctets([UInt8](repeating: 9, count: 32))
        let right = await pair.world.add("right", "198.51.100.2", [changed], settings: settings)
        await pair.world.run(for: .seconds(40))
        #expect(!requests(pair, .ikeSessionResume).isEmpty)
        #expect(right.status("site")?.ikeSAs.isEmpty ?? false)
        #expect(right.refusals.contains { $0.cause == .authenticationFailed })
    }

    @Test("A ticket carries the additional key exchanges of the SA it was given in")
    func additionalKeyExchanges() async {
        let change: (inout ConnectionConfiguration) -> Void = {
            Self.resuming(&$0)
            $0.ikeProposals = [
                IKEProposal(
                    encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519],
                    additional: [AdditionalKeyExchange(number: 2, methods: [.mlKEM768])])
            ]
        }
        var pair = await pair(seed: 31, left: change, right: change)
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(!requests(pair, .ikeSessionResume).isEmpty && requests(pair, .ikeSAInit).count == 1)
        for host in [pair.left, pair.right] {
            let additional = host.status("site")?.ikeSAs.first?.suite.additional
            #expect(additional?.map(\.number) == [2] && additional?.map(\.method) == [.mlKEM768])
        }
    }

    @Test("Whether there are optimized rekeys is agreed on anew in the resumed SA", arguments: [false, true])
    func optimizedRekeys(areOnAgain: Bool) async {
        let change: (inout ConnectionConfiguration) -> Void = {
            Self.resuming(&$0)
            $0.optimizedRekey = true
        }
        var pair = await pair(seed: 32, left: change, right: change)
        #expect(pair.left.status("site")?.ikeSAs.first?.optimizedRekey == true)
        if !areOnAgain {
            pair.rewrite {
                $0.isRequest(.ikeAuth)
            } change: { payloads in
                payloads.filter { !$0.is(NotifyType(rawValue: 51201)) }
            }
        }
        pair = await pair.restarted(left: false, after: .seconds(1))
        #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
        #expect(!requests(pair, .ikeSessionResume).isEmpty && requests(pair, .ikeSAInit).count == 1)
        pair.world.tap = nil
        let before = pair.rekeys().count
        await pair.rest()
        await pair.rekeyIKE("left")
        await pair.rest()
        await pair.rekeyChild("left")
        await pair.rest()
        await pair.rekeyChild("right")
        await pair.rest()
        // The caller does not count on the ticket for the first rekey of the child.
        #expect(pair.rekeys().dropFirst(before).map(\.isOptimized) == [areOnAgain, false, areOnAgain])
        #expect(pair.agrees())
    }

    @Test(
        "As a responder the child of a resumed SA counts as made with the key exchange of the ticket, where that will do"
    )
    func optimizedFirstRekey() async throws {
        for (number, methods) in [[KeyExchangeMethod.curve25519], [.ecp256], []].enumerated() {
            let change: (inout ConnectionConfiguration) -> Void = {
                Self.resuming(&$0)
                $0.optimizedRekey = true
                $0.children[0].espProposals = [ESPProposal(encryption: [.aesGCM16(256)], keyExchange: methods)]
            }
            var pair = await pair(seed: 33, left: change, right: change)
            pair = await pair.restarted(left: false, after: .seconds(1))
            #expect(await pair.world.run(atMost: .seconds(60)) { pair.isUp })
            await pair.rest()
            // A left side that does count on it.
            pair.rewrite {
                pair.isFromLeft($0) && $0.isRequest(.createChildSA)
            } change: { payloads in
                let spi = NotifyPayload(
                    protocolID: .none, spi: [], type: NotifyType(rawValue: 51202), data: [0xc1, 2, 3, 4])
                let key = KeyExchangePayload(
                    method: KeyExchangeMethod.curve25519.rawValue, data: [9] + [UInt8](repeating: 0, count: 31))
                return [payloads[0], .notify(spi), .nonce([UInt8](repeating: 1, count: 32)), .keyExchange(key)]
            }
            await pair.rekeyChild("left")
            _ = await pair.world.run(atMost: .seconds(2)) { !(pair.rekeys().last?.answer.isEmpty ?? true) }
            let answer = try #require(pair.rekeys().last?.answer)
            #expect(answer.contains(NotifyType(rawValue: 51202)) == (number == 0), "\(methods)")
            #expect(answer.contains(NotifyType.noProposalChosen) == (number != 0), "\(methods)")
        }
    }
}
