import Foundation
import Gateway
import IKE
import IKEMessage
import IPPacket
import IPsecPolicy
import Testing

struct ConfigurationTests {
    private func read(_ name: String) throws -> GatewayConfiguration {
        let fixtures = try FixtureDirectory()
        let reading = GatewayConfiguration.read(path: "\(fixtures.path)/\(name)")
        #expect(reading.diagnostics.isEmpty)
        return try #require(reading.configuration)
    }

    @Test("The smallest connection takes no more than eight lines")
    func smallest() throws {
        let fixtures = try FixtureDirectory()
        let text = try String(contentsOfFile: "\(fixtures.path)/good.yaml", encoding: .utf8)
        #expect(text.split(separator: "\n").count <= 8)
        let connection = try #require(try read("good.yaml").connections.first).configuration
        #expect(connection.name == "office")
        #expect(connection.localIdentity == .fqdn("left.example"))
        #expect(connection.remoteAddresses == [try #require(IPAddress("192.0.2.2"))])
        #expect(connection.start == .demand)
        #expect(connection.ikeProposals == IKEProposal.defaults)
        let child = try #require(connection.children.first)
        #expect(child.name == "office")
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/16"])
        #expect(child.espProposals == ESPProposal.defaults)
    }

    @Test(
        "Additional key exchanges are read with their numbers, and a proposal without ML-KEM is left out where it is required"
    )
    func additionalKeyExchanges() throws {
        let connection = try #require(try read("post-quantum.yaml").connections.first).configuration
        #expect(
            connection.ikeProposals.map(\.additional) == [
                [
                    AdditionalKeyExchange(number: 1, methods: [.mlKEM768, .mlKEM1024]),
                    AdditionalKeyExchange(number: 3, methods: [.ecp384], isOptional: true),
                ]
            ])
        #expect(
            connection.children.first?.espProposals.map(\.additional) == [
                [AdditionalKeyExchange(number: 1, methods: [.mlKEM768])]
            ])
    }

    @Test("Post-quantum preshared keys are read in their order, with the exchange in which they are used")
    func presharedKeys() throws {
        let connection = try #require(try read("post-quantum.yaml").connections.first).configuration
        #expect(connection.ppks.map(\.identifier) == [Array("first".utf8), Array("second".utf8)])
        #expect(connection.requiresPPK)
        #expect(connection.ppkExchange == .intermediate)
    }

    @Test("TCP is used as is said, by fallback where only that is not said, and not at all where nothing is")
    func tcp() throws {
        let configuration = try read("tcp.yaml")
        #expect(configuration.daemon.tcpPorts == [4500, 443])
        let policies = configuration.connections.map(\.configuration.tcp)
        #expect(policies.map(\.use) == [.always, .fallback, .no])
        #expect(policies.map(\.ports) == [[443, 4500], [14500], [4500]])
        #expect(policies.map(\.probeAfter) == [nil, .seconds(60), .seconds(600)])
    }

    @Test("TLS is answered with the certificate given, and asked for as is said, by the peer's name if it has one")
    func tls() throws {
        let configuration = try read("tls.yaml")
        #expect(configuration.daemon.tcpPorts == [] && configuration.daemon.tls?.ports == [443, 8443])
        let policies = configuration.connections.map(\.configuration.tcp)
        #expect(policies.map(\.allPorts) == [[443], [4500, 8443], [4500]])
        #expect(policies.map { $0.tls?.name } == ["gw.office.example", "tls.branch.example", nil])
        #expect(policies.map { $0.tls?.authorities?.count } == [nil, 1, nil])
        #expect(policies[2].tls == nil && policies[1].tls(at: 4500) == nil)
        let fingerprints = Set(configuration.connections.map { $0.configuration.fingerprint })
        #expect(fingerprints.count == 3)
    }

    @Test("Every setting of the daemon is taken over")
    func daemon() throws {
        let daemon = try read("everything.yaml").daemon
        #expect(daemon.endpoint.ikePort == 1500)
        #expect(daemon.endpoint.natPort == 14500)
        #expect(daemon.listen.map(\.description) == ["192.0.2.1", "2001:db8::1"])
        #expect(daemon.device == "ipsec0")
        #expect(daemon.controlSocket == "/run/cygnet/other.sock")
        #expect(daemon.controlGroup == 0)
        #expect(daemon.logLevel == .debug)
        #expect(daemon.endpoint.halfOpenLimit == 2000)
        #expect(daemon.endpoint.halfOpenLimitPerAddress == 16)
        #expect(daemon.endpoint.halfOpenTimeout == .seconds(20))
        #expect(daemon.endpoint.peerLimit == 300)
        #expect(daemon.endpoint.cookieThreshold == 0)
        #expect(daemon.endpoint.puzzleThreshold == 9)
        #expect(daemon.endpoint.puzzleThresholdPerNetwork == 8)
        #expect(daemon.endpoint.puzzleDifficulty == 7)
        #expect(daemon.endpoint.negotiationLimit == 64)
        #expect(daemon.endpoint.codePoints[.optimizedRekey] == 45002)
        #expect(daemon.endpoint.codePoints[.optimizedRekeySupported] == OpenCodePoint.optimizedRekeySupported.usual)
    }

    @Test("Labels are read as texts or octets, for the connection or a child, and may be optional")
    func labels() throws {
        let children = try #require(try read("labels.yaml").connections.first).configuration.children
        let office = try #require(SecurityLabel(text: "system_u:object_r:office_t:s0"))
        #expect(
            children.map(\.securityLabels) == [
                [office], [office],
                [try #require(SecurityLabel(text: "s0")), try #require(SecurityLabel(octets: [0x73, 0x30]))],
            ])
        #expect(children.map(\.requiresSecurityLabel) == [true, true, false])
        #expect(children.last?.origin(of: "label").line == 10)
    }

    @Test(
        "Classes of packets are read as numbers or names, and tell children for the same subnets apart, labeled ones too"
    )
    func classes() throws {
        let connections = try read("dscp.yaml").connections.map(\.configuration)
        func classes(_ values: [UInt8], _ form: TrafficClasses.Form = .selector, _ isRequired: Bool = false) throws
            -> TrafficClasses
        {
            TrafficClasses(try #require(DSCPSet(values)), form: form, isRequired: isRequired)
        }
        let office: [TrafficClasses?] = [
            nil, try classes([46]), try classes([10, 12, 14, 48], .notify), try classes([34], .selectors, true),
        ]
        #expect(connections[0].children.map(\.classes) == office)
        let secret: [TrafficClasses?] = [try classes([1], .selector, true), try classes([2], .selector, true)]
        #expect(connections[1].children.map(\.classes) == secret)
    }

    @Test("Sequence number subspaces are off, wanted or required, and their number is read, for each child")
    func subspaces() throws {
        let connections = try read("subspaces.yaml").connections
        let policies = connections.map { $0.configuration.children.map(\.antiReplaySubspaces) }
        #expect(
            policies == [
                [
                    AntiReplaySubspacesPolicy(count: 8), AntiReplaySubspacesPolicy(isRequired: true, count: 256), nil,
                ], [nil], [AntiReplaySubspacesPolicy(count: 16)],
            ])
        #expect(
            connections[0].configuration.children[1].origin(of: "anti-replay-subspaces").line == 10)
    }

    @Test("How many SAs there may be for the same traffic is read, off unless asked for, a child's own word first")
    func resourceLimits() throws {
        let children = try read("per-resource.yaml").connections.flatMap(\.configuration.children)
        #expect(children.map(\.name) == ["plain", "all", "few", "none", "wide"])
        #expect(children.map(\.resourceLimit) == [nil, 64, 8, nil, 16])
        #expect(children.last?.origin(of: "per-resource").line == 18)
    }

    @Test("A connection's own settings come before the defaults")
    func layers() throws {
        let connections = try read("everything.yaml").connections
        #expect(connections.map(\.name) == ["office", "branch", "mixed", "roadwarrior", "guests", "client"])
        let office = connections[0].configuration
        #expect(office.localIdentity == .fqdn("left.example"))
        #expect(office.ikeProposals.count == 2)
        #expect(office.ikeProposals[1].prf == [.hmacSHA2_256])
        #expect(office.timing.rekeyAfter == .seconds(8 * 3600))
        #expect(office.timing.jitter == 0.2)
        #expect(office.timing.livenessInterval == .seconds(10))
        #expect(office.deadPeerAction == .clear)
        #expect(office.timing.retryLimit == .seconds(300))
        #expect(office.timing.retransmission.tries == 5)
        #expect(office.start == .boot)
        #expect(office.encapsulation == .udp)
        #expect(!office.fragmentation)
        #expect(office.remotePort == 1500)
        #expect(office.origin(of: "ike").line == 12)
        #expect(office.origin(of: "start").line == 26)
        #expect(connections[0].hosts.map(\.description) == ["192.0.2.2", "gw.right.example"])
        #expect(office.children[0].lifetime.rekeyAfter == .seconds(5400))
        #expect(office.children[0].lifetime.rekeyAfterOctets == 10_000_000_000)
        #expect(office.children[0].espProposals.count == 1 + ESPProposal.defaults.count)
    }

    @Test("Children have settings of their own")
    func children() throws {
        let branch = try read("everything.yaml").connections[1].configuration
        #expect(branch.optimizedRekey)
        #expect(branch.downgradePrevention == .require)
        #expect(branch.linkMTUNotification == LinkMTUPolicy(linkMTU: 1480, largestPacket: 4000))
        #expect(branch.extendedPayloads == ExtendedPayloadPolicy(.require, maximum: 200_000))
        #expect(branch.acceptsAnyRemoteAddress)
        #expect(branch.start == .none)
        let web = branch.children[0]
        #expect(web.localSelectors.map(\.description) == ["10.1.0.7 tcp/443"])
        #expect(web.lifetime.rekeyAfter == nil)
        #expect(web.replayWindow == 128)
        #expect(web.tfcPadding == 1300)
        #expect(!web.copiesDSCP)
        #expect(web.espProposals.allSatisfy { $0.sequenceNumbers == [.sequential32] })
        #expect(web.espProposals.allSatisfy { !$0.keyExchange.isEmpty })
        guard case .preSharedKey(let secret) = branch.localAuthentication else {
            Issue.record("expected a pre-shared key")
            return
        }
        #expect(secret.count == 16)
    }

    @Test("Both sides may prove themselves in different ways")
    func mixedAuthentication() throws {
        let mixed = try read("everything.yaml").connections[2].configuration
        guard case .certificate = mixed.localAuthentication, case .preSharedKey = mixed.remoteAuthentication else {
            Issue.record("expected a certificate of ours and a secret of the peer's")
            return
        }
    }

    @Test("A pool's addresses are what the children of its connection protect where no subnets are written")
    func pools() throws {
        let roadwarrior = try read("everything.yaml").connections[3].configuration
        let pool = try #require(roadwarrior.addressPools.first)
        #expect(
            pool.ranges.map { "\($0.first)-\($0.last)" } == [
                "10.9.0.1-10.9.0.254", "fd00:9::1-fd00:9::ffff:ffff:ffff:ffff", "10.9.1.10-10.9.1.20",
            ])
        #expect(pool.dnsServers.map(\.description) == ["10.1.0.53", "fd00:1::53"])
        #expect(pool.domains.map(\.name) == ["corp.example", "lab.example"])
        #expect(pool.domains[1].trustAnchors.first?.keyTag == 20326)
        #expect(roadwarrior.remotePattern == .mailboxes(of: "example.org"))
        #expect(roadwarrior.takesSeveralPeers)
        #expect(roadwarrior.children[0].remoteSelectors.count == 3)
    }

    @Test("Peers of one connection can have secrets of their own, and a second reading is the same configuration")
    func peerSecrets() throws {
        let guests = try read("everything.yaml").connections[4].configuration
        #expect(guests.peerSecrets.map(\.identity) == [.email("alice@example.org"), .fqdn("gw.example.net")])
        #expect(guests.takesSeveralPeers)
        #expect(guests.fingerprint == (try read("everything.yaml").connections[4].configuration.fingerprint))
    }

    @Test("Who asks for addresses protects whatever it is given")
    func virtualAddresses() throws {
        let client = try read("everything.yaml").connections[5].configuration
        #expect(client.virtualAddresses == [.any(.v4), .preferred(try #require(IPAddress("fd00:9::7")))])
        #expect(client.children[0].localSelectors.map(\.description) == ["0.0.0.0/0", "::/0"])
    }

    @Test("Policies keep their order and place")
    func policies() throws {
        let policies = try read("everything.yaml").policies
        #expect(policies.map(\.action) == [.bypass, .discard])
        #expect(policies.map(\.place) == [.before, .after])
        #expect(policies[0].remote.map(\.description) == ["192.0.2.0/24 udp/123"])
        #expect(policies[0].local.count == 2)
    }

    @Test("A policy keeps its number when other connections come and go")
    func policyNumbers() throws {
        let alone = try #require(try read("good.yaml").connections.first?.configuration.children.first)
        let among = try #require(try read("everything.yaml").connections.first?.configuration.children.first)
        #expect(alone.policyID == among.policyID)
    }
}
