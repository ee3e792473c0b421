import IKEMessage

extension FuzzTarget {
    /// Chains of payloads, as they come out of an encrypted payload: the first type, then the octets.
    static let chains = FuzzTarget(name: "chains", longest: 4096, seeds: { try await Conversation.chains() }) {
        octets in
        var input = FuzzInput(octets)
        let first = PayloadType(rawValue: input.octet())
        let chain = Array(input.rest)
        let payloads: [Payload]
        do throws(MessageError) {
            payloads = try Payload.parseChain(first: first, chain, offset: 0)
        } catch {
            try expect(
                (0...chain.count).contains(error.offset), "the fault is at octet \(error.offset) of \(chain.count)")
            return
        }
        let written = Payload.serializeChain(payloads)
        let again = try Payload.parseChain(first: written.first, written.octets, offset: 0)
        try expect(again == payloads, "written and read again it is another chain")
    }
}
