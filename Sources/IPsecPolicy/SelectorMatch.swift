import IPPacket

/// The way a packet goes, as seen from this host: outbound from the local to the remote side.
public enum TrafficDirection: UInt8, Hashable, Sendable {
    case outbound, inbound
}

/// How a packet relates to a selector. Greater is closer.
public enum SelectorMatch: UInt8, Comparable, Sendable {
    case no
    /// Addresses fit, and what a fragment does not show might fit too.
    case possible
    case yes

    @inlinable
    public static func < (left: SelectorMatch, right: SelectorMatch) -> Bool { left.rawValue < right.rawValue }
}

/// A traffic selector laid out for comparing: no references, one cache line.
struct CompiledSelector {
    private let first: UInt128
    private let last: UInt128
    private let firstPort: UInt16
    private let lastPort: UInt16
    private let family: IPFamily
    private let ipProtocol: UInt8

    init(_ selector: TrafficSelector) {
        first = selector.first.value
        last = selector.last.value
        firstPort = selector.firstPort
        lastPort = selector.lastPort
        family = selector.family
        ipProtocol = selector.ipProtocol
    }

    /// Compares one end of a packet.
    ///
    /// - Parameter isSource: the end is where the packet comes from. Type and code of ICMP are matched there; at the other
    ///   end OPAQUE lets them pass as well (RFC 4301, section 4.4.1.1: so a policy says which side may send them).
    @inline(__always)
    func match(_ packet: borrowing PacketSelector, _ address: IPAddress, port: UInt16, isSource: Bool) -> SelectorMatch
    {
        guard address.family == family, first <= address.value, address.value <= last else { return .no }
        var result = SelectorMatch.yes
        if ipProtocol != 0, ipProtocol != packet.ipProtocol {
            guard packet.ipProtocol == 0, packet.ports == .hidden else { return .no }
            result = .possible
        }
        guard firstPort != 0 || lastPort != .max else { return result }
        let isOpaque = firstPort == .max && lastPort == 0
        switch packet.ports {
        case .ports: return firstPort <= port && port <= lastPort ? result : .no
        case .typeAndCode:
            return firstPort <= port && port <= lastPort || isOpaque && !isSource ? result : .no
        case .none: return isOpaque ? result : .no
        case .hidden: return isOpaque ? result : .possible
        }
    }
}

/// The selectors of one security association or policy, compiled for the packet path.
///
/// The memory is written once and freed with the value; looking up neither allocates nor counts references.
public struct SelectorSet: ~Copyable, Sendable {
    // Written only in `init`.
    private nonisolated(unsafe) let selectors: UnsafeMutableBufferPointer<CompiledSelector>
    private let localCount: Int

    public init(local: [TrafficSelector], remote: [TrafficSelector]) {
        selectors = .allocate(capacity: local.count + remote.count)
        _ = selectors.initialize(from: (local + remote).map(CompiledSelector.init))
        localCount = local.count
    }

    deinit { selectors.deallocate() }

    /// Whether a packet lies within: one end within a local selector, the other within a remote one.
    public func match(_ packet: PacketSelector, _ direction: TrafficDirection) -> SelectorMatch {
        SelectorSet.match(
            packet, direction, local: UnsafeBufferPointer(rebasing: selectors[..<localCount]),
            remote: UnsafeBufferPointer(rebasing: selectors[localCount...]))
    }

    static func match(
        _ packet: borrowing PacketSelector, _ direction: TrafficDirection,
        local: UnsafeBufferPointer<CompiledSelector>, remote: UnsafeBufferPointer<CompiledSelector>
    ) -> SelectorMatch {
        let isOutbound = direction == .outbound
        let source = best(packet, packet.source, packet.sourcePort, isOutbound ? local : remote, isSource: true)
        guard source != .no else { return .no }
        return min(
            source,
            best(packet, packet.destination, packet.destinationPort, isOutbound ? remote : local, isSource: false))
    }

    @inline(__always)
    private static func best(
        _ packet: borrowing PacketSelector, _ address: IPAddress, _ port: UInt16,
        _ selectors: UnsafeBufferPointer<CompiledSelector>, isSource: Bool
    ) -> SelectorMatch {
        var best = SelectorMatch.no
        for index in 0..<selectors.count {
            let match = selectors[index].match(packet, address, port: port, isSource: isSource)
            if match == .yes { return .yes }
            best = max(best, match)
        }
        return best
    }
}
