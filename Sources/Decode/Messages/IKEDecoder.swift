import IKE
import IKEMessage
import IPsecCrypto
import Octets

/// Takes IKE messages apart with the daemon's own codec, and opens what is sealed in them with keys from a table.
struct IKEDecoder {
    /// Messages in pieces that are kept at one time.
    static let assemblyLimit = 1024

    private struct SPIs: Hashable {
        var initiator: UInt64
        var responder: UInt64
    }

    /// One message at a time for each kind of sender and each direction, as RFC 7383 section 2.6 has it.
    private struct AssemblyKey: Hashable {
        var spis: SPIs
        var isInitiator: Bool
        var isResponse: Bool
    }

    /// Octets of a message in fragments that are put together.
    static let octetLimit = 16 << 20

    private let rows: [SPIs: [KeyTable.IKERow]]
    private var assemblies: [AssemblyKey: FragmentReassembly] = [:]
    private var order: [AssemblyKey] = []
    private var repeats = RepeatTable()
    private var formats = FormatTable()
    private let codePoints: CodePoints

    init(_ keys: KeyTable, _ codePoints: CodePoints) {
        self.codePoints = codePoints
        rows = Dictionary(grouping: keys.ike) { SPIs(initiator: $0.initiatorSPI, responder: $0.responderSPI) }
    }

    mutating func decode(_ packet: IPsecPacket) -> DecodedEntry.Body {
        let partial: PartialMessage
        do throws(MessageError) {
            partial = try PartialMessage(parsing: packet.octets)
        } catch {
            return .unreadable("\(error)")
        }
        let header = partial.message.header
        let context = MessageContext(
            header: header, source: packet.source, destination: packet.destination, codePoints: codePoints)
        var decoded = DecodedIKE(
            header: header, payloads: partial.message.payloads.map { PayloadDescription($0, in: context) },
            protection: .none)
        decoded.repeats = repeats.first(packet.octets, frame: packet.frame)
        guard !decoded.isOtherVersion else { return .ike(decoded) }
        if let fault = partial.fault { decoded.faults.append("\(fault)") }
        if !partial.message.isProtected { formats.read(partial.message, codePoints) }
        switch partial.message.payloads.last {
        case .encrypted(let payload):
            guard let opened = open(payload.body, at: payload.offset, packet, &decoded) else { break }
            show(payload.innerFirst, opened.octets, offset: payload.offset + opened.ivLength, context, &decoded)
        case .encryptedFragment(let payload):
            decoded.fragment = DecodedIKE.FragmentPosition(number: Int(payload.number), total: Int(payload.total))
            guard let opened = open(payload.body, at: payload.offset, packet, &decoded) else { break }
            assemble(payload, opened.octets, packet, context, &decoded)
        default: break
        }
        return .ike(decoded)
    }

    private mutating func show(
        _ first: PayloadType, _ octets: [UInt8], offset: Int, _ context: MessageContext, _ decoded: inout DecodedIKE
    ) {
        let agreed = formats.format(of: decoded.header)
        var format = agreed ?? .classic
        var chain = PartialChain(first: first, octets, offset: offset, format: format)
        if agreed == nil, chain.fault != nil {
            // Where the agreement is not in the capture, or on an SA before this one, what can be read tells.
            let other = PartialChain(first: first, octets, offset: offset, format: .extended)
            if other.fault == nil {
                (format, chain) = (.extended, other)
                formats.note(.extended, of: decoded.header)
            }
        }
        decoded.format = format
        decoded.octetsSaved = format.octetsSaved(by: chain.payloads)
        decoded.inner = chain.payloads.map { PayloadDescription($0, in: context) }
        if let fault = chain.fault { decoded.faults.append("inside, \(fault)") }
    }

    /// Opens the body of an SK or SKF payload, and says in `decoded` what came of it.
    private func open(
        _ body: [UInt8], at offset: Int, _ packet: IPsecPacket, _ decoded: inout DecodedIKE
    ) -> (octets: [UInt8], ivLength: Int)? {
        let header = decoded.header
        decoded.protection = .sealed
        let rows = rows[SPIs(initiator: header.initiatorSPI, responder: header.responderSPI)] ?? []
        let before = Array(packet.octets.prefix(offset))
        for row in rows {
            switch row.ciphers {
            case .unusable(let reason): decoded.protection = .unusable("\(row.origin): \(reason)")
            case .usable(let ofInitiator, let ofResponder):
                let cipher = header.flags.contains(.initiator) ? ofInitiator : ofResponder
                do throws(CryptoError) {
                    let octets = try cipher.open(body, after: before)
                    decoded.protection = .opened(row.origin)
                    return (octets, cipher.ivLength)
                } catch {
                    guard error.code == .authenticationFailed else {
                        // Authentic, but with padding that cannot be.
                        decoded.protection = .opened(row.origin)
                        decoded.faults.append(error.reason)
                        return nil
                    }
                    decoded.protection = .notAuthentic(row.origin)
                }
            }
        }
        return nil
    }

    /// Adds an authentic fragment; shows the whole message when it is complete (RFC 7383 section 2.6).
    private mutating func assemble(
        _ payload: EncryptedFragmentPayload, _ octets: [UInt8], _ packet: IPsecPacket, _ context: MessageContext,
        _ decoded: inout DecodedIKE
    ) {
        let header = decoded.header
        let key = AssemblyKey(
            spis: SPIs(initiator: header.initiatorSPI, responder: header.responderSPI),
            isInitiator: header.flags.contains(.initiator), isResponse: header.flags.contains(.response))
        if assemblies[key] == nil {
            if order.count >= Self.assemblyLimit { assemblies[order.removeFirst()] = nil }
            order.append(key)
        }
        // Taken out, so that what has come is not copied with each fragment.
        var assembly = assemblies.updateValue(FragmentReassembly(), forKey: key) ?? FragmentReassembly()
        defer { assemblies[key] = assembly }
        do throws(MessageError) {
            let whole = try assembly.add(
                octets, number: payload.number, total: payload.total, first: payload.innerFirst,
                messageID: header.messageID, at: Instant(nanoseconds: packet.time?.nanosecondsSinceOrigin ?? 0),
                octetLimit: Self.octetLimit)
            guard let whole else { return }
            decoded.fragment?.completes = true
            show(whole.first, whole.octets, offset: 0, context, &decoded)
        } catch {
            decoded.faults.append("\(error)")
        }
    }
}
