/// What a scenario forces on Cygnet's data plane: the configuration's `daemon.dataplane`.
package struct DataplaneChoice: Hashable, Sendable, CustomStringConvertible {
    /// Help of the kernel that handles several packets as one.
    package enum Offload: String, Sendable, CaseIterable {
        /// Of the TUN device: long segments of TCP and UDP.
        case device
        /// Of sockets, for sending.
        case send
        /// Of sockets, for receiving.
        case receive
    }

    /// Where ciphers come from.
    package enum Ciphers: String, Sendable, CaseIterable {
        case automatic = "auto"
        case libcrypto
        case ipsecMB = "ipsec-mb"
    }

    package var offloads = Set(Offload.allCases)
    package var ciphers = Ciphers.automatic
    /// Pairs of threads; `nil` for as many as suit the machine.
    package var workers: Int?

    package init(
        offloads: Set<Offload> = Set(Offload.allCases), ciphers: Ciphers = .automatic, workers: Int? = nil
    ) {
        self.offloads = offloads
        self.ciphers = ciphers
        self.workers = workers
    }

    /// What the daemon does unasked.
    package static let usual = DataplaneChoice()

    /// Entries of the configuration's `daemon`; none for what it does unasked.
    package var daemonEntries: [String] {
        var entries: [String] = []
        if offloads.isEmpty {
            entries.append("offloads: none")
        } else if offloads.count < Offload.allCases.count {
            let words = Offload.allCases.filter(offloads.contains).map(\.rawValue)
            entries.append("offloads: [\(words.joined(separator: ", "))]")
        }
        if let workers { entries.append("workers: \(workers)") }
        if ciphers != .automatic { entries.append("ciphers: \(ciphers.rawValue)") }
        return entries.isEmpty ? [] : ["dataplane: { \(entries.joined(separator: ", ")) }"]
    }

    package var description: String { daemonEntries.first ?? "dataplane as it comes" }

    /// Whether the built `cygnet` has these settings, and may have their values on this machine.
    package var isAccepted: Bool {
        get async throws {
            guard !daemonEntries.isEmpty else { return true }
            return try await CygnetDaemon.accepts(
                "daemon: { \(daemonEntries.joined(separator: ", ")) }\nconnections: {}\n")
        }
    }
}
