import IPPacket

/// Puts IP fragments together again, within bounds: what was never completed makes room for what comes later.
struct IPReassembly {
    /// Packets in pieces at one time.
    static let assemblyLimit = 256
    static let fragmentLimit = 1024
    private static let octetLimit = 65_535
    /// Seconds after which a missing fragment will not come any more (RFC 8200 section 4.5).
    private static let patience: Int64 = 60

    private struct Key: Hashable {
        var source: IPAddress
        var destination: IPAddress
        var ipProtocol: UInt8
        var identification: UInt32
    }

    private struct Assembly {
        var begun: Int64?
        var parts: [Int: ArraySlice<UInt8>] = [:]
        var received = 0
        /// Octets of the whole, known once the last fragment is there.
        var length: Int?
    }

    private var assemblies: [Key: Assembly] = [:]
    /// From the oldest on.
    private var order: [Key] = []

    /// Adds a fragment; returns the whole packet when none is missing. A fragment that overlaps another ends the assembly, as
    /// RFC 5722 has it for IPv6: somebody is playing tricks.
    mutating func add(_ datagram: IPDatagram, _ fragment: IPDatagram.Fragment, at time: CaptureTime?) -> IPDatagram? {
        // For IPv6 only the first fragment tells the protocol for certain, so it is no part of the key there.
        let key = Key(
            source: datagram.source, destination: datagram.destination,
            ipProtocol: datagram.source.family == .v4 ? datagram.ipProtocol : 0,
            identification: fragment.identification)
        guard datagram.missing == 0, !datagram.payload.isEmpty,
            fragment.offset + datagram.payload.count <= Self.octetLimit,
            !fragment.moreFollow || datagram.payload.count.isMultiple(of: 8)
        else {
            forget(key)
            return nil
        }
        if let assembly = assemblies[key], isLate(time, assembly) { forget(key) }
        if assemblies[key] == nil {
            if order.count >= Self.assemblyLimit, let oldest = order.first { forget(oldest) }
            order.append(key)
        }
        var assembly = assemblies[key] ?? Assembly(begun: time?.seconds)
        let end = fragment.offset + datagram.payload.count
        if let known = assembly.parts[fragment.offset], known == datagram.payload { return nil }
        let overlaps = assembly.parts.contains { $0.key < end && fragment.offset < $0.key + $0.value.count }
        guard !overlaps, assembly.parts.count < Self.fragmentLimit,
            fragment.moreFollow || assembly.length == nil, assembly.length.map({ end <= $0 }) ?? true
        else {
            forget(key)
            return nil
        }
        // Copied, so as not to keep the whole frame.
        assembly.parts[fragment.offset] = Array(datagram.payload)[...]
        assembly.received += datagram.payload.count
        if !fragment.moreFollow { assembly.length = end }
        assemblies[key] = assembly
        guard assembly.received == assembly.length else { return nil }
        forget(key)
        var whole: [UInt8] = []
        whole.reserveCapacity(assembly.received)
        for offset in assembly.parts.keys.sorted() { whole += assembly.parts[offset] ?? [] }
        var packet = IPDatagram(
            source: datagram.source, destination: datagram.destination, ipProtocol: datagram.ipProtocol,
            payload: whole[...], missing: 0)
        return packet.skipExtensions() ? packet : nil
    }

    private func isLate(_ time: CaptureTime?, _ assembly: Assembly) -> Bool {
        guard let now = time?.seconds, let begun = assembly.begun else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(begun)
        return overflow || age > Self.patience
    }

    private mutating func forget(_ key: Key) {
        guard assemblies.removeValue(forKey: key) != nil || order.contains(key) else { return }
        order.removeAll { $0 == key }
    }
}
