import IPPacket
import IPsecCrypto
import Lab
import Testing

extension Interoperability {
    /// The data path between two gateways over a bad network with an attacker on it.
    @Suite("Through impairments", .serialized)
    struct ImpairedTunnel {
        struct Road: Sendable, CustomTestStringConvertible {
            var dataplane = DataplaneChoice.usual
            var isInUDP = true
            var family = IPFamily.v4
            var testDescription: String { "\(dataplane), \(isInUDP ? "in UDP" : "protocol 50"), \(family)" }
        }

        /// The data plane as it comes, then with every choice of offloads and cipher library there is.
        private static let roads =
            [Road(isInUDP: false), Road(family: .v6)] + severalWorkers + choices.map { Road(dataplane: $0) }

        private static let severalWorkers = [
            Road(dataplane: DataplaneChoice(workers: 2)),
            Road(dataplane: DataplaneChoice(workers: 3), isInUDP: false),
            Road(dataplane: DataplaneChoice(workers: 2), isInUDP: false, family: .v6),
        ]

        private static let choices: [DataplaneChoice] = CipherProvider.available.flatMap { provider in
            (0..<1 << DataplaneChoice.Offload.allCases.count).map { bits in
                DataplaneChoice(
                    offloads: Set(
                        DataplaneChoice.Offload.allCases.enumerated().filter { bits >> $0.offset & 1 == 1 }.map(
                            \.element)),
                    ciphers: provider == .ipsecMB ? .ipsecMB : .libcrypto)
            }
        }

        private static let impairments: Impairments = {
            var impairments = Impairments(seed: 11)
            impairments.loss = 0.005
            impairments.duplication = 0.01
            impairments.delay = .milliseconds(1)
            impairments.jitter = .microseconds(500)
            impairments.replay = 0.01
            impairments.forgery = 0.01
            return impairments
        }()

        @Test(
            "6 MB arrive as sent, and what was doubled, replayed and forged is dropped, each for its own reason",
            .timeLimit(.minutes(2)), arguments: roads)
        func transfer(_ road: Road) async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, impairments: Impairments(seed: 1))
                let relay = try #require(topology.relay)
                var plan = TunnelPlan()
                plan.isUDPEncapsulated = road.isInUDP
                plan.inner = road.family
                plan.outer = road.family
                var daemons: [Side: CygnetDaemon] = [:]
                for side in Side.allCases {
                    let daemon = try CygnetDaemon(at: side, of: topology, plan: plan, dataplane: road.dataplane)
                    try await daemon.start()
                    daemons[side] = daemon
                }
                try await daemons[.left]?.up().orThrow()
                relay.impair(Self.impairments)

                let transfer = try await Transfer.run(
                    from: topology.host(.left), to: topology.host(.right),
                    address: Topology.hostAddress(.right, road.family), octets: 6 << 20, patience: 30)
                #expect(transfer.isIntact)
                try await relay.settle()

                for side in Side.allCases {
                    let sender = try #require(try await daemons[side]?.status().dataplane)
                    let receiver = try #require(try await daemons[side.other]?.status().dataplane)
                    let passed = relay.counters(from: side).esp
                    #expect(passed.superPackets == 0)
                    #expect(passed.lost > 0 && passed.overtaken > 0 && passed.replayed > 0 && passed.forged > 0)
                    #expect(sender.packetsOut == passed.received)
                    #expect(receiver.packetsIn == passed.received - passed.lost, "\(receiver.drops)")
                    #expect(receiver.drops["replayed"] == passed.duplicated + passed.replayed, "\(receiver.drops)")
                    #expect(receiver.drops["not-authentic"] == passed.forged, "\(receiver.drops)")
                }
            }
        }
    }
}
