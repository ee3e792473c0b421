import IKE
import IKEMessage
import Octets

/// Sees to it that no two protected messages have the same key and the same initialization vector, which would break a
/// counter mode, and that no two child SAs have the same key: their sequence numbers, which are IVs too, begin alike.
///
/// A message that is sent again unchanged is the same message. Of keys, those used last are remembered.
struct SecretUseLog {
    /// One key: an IKE SA and the side that sends.
    private struct Key: Hashable {
        let initiatorSPI: UInt64
        let responderSPI: UInt64
        let isFromInitiator: Bool
        /// Each IKE_INTERMEDIATE exchange has keys of its own; what comes after them has others.
        let intermediate: UInt32
    }

    private var messages: [Key: [[UInt8]: Int]] = [:]
    private var keys: [Key] = []
    private var children: [DirectionKeys: UInt32] = [:]
    private var childKeys: [DirectionKeys] = []
    private(set) var exchangeCount = 0
    private static let limit = 256

    /// Notes a message; returns what is wrong with it.
    mutating func note(_ octets: [UInt8]) -> String? {
        var reader = OctetReader(octets)
        guard let header = try? IKEHeader(parsing: &reader) else { return "a message that cannot be read was sent" }
        let iv: ArraySlice<UInt8>
        // Our protected messages have the SK or SKF payload first.
        switch PayloadType(rawValue: octets[16]) {
        case .encrypted where octets.count < 40, .encryptedFragment where octets.count < 44:
            return "a protected message of \(octets.count) octets was sent"
        case .encrypted: iv = octets[32..<40]
        case .encryptedFragment: iv = octets[36..<44]
        default:
            if header.exchangeType == .ikeSAInit, header.flags.contains(.response) { exchangeCount += 1 }
            return nil
        }
        let key = Key(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI,
            isFromInitiator: header.flags.contains(.initiator),
            intermediate: header.exchangeType == .ikeIntermediate ? header.messageID : 0)
        if messages[key] == nil {
            keys.append(key)
            if keys.count > 2 * Self.limit {
                for old in keys.prefix(Self.limit) { messages[old] = nil }
                keys.removeFirst(Self.limit)
            }
        }
        guard let known = messages[key, default: [:]].updateValue(octets.hashValue, forKey: Array(iv)) else {
            if header.flags.contains(.response) { exchangeCount += 1 }
            return nil
        }
        return known == octets.hashValue ? nil : "IV \(Array(iv).hexadecimal) was used for two messages of one key"
    }

    /// Notes a child SA; returns what is wrong with it.
    mutating func note(_ child: ChildSADescription) -> String? {
        let inbound = noteKey(child.inboundKeys, receiver: child.inboundSPI)
        return noteKey(child.outboundKeys, receiver: child.outboundSPI) ?? inbound
    }

    private mutating func noteKey(_ key: DirectionKeys, receiver spi: UInt32) -> String? {
        if let known = children.updateValue(spi, forKey: key) {
            return known == spi ? nil : "child SAs \(known) and \(spi) have the same key"
        }
        childKeys.append(key)
        if childKeys.count > 2 * Self.limit {
            for old in childKeys.prefix(Self.limit) { children[old] = nil }
            childKeys.removeFirst(Self.limit)
        }
        return nil
    }
}
