import Credentials
import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("Encrypted and split DNS between two hosts (RFC 9464, RFC 8598)")
struct EncryptedDNSTests {
    private static let digest = CertificateDigest(hash: .sha2_384, digest: [UInt8](repeating: 7, count: 48))

    private static func resolver(withDigest: Bool = false) -> EncryptedResolver {
        var resolver = EncryptedDNSCodingTests.resolver(at: ["10.2.0.53", "2001:db8::53"])
        if withDigest { resolver.digests = [digest] }
        return resolver
    }

    private static func gateway(
        _ resolvers: [EncryptedResolver], plain: Bool = true, change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        var pool = ConfigurationPayloadTests.pool("10.9.0.1", "10.9.0.9", dns: plain ? "10.2.0.54" : nil)
        pool.encryptedResolvers = resolvers
        return ConfigurationPayloadTests.gateway(pool, change: change)
    }

    private static func world(
        _ seed: UInt64, _ gateway: ConnectionConfiguration, change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> World {
        await ConfigurationPayloadTests.world(
            seed, gateway: gateway,
            clients: [
                ConfigurationPayloadTests.client("alice", address: "192.0.2.1") {
                    $0.resolvers.use = .resolved
                    $0.resolvers.domains = ["corp.example"]
                    change(&$0)
                }
            ])
    }

    private static func told(_ host: Host) -> String {
        host.events.map { event in
            if case .negotiated(_, let narrative) = event { "\(narrative)" } else { "" }
        }.joined()
    }

    @Test("A client has the encrypted resolver for the domain, and gives it up when the connection ends")
    func both() async throws {
        let world = await Self.world(1, Self.gateway([Self.resolver()]))
        let client = try #require(world.hosts["client1"])
        let given = try #require(client.status("site")?.ikeSAs.first?.assignedToUs)
        // It has asked for IPv4 only.
        #expect(given.encryptedResolvers.map(\.summary) == ["dns.example.org at 10.2.0.53, alpn=dot"])
        #expect(client.resolvers["site"]?.summary == "10.2.0.53#dns.example.org by TLS for corp.example")
        await world.act("client1") { endpoint, now in try? endpoint.terminate("site", at: now) }
        await world.run(for: .seconds(5))
        #expect(client.resolvers["site"] == nil)
    }

    @Test("A gateway without encrypted resolvers is used as before, and one without plain ones too")
    func oneSide() async throws {
        let old = await Self.world(2, Self.gateway([]))
        #expect(old.hosts["client1"]?.resolvers["site"]?.summary == "10.2.0.54 for corp.example")
        let new = await Self.world(3, Self.gateway([Self.resolver()], plain: false))
        let plan = new.hosts["client1"]?.resolvers["site"]
        #expect(plan?.summary == "10.2.0.53#dns.example.org by TLS for corp.example")
    }

    @Test("A client that ignores resolvers asks for none and gets none")
    func ignored() async throws {
        let world = await Self.world(4, Self.gateway([Self.resolver()])) { $0.resolvers.use = .ignore }
        let client = try #require(world.hosts["client1"])
        #expect(client.isUp("site"))
        let given = try #require(client.status("site")?.ikeSAs.first?.assignedToUs)
        #expect(given.encryptedResolvers.isEmpty && given.dnsServers.isEmpty && given.domains.isEmpty)
        #expect(client.resolvers.isEmpty)
    }

    @Test("A client without addresses of a pool asks for no resolvers, and the gateway sends none")
    func withoutAddresses() async throws {
        let world = await Self.world(5, Self.gateway([Self.resolver()]) { $0.addressPools = [] }) {
            $0.virtualAddresses = []
            $0.children[0].localSelectors = Pair.selector("10.9.0.0/24")
        }
        #expect(world.hosts["client1"]?.resolvers.isEmpty == true)
    }

    @Test(
        "Digests are asked for where resolvers are only shown, the best algorithm first, and come with their resolver")
    func digests() async throws {
        let world = await Self.world(6, Self.gateway([Self.resolver(withDigest: true)])) { $0.resolvers.use = .show }
        let client = try #require(world.hosts["client1"])
        let given = try #require(client.status("site")?.ikeSAs.first?.assignedToUs)
        #expect(given.encryptedResolvers.map(\.digests) == [[Self.digest]])
        #expect(client.resolvers["site"]?.use == .show)
        #expect(client.resolvers["site"]?.usesTLS == false)
        // systemd-resolved could not check it: nothing of the kind is asked for.
        let other = await Self.world(7, Self.gateway([Self.resolver(withDigest: true)]))
        #expect(other.hosts["client1"]?.resolvers["site"]?.usesTLS == true)
    }

    @Test("Of a gateway that proves no identity neither resolvers by TLS nor domains are taken")
    func anonymous() async throws {
        let world = await Self.world(
            8,
            Self.gateway([Self.resolver()]) {
                $0.localAuthentication = .anonymous; $0.localIdentity = .anonymous
            }
        ) {
            $0.remoteAuthentication = .anonymous
            $0.remoteIdentity = nil
        }
        let client = try #require(world.hosts["client1"])
        #expect(client.isUp("site"))
        let given = try #require(client.status("site")?.ikeSAs.first?.assignedToUs)
        #expect(given.encryptedResolvers.isEmpty && given.domains.isEmpty)
        #expect(client.resolvers["site"]?.isUseful != true)
        #expect(Self.told(client).contains("nobody in particular"))
    }

    @Test("What is set stays through rekeys of both kinds by either side, over a bad network")
    func rekeys() async throws {
        let world = await Self.world(9, Self.gateway([Self.resolver()]))
        let client = try #require(world.hosts["client1"])
        let before = client.resolvers["site"]
        world.conditions.loss = 0.2
        for name in ["client1", "gateway"] {
            await world.act(name) { endpoint, now in try? endpoint.rekey("site", at: now) }
            await world.run(for: .seconds(30))
            await world.act(name) { endpoint, now in try? endpoint.rekey("site", child: "net", at: now) }
            await world.run(for: .seconds(30))
        }
        #expect(before != nil && client.resolvers["site"] == before)
        #expect(client.isUp("site"))
    }

    @Test("Who authenticates anew keeps its resolvers without a moment in which they are gone")
    func reauthentication() async throws {
        let world = await Self.world(10, Self.gateway([Self.resolver()])) {
            $0.timing.reauthenticateAfter = .seconds(60)
        }
        let client = try #require(world.hosts["client1"])
        let first = client.status("site")?.ikeSAs.first?.localSPI
        await world.run(for: .seconds(90))
        #expect(client.status("site")?.ikeSAs.first?.localSPI != first)
        #expect(client.resolvers["site"]?.usesTLS == true)
        #expect(client.resolverChanges == 2)
    }

    @Test("A gateway that takes everything through the tunnel gets no say in domains")
    func fullTunnel() async throws {
        let world = await Self.world(
            11, Self.gateway([Self.resolver()]) { $0.children[0].localSelectors = Pair.selector("0.0.0.0/0") }
        ) {
            $0.children[0].remoteSelectors = Pair.selector("0.0.0.0/0")
            $0.resolvers.domains = ["."]
        }
        let plan = try #require(world.hosts["client1"]?.resolvers["site"])
        #expect(plan.domains == ["."])
        #expect(plan.remarks.contains { $0.contains("do not count") })
    }

    @Test("A domain that the configuration does not allow is explained and not used")
    func notAllowed() async throws {
        let world = await Self.world(12, Self.gateway([Self.resolver()])) { $0.resolvers.domains = ["example.net"] }
        let client = try #require(world.hosts["client1"])
        #expect(client.resolvers["site"]?.isUseful == false)
        #expect(Self.told(client).contains("corp.example is not taken: it is not among dns.domains"))
    }

    @Test("A malformed question on an established SA is answered with what it asks for, and the SA stays")
    func laterQuestion() async throws {
        var pool = ConfigurationPayloadTests.pool("10.9.0.1", "10.9.0.9")
        pool.encryptedResolvers = [Self.resolver()]
        let given = pool
        let pair = await Pair(
            seed: 22,
            left: {
                $0.virtualAddresses = [.any(.v4)]
                $0.children[0].localSelectors = Pair.selector("0.0.0.0/0")
            },
            right: {
                $0.addressPools = [given]
                $0.children[0].remoteSelectors = Pair.selector("10.9.0.0/28")
            }, endpoint: { $0.exportsKeys = true })
        await pair.world.run(for: .seconds(2))
        let sa = try #require(pair.left.status("site")?.ikeSAs.last)
        let attributes: [(ConfigurationAttributeType, [UInt8])] = [
            (.encdnsIP4, [0, 0, 9]), (.encdnsIP4, []), (.encdnsDigestInfo, [255]), (.internalDNSDomain, [0xFF]),
        ]
        let question = ConfigurationPayload(
            type: .request, attributes: attributes.map { ConfigurationAttribute(type: $0.0, value: $0.1) })
        let header = IKEHeader(
            initiatorSPI: sa.localSPI, responderSPI: sa.remoteSPI, exchangeType: .informational, flags: .initiator,
            messageID: 2)
        let octets = try #require(pair.wiretap.seal(header, [.configuration(question)], iv: 1 << 40))
        let before = pair.world.sent.count
        pair.inject(octets)
        await pair.world.run(for: .milliseconds(20))
        let answer = try #require(
            pair.world.sent.dropFirst(before).last.flatMap { pair.wiretap.payloads(of: $0.octets) })
        guard case .configuration(let reply) = answer.first else { throw Missing() }
        #expect(reply.type == .reply)
        #expect(reply.attributes.map(\.type) == [.encdnsIP4, .internalDNSDomain])
        #expect(pair.left.isUp("site") && pair.right.isUp("site"))
    }

    @Test("A question, and an answer, in CREATE_CHILD_SA is passed over: the rekey gives no addresses and no resolvers")
    func inRekey() async {
        let pair = await Pair.established(seed: 23)
        let old = pair.childSPIs
        let odd: [ConfigurationAttribute] = [
            .init(type: .encdnsIP4, value: [0, 0, 9]), .init(type: .encdnsIP6, value: []),
            .init(type: .encdnsDigestInfo, value: [255]), .init(type: .internalDNSDomain, value: [0xff]),
        ]
        pair.rewrite({ $0.header?.exchangeType == .createChildSA }) { payloads in
            payloads
                + [.request, .reply, .set].map { .configuration(ConfigurationPayload(type: $0, attributes: odd)) }
        }
        await pair.rekeyChild("left")
        await pair.rest()
        let answers = pair.world.sent.filter { $0.isResponse(.createChildSA) }
        #expect(!answers.isEmpty)
        #expect(answers.allSatisfy { pair.wiretap.payloads(of: $0.octets)?.contains(.configuration) == false })
        #expect(pair.agrees() && pair.childSPIs != old && pair.faults.isEmpty)
    }

    private struct Missing: Error {}
}
