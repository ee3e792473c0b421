// RFC 4303: ESP as it is seen in captures. Unlike a receiver, this takes replays, and packets of which no number is known.
import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets

/// Shows ESP packets, and what is in them where there are keys.
struct ESPDecoder {
    /// Associations whose ciphers are kept ready.
    static let associationLimit = 4096

    private struct AssociationKey: Hashable {
        var row: Int
        var spi: UInt32
        var destination: IPAddress
    }

    private let rows: [KeyTable.ESPRow]
    /// Rows by the one SPI they are for; the others, for any that fits, apart.
    private let exact: [UInt32: [Int]]
    private let open: [Int]
    private var associations: [AssociationKey: Association] = [:]

    init(_ keys: KeyTable) {
        rows = keys.esp
        exact = Dictionary(grouping: rows.indices.filter { keys.esp[$0].spi.exact != nil }) {
            keys.esp[$0].spi.exact ?? 0
        }
        open = rows.indices.filter { keys.esp[$0].spi.exact == nil }
    }

    mutating func decode(_ packet: IPsecPacket) -> DecodedEntry.Body {
        var reader = OctetReader(packet.octets)
        let spi: UInt32
        let sequence: UInt32
        do throws(OctetError) {
            spi = try reader.readUInt32("SPI")
            sequence = try reader.readUInt32("sequence number")
        } catch {
            return .unreadable("ESP packet, octet \(error.offset): \(error.field): \(error.reason)")
        }
        var decoded = DecodedESP(spi: spi, sequence: sequence, protection: .sealed)
        for index in (exact[spi] ?? []) + open {
            let row = rows[index]
            guard row.spi.matches(spi), row.source.matches(packet.source.address),
                row.destination.matches(packet.destination.address)
            else { continue }
            guard case .usable = row.algorithms else {
                if case .unusable(let reason) = row.algorithms {
                    decoded.protection = .unusable("\(row.origin): \(reason)")
                }
                continue
            }
            decoded.protection = .notAuthentic(row.origin)
            // What was cut cannot be authentic; the keys are not to blame.
            guard packet.missing == 0 else { continue }
            let key = AssociationKey(row: index, spi: spi, destination: packet.destination.address)
            if associations[key] == nil {
                if associations.count >= Self.associationLimit { associations = [:] }
                associations[key] = try? Association(row)
            }
            if let opened = associations[key]?.open(packet.octets, sequence: sequence) {
                decoded.protection = .opened(row.origin)
                decoded.divided = opened.number
                Self.show(opened.payload, &decoded)
                break
            }
        }
        return .esp(decoded)
    }

    /// Takes off padding and trailer (RFC 4303 section 2.4 to 2.6), and describes what is left.
    private static func show(_ payload: [UInt8], _ decoded: inout DecodedESP) {
        guard payload.count >= 2 else {
            decoded.faults.append("payload of \(payload.count) octets without a trailer")
            return
        }
        let next = payload[payload.count - 1]
        let padding = Int(payload[payload.count - 2])
        decoded.nextHeader = next
        guard padding <= payload.count - 2 else {
            decoded.faults.append("pad length: \(padding) octets, more than the \(payload.count - 2) before it")
            return
        }
        let inner = Array(payload.prefix(payload.count - 2 - padding))
        decoded.innerLength = inner.count
        switch next {
        case IPProtocol.ipv4, IPProtocol.ipv6:
            inner.withUnsafeBytes { octets in
                guard let header = IPHeader(octets), let selector = PacketSelector(header, in: octets) else {
                    decoded.faults.append("the inner packet is not a whole packet of \(next == 4 ? "IPv4" : "IPv6")")
                    return
                }
                decoded.inner = "\(selector)"
                decoded.innerLength = header.totalLength
            }
        // Dummy packets (section 2.6).
        case IPProtocol.noNextHeader: decoded.inner = "dummy packet"
        default: decoded.inner = transport(next, inner)
        }
    }

    /// Transport mode: the upper layer's header is the first thing inside.
    private static func transport(_ next: UInt8, _ inner: [UInt8]) -> String {
        let name = TrafficSelector.protocolName(next)
        var reader = OctetReader(inner)
        switch next {
        case IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.udpLite, IPProtocol.dccp:
            guard let source = try? reader.readUInt16("source port"),
                let destination = try? reader.readUInt16("destination port")
            else { return name }
            return "\(name) port \(source) -> \(destination)"
        case IPProtocol.icmp, IPProtocol.icmpv6:
            guard let type = try? reader.readUInt8("type"), let code = try? reader.readUInt8("code") else {
                return name
            }
            return "\(name) \(type)/\(code)"
        // RFC 9347 section 6.1.
        case 144: return "AGGFRAG payload"
        default: return "protocol \(name)"
        }
    }
}

extension ESPDecoder {
    /// A cipher with its keys, and what has been learnt of the sequence numbers.
    private final class Association {
        private var cipher: PacketCipher
        /// For packets that carry whole numbers.
        private var divided: PacketCipher
        /// `nil` until a packet has shown it.
        private var form: Form?
        private var high: UInt32

        private enum Form {
            case short, extended, divided
        }

        struct Opened {
            /// With padding and trailer.
            var payload: [UInt8]
            /// If all of it stands in the packet.
            var number: SubspaceNumber?
        }

        init(_ row: KeyTable.ESPRow) throws(CryptoError) {
            guard case .usable(let encryption, let key, let integrity, let integrityKey) = row.algorithms else {
                throw CryptoError(.unsupportedAlgorithm, "the algorithms are not there")
            }
            cipher = try PacketCipher(
                encryption: encryption, encryptionKey: key, integrity: integrity, integrityKey: integrityKey,
                use: .opening)
            divided = try PacketCipher(
                encryption: encryption, encryptionKey: key, integrity: integrity, integrityKey: integrityKey,
                use: .opening, sendsWholeNumbers: true)
            // Whether extended numbers are divided no table says.
            form = row.hasExtendedSequenceNumbers == false ? .short : nil
            isExtended = row.hasExtendedSequenceNumbers == true
            high = row.sequenceHigh
        }

        private let isExtended: Bool

        /// What is in the packet; `nil` if it is not authentic.
        ///
        /// The high bits of extended sequence numbers are not sent (RFC 4303 section 2.2.1): those of the packet before are tried,
        /// then the ones beside them. Then the packet is taken to have a number with a subspace, which is sent whole.
        func open(_ packet: [UInt8], sequence: UInt32) -> Opened? {
            if form == .short || form == nil && !isExtended, let payload = attempt(packet, high: 0, .short) {
                form = .short
                return Opened(payload: payload)
            }
            if form == .extended || form == nil {
                for candidate in [high, high &+ 1] + (high > 0 ? [high - 1] : []) {
                    guard let payload = attempt(packet, high: candidate, .extended) else { continue }
                    form = .extended
                    high = candidate
                    return Opened(payload: payload)
                }
            }
            guard form == .divided || form == nil, let number = packet.withUnsafeBytes({ SubspaceNumber(packet: $0) }),
                let payload = attempt(packet, high: UInt32(truncatingIfNeeded: number.rawValue >> 32), .divided)
            else { return nil }
            form = .divided
            return Opened(payload: payload, number: number)
        }

        private func attempt(_ packet: [UInt8], high: UInt32, _ form: Form) -> [UInt8]? {
            var packet = packet
            let start = (form == .divided ? SubspaceNumber.headerLength : 8) + cipher.ivLength
            let end = packet.count - cipher.icvLength
            guard end - start >= 2 else { return nil }
            let isAuthentic = packet.withUnsafeMutableBytes { buffer in
                guard let base = buffer.baseAddress else { return false }
                return form == .divided
                    ? divided.open(base, count: buffer.count, sequenceHigh: high, extended: true)
                    : cipher.open(base, count: buffer.count, sequenceHigh: high, extended: form == .extended)
            }
            return isAuthentic ? Array(packet[start..<end]) : nil
        }
    }
}
