import IKEMessage
import Octets

/// Sees to it that no two protected messages have the same key and the same initialization vector, which would break a
/// counter mode. A message that is sent again unchanged is the same message.
struct InitializationVectorLog {
    /// One key: an IKE SA and the side that sends.
    private struct Use: Hashable {
        let initiatorSPI: UInt64
        let responderSPI: UInt64
        let isFromInitiator: Bool
        let iv: [UInt8]
    }

    private var messages: [Use: [UInt8]] = [:]

    /// Notes a message; returns what is wrong with it.
    mutating func note(_ octets: [UInt8]) -> String? {
        guard let message = try? Message(parsing: octets) else { return "a message that cannot be read was sent" }
        let body: [UInt8]
        switch message.payloads.last {
        case .encrypted(let payload): body = payload.body
        case .encryptedFragment(let payload): body = payload.body
        default: return nil
        }
        let header = message.header
        let use = Use(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI,
            isFromInitiator: header.flags.contains(.initiator), iv: Array(body.prefix(8)))
        guard let known = messages.updateValue(octets, forKey: use), known != octets else { return nil }
        return "IV \(use.iv.hexadecimal) was used for two messages of one key"
    }
}
