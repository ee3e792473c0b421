/// One document at work between two gateways, and what must be true of it.
///
/// Cygnet is at the left and initiates; at the right is another make where one knows the document, else Cygnet again. With
/// the document's extension switched off at the left a scenario must fail: otherwise it shows nothing.
package struct Scenario: Sendable {
    /// What a person types.
    package let name: String
    package let documents: [String]
    /// One line: what is shown.
    package let summary: String
    /// Who can be at the right, the best first.
    package let peers: [ScenarioPeer]
    let prepare: @Sendable (inout Setting) -> Void
    let play: @Sendable (Stage) async throws -> Void

    /// - Parameters:
    ///   - prepare: says how both ends are configured.
    ///   - play: what happens and what must hold. Ends with ``Stage/messages()`` or leaves that out.
    init(
        _ name: String, documents: [String], summary: String, peers: [ScenarioPeer],
        prepare: @escaping @Sendable (inout Setting) -> Void, play: @escaping @Sendable (Stage) async throws -> Void
    ) {
        self.name = name
        self.documents = documents
        self.summary = summary
        self.peers = peers
        self.prepare = prepare
        self.play = play
    }

    /// How the ends of a scenario are configured.
    struct Setting: Sendable {
        let peer: ScenarioPeer
        /// Whether the left end has the document's extension.
        let isExtensionOn: Bool
        var plan = TunnelPlan()
        /// Whether tshark can read what the scenario is about.
        var isReadByTshark = true
        /// Lines of the connection in Cygnet's configuration, by the end; those of the right are for a right end that is
        /// Cygnet. `psk` names the file with the plan's pre-shared key.
        var lines: [Side: [String]] = [:]
        /// More for the `daemon` of a right end that is Cygnet, from the certificate that it has for IKE.
        var daemonEntries: @Sendable (PKI.Issued?) -> [String] = { _ in [] }
        /// What is forced on Cygnet's data plane, at either end.
        var dataplane = DataplaneChoice.usual
    }

    /// All of them, in the order of their documents.
    package static let all: [Scenario] = [
        multipleKeyExchanges,
        postquantumPresharedKeys,
        intermediatePresharedKeys,
        authenticationAnnouncements,
        downgradePrevention,
        optimizedRekey,
        linkMTUNotification,
        antiReplaySubspaces,
        extendedPayloads,
        labeledIPsec,
        trafficClasses,
        perResourceSAs,
        encryptedDNS,
        tcpEncapsulation,
        tcpWithinTLS,
    ]

    package static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }
}

/// Who can be at the right end of a scenario.
package enum ScenarioPeer: String, Sendable, CaseIterable {
    case cygnet
    /// Of Debian 12; its ESP is its own.
    case strongSwan = "strongswan"
    /// Made by `make peers`; its ESP is its own.
    case modernStrongSwan = "strongswan-6"
    /// Made by `make peers`, in a guest whose kernel has ESP.
    case libreswan
    /// Made by `make peers` where its source can be had, in such a guest too.
    case newerLibreswan = "libreswan-5.4"

    package var title: String {
        switch self {
        case .cygnet: "Cygnet"
        case .strongSwan: "strongSwan 5.9"
        case .modernStrongSwan: PeerKind.strongSwanInUserSpace.rawValue
        case .libreswan: PeerKind.libreswan.rawValue
        case .newerLibreswan: PeerKind.newerLibreswan.rawValue
        }
    }

    /// Why it cannot be had on this machine; `nil` if it can.
    package func absence() async -> String? {
        switch self {
        case .cygnet: return nil
        case .strongSwan:
            let missing = Prerequisites.missing(of: Prerequisites.interoperability)
            return missing.isEmpty ? nil : Prerequisites.advice(missing: missing)
        case .modernStrongSwan, .libreswan, .newerLibreswan:
            do {
                _ = try await PeerFiles.locate()
                return self == .newerLibreswan ? await PeerKind.newerLibreswan.absence() : nil
            } catch {
                return "it has not been made: run `make peers`"
            }
        }
    }
}
