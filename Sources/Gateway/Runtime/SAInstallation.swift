import Dataplane
import ESP
import IKE
import IPPacket
import IPsecPolicy

// From what IKE has agreed to what the data plane installs.

extension ChildSADescription {
    var inboundParameters: SAParameters {
        parameters(spi: inboundSPI, keys: inboundKeys, subspaces: subspaces?.inbound)
    }
    var outboundParameters: SAParameters {
        parameters(spi: outboundSPI, keys: outboundKeys, subspaces: subspaces?.outbound)
    }

    private func parameters(spi: UInt32, keys: DirectionKeys, subspaces: Int?) -> SAParameters {
        var options = SAOptions()
        options.copyDSCP = copiesDSCP
        options.tfcPaddingTo = tfcPadding
        var parameters = SAParameters(
            spi: spi, encryption: suite.encryption, encryptionKey: keys.encryption, integrity: suite.integrity,
            integrityKey: keys.integrity, extendedSequenceNumbers: suite.sequenceNumbers == .extended,
            replayWindow: replayWindow, mode: mode, encapsulation: Encapsulation(isInUDP: isEncapsulatedInUDP, stream),
            local: local,
            remote: remote, localSelectors: localSelectors, remoteSelectors: remoteSelectors,
            lifetime: SALifetime(lifetime, suite.sequenceNumbers), options: options)
        parameters.dscp = dscp
        parameters.subspaces = subspaces
        parameters.stream = stream
        parameters.group = place.map { SAGroup(number: $0.group, isFallback: $0.isFallback) }
        parameters.outerPath = outerPath
        if let largestReceived { parameters.largestReceived = largestReceived }
        return parameters
    }
}

extension Encapsulation {
    init(isInUDP: Bool, _ stream: StreamID?) { self = stream != nil ? .tcp : isInUDP ? .udp : .ip }
}

extension SALifetime {
    /// With 32-bit sequence numbers the association must be replaced before they end (RFC 4303 section 3.3.3): asked for
    /// after seven eighths of them.
    private static let lastComfortablePacket: UInt64 = 7 << 29

    init(_ lifetime: ChildLifetime, _ numbers: SequenceNumbers) {
        self.init()
        let part = Double.random(in: 0...min(max(lifetime.jitter, 0), 0.5))
        if let octets = lifetime.rekeyAfterOctets {
            softOctets = Self.scaled(octets, by: 1 - part)
            hardOctets = Self.scaled(octets, by: 1 + lifetime.overtime)
        }
        if let packets = lifetime.rekeyAfterPackets {
            softPackets = Self.scaled(packets, by: 1 - part)
            hardPackets = Self.scaled(packets, by: 1 + lifetime.overtime)
        }
        if numbers == .sequential32 { softPackets = min(softPackets, Self.lastComfortablePacket) }
    }

    private static func scaled(_ value: UInt64, by factor: Double) -> UInt64 {
        let product = Double(value) * factor
        return product < 0x1p63 ? UInt64(product) : .max
    }
}

extension IKE.DataplaneReport {
    /// `nil` for what does not concern IKE.
    init?(_ event: DataplaneEvent) {
        switch event {
        case .acquire(let policy, let packet):
            self = .acquire(
                policyID: policy, description: "a packet from \(packet.source) to \(packet.destination)",
                packet: TriggerPacket(packet))
        case .lacksOwn(let worker, let inboundSPI): self = .lacksOwn(worker: worker, spi: inboundSPI)
        case .inboundSeen(let spi): self = .inboundSeen(spi: spi)
        case .softLimit(let inboundSPI, _): self = .softLimit(spi: inboundSPI)
        case .hardLimit(let inboundSPI, _): self = .hardLimit(spi: inboundSPI)
        case .peerMoved(let spi, let remote, let stream):
            self = .peerMoved(spi: spi, remote: remote, stream: stream)
        case .streamOpened(let stream, let local): self = .streamOpened(stream, local: local)
        case .streamLost(let stream, let reason): self = .streamLost(stream, reason: reason)
        case .arrivals(let spi, let arrivals): self = .arrivals(spi: spi, arrivals)
        case .unknownSPI, .streamRefused, .warning, .failed: return nil
        }
    }
}

extension TriggerPacket {
    /// The selectors of one packet on its way out. What ICMP has in the place of ports is left open.
    init?(_ packet: PacketSelector) {
        let ports = packet.ports == .ports ? (packet.sourcePort, packet.destinationPort) : nil
        func selector(_ address: IPAddress, _ port: UInt16?) -> TrafficSelector? {
            TrafficSelector(
                ipProtocol: packet.ipProtocol, firstPort: port ?? 0, lastPort: port ?? .max, first: address,
                last: address)
        }
        guard let local = selector(packet.source, ports?.0), let remote = selector(packet.destination, ports?.1) else {
            return nil
        }
        self.init(local: local, remote: remote)
    }
}
