import IKE

/// The algorithms of IKEv2 and ESP, what is asked of them and what this suite has: what `cygnet algorithms` prints.
public struct AlgorithmReport: Codable, Sendable {
    /// What holds for an algorithm in IKE, or in ESP.
    public struct Use: Codable, Sendable {
        /// `MUST`, `MUST-`, `SHOULD+`, `SHOULD`, `MAY`, `SHOULD NOT`, `MUST NOT` or `DEPRECATED`.
        public let level: String
        /// Where the level is laid down; absent for what is registered only, which MAY be had (RFC 8247, section 1.2).
        public let document: String?
        /// Whether it is offered and accepted where nothing is configured.
        public let isDefault: Bool
    }

    public struct Row: Codable, Sendable {
        /// `encryption`, `prf`, `integrity`, `key exchange`, `authentication` or `signature hash`.
        public let kind: String
        /// The number in IANA's registry.
        public let number: UInt16
        /// The name there.
        public let name: String
        /// The words for it in a proposal.
        public let words: [String]
        public let isImplemented: Bool
        /// Absent where it has no place in the protocol.
        public let ike: Use?
        public let esp: Use?
        /// What the levels depend on.
        public let condition: String?
    }

    public let algorithms: [Row]

    public init() {
        algorithms = AlgorithmRequirement.all.map { requirement in
            func use(_ use: AlgorithmRequirement.Use) -> Use? {
                requirement.level(for: use).map {
                    Use(
                        level: $0.rawValue, document: requirement.document(for: use),
                        isDefault: requirement.isDefault(for: use))
                }
            }
            return Row(
                kind: requirement.registry.rawValue, number: requirement.number, name: requirement.name,
                words: requirement.isImplemented
                    ? ProposalSyntax.words(for: requirement.registry, requirement.number) : [],
                isImplemented: requirement.isImplemented, ike: use(.ike), esp: use(.esp),
                condition: requirement.condition)
        }
    }
}
