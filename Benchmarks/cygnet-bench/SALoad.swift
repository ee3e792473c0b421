import ESP
import Foundation
import IPsecCrypto
import Lab
import Octets

/// Many SAs, each with its keys, of which some seal and open packets in turn.
struct SALoad: ~Copyable {
    private let outbound: UnsafeMutableBufferPointer<OutboundSA>
    private let inbound: UnsafeMutableBufferPointer<InboundSA>
    private let slots: PacketSlots
    private let turns: Int
    private(set) var sealing: [Double] = []
    private(set) var opening: [Double] = []
    /// Octets of memory that each tunnel, an SA in either direction, has taken.
    let octetsPerTunnel: Double

    /// Packets of an SA before the next one has its turn.
    static let burst = 32
    /// SAs that carry packets at the same time.
    static let mostBusy = 1000

    /// - Parameter size: octets of the inner packets.
    init(_ algorithm: ESPAlgorithm, count: Int, size: Int) throws {
        outbound = .allocate(capacity: count)
        inbound = .allocate(capacity: count)
        slots = PacketSlots(size: size, count: Self.burst)
        turns = min(count, Self.mostBusy)
        let before = try Self.residentOctets()
        for index in 0..<count {
            var ends = ESPWorkload.parameters(algorithm, spi: 0x1000 + UInt32(index))
            let key = SecretOctets(
                (0..<algorithm.encryption.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ index &* 11) })
            ends.outbound.encryptionKey = key
            ends.inbound.encryptionKey = key
            outbound.initializeElement(at: index, to: try OutboundSA(ends.outbound))
            inbound.initializeElement(at: index, to: try InboundSA(ends.inbound))
        }
        octetsPerTunnel = (try Self.residentOctets() - before) / Double(count)
    }

    deinit {
        outbound.deinitialize()
        inbound.deinitialize()
        outbound.deallocate()
        inbound.deallocate()
    }

    /// Gives every busy SA so many turns, and enters what one packet took.
    mutating func run(rounds: Int) throws {
        var times = (seal: Int64(0), open: Int64(0))
        for _ in 0..<rounds {
            for index in 0..<turns {
                let start = ProcessorClock.thread()
                try slots.seal(with: &outbound[index])
                let sealed = ProcessorClock.thread()
                try slots.open(with: &inbound[index])
                times.seal += sealed - start
                times.open += ProcessorClock.thread() - sealed
            }
        }
        let batches = Double(rounds * turns)
        func perPacket(_ time: Int64) -> Double {
            (Double(time) / batches - ProcessorClock.cost) / Double(Self.burst)
        }
        sealing.append(perPacket(times.seal))
        opening.append(perPacket(times.open))
    }

    private static func residentOctets() throws -> Double {
        // Pages: of the whole program, then resident.
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        guard let pages = text.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) else {
            throw LabError("/proc/self/statm reads \(text)")
        }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// Threads that seal and open at the same time, each with SAs of its own.
enum SAThreads {
    /// Packets a second that were sealed and opened again, by all threads together.
    static func rate(_ algorithm: ESPAlgorithm, size: Int, threads: Int, seconds: Double) async throws -> Double {
        try await withThrowingTaskGroup(of: Double.self) { group in
            let end = ProcessorClock.wall() + Int64(seconds * 1e9)
            for _ in 0..<threads { group.addTask { try run(algorithm, size: size, until: end) } }
            return try await group.reduce(0, +)
        }
    }

    /// The same of the bare calls, which need no SA.
    static func bareRate(_ algorithm: ESPAlgorithm, size: Int, threads: Int, seconds: Double) async throws -> Double {
        await withTaskGroup(of: Double.self) { group in
            for _ in 0..<threads {
                group.addTask {
                    var bare = BareWorkload(algorithm, size: size)
                    bare?.run(seconds: seconds)
                    guard let seal = bare?.sealing.last, let open = bare?.opening.last else { return 0 }
                    return 1e9 / (seal + open)
                }
            }
            return await group.reduce(0, +)
        }
    }

    private static func run(_ algorithm: ESPAlgorithm, size: Int, until end: Int64) throws -> Double {
        let ends = ESPWorkload.parameters(algorithm)
        var outbound = try OutboundSA(ends.outbound)
        var inbound = try InboundSA(ends.inbound)
        let slots = PacketSlots(size: size)
        let start = ProcessorClock.wall()
        var batches = 0
        repeat {
            try slots.seal(with: &outbound)
            try slots.open(with: &inbound)
            batches += 1
        } while ProcessorClock.wall() < end
        return Double(batches * slots.count) / Double(ProcessorClock.wall() - start) * 1e9
    }
}
