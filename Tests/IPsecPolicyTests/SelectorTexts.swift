import IPPacket
import IPsecPolicy

struct UnreadableText: Error { let text: String }

/// A selector from a prefix or a range `FIRST-LAST`.
func selector(_ text: String, _ ipProtocol: UInt8 = 0, _ ports: ClosedRange<UInt16> = 0...65535) throws
    -> TrafficSelector
{
    if let prefix = IPPrefix(text) { return TrafficSelector(prefix, ipProtocol: ipProtocol, ports: ports) }
    let ends = text.split(separator: "-").compactMap { IPAddress($0) }
    guard ends.count == 2,
        let selector = TrafficSelector(
            ipProtocol: ipProtocol, firstPort: ports.lowerBound, lastPort: ports.upperBound, first: ends[0],
            last: ends[1])
    else { throw UnreadableText(text: text) }
    return selector
}

/// A selector for packets whose ports do not show.
func opaque(_ text: String, _ ipProtocol: UInt8) throws -> TrafficSelector {
    var result = try selector(text, ipProtocol)
    result.firstPort = .max
    result.lastPort = 0
    return result
}

func address(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else { throw UnreadableText(text: text) }
    return address
}

/// What a packet between two addresses shows.
func packet(
    _ source: String, _ destination: String, _ ipProtocol: UInt8 = 6, _ ports: PacketSelector.Ports = .ports,
    from sourcePort: UInt16 = 40000, to destinationPort: UInt16 = 80
) throws -> PacketSelector {
    PacketSelector(
        source: try address(source), destination: try address(destination), ipProtocol: ipProtocol, ports: ports,
        sourcePort: sourcePort, destinationPort: destinationPort)
}

/// A packet of ICMP as it leaves its sender.
func icmp(_ source: String, _ destination: String, type: UInt8, code: UInt8 = 0) throws -> PacketSelector {
    let both = UInt16(type) << 8 | UInt16(code)
    return try packet(source, destination, 1, .typeAndCode, from: both, to: both)
}
