import Octets

extension Message {
    /// The octets of a protected message up to its initialization vector: what the integrity check covers besides the body
    /// (RFC 7296 section 3.14, RFC 7383 section 2.5).
    ///
    /// - Parameters:
    ///   - header: Next Payload and Length are computed.
    ///   - leading: payloads in clear before the protected one; usually none.
    ///   - type: `.encrypted`, or `.encryptedFragment`.
    ///   - innerFirst: type of the first payload inside; for a fragment other than the first `.none`.
    ///   - fragment: number, from 1, and total; not used for `.encrypted`, 1 of 1 if left out for `.encryptedFragment`.
    ///   - bodyLength: octets from the initialization vector to the integrity check value.
    /// - Returns: the octets; the body appended to them makes the message.
    public static func encryptedPrefix(
        header: IKEHeader, leading: [Payload], type: PayloadType, innerFirst: PayloadType,
        fragment: (number: UInt16, total: UInt16)?, bodyLength: Int
    ) -> [UInt8] {
        var writer = OctetWriter(reservingCapacity: IKEHeader.octetCount + 8)
        var header = header
        header.nextPayload = leading.first?.type ?? type
        header.write(to: &writer)
        Payload.writeChain(leading, before: type, to: &writer)
        let fields = type == .encryptedFragment ? 4 : 0
        writer.write(innerFirst.rawValue)
        writer.write(UInt8(0))
        writer.write(UInt16(clamping: Payload.headerOctetCount + fields + bodyLength))
        if type == .encryptedFragment {
            writer.write(fragment?.number ?? 1)
            writer.write(fragment?.total ?? 1)
        }
        writer.overwrite(at: 24, with: UInt32(clamping: writer.count + bodyLength))
        return writer.octets
    }
}
