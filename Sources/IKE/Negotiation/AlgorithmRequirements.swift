// RFC 8247, RFC 8221 and RFC 9395: which algorithms IKEv2 and ESP are to have and not to have. IANA registries: Transform
// Type Values 1 to 4, IKEv2 Authentication Method, IKEv2 Hash Algorithms.
import IKEMessage
import IPsecCrypto

/// What the requirement documents say of one number of a registry. ``all`` is the one table of them.
public struct AlgorithmRequirement: Sendable, Hashable {
    public enum Registry: String, Sendable, CaseIterable {
        case encryption, prf, integrity
        case keyExchange = "key exchange"
        case authentication
        case signatureHash = "signature hash"
    }

    /// The protocol an algorithm is used in.
    public enum Use: String, Sendable, CaseIterable {
        case ike = "IKE"
        case esp = "ESP"
    }

    /// The words of RFC 8247, section 1.1, strongest first.
    public enum Level: String, Sendable, CaseIterable {
        case must = "MUST"
        /// Expected to sink.
        case mustMinus = "MUST-"
        /// Expected to rise to MUST.
        case shouldPlus = "SHOULD+"
        case should = "SHOULD"
        /// Also what a registry has and no document speaks of (RFC 8247, section 1.2).
        case may = "MAY"
        case shouldNot = "SHOULD NOT"
        case mustNot = "MUST NOT"
        /// The status that RFC 9395 gives in the registry.
        case deprecated = "DEPRECATED"

        /// Whether nothing of that level is ever used here. What SHOULD NOT be used is not implemented, so that there is
        /// nothing to permit either.
        var isRefused: Bool { self == .mustNot || self == .deprecated || self == .shouldNot }
    }

    public let registry: Registry
    public let number: UInt16
    /// `nil` where the algorithm has no place in the protocol.
    public let ike: Level?
    public let esp: Level?
    /// What the level depends on, or who the algorithm is for.
    public let condition: String?

    private init(
        _ registry: Registry, _ number: UInt16, ike: Level? = nil, esp: Level? = nil, _ condition: String? = nil
    ) {
        self.registry = registry
        self.number = number
        self.ike = ike
        self.esp = esp
        self.condition = condition
    }

    public static func find(_ registry: Registry, _ number: UInt16) -> AlgorithmRequirement? {
        all.first { $0.registry == registry && $0.number == number }
    }

    public func level(for use: Use) -> Level? { use == .ike ? ike : esp }

    // MARK: The table

    /// Every registered number of these registries, in their order.
    public static let all: [AlgorithmRequirement] =
        encryption + prf + integrity + keyExchange + authentication + signatureHash

    private static let otherSizes = "192-bit keys MAY"
    private static let constrained = "for constrained devices, with 128-bit keys"

    private static let encryption: [AlgorithmRequirement] = [
        .init(.encryption, 1, ike: .deprecated, esp: .mustNot), .init(.encryption, 2, ike: .mustNot, esp: .mustNot),
        .init(.encryption, 3, ike: .may, esp: .shouldNot), .init(.encryption, 4, ike: .deprecated, esp: .deprecated),
        .init(.encryption, 5, ike: .deprecated, esp: .deprecated),
        .init(.encryption, 6, ike: .deprecated, esp: .deprecated),
        .init(.encryption, 7, ike: .deprecated, esp: .mustNot), .init(.encryption, 8, ike: .deprecated, esp: .mustNot),
        .init(.encryption, 9, ike: .deprecated, esp: .mustNot),
        .init(.encryption, 11, ike: .mustNot, esp: .must, "with an integrity algorithm"),
        .init(.encryption, 12, ike: .must, esp: .must, otherSizes), .init(.encryption, 13, ike: .may, esp: .may),
        .init(.encryption, 14, ike: .should, esp: .should, constrained),
        .init(.encryption, 15, ike: .may, esp: .may), .init(.encryption, 16, ike: .may, esp: .may),
        .init(.encryption, 18, ike: .may, esp: .may), .init(.encryption, 19, ike: .may, esp: .may),
        .init(.encryption, 20, ike: .should, esp: .must, otherSizes), .init(.encryption, 21, esp: .may),
        .init(.encryption, 23, ike: .may, esp: .may), .init(.encryption, 24, ike: .may, esp: .may),
        .init(.encryption, 25, ike: .may, esp: .may), .init(.encryption, 26, ike: .may, esp: .may),
        .init(.encryption, 27, ike: .may, esp: .may), .init(.encryption, 28, ike: .should, esp: .should),
        .init(.encryption, 29, esp: .may), .init(.encryption, 30, esp: .may), .init(.encryption, 31, esp: .may),
        .init(.encryption, 32, ike: .may, esp: .may), .init(.encryption, 33, ike: .may, esp: .may),
        .init(.encryption, 34, esp: .may), .init(.encryption, 35, esp: .may),
    ]

    private static let prf: [AlgorithmRequirement] = [
        .init(.prf, 1, ike: .mustNot), .init(.prf, 2, ike: .mustMinus), .init(.prf, 3, ike: .deprecated),
        .init(.prf, 4, ike: .should, "for constrained devices"), .init(.prf, 5, ike: .must), .init(.prf, 6, ike: .may),
        .init(.prf, 7, ike: .shouldPlus), .init(.prf, 8, ike: .may), .init(.prf, 9, ike: .may),
    ]

    private static let integrity: [AlgorithmRequirement] = [
        .init(.integrity, 0, ike: .must, esp: .must, "with an AEAD cipher, and MUST NOT otherwise"),
        .init(.integrity, 1, ike: .mustNot, esp: .mustNot), .init(.integrity, 2, ike: .mustMinus, esp: .mustMinus),
        .init(.integrity, 3, ike: .mustNot, esp: .mustNot), .init(.integrity, 4, ike: .mustNot, esp: .mustNot),
        .init(.integrity, 5, ike: .should, esp: .should, "for constrained devices"),
        .init(.integrity, 6, ike: .deprecated, esp: .deprecated),
        .init(.integrity, 7, ike: .deprecated, esp: .deprecated), .init(.integrity, 8, ike: .may, esp: .may),
        .init(.integrity, 9, esp: .may, "for AH"), .init(.integrity, 10, esp: .may, "for AH"),
        .init(.integrity, 11, esp: .may, "for AH"), .init(.integrity, 12, ike: .must, esp: .must),
        .init(.integrity, 13, ike: .may, esp: .may), .init(.integrity, 14, ike: .should, esp: .should),
    ]

    private static let keyExchange: [AlgorithmRequirement] = [
        .init(.keyExchange, 1, ike: .mustNot), .init(.keyExchange, 2, ike: .shouldNot),
        .init(.keyExchange, 5, ike: .shouldNot), .init(.keyExchange, 14, ike: .must),
        .init(.keyExchange, 15, ike: .may), .init(.keyExchange, 16, ike: .may), .init(.keyExchange, 17, ike: .may),
        .init(.keyExchange, 18, ike: .may), .init(.keyExchange, 19, ike: .should), .init(.keyExchange, 20, ike: .may),
        .init(.keyExchange, 21, ike: .may), .init(.keyExchange, 22, ike: .mustNot),
        .init(.keyExchange, 23, ike: .shouldNot), .init(.keyExchange, 24, ike: .shouldNot),
        .init(.keyExchange, 25, ike: .may), .init(.keyExchange, 26, ike: .may), .init(.keyExchange, 27, ike: .may),
        .init(.keyExchange, 28, ike: .may), .init(.keyExchange, 29, ike: .may), .init(.keyExchange, 30, ike: .may),
        .init(.keyExchange, 31, ike: .may), .init(.keyExchange, 32, ike: .may), .init(.keyExchange, 33, ike: .may),
        .init(.keyExchange, 34, ike: .may), .init(.keyExchange, 35, ike: .may), .init(.keyExchange, 36, ike: .may),
        .init(.keyExchange, 37, ike: .may),
    ]

    private static let authentication: [AlgorithmRequirement] = [
        .init(.authentication, 1, ike: .must, "with SHA-1 in most peers, so that Digital Signature takes its place"),
        .init(.authentication, 2, ike: .must),
        .init(.authentication, 3, ike: .shouldNot), .init(.authentication, 9, ike: .should),
        .init(.authentication, 10, ike: .should), .init(.authentication, 11, ike: .should),
        .init(.authentication, 12, ike: .may), .init(.authentication, 13, ike: .may),
        .init(.authentication, 14, ike: .should),
    ]

    private static let signatureHash: [AlgorithmRequirement] = [
        .init(.signatureHash, 1, ike: .mustNot), .init(.signatureHash, 2, ike: .must),
        .init(.signatureHash, 3, ike: .may), .init(.signatureHash, 4, ike: .should),
        .init(.signatureHash, 5, ike: .may),
    ]
}

// MARK: What stands beside the table

extension AlgorithmRequirement {
    /// The document, with its section, that gives the level; `nil` where none names the number.
    public func document(for use: Use) -> String? {
        guard let level = level(for: use) else { return nil }
        if level == .deprecated { return "RFC 9395" }
        switch registry {
        case .encryption:
            let listed: [UInt16] = use == .ike ? [2, 3, 11, 12, 14, 20, 28] : [1, 2, 3, 7, 8, 9, 11, 12, 14, 20, 28]
            if listed.contains(number) { return use == .ike ? "RFC 8247, section 2.1" : "RFC 8221, section 5" }
            return (29...31).contains(number) ? "RFC 8750" : nil
        case .prf: return [1, 2, 4, 5, 7].contains(number) ? "RFC 8247, section 2.2" : nil
        case .integrity:
            if number == 0 { return use == .ike ? "RFC 5282, section 8" : "RFC 8221, section 6" }
            let listed: [UInt16] = use == .ike ? [1, 2, 3, 4, 5, 12, 14] : [1, 2, 3, 4, 5, 9, 11, 12, 14]
            guard listed.contains(number) else { return nil }
            return use == .ike ? "RFC 8247, section 2.3" : "RFC 8221, section 6"
        case .keyExchange: return [1, 2, 5, 14, 19, 22, 23, 24].contains(number) ? "RFC 8247, section 2.4" : nil
        case .authentication: return [1, 2, 3, 9, 10, 11, 14].contains(number) ? "RFC 8247, section 3.1" : nil
        case .signatureHash: return (1...4).contains(number) ? "RFC 8247, section 3.2" : nil
        }
    }

    /// The name in the registry.
    public var name: String {
        switch registry {
        case .encryption: transformName(.encryption, number, keyLength: nil)
        case .prf: transformName(.pseudorandomFunction, number, keyLength: nil)
        case .integrity: transformName(.integrity, number, keyLength: nil)
        case .keyExchange: transformName(.keyExchange, number, keyLength: nil)
        case .authentication: AuthenticationMethod(rawValue: UInt8(truncatingIfNeeded: number)).description
        case .signatureHash: HashAlgorithm(rawValue: number)?.description ?? "\(number)"
        }
    }

    /// Authentication methods of the IKE machine.
    private static let implementedMethods: [AuthenticationMethod] = [
        .sharedKey, .ecdsaP256, .ecdsaP384, .ecdsaP521, .null, .digitalSignature,
    ]

    public var isImplemented: Bool {
        switch registry {
        case .encryption:
            EncryptionAlgorithm(transformID: number, keyBits: nil) != nil
                || EncryptionAlgorithm(transformID: number, keyBits: 128) != nil
        case .prf: PRF(rawValue: number) != nil
        case .integrity: number == 0 || IntegrityAlgorithm(rawValue: number) != nil
        case .keyExchange: KeyExchangeMethod(rawValue: number) != nil
        case .authentication: Self.implementedMethods.contains { UInt16($0.rawValue) == number }
        case .signatureHash: SignatureAuthentication.acceptedHashes.contains { $0.rawValue == number }
        }
    }

    /// Whether it is offered and accepted where nothing is configured.
    public func isDefault(for use: Use) -> Bool {
        let ikeDefaults = IKEProposal.defaults
        let espDefaults = ESPProposal.defaults
        return switch (registry, use) {
        case (.encryption, .ike): ikeDefaults.contains { $0.encryption.contains { $0.transformID == number } }
        case (.encryption, .esp): espDefaults.contains { $0.encryption.contains { $0.transformID == number } }
        case (.prf, .ike): ikeDefaults.contains { $0.prf.contains { $0.rawValue == number } }
        case (.integrity, .ike): number == 0 || ikeDefaults.contains { $0.integrity.contains { $0.rawValue == number } }
        case (.integrity, .esp): number == 0 || espDefaults.contains { $0.integrity.contains { $0.rawValue == number } }
        case (.keyExchange, .ike):
            ikeDefaults.contains {
                ($0.keyExchange + $0.additional.flatMap(\.methods)).contains { $0.rawValue == number }
            }
        case (.signatureHash, .ike): isImplemented
        // Nobody is let in unknown who has not been asked in so.
        case (.authentication, .ike): isImplemented && number != UInt16(AuthenticationMethod.null.rawValue)
        default: false
        }
    }

    /// Why the algorithm is refused, naming the document; `nil` if its level allows it.
    public func refusal(for use: Use) -> String? {
        guard let level = level(for: use), level.isRefused else { return nil }
        let source = document(for: use).map { " (\($0))" } ?? ""
        return level == .deprecated ? "\(name) is deprecated\(source)" : "\(name) \(level.rawValue) be used\(source)"
    }
}

extension ProposalSelection {
    /// A line for each offered transform that the requirement documents forbid, and that is therefore passed over.
    static func forbidden(in offered: [Proposal]) -> [String] {
        var lines: [String] = []
        for proposal in offered {
            guard
                let use: AlgorithmRequirement.Use = proposal.protocolID == .ike
                    ? .ike : proposal.protocolID == .esp ? .esp : nil
            else { continue }
            for transform in proposal.transforms {
                guard let registry = AlgorithmRequirement.Registry(transform.type),
                    // A key exchange of a child SA is one of IKE all the same.
                    let refusal = AlgorithmRequirement.find(registry, transform.id)?
                        .refusal(for: registry == .keyExchange ? .ike : use)
                else { continue }
                let line = "\(refusal): passed over"
                if !lines.contains(line) { lines.append(line) }
            }
        }
        return lines
    }
}

extension AlgorithmRequirement.Registry {
    init?(_ type: TransformType) {
        switch type {
        case .encryption: self = .encryption
        case .pseudorandomFunction: self = .prf
        case .integrity: self = .integrity
        case let type where type.isKeyExchange: self = .keyExchange
        default: return nil
        }
    }
}
