/// What `cygnet status --json` prints, as far as scenarios look at it: written from its documentation, as any script
/// would be.
package struct CygnetStatus: Decodable, Sendable {
    package struct Connection: Decodable, Sendable {
        package let name: String
        package let isUp: Bool
        package let lastError: String?
        package let securityAssociations: [IKESA]
        package let children: [Child]
    }

    package struct IKESA: Decodable, Sendable {
        package let initiatorSPI: String
        package let responderSPI: String
        package let isInitiator: Bool
        package let suite: String?
        package let downgradePrevention: Bool?
        package let optimizedRekey: Bool?
        package let extendedPayloads: Int?
        package let outerLimit: Int?
        /// Addresses with ports.
        package let local: String
        package let remote: String
        package let instance: String?
        package let remoteIdentity: String
        package let assignedToUs: Assignment?
        package let assignedToPeer: Assignment?
    }

    package struct Assignment: Decodable, Sendable {
        package let addresses: [String]
        package let dnsServers: [String]
        package let domains: [String]
        package let subnets: [String]
    }

    package struct Child: Decodable, Sendable {
        package let name: String
        package let isUp: Bool
        package let securityAssociations: [ChildSA]
    }

    package struct ChildSA: Decodable, Sendable {
        package let inboundSPI: String
        package let outboundSPI: String
        package let suite: String
        package let encapsulation: String
        package let mode: String
        package let securityLabel: String?
        package let dscp: [Int]?
        package let resource: Resource?
        package let packetsIn: Int
        package let packetsOut: Int
        package let octetsIn: Int
        package let octetsOut: Int
        package let drops: [String: Int]
        package let subspaces: Subspaces?
    }

    package struct Subspaces: Decodable, Sendable {
        package struct Use: Decodable, Sendable {
            package let id: Int
            package let packets: Int
        }

        package let countIn: Int
        package let countOut: Int
        package let received: [Use]
        package let sent: [Use]
    }

    package struct Resource: Decodable, Sendable {
        package let group: Int
        package let worker: Int?
        package let isFallback: Bool
    }

    package struct Dataplane: Decodable, Sendable {
        package let packetsIn: Int
        package let packetsOut: Int
        package let drops: [String: Int]

        /// Reasons for which only packets on their way out are dropped.
        private static let outboundReasons: Set<String> = [
            "malformed", "no-policy", "discarded-by-policy", "bypass-policy-inside", "ambiguous-fragment",
            "no-association",
            "too-big", "outer-too-big", "send-busy", "send-failed", "fragment", "unsupported-header",
            "sequence-exhausted",
            "no-room", "cipher-failure",
        ]

        /// Packets that came from the network and were dropped.
        package var inboundDrops: Int {
            drops.filter { !Self.outboundReasons.contains($0.key) }.values.reduce(0, +)
        }
    }

    package let connections: [Connection]
    package let dataplane: Dataplane

    /// The plan's only connection.
    package var connection: Connection? { connections.first { $0.name == TunnelPlan.connection } }
    /// The SAs of its only child; during a rekey there are two.
    package var childSAs: [ChildSA] { connection?.children.first?.securityAssociations ?? [] }
}
