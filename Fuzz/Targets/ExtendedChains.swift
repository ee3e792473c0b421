import IKEMessage
import Octets

extension FuzzTarget {
    /// Chains of payloads with extended headers: the first type, then the octets.
    static let extendedChains = FuzzTarget(name: "extended-chains", longest: 4096, seeds: { try await seeds() }) {
        octets in
        var input = FuzzInput(octets)
        let first = PayloadType(rawValue: input.octet())
        let chain = Array(input.rest)
        try header(chain)
        let payloads: [Payload]
        do throws(MessageError) {
            payloads = try Payload.parseChain(first: first, chain, offset: 0, format: .extended)
        } catch {
            try expect(
                (0...chain.count).contains(error.offset), "the fault is at octet \(error.offset) of \(chain.count)")
            return
        }
        let written = try Payload.serializeChain(payloads, format: .extended)
        let again = try Payload.parseChain(first: written.first, written.octets, offset: 0, format: .extended)
        try expect(again == payloads, "written and read again it is another chain")
        let classic = try Payload.serializeChain(payloads, format: .classic)
        try expect(
            classic.octets.count - written.octets.count == PayloadFormat.extended.octetsSaved(by: payloads),
            "the octets saved are miscounted")
    }

    /// A header is read only from the octets that it is written in.
    private static func header(_ octets: [UInt8]) throws {
        var reader = OctetReader(octets)
        guard let header = try? ExtendedPayloadHeader(parsing: &reader) else { return }
        try expect(header.octets == Array(octets.prefix(octets.count - reader.remaining)), "it has two encodings")
        try expect(header.octets.count == header.octetCount, "its length is miscounted")
    }

    private static func seeds() async throws -> [[UInt8]] {
        let chains = try await Conversation.plaintexts().map {
            let payloads = try Payload.parseChain(first: $0.first, $0.octets, offset: 0)
            return try [$0.first.rawValue] + Payload.serializeChain(payloads, format: .extended).octets
        }
        let lengths = [0, 31, 32, 8191, 8192, 2_097_151, 2_097_152, ExtendedPayloadHeader.longestBody]
        return try chains
            + lengths.map {
                let header = try ExtendedPayloadHeader(next: .none, isCritical: $0 & 1 == 1, bodyLength: $0)
                return [PayloadType.vendorID.rawValue] + header.octets + [UInt8](repeating: 1, count: min($0, 64))
            }
    }
}
