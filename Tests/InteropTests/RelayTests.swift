import Foundation
import IPPacket
import Lab
import Testing

extension Interoperability {
    /// The relay that plays bad networks and attackers.
    @Suite("The impairing relay", .serialized)
    struct ImpairingRelay {
        private static let count = 1000

        private static func impaired(_ seed: UInt64) -> Impairments {
            var impairments = Impairments(seed: seed)
            impairments.loss = 0.1
            impairments.duplication = 0.1
            return impairments
        }

        @Test("A seed gives each packet its fate, another seed others")
        func seeds() {
            func fates(_ seed: UInt64, _ side: Side) -> [PacketFate] {
                Array(Self.impaired(seed).fates(from: side).prefix(100))
            }
            #expect(fates(1, .left) == fates(1, .left))
            #expect(fates(1, .left) != fates(1, .right))
            #expect(fates(1, .left) != fates(2, .left))
        }

        @Test("Without impairments every packet arrives once and in order", arguments: IPFamily.allCases)
        func nothing(_ family: IPFamily) async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, impairments: Impairments(seed: 1))
                let arrived = try await NumberedDatagrams.send(Self.count, family, topology)
                #expect(arrived == Array(0..<Self.count))
            }
        }

        @Test("Those packets are lost and doubled that the seed says", arguments: IPFamily.allCases)
        func lossAndDuplication(_ family: IPFamily) async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, impairments: Self.impaired(7))
                let arrived = try await NumberedDatagrams.send(Self.count, family, topology)
                var expected: [Int] = []
                for (number, fate) in zip(0..<Self.count, Self.impaired(7).fates(from: .left)) where !fate.isLost {
                    expected += fate.duplicateDelay == nil ? [number] : [number, number]
                }
                #expect(arrived == expected)
                let counters = try #require(topology.relay).counters(from: .left).other
                #expect(counters.received == Self.count)
                #expect(counters.received - counters.lost + counters.duplicated == expected.count)
                #expect(counters.sent == expected.count)
            }
        }

        @Test("Jitter has packets overtake each other and loses none")
        func jitter() async throws {
            var impairments = Impairments(seed: 3)
            impairments.delay = .milliseconds(2)
            impairments.jitter = .milliseconds(2)
            let settings = impairments
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, impairments: settings)
                let arrived = try await NumberedDatagrams.send(Self.count, .v4, topology)
                #expect(arrived.sorted() == Array(0..<Self.count))
                #expect(arrived != Array(0..<Self.count))
                #expect(try #require(topology.relay).counters(from: .left).other.overtaken > 0)
            }
        }

        @Test("Super-packets of UDP come through the relay as packets")
        func superPackets() async throws {
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory, impairments: Impairments(seed: 1))
                let arrived = try await NumberedDatagrams.send(Self.count, .v4, topology, segments: 20)
                #expect(arrived == Array(0..<Self.count))
                let counters = try #require(topology.relay).counters(from: .left).other
                #expect(counters.received == Self.count)
                #expect(counters.superPackets == 0)
            }
        }
    }
}

/// Datagrams with numbers, between the gateways' outer addresses.
private enum NumberedDatagrams {
    private static let port: UInt16 = 7000
    private static let length = 100
    private static let segmentOption: Int32 = 103

    /// Sends so many from the left gateway to the right one and returns the numbers in the order of arrival.
    ///
    /// - Parameter segments: How many are handed to the kernel in one.
    static func send(_ count: Int, _ family: IPFamily, _ topology: Topology, segments: Int = 1) async throws -> [Int] {
        let target = Topology.outerAddress(.right, family)
        let input = try await topology.gateway(.right).inside {
            let input = try open(family)
            var size: Int32 = 8 << 20
            setsockopt(input, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4)
            var patience = timeval(tv_sec: 1, tv_usec: 0)
            setsockopt(input, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            guard SystemAddress.with(target, port, { bind(input, $0, $1) }) == 0 else {
                throw LabError("bind: error \(errno)")
            }
            return input
        }
        defer { close(input) }
        async let numbers = topology.gateway(.right).inside { receive(input) }
        try await topology.gateway(.left).inside {
            let output = try open(family)
            defer { close(output) }
            var size = Int32(length)
            if segments > 1 { setsockopt(output, Int32(IPPROTO_UDP), segmentOption, &size, 4) }
            guard SystemAddress.with(target, port, { connect(output, $0, $1) }) == 0 else {
                throw LabError("connect: error \(errno)")
            }
            for first in stride(from: 0, to: count, by: segments) {
                var octets = [UInt8](repeating: 0, count: length * segments)
                for part in 0..<segments {
                    withUnsafeBytes(of: UInt32(first + part).bigEndian) {
                        octets.replaceSubrange(part * length..<part * length + 4, with: $0)
                    }
                }
                guard Glibc.send(output, octets, octets.count, 0) == octets.count else {
                    throw LabError("send: error \(errno)")
                }
                usleep(useconds_t(20 * segments))
            }
        }
        return try await numbers
    }

    private static func receive(_ input: Int32) -> [Int] {
        var numbers: [Int] = []
        var buffer = [UInt8](repeating: 0, count: 2048)
        while recv(input, &buffer, buffer.count, 0) == length {
            numbers.append(buffer[..<4].reduce(0) { $0 << 8 | Int($1) })
        }
        return numbers
    }

    private static func open(_ family: IPFamily) throws -> Int32 {
        let descriptor = socket(
            family == .v4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LabError("socket: error \(errno)") }
        return descriptor
    }
}
