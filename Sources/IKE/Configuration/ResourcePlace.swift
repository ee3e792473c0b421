/// The place of a child SA among those for the same traffic (RFC 9611).
public struct ResourcePlace: Sendable, Hashable {
    /// Which of this host's groups. No peer sees it.
    public var group: UInt32
    /// Whether it serves workers that have no SA of their own.
    public var isFallback: Bool
    /// What each side calls the resource: for people who look for faults, and for nothing else (RFC 9611 section 5.1). Empty: nothing
    /// was said.
    public var identifier: [UInt8] = []
    public var peerIdentifier: [UInt8] = []
    /// The worker of the data plane that an SA which is to come is for. Later its inbound SPI tells.
    var wanted: Int?

    init(
        group: UInt32, isFallback: Bool, identifier: [UInt8] = [], peerIdentifier: [UInt8] = [], wanted: Int? = nil
    ) {
        self.group = group
        self.isFallback = isFallback
        self.identifier = identifier
        self.peerIdentifier = peerIdentifier
        self.wanted = wanted
    }
}
