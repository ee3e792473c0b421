import CertificateFixtures
import Octets
import TLS
import Testing
import X509

@Suite("TLS without sockets (RFC 9329, appendix A)")
struct TLSSessionTests {
    private static func pair(_ settings: TLSClientSettings = TLSClientSettings()) throws -> TLSPair {
        try TLSPair(try TLSClient(settings), try ServerCredentials().server())
    }

    @Test(
        "Both ends agree on TLS 1.3, and what one seals the other opens, whatever parts it arrives in",
        arguments: [1, 7, 1000, .max])
    func agree(size: Int) throws {
        let pair = try Self.pair()
        pair.run(inPartsOf: size)
        #expect(pair.client.isEstablished && pair.server.isEstablished)
        #expect(pair.client.description.hasPrefix("TLSv1.3") && !pair.client.isResumed)
        let (up, down) = ([UInt8](repeating: 5, count: 40_000), Array("IKETCP".utf8))
        try TLSPair.seal(up, pair.client)
        try TLSPair.seal(down, pair.server)
        pair.run(inPartsOf: size)
        #expect(pair.heard.server == up && pair.heard.client == down)
        #expect(pair.failures.client == nil && pair.failures.server == nil)
    }

    @Test(
        "A second connection with the same peer resumes the first one's session, however that ended, with fewer octets")
    func resumption() throws {
        let (client, server) = (try TLSClient(TLSClientSettings()), try ServerCredentials().server())
        var octets: [Int] = []
        for round in 0..<3 {
            let pair = try TLSPair(client, server)
            pair.run()
            #expect(pair.client.isEstablished && pair.client.isResumed == (round > 0))
            #expect(pair.server.isResumed == (round > 0))
            octets.append(pair.octets)
        }
        #expect(octets[1] < octets[0] && octets[2] < octets[0])
    }

    @Test("A session is not resumed with another peer, nor a certificate that is not to be believed by way of one")
    func noResumption() throws {
        let credentials = try ServerCredentials()
        let (server, authorities) = (try credentials.server(), [try credentials.authority.pem])
        let client = try TLSClient(TLSClientSettings())
        let first = try TLSPair(client, server)
        first.run()
        let other = try TLSPair(client, server, peer: "192.0.2.9:443")
        other.run()
        #expect(!other.client.isResumed)
        let strict = try TLSPair(
            try TLSClient(TLSClientSettings(name: "other.example.org", authorities: authorities)), server)
        strict.run()
        #expect(!strict.client.isResumed && strict.failures.client?.code == .certificate)
    }

    @Test("A server that does not know a ticket agrees anew")
    func foreignTicket() throws {
        let (client, credentials) = (try TLSClient(TLSClientSettings()), try ServerCredentials())
        for _ in 0..<2 {
            let pair = try TLSPair(client, try credentials.server())
            pair.run()
            #expect(pair.client.isEstablished && !pair.client.isResumed)
        }
    }

    @Test("The client remembers no more peers than it may")
    func sessionLimit() throws {
        let (client, server) = (try TLSClient(TLSClientSettings()), try ServerCredentials().server())
        for number in 0..<TLSClient.sessionLimit + 20 {
            let pair = try TLSPair(client, server, peer: "\(number)")
            pair.run()
        }
        var resumed = 0
        for number in 0..<TLSClient.sessionLimit + 20 {
            let pair = try TLSPair(client, server, peer: "\(number)")
            pair.run()
            if pair.client.isResumed { resumed += 1 }
        }
        #expect(resumed <= TLSClient.sessionLimit && resumed > 0)
    }

    // MARK: The end

    @Test("Who has nothing more to say says so, once, and the other hears of it")
    func end() throws {
        let pair = try Self.pair()
        pair.run()
        pair.client.finish()
        pair.client.finish()
        pair.run()
        #expect(pair.hasEnded.server && !pair.hasEnded.client)
        #expect(TLSPair.drain(pair.client).isEmpty)
    }

    @Test("What has been altered on the way is not opened, and ends the connection")
    func altered() throws {
        let pair = try Self.pair()
        pair.run()
        try TLSPair.seal([1, 2, 3], pair.client)
        var record = TLSPair.drain(pair.client)
        record[record.count - 1] ^= 1
        pair.give(record, toServer: true)
        #expect(pair.failures.server?.code == .negotiation && pair.heard.server.isEmpty)
        #expect(!TLSPair.drain(pair.server).isEmpty)
    }

    // MARK: Certificates

    @Test("Without authorities the certificate is not looked at")
    func unverified() throws {
        let credentials = try ServerCredentials { $0.notAfter = testTime - 1 }
        let pair = try TLSPair(try TLSClient(TLSClientSettings(name: "else.example.org")), try credentials.server())
        pair.run()
        #expect(pair.client.isEstablished && pair.server.isEstablished)
    }

    @Test("With authorities the certificate has to come from one, hold now, and have the name or the address")
    func verified() throws {
        let credentials = try ServerCredentials()
        let authorities = [try credentials.authority.pem]
        let foreign = [try ServerCredentials().authority.pem]
        let expired = try ServerCredentials { $0.notAfter = testTime - 1 }
        let numbered = try ServerCredentials(name: .ipAddress(.init(contentBytes: [192, 0, 2, 1])))
        let cases: [(ServerCredentials, TLSClientSettings, String?)] = [
            (credentials, TLSClientSettings(name: "gw.example.org", authorities: authorities), nil),
            (credentials, TLSClientSettings(name: "other.example.org", authorities: authorities), "hostname mismatch"),
            (credentials, TLSClientSettings(authorities: authorities), "IP address mismatch"),
            (
                credentials, TLSClientSettings(name: "gw.example.org", authorities: foreign),
                "certificate signature failure"
            ),
            (expired, TLSClientSettings(name: "gw.example.org", authorities: [try expired.authority.pem]), "expired"),
            (numbered, TLSClientSettings(authorities: [try numbered.authority.pem]), nil),
        ]
        for (credentials, settings, complaint) in cases {
            let pair = try TLSPair(try TLSClient(settings), try credentials.server())
            pair.run()
            guard let complaint else {
                #expect(
                    pair.client.isEstablished, "\(settings.name ?? "-"): \(String(describing: pair.failures.client))")
                continue
            }
            #expect(pair.failures.client?.code == .certificate)
            #expect(pair.failures.client?.reason.contains(complaint) == true, "\(String(describing: pair.failures))")
            // The other end is told, by an alert.
            #expect(pair.failures.server?.code == .refused && !pair.client.isEstablished)
        }
    }

    @Test("Certificates and keys that cannot be used are refused with a reason")
    func credentials() throws {
        let credentials = try ServerCredentials()
        let (pem, key) = (try credentials.certificate.pem, SecretOctets(Array(try credentials.certificate.keyPEM.utf8)))
        let other = SecretOctets(Array(try ServerCredentials().certificate.keyPEM.utf8))
        let bad: [(String, SecretOctets)] = [
            ("", key), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key),
            (pem, SecretOctets([])), (pem, other), (pem + "-----BEGIN CERTIFICATE-----\nAAAA\n", key),
        ]
        for (certificates, key) in bad {
            let failure = #expect(throws: TLSFailure.self) { try TLSServer(certificates: certificates, key: key) }
            #expect(failure?.code == .credentials)
        }
        let failure = #expect(throws: TLSFailure.self) { try TLSClient(TLSClientSettings(authorities: ["nothing"])) }
        #expect(failure?.code == .credentials)
    }

    @Test("Servers with the same files are the same, and no others")
    func same() throws {
        let credentials = try ServerCredentials()
        #expect(try credentials.server().isSame(as: try credentials.server()))
        #expect(try !credentials.server().isSame(as: try ServerCredentials().server()))
    }

    // MARK: What is no TLS

    @Test("What cannot be TLS is known by its first octet, and not answered")
    func notTLS() throws {
        for (octets, words) in [
            (Array("IKETCP".utf8) + [0, 34], "IKETCP without TLS"), (Array("GET / HTTP/1.1".utf8), "no TLS"),
            ([0], "no TLS"),
        ] {
            let pair = try Self.pair()
            _ = TLSPair.drain(pair.client)
            pair.give(octets, toServer: true)
            #expect(pair.failures.server?.code == .notTLS && pair.failures.server?.reason.contains(words) == true)
            #expect(TLSPair.drain(pair.server).isEmpty)
            let called = try Self.pair()
            called.give(octets, toServer: false)
            #expect(called.failures.client?.code == .notTLS)
        }
    }

    @Test("Old versions, suites without forward secrecy and octets at random come to nothing, and end nothing else")
    func garbage() throws {
        // A ClientHello of TLS 1.0.
        let old: [UInt8] =
            [0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1] + [UInt8](repeating: 9, count: 32) + [0, 0, 2, 0, 0x2f, 1, 0]
        let hello12: [UInt8] =
            [0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3] + [UInt8](repeating: 9, count: 32) + [0, 0, 2, 0, 0x2f, 1, 0]
        for octets in [old, hello12, [0x16, 3, 1, 0, 4, 1, 0, 0, 0], [0x16, 3, 1, 0, 0], [0x16, 0, 0, 0xff, 0xff]] {
            let pair = try Self.pair()
            _ = TLSPair.drain(pair.client)
            pair.give(octets, toServer: true)
            #expect(pair.failures.server != nil || !pair.server.isEstablished)
        }
        let (client, server) = (try TLSClient(TLSClientSettings()), try ServerCredentials().server())
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            return Int(state >> 33) % bound
        }
        for round in 0..<2000 {
            let pair = try TLSPair(client, server, peer: "\(round)")
            let hello = TLSPair.drain(pair.client)
            var altered = hello
            for _ in 0..<3 { altered[1 + random(hello.count - 1)] = UInt8(random(256)) }
            pair.give(altered, toServer: true)
            pair.run()
            // Both sides' proof that they have seen the same does not hold.
            #expect(!pair.server.isEstablished || altered == hello)
        }
    }

    @Test("Who goes on talking before TLS is agreed upon is given up")
    func handshakeLimit() throws {
        let pair = try Self.pair()
        _ = TLSPair.drain(pair.client)
        // A ClientHello that is said to have 120,000 octets, in records of 1000.
        pair.give([0x16, 3, 1, 0, 4, 1, 1, 0xd4, 0xc0], toServer: true)
        var given = 0
        while pair.failures.server == nil, given < 200_000 {
            pair.give([0x16, 3, 1, 3, 0xe8] + [UInt8](repeating: 0, count: 1000), toServer: true)
            given += 1005
        }
        #expect(pair.failures.server != nil && given <= TLSSession.handshakeLimit + 1005)
    }
}
