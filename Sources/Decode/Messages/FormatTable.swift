import IKEMessage

/// In which IKE SAs payload headers are extended, as IKE_SA_INIT or IKE_SESSION_RESUME has agreed
/// (draft-smyslov-ipsecme-ikev2-extended-pld).
struct FormatTable {
    /// IKE SAs that are remembered.
    static let limit = 4096

    private struct SPIs: Hashable {
        var initiator: UInt64
        var responder: UInt64
    }

    private var formats: [SPIs: PayloadFormat] = [:]
    private var order: [SPIs] = []

    /// Looks at a message that nothing protects: the response says what is agreed on.
    mutating func read(_ message: Message, _ codePoints: CodePoints) {
        let header = message.header
        guard header.exchangeType == .ikeSAInit || header.exchangeType == .ikeSessionResume,
            header.flags.contains(.response), header.responderSPI != 0
        else { return }
        let isExtended = message.payloads.contains {
            guard case .notify(let notify) = $0 else { return false }
            return notify.type == codePoints.notify(.extendedPayloadFormat)
                && notify.data.first == ExtendedPayloadHeader.profile
        }
        note(isExtended ? .extended : .classic, of: header)
    }

    /// Remembers the format in an IKE SA.
    mutating func note(_ format: PayloadFormat, of header: IKEHeader) {
        let spis = SPIs(initiator: header.initiatorSPI, responder: header.responderSPI)
        if formats.updateValue(format, forKey: spis) == nil { order.append(spis) }
        if order.count > Self.limit { formats[order.removeFirst()] = nil }
    }

    /// The format in an IKE SA; `nil` if nothing has been seen that tells.
    func format(of header: IKEHeader) -> PayloadFormat? {
        formats[SPIs(initiator: header.initiatorSPI, responder: header.responderSPI)]
    }
}
