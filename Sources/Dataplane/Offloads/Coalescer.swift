import Glibc
import IPPacket

/// Puts received packets of one flow together, so that the device takes them by one call and the kernel handles them as one:
/// generic receive offload of our own.
///
/// What it joins, the kernel can take apart again into the same packets. Packets of one flow stay in their order. They are not
/// copied: they stay where they are until ``flush(_:)``.
package struct Coalescer: ~Copyable {
    private struct Packet {
        var octets: UnsafeMutableRawPointer
        var count: Int
        /// Where the next one of its run is; -1 for none.
        var next: Int
    }

    private struct Run {
        let shape: Shape
        let first: Int
        var last: Int
        var packets = 1
        /// Of the whole packet that stands for all.
        var octets: Int
        var nextSequence: UInt32
        var nextIdentification: UInt16
        /// The first one's checksum has been looked at.
        var isVerified = false
    }

    /// Where in a packet things are that may be joined with others.
    private struct Shape {
        let family: IPFamily
        let isTCP: Bool
        let ipHeaderLength: Int
        let headerLength: Int
        let payload: Int
    }

    private enum Kind {
        case candidate(Shape)
        /// Of a flow, but one that ends its run.
        case barrier
        /// Of no flow that can be told: a fragment.
        case unknownFlow
        /// Of no flow of TCP or UDP.
        case other
    }

    /// Packets that fit in.
    package let capacity: Int
    private let hasHeader: Bool
    private let joinsTCP: Bool
    private let joinsUDP: Bool
    private let packets: UnsafeMutablePointer<Packet>
    private let runs: UnsafeMutablePointer<Run>
    private let vectors: UnsafeMutablePointer<iovec>
    private let header: UnsafeMutableRawPointer
    /// The run that is open for a flow, by hash; -1 for none.
    private let slots: UnsafeMutablePointer<Int>
    private var packetCount = 0
    private var runCount = 0

    private static let slotCount = 64
    /// Of one run: no more parts can be written at once, and no more than so many datagrams be cut from one packet of UDP.
    private static let maximumPackets = 512
    private static let maximumDatagrams = 64
    private static let maximumOctets = 0xffff

    /// - Parameter hasHeader: whether the device wants a ``VirtioNetHeader`` before each packet; only then can any be joined.
    package init(capacity: Int, hasHeader: Bool, joinsTCP: Bool, joinsUDP: Bool) {
        self.capacity = capacity
        self.hasHeader = hasHeader
        self.joinsTCP = hasHeader && joinsTCP
        self.joinsUDP = hasHeader && joinsUDP
        packets = .allocate(capacity: capacity)
        runs = .allocate(capacity: capacity)
        vectors = .allocate(capacity: Self.maximumPackets + 2)
        header = .allocate(byteCount: 16, alignment: 8)
        slots = .allocate(capacity: Self.slotCount)
        slots.initialize(repeating: -1, count: Self.slotCount)
    }

    deinit {
        packets.deallocate()
        runs.deallocate()
        vectors.deallocate()
        header.deallocate()
        slots.deallocate()
    }

    package var isFull: Bool { packetCount == capacity }
    package var isEmpty: Bool { packetCount == 0 }

    /// Takes a whole IP packet; there has to be room for it.
    @inline(__always)
    package mutating func add(_ octets: UnsafeMutableRawPointer, count: Int) {
        packets[packetCount] = Packet(octets: octets, count: count, next: -1)
        defer { packetCount += 1 }
        let packet = UnsafeRawPointer(octets)
        switch kind(packet, count) {
        case .candidate(let shape):
            let slot = Self.slot(packet, shape.family, shape.ipHeaderLength)
            if slots[slot] >= 0, join(shape, packet, to: slots[slot], slot) { return }
            slots[slot] = runCount
            begin(shape, packet, count)
            // What the sender pushes is not to wait for more.
            if shape.isTCP, packet.octet(at: shape.ipHeaderLength + 13) & 0x08 != 0 { slots[slot] = -1 }
            return
        case .barrier:
            let family: IPFamily = packet.octet(at: 0) >> 4 == 4 ? .v4 : .v6
            slots[Self.slot(packet, family, family == .v4 ? Int(packet.octet(at: 0) & 0x0f) * 4 : IPHeader.v6Length)] =
                -1
        case .unknownFlow: slots.update(repeating: -1, count: Self.slotCount)
        case .other: break
        }
        begin(
            Shape(family: .v4, isTCP: false, ipHeaderLength: 0, headerLength: 0, payload: count), packet, count)
    }

    @inline(__always)
    private mutating func begin(_ shape: Shape, _ packet: UnsafeRawPointer, _ count: Int) {
        (runs + runCount).initialize(
            to: Run(
                shape: shape, first: packetCount, last: packetCount, octets: count,
                nextSequence: shape.isTCP
                    ? packet.networkUInt32(at: shape.ipHeaderLength + 4)
                        &+ UInt32(truncatingIfNeeded: shape.payload) : 0,
                nextIdentification: packet.networkUInt16(at: 4) &+ 1))
        runCount += 1
    }

    // MARK: What can be joined

    @inline(__always)
    private func kind(_ packet: UnsafeRawPointer, _ count: Int) -> Kind {
        guard joinsTCP || joinsUDP else { return .other }
        let family: IPFamily
        let ipHeaderLength: Int
        let ipProtocol: UInt8
        if packet.octet(at: 0) >> 4 == 4 {
            family = .v4
            ipHeaderLength = Int(packet.octet(at: 0) & 0x0f) * 4
            ipProtocol = packet.octet(at: 9)
            guard packet.networkUInt16(at: 6) & 0x3fff == 0 else { return .unknownFlow }
        } else {
            family = .v6
            ipHeaderLength = IPHeader.v6Length
            ipProtocol = packet.octet(at: 6)
            guard ipProtocol != IPProtocol.fragment else { return .unknownFlow }
        }
        switch ipProtocol {
        case IPProtocol.tcp where joinsTCP:
            guard count >= ipHeaderLength + 20 else { return .other }
            let flags = packet.octet(at: ipHeaderLength + 13)
            let headerLength = ipHeaderLength + Int(packet.octet(at: ipHeaderLength + 12) >> 4) * 4
            // An acknowledgement with payload, perhaps pushed, and nothing else.
            guard flags & ~0x08 == 0x10, headerLength >= ipHeaderLength + 20, count > headerLength,
                family == .v6 || ipHeaderLength == IPHeader.v4MinimumLength
            else { return .barrier }
            return .candidate(
                Shape(
                    family: family, isTCP: true, ipHeaderLength: ipHeaderLength, headerLength: headerLength,
                    payload: count - headerLength))
        case IPProtocol.udp where joinsUDP:
            let headerLength = ipHeaderLength + 8
            guard count >= headerLength else { return .other }
            guard count > headerLength, Int(packet.networkUInt16(at: ipHeaderLength + 4)) == count - ipHeaderLength,
                packet.networkUInt16(at: ipHeaderLength + 6) != 0,
                family == .v6 || ipHeaderLength == IPHeader.v4MinimumLength
            else { return .barrier }
            return .candidate(
                Shape(
                    family: family, isTCP: false, ipHeaderLength: ipHeaderLength, headerLength: headerLength,
                    payload: count - headerLength))
        // Extension headers may hide a flow.
        case IPProtocol.hopByHopOptions, IPProtocol.routing, IPProtocol.destinationOptions: return .unknownFlow
        default: return .other
        }
    }

    @inline(__always)
    private static func slot(_ packet: UnsafeRawPointer, _ family: IPFamily, _ ipHeaderLength: Int) -> Int {
        var hash = UInt64(packet.loadUnaligned(fromByteOffset: ipHeaderLength, as: UInt32.self))
        switch family {
        case .v4: hash ^= packet.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
        case .v6:
            hash ^= packet.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
            hash ^= packet.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        }
        return Int(truncatingIfNeeded: (hash &* 0x9e37_79b9_7f4a_7c15) >> 58)
    }

    /// Joins the packet that is about to be added to an open run, if it goes on where that ends.
    @inline(__always)
    private mutating func join(_ shape: Shape, _ packet: UnsafeRawPointer, to index: Int, _ slot: Int) -> Bool {
        let run = runs + index
        let head = run.pointee.shape
        let first = UnsafeRawPointer(packets[run.pointee.first].octets)
        guard shape.family == head.family, shape.isTCP == head.isTCP, shape.headerLength == head.headerLength,
            shape.payload <= head.payload, run.pointee.octets + shape.payload <= Self.maximumOctets,
            run.pointee.packets < (shape.isTCP ? Self.maximumPackets : Self.maximumDatagrams)
        else { return false }
        let headersAgree =
            shape.family == .v4
            ? agreesV4(packet, first, run.pointee.nextIdentification)
            : packet.loadUnaligned(as: UInt32.self) == first.loadUnaligned(as: UInt32.self)
                && memcmp(packet + 6, first + 6, 34) == 0
        guard headersAgree, agreesAbove(shape, packet, first, run.pointee.nextSequence) else { return false }
        // To join hides damage from before the tunnel, so there must be none.
        if !run.pointee.isVerified {
            guard Self.isIntact(head, first, packets[run.pointee.first].count) else { return false }
            run.pointee.isVerified = true
        }
        guard Self.isIntact(shape, packet, shape.headerLength + shape.payload) else { return false }
        packets[run.pointee.last].next = packetCount
        run.pointee.last = packetCount
        run.pointee.packets += 1
        run.pointee.octets += shape.payload
        run.pointee.nextSequence &+= UInt32(truncatingIfNeeded: shape.payload)
        run.pointee.nextIdentification &+= 1
        if shape.payload < head.payload || shape.isTCP && packet.octet(at: shape.ipHeaderLength + 13) & 0x08 != 0 {
            slots[slot] = -1
        }
        return true
    }

    /// All but length, checksum and, where fragmentation is forbidden and it means nothing (RFC 6864), identification.
    @inline(__always)
    private func agreesV4(_ packet: UnsafeRawPointer, _ first: UnsafeRawPointer, _ identification: UInt16) -> Bool {
        packet.loadUnaligned(as: UInt16.self) == first.loadUnaligned(as: UInt16.self)
            && packet.loadUnaligned(fromByteOffset: 6, as: UInt32.self)
                == first.loadUnaligned(fromByteOffset: 6, as: UInt32.self)
            && packet.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
                == first.loadUnaligned(fromByteOffset: 12, as: UInt64.self)
            && (packet.octet(at: 6) & 0x40 != 0 || packet.networkUInt16(at: 4) == identification)
    }

    /// Ports, and of TCP all that the segments cut later have in common.
    @inline(__always)
    private func agreesAbove(
        _ shape: Shape, _ packet: UnsafeRawPointer, _ first: UnsafeRawPointer, _ sequence: UInt32
    ) -> Bool {
        let transport = packet + shape.ipHeaderLength
        let other = first + shape.ipHeaderLength
        guard transport.loadUnaligned(as: UInt32.self) == other.loadUnaligned(as: UInt32.self) else { return false }
        guard shape.isTCP else { return true }
        return transport.networkUInt32(at: 4) == sequence
            && transport.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
                == other.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
            && transport.octet(at: 12) == other.octet(at: 12)
            && transport.loadUnaligned(fromByteOffset: 14, as: UInt16.self)
                == other.loadUnaligned(fromByteOffset: 14, as: UInt16.self)
            && memcmp(transport + 18, other + 18, shape.headerLength - shape.ipHeaderLength - 18) == 0
    }

    /// Whether the checksum of TCP or UDP is right.
    @inline(__always)
    private static func isIntact(_ shape: Shape, _ packet: UnsafeRawPointer, _ count: Int) -> Bool {
        let length = count - shape.ipHeaderLength
        let sum =
            pseudoHeaderSum(shape, packet, length: length)
            &+ InternetChecksum.sum(UnsafeRawBufferPointer(start: packet + shape.ipHeaderLength, count: length))
        return InternetChecksum.finish(sum) == 0
    }

    @inline(__always)
    private static func pseudoHeaderSum(_ shape: Shape, _ packet: UnsafeRawPointer, length: Int) -> UInt64 {
        let addresses =
            shape.family == .v4
            ? UnsafeRawBufferPointer(start: packet + 12, count: 8)
            : UnsafeRawBufferPointer(start: packet + 8, count: 32)
        let ipProtocol = UInt16(shape.isTCP ? IPProtocol.tcp : IPProtocol.udp)
        return InternetChecksum.sum(addresses) &+ UInt64(ipProtocol.bigEndian)
            &+ UInt64(UInt16(truncatingIfNeeded: length).bigEndian)
    }

    // MARK: Passing on

    /// Passes on all that was added, in order, and forgets it.
    ///
    /// - Parameter write: is given what the device takes by one call, how many packets that stands for and how many octets of IP.
    @inline(__always)
    package mutating func flush(
        _ write: (_ parts: UnsafePointer<iovec>, _ count: Int, _ packets: Int, _ octets: Int) -> Void
    ) {
        for index in 0..<runCount {
            let run = runs[index]
            var offload = VirtioNetHeader()
            if run.packets > 1 { offload = join(run) }
            var count = 0
            if hasHeader {
                offload.write(to: header)
                vectors[0] = iovec(iov_base: header, iov_len: VirtioNetHeader.count)
                count = 1
            }
            var next = run.first
            var skipped = 0
            while next >= 0 {
                vectors[count] = iovec(
                    iov_base: packets[next].octets + skipped, iov_len: packets[next].count - skipped)
                count += 1
                next = packets[next].next
                skipped = run.shape.headerLength
            }
            write(UnsafePointer(vectors), count, run.packets, run.octets)
        }
        packetCount = 0
        runCount = 0
        slots.update(repeating: -1, count: Self.slotCount)
    }

    /// Makes the first packet's headers those of the packet that stands for all of a run.
    private func join(_ run: Run) -> VirtioNetHeader {
        let shape = run.shape
        let packet = packets[run.first].octets
        let transport = packet + shape.ipHeaderLength
        switch shape.family {
        case .v4:
            packet.storeNetwork(UInt16(truncatingIfNeeded: run.octets), at: 2)
            packet.storeNetwork(UInt16(0), at: 10)
            packet.storeNetwork(
                InternetChecksum.checksum(of: UnsafeRawBufferPointer(start: packet, count: shape.ipHeaderLength)),
                at: 10)
        case .v6:
            packet.storeNetwork(UInt16(truncatingIfNeeded: run.octets - IPHeader.v6Length), at: 4)
        }
        let length = run.octets - shape.ipHeaderLength
        let field = shape.isTCP ? 16 : 6
        if shape.isTCP {
            let last = UnsafeRawPointer(packets[run.last].octets).octet(at: shape.ipHeaderLength + 13)
            transport.storeOctet(UnsafeRawPointer(transport).octet(at: 13) | last, at: 13)
        } else {
            transport.storeNetwork(UInt16(truncatingIfNeeded: length), at: 4)
        }
        // The pseudo-header's sum, as it is: the rest is added where the segments are cut or the packet is delivered.
        transport.storeNetwork(
            ~InternetChecksum.finish(Self.pseudoHeaderSum(shape, UnsafeRawPointer(packet), length: length)), at: field)
        var offload = VirtioNetHeader()
        offload.segmentation = shape.isTCP ? shape.family == .v4 ? .tcpV4 : .tcpV6 : .udp
        offload.needsChecksum = true
        offload.headerLength = shape.headerLength
        offload.segmentSize = shape.payload
        offload.checksumStart = shape.ipHeaderLength
        offload.checksumOffset = field
        return offload
    }
}
