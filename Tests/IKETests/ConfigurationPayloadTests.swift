import Credentials
import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Octets
import Simulation
import Testing

/// Addresses by configuration payload, between a gateway and those who come to it.
struct ConfigurationPayloadTests {
    static let pool = pool("10.9.0.1", "10.9.0.2", dns: "10.2.0.53")

    static func pool(_ first: String, _ last: String, dns: String? = nil) -> AddressPool {
        var ranges: [AddressPool.Range] = []
        if let first = IPAddress(first), let last = IPAddress(last), let range = AddressPool.Range(first, last) {
            ranges.append(range)
        }
        var pool = AddressPool(name: "road", ranges: ranges)
        pool.dnsServers = dns.flatMap { IPAddress($0) }.map { [$0] } ?? []
        pool.domains = [
            SplitDNSDomain(
                "corp.example",
                trustAnchors: [DNSSECTrustAnchor(keyTag: 20326, algorithm: 8, digestType: 2, digest: [1, 2, 3, 4])])
        ]
        return pool
    }

    static func gateway(
        _ pool: AddressPool = pool, change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        Pair.configuration(isLeft: false, start: .none) { connection in
            connection.remoteAddresses = []
            connection.acceptsAnyRemoteAddress = true
            connection.remoteIdentity = nil
            connection.remotePattern = .subdomains(of: "example")
            connection.addressPools = [pool]
            connection.children[0].remoteSelectors = pool.ranges.compactMap {
                TrafficSelector(first: $0.first, last: $0.last)
            }
            change(&connection)
        }
    }

    static func client(
        _ name: String, address: String, change: (inout ConnectionConfiguration) -> Void = { _ in }
    ) -> ConnectionConfiguration {
        Pair.configuration(isLeft: true, start: .boot) { connection in
            connection.localIdentity = .fqdn("\(name).example")
            connection.localAddresses = IPAddress(address).map { [$0] } ?? []
            connection.virtualAddresses = [.any(.v4)]
            connection.children[0].localSelectors = [TrafficSelector(.all(.v4))]
            change(&connection)
        }
    }

    /// A gateway and clients by name, the first at 192.0.2.1, the next at 192.0.2.2 and so on.
    static func world(
        _ seed: UInt64, gateway: ConnectionConfiguration = gateway(), clients: [ConnectionConfiguration]
    ) async -> World {
        let world = World(seed: seed)
        await world.add("gateway", "198.51.100.2", [gateway])
        for (index, client) in clients.enumerated() {
            await world.add("client\(index + 1)", "192.0.2.\(index + 1)", [client])
        }
        await world.run(for: .seconds(3))
        return world
    }

    @Test("A client gets an address of the pool, and its child carries that address only")
    func assignment() async throws {
        let world = await Self.world(1, clients: [Self.client("alice", address: "192.0.2.1")])
        let client = try #require(world.hosts["client1"]), gateway = try #require(world.hosts["gateway"])
        #expect(client.virtualAddresses["site"]?.map(\.description) == ["10.9.0.1"])
        #expect(client.status("site")?.children.first?.localSelectors == "10.9.0.1")
        #expect(gateway.status("site")?.children.first?.remoteSelectors == "10.9.0.1")
        #expect(gateway.status("site")?.ikeSAs.first?.assignedToPeer?.addresses.map(\.description) == ["10.9.0.1"])
    }

    @Test("The CP payload stands before the SA payload, in the request and in the answer (RFC 7296 section 2.19)")
    func order() async throws {
        let pair = await Pair(
            seed: 21,
            left: {
                $0.virtualAddresses = [.any(.v4)]
                $0.children[0].localSelectors = [TrafficSelector(.all(.v4))]
            },
            right: {
                $0.addressPools = [Self.pool]
                $0.children[0].remoteSelectors = Self.pool.ranges.compactMap {
                    TrafficSelector(first: $0.first, last: $0.last)
                }
            }, endpoint: { $0.exportsKeys = true })
        await pair.world.run(for: .seconds(2))
        let messages = pair.world.sent.filter { $0.header?.exchangeType == .ikeAuth }
        #expect(messages.count == 2)
        for message in messages {
            let types = try #require(pair.wiretap.payloads(of: message.octets)).map(\.type)
            let configuration = try #require(types.firstIndex(of: .configuration))
            let association = try #require(types.firstIndex(of: .securityAssociation))
            #expect(configuration < association)
        }
    }

    @Test("What a client is told of resolvers, domains with their keys and networks arrives whole")
    func splitDNS() async throws {
        let world = await Self.world(2, clients: [Self.client("alice", address: "192.0.2.1")])
        let given = try #require(world.hosts["client1"]?.status("site")?.ikeSAs.first?.assignedToUs)
        #expect(given.dnsServers.map(\.description) == ["10.2.0.53"])
        #expect(given.domains == Self.pool.domains)
        #expect(given.subnets.map(\.description) == ["10.2.0.0/16"])
    }

    @Test("The address stays through a rekey of the IKE SA and of the child, and goes with the connection")
    func rekey() async throws {
        let world = await Self.world(3, clients: [Self.client("alice", address: "192.0.2.1")])
        let client = try #require(world.hosts["client1"]), gateway = try #require(world.hosts["gateway"])
        for name in ["client1", "gateway"] {
            await world.act(name) { endpoint, now in try? endpoint.rekey("site", at: now) }
            await world.run(for: .seconds(5))
            await world.act(name) { endpoint, now in try? endpoint.rekey("site", child: "net", at: now) }
            await world.run(for: .seconds(5))
        }
        #expect(client.status("site")?.children.map(\.localSelectors) == ["10.9.0.1"])
        #expect(gateway.endpoint.leases().map(\.isOnline) == [true])
        await world.act("client1") { endpoint, now in try? endpoint.terminate("site", at: now) }
        await world.run(for: .seconds(5))
        #expect(client.virtualAddresses.isEmpty)
        #expect(gateway.endpoint.leases().map(\.isOnline) == [false])
    }

    @Test("Who authenticates anew has the same address, without a moment in which it has none")
    func reauthentication() async throws {
        let world = await Self.world(
            4, clients: [Self.client("alice", address: "192.0.2.1") { $0.timing.reauthenticateAfter = .seconds(60) }])
        let client = try #require(world.hosts["client1"])
        let first = client.status("site")?.ikeSAs.first?.localSPI
        await world.run(for: .seconds(90))
        #expect(client.status("site")?.ikeSAs.count == 1)
        #expect(client.status("site")?.ikeSAs.first?.localSPI != first)
        #expect(client.virtualAddresses["site"]?.map(\.description) == ["10.9.0.1"])
        #expect(world.hosts["gateway"]?.endpoint.leases().map(\.isOnline) == [true])
        #expect(client.events.count { if case .configurationReceived = $0 { true } else { false } } == 2)
    }

    @Test("Clients have different addresses, and each that comes back has its own again")
    func severalClients() async throws {
        let alice = Self.client("alice", address: "192.0.2.1"), bob = Self.client("bob", address: "192.0.2.2")
        let world = await Self.world(5, clients: [alice, bob])
        let gateway = try #require(world.hosts["gateway"])
        #expect(gateway.endpoint.leases().map(\.identity) == ["alice.example", "bob.example"])
        for name in ["client1", "client2"] {
            await world.act(name) { endpoint, now in try? endpoint.terminate("site", at: now) }
        }
        await world.run(for: .seconds(2))
        for name in ["client2", "client1"] {
            await world.act(name) { endpoint, now in try? endpoint.initiate("site", at: now) }
            await world.run(for: .seconds(2))
        }
        #expect(world.hosts["client1"]?.virtualAddresses["site"]?.map(\.description) == ["10.9.0.1"])
        #expect(world.hosts["client2"]?.virtualAddresses["site"]?.map(\.description) == ["10.9.0.2"])
    }

    @Test("With all addresses in use the next client is told INTERNAL_ADDRESS_FAILURE, and has the first that is free")
    func exhaustion() async throws {
        let names = ["alice", "bob", "carol"]
        let world = await Self.world(
            6, clients: names.enumerated().map { Self.client($0.element, address: "192.0.2.\($0.offset + 1)") })
        let states = try (1...3).map { try #require(world.hosts["client\($0)"]) }
        let late = try #require(states.first { !$0.isUp("site") })
        #expect(states.count { $0.isUp("site") } == 2)
        #expect(late.refusals.first?.reason.contains("INTERNAL_ADDRESS_FAILURE") == true)
        let other = try #require(states.first { $0.isUp("site") })
        await world.act(other.name) { endpoint, now in try? endpoint.terminate("site", at: now) }
        _ = await world.run(atMost: .seconds(120)) { late.isUp("site") }
        #expect(late.virtualAddresses["site"] != nil)
    }

    @Test("A client that asks for no address is told FAILED_CP_REQUIRED")
    func addressRequired() async throws {
        let world = await Self.world(
            7, clients: [Self.client("alice", address: "192.0.2.1") { $0.virtualAddresses = [] }])
        let client = try #require(world.hosts["client1"])
        #expect(client.refusals.first?.reason.contains("FAILED_CP_REQUIRED") == true)
        #expect(client.inbound.isEmpty && world.hosts["gateway"]?.inbound.isEmpty == true)
    }

    @Test("A client that wants a certain address of the pool has it if it is free")
    func preferred() async throws {
        let wanted = try #require(IPAddress("10.9.0.2"))
        let world = await Self.world(
            8,
            clients: [
                Self.client("alice", address: "192.0.2.1") { $0.virtualAddresses = [.preferred(wanted)] },
                Self.client("bob", address: "192.0.2.2"),
            ])
        #expect(world.hosts["client1"]?.virtualAddresses["site"] == [wanted])
        #expect(world.hosts["client2"]?.virtualAddresses["site"]?.map(\.description) == ["10.9.0.1"])
    }

    @Test("Each of several peers has a number, and one can be taken down without the others")
    func instances() async throws {
        let world = await Self.world(
            9, clients: [Self.client("alice", address: "192.0.2.1"), Self.client("bob", address: "192.0.2.2")])
        let gateway = try #require(world.hosts["gateway"])
        let sas = try #require(gateway.status("site")?.ikeSAs)
        #expect(Set(sas.compactMap(\.instance)) == [1, 2])
        let bob = try #require(sas.first { $0.remoteIdentity == "bob.example" }?.instance)
        await world.act("gateway") { endpoint, now in try? endpoint.rekey("site", at: now) }
        await world.run(for: .seconds(5))
        await world.act("gateway") { endpoint, now in try? endpoint.terminate("site", instance: bob, at: now) }
        await world.run(for: .milliseconds(500))
        #expect(gateway.status("site")?.ikeSAs.map(\.remoteIdentity) == ["alice.example"])
        #expect(gateway.status("site")?.state == .up)
        #expect(world.hosts["client1"]?.isUp("site") == true)
    }

    @Test("A peer that does not fit the pattern of identities is refused")
    func pattern() async throws {
        let world = await Self.world(
            10,
            clients: [Self.client("alice", address: "192.0.2.1") { $0.localIdentity = .fqdn("alice.example.net") }])
        #expect(world.hosts["client1"]?.isUp("site") == false)
        #expect(world.hosts["gateway"]?.refusals.first?.reason.contains("*.example") == true)
    }

    @Test("Of two peers the second does not get the traffic that the first has")
    func distinctPeers() async throws {
        let gateway = Self.gateway {
            $0.addressPools = []
            $0.children[0].remoteSelectors = Pair.selector("10.1.0.0/16")
        }
        func client(_ name: String, _ address: String, _ network: String) -> ConnectionConfiguration {
            Self.client(name, address: address) {
                $0.virtualAddresses = []
                $0.children[0].localSelectors = Pair.selector(network)
            }
        }
        let world = await Self.world(
            11, gateway: gateway,
            clients: [
                client("alice", "192.0.2.1", "10.1.1.0/24"), client("bob", "192.0.2.2", "10.1.2.0/24"),
            ])
        #expect(world.hosts["client1"]?.isUp("site") == true && world.hosts["client2"]?.isUp("site") == true)
        await world.add("client3", "192.0.2.3", [client("mallory", "192.0.2.3", "10.1.0.0/16")])
        await world.run(for: .seconds(2))
        let mallory = try #require(world.hosts["client3"])
        #expect(mallory.inbound.isEmpty)
        #expect(mallory.refusals.first?.reason.contains("TS_UNACCEPTABLE") == true)
        // Who comes back from elsewhere is not another.
        world.kill("client1")
        await world.add("client4", "192.0.2.4", [client("alice", "192.0.2.4", "10.1.1.0/24")])
        await world.run(for: .seconds(2))
        #expect(world.hosts["client4"]?.isUp("site") == true)
    }

    @Test("An address of an anonymous peer is free again when its IKE SA ends, however often it is given")
    func anonymousPeers() async throws {
        let gateway = Self.gateway(Self.pool("10.9.0.1", "10.9.0.1")) {
            $0.remotePattern = nil
            $0.remoteAuthentication = .anonymous
        }
        let client = Self.client("nobody", address: "192.0.2.1") {
            $0.localIdentity = .anonymous
            $0.localAuthentication = .anonymous
        }
        let world = await Self.world(12, gateway: gateway, clients: [client])
        for _ in 1...3 {
            #expect(world.hosts["client1"]?.virtualAddresses["site"]?.map(\.description) == ["10.9.0.1"])
            #expect(world.hosts["gateway"]?.endpoint.leases().map(\.identity) == [nil])
            await world.act("client1") { endpoint, now in try? endpoint.rekey("site", at: now) }
            await world.run(for: .seconds(5))
            await world.act("client1") { endpoint, now in try? endpoint.terminate("site", at: now) }
            await world.run(for: .seconds(5))
            #expect(world.hosts["gateway"]?.endpoint.leases().isEmpty == true)
            await world.act("client1") { endpoint, now in try? endpoint.initiate("site", at: now) }
            await world.run(for: .seconds(5))
        }
    }

    @Test("When the last of several peers dies the connection is at rest, not failed, and its address is kept for it")
    func lastPeerDies() async throws {
        let world = await Self.world(13, clients: [Self.client("alice", address: "192.0.2.1")])
        let gateway = try #require(world.hosts["gateway"])
        world.kill("client1")
        await world.run(for: .seconds(300))
        #expect(gateway.status("site")?.state == .idle)
        #expect(gateway.inbound.isEmpty && gateway.endpoint.saCount == 0)
        #expect(gateway.endpoint.leases().map(\.isOnline) == [false])
    }

    @Test("Each of several peers proves itself by its own pre-shared key, and by no other's")
    func peerSecrets() async throws {
        let keys = (1...3).map { SecretOctets(Array(repeating: UInt8($0), count: 32)) }
        let gateway = Self.gateway {
            $0.remotePattern = nil
            $0.peerSecrets = [
                PeerSecret(.fqdn("alice.example"), keys[0]), PeerSecret(.fqdn("bob.example"), keys[1]),
            ]
        }
        func client(_ name: String, _ number: Int, key: SecretOctets) -> ConnectionConfiguration {
            Self.client(name, address: "192.0.2.\(number)") {
                $0.localAuthentication = .preSharedKey(key)
                $0.remoteAuthentication = .preSharedKey(key)
            }
        }
        let world = await Self.world(
            14, gateway: gateway,
            clients: [
                client("alice", 1, key: keys[0]), client("bob", 2, key: keys[1]), client("bob", 3, key: keys[0]),
                client("carol", 4, key: Pair.secret),
            ])
        #expect((1...4).map { world.hosts["client\($0)"]?.isUp("site") } == [true, true, false, false])
    }

    @Test("A hostile CFG_REPLY of wrong sizes and too many attributes gives what is right in it and no more")
    func hostileReply() {
        var attributes: [ConfigurationAttribute] = []
        for size in 0...40 {
            for type in [1, 3, 8, 10, 13, 15, 25, 26, 999] as [UInt16] {
                attributes.append(
                    ConfigurationAttribute(
                        type: ConfigurationAttributeType(rawValue: type), value: Array(repeating: 0x55, count: size)))
            }
        }
        for number in 0..<200 {
            attributes.append(
                ConfigurationAttribute(type: .internalIP4Address, value: [10, 0, UInt8(number), 1]))
        }
        let read = AssignedConfiguration(reading: ConfigurationPayload(type: .reply, attributes: attributes))
        #expect(read.addresses.count == 16)
        #expect(read.dnsServers.map(\.description) == ["85.85.85.85", "5555:5555:5555:5555:5555:5555:5555:5555"])
        #expect(read.domains.count == 40)
        #expect(read.subnets.count == 1)
    }
}
