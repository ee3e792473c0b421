import IKEMessage
import IPsecCrypto

/// Choosing from an SA payload (RFC 7296 sections 2.7 and 3.3.6).
package enum ProposalSelection {
    /// A choice, with what has to be echoed: the proposal's number and SPI.
    package struct Choice<Suite> {
        package var suite: Suite
        package var number: UInt8
        package var spi: [UInt8]
        package var origin: Origin?
    }

    /// The first configured proposal for which something offered is acceptable.
    ///
    /// - Parameters:
    ///   - method: the method of the KE payload at hand; taken where several are acceptable, as it saves a round trip.
    ///   - withAdditional: whether both sides have IKE_INTERMEDIATE. Without it, additional key exchanges are transforms that nobody
    ///     knows (RFC 9370 section 2.2.1).
    package static func selectIKE(
        from offered: [Proposal], configured: [IKEProposal], preferring method: UInt16?, withAdditional: Bool = true
    ) -> Choice<IKESuite>? {
        for wanted in configured {
            for offer in offered where offer.protocolID == .ike {
                guard
                    understands(
                        offer, [.encryption, .pseudorandomFunction, .integrity, .keyExchange],
                        withAdditional: withAdditional),
                    let additional = additional(of: offer, wanted: wanted.additional),
                    let encryption = wanted.encryption.first(where: { $0.protectsIKE && offer.offers($0.transform) }),
                    let prf = wanted.prf.first(where: { offer.offers($0.transform) }),
                    let integrity = integrity(of: offer, encryption: encryption, wanted: wanted.integrity)
                else { continue }
                let methods = wanted.keyExchange.filter { offer.offers($0.transform) }
                guard let keyExchange = methods.first(where: { $0.rawValue == method }) ?? methods.first
                else { continue }
                return Choice(
                    suite: IKESuite(
                        encryption: encryption, integrity: integrity, prf: prf, keyExchange: keyExchange,
                        additional: additional),
                    number: offer.number, spi: offer.spi, origin: wanted.origin)
            }
        }
        return nil
    }

    /// - Parameter withKeyExchange: whether the exchange may carry keys of its own; false in IKE_AUTH.
    package static func selectESP(
        from offered: [Proposal], configured: [ESPProposal], withKeyExchange: Bool, preferring method: UInt16?
    ) -> Choice<ChildSuite>? {
        for wanted in configured {
            for offer in offered where offer.protocolID == .esp && offer.spi.count == 4 {
                guard
                    understands(
                        offer, [.encryption, .integrity, .keyExchange, .sequenceNumbers],
                        withAdditional: withKeyExchange),
                    let additional = withKeyExchange ? additional(of: offer, wanted: wanted.additional) : [],
                    let encryption = wanted.encryption.first(where: { offer.offers($0.transform) }),
                    let integrity = integrity(of: offer, encryption: encryption, wanted: wanted.integrity),
                    let sequence = sequenceNumbers(of: offer, wanted: wanted.sequenceNumbers)
                else { continue }
                var keyExchange: KeyExchangeMethod?
                if withKeyExchange {
                    let methods = wanted.keyExchange.filter { offer.offers($0.transform) }
                    keyExchange = methods.first { $0.rawValue == method } ?? methods.first
                    let theirs = offer.ids(of: .keyExchange)
                    let doesWithout = wanted.keyExchange.isEmpty && (theirs.isEmpty || theirs.contains(0))
                    guard keyExchange != nil || doesWithout && additional.methods.isEmpty else { continue }
                }
                return Choice(
                    suite: ChildSuite(
                        encryption: encryption, integrity: integrity, keyExchange: keyExchange,
                        additional: additional, sequenceNumbers: sequence),
                    number: offer.number, spi: offer.spi, origin: wanted.origin)
            }
        }
        return nil
    }

    /// A proposal with a transform type we do not know cannot be accepted (RFC 7296 section 3.3.6), unless it is NONE.
    private static func understands(_ offer: Proposal, _ types: [TransformType], withAdditional: Bool) -> Bool {
        offer.transforms.allSatisfy {
            types.contains($0.type) || $0.id == 0 || withAdditional && $0.type.isAdditionalKeyExchange
        }
    }

    /// What to choose for the additional key exchanges of an offer: for each one, no method twice (RFC 9370 section 2.2.1); `nil` if
    /// there is no such choice. What is not offered is as NONE.
    private static func additional(of offer: Proposal, wanted: [AdditionalKeyExchange]) -> [AdditionalChoice]? {
        let types = Set(offer.transforms.map(\.type).filter(\.isAdditionalKeyExchange))
        guard wanted.allSatisfy({ $0.isOptional || types.contains($0.type) }) else { return nil }
        let open = (1...7).filter { types.contains(.additionalKeyExchange($0)) }.map { number in
            let own = wanted.first { $0.number == number }
            let methods = own?.methods.filter {
                offer.offers(Transform(type: .additionalKeyExchange(number), id: $0.rawValue))
            }
            let mayBeNone =
                own?.isOptional ?? true && offer.ids(of: .additionalKeyExchange(number)).contains(0)
            return (
                number: number, choices: (methods ?? []).map { $0 as KeyExchangeMethod? } + (mayBeNone ? [nil] : [])
            )
        }
        return choose(open[...], besides: [])
    }

    private static func choose(
        _ open: ArraySlice<(number: Int, choices: [KeyExchangeMethod?])>, besides taken: [KeyExchangeMethod]
    ) -> [AdditionalChoice]? {
        guard let first = open.first else { return [] }
        for method in first.choices where method.map({ !taken.contains($0) }) ?? true {
            if let rest = choose(open.dropFirst(), besides: taken + (method.map { [$0] } ?? [])) {
                return [AdditionalChoice(number: first.number, method: method)] + rest
            }
        }
        return nil
    }

    /// `.some(nil)`: no integrity transform is needed; `nil`: there is nothing in common.
    private static func integrity(
        of offer: Proposal, encryption: EncryptionAlgorithm, wanted: [IntegrityAlgorithm]
    ) -> IntegrityAlgorithm?? {
        let offered = offer.ids(of: .integrity)
        if encryption.isAEAD {
            return offered.isEmpty || offered.contains(0) ? .some(nil) : nil
        }
        return wanted.first { offered.contains($0.rawValue) }.map { .some($0) }
    }

    private static func sequenceNumbers(of offer: Proposal, wanted: [SequenceNumbers]) -> SequenceNumbers? {
        let offered = offer.ids(of: .sequenceNumbers)
        // Peers that leave the transform out mean 32 bits.
        if offered.isEmpty { return wanted.contains(.sequential32) ? .sequential32 : nil }
        return wanted.first { offered.contains($0.rawValue) }
    }

    /// Checks a responder's choice: one proposal of those we sent, one transform of each type.
    package static func acceptedIKE(_ answer: [Proposal], offered: [IKEProposal]) throws(Refusal) -> Choice<IKESuite> {
        let proposal = try single(answer)
        guard let choice = selectIKE(from: [proposal], configured: offered, preferring: nil),
            isExact(proposal, choice.suite.payload(number: proposal.number))
        else { throw notOffered(proposal) }
        return choice
    }

    package static func acceptedESP(
        _ answer: [Proposal], offered: [ESPProposal], withKeyExchange: Bool
    ) throws(Refusal) -> Choice<ChildSuite> {
        let proposal = try single(answer)
        guard
            let choice = selectESP(
                from: [proposal], configured: offered, withKeyExchange: withKeyExchange, preferring: nil),
            isExact(proposal, choice.suite.payload(number: proposal.number, spi: 0))
        else { throw notOffered(proposal) }
        return choice
    }

    private static func single(_ answer: [Proposal]) throws(Refusal) -> Proposal {
        guard answer.count == 1, let proposal = answer.first else {
            throw Refusal(.protocolViolation, "the peer's SA payload has \(answer.count) proposals; an answer has one")
        }
        return proposal
    }

    /// NONE and 32-bit sequence numbers may stand there or be left out.
    private static func isExact(_ answer: Proposal, _ expected: Proposal) -> Bool {
        func essential(_ proposal: Proposal) -> [Transform] {
            proposal.transforms.filter {
                $0.id != 0
                    || ![.integrity, .keyExchange, .sequenceNumbers].contains($0.type)
                        && !$0.type.isAdditionalKeyExchange
            }
        }
        let wanted = essential(expected)
        return essential(answer).count == wanted.count && wanted.allSatisfy(answer.offers)
    }

    private static func notOffered(_ proposal: Proposal) -> Refusal {
        Refusal(.protocolViolation, "the peer chose \(proposal.summary), which we did not offer")
    }

    /// For each offered proposal one line: what stands between it and the nearest of ours.
    package static func explainMismatch(offered: [Proposal], wanted: [Proposal]) -> [String] {
        offered.map { offer in
            let obstacles = wanted.map { missing(in: offer, for: $0) }
            guard let nearest = obstacles.min(by: { $0.count < $1.count }) else {
                return "\(offer.summary): nothing is configured"
            }
            return "\(offer.summary): "
                + (nearest.isEmpty ? "not acceptable as a whole" : nearest.joined(separator: "; "))
        }
    }

    private static func missing(in offer: Proposal, for own: Proposal) -> [String] {
        guard offer.protocolID == own.protocolID else {
            return ["protocol \(offer.protocolID) instead of \(own.protocolID)"]
        }
        let types = Set(own.transforms.map(\.type)).union(offer.transforms.map(\.type))
        return types.sorted { $0.rawValue < $1.rawValue }.compactMap { type in
            let theirs = offer.transforms.filter { $0.type == type }
            let ours = own.transforms.filter { $0.type == type }
            if ours.contains(where: offer.offers) { return nil }
            if theirs.allSatisfy({ $0.id == 0 }) && ours.allSatisfy({ $0.id == 0 }) { return nil }
            let offeredNames = theirs.isEmpty ? "none" : theirs.map(\.name).joined(separator: ", ")
            let ownNames = ours.isEmpty ? "none" : ours.map(\.name).joined(separator: ", ")
            return "\(type): offered \(offeredNames), wanted \(ownNames)"
        }
    }
}
