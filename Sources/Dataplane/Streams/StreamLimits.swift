/// How many TCP connections of those may be there who have not proved who they are, and for how long.
public struct StreamLimits: Hashable, Sendable {
    public var strangers = 1024
    /// From one IPv4 address, or 64 bits of an IPv6 address.
    public var strangersPerSource = 32
    /// In milliseconds: for the first whole message, with TLS before it, and for the proof. Whatever a stranger sends, it has no longer
    /// than both together.
    public var firstMessage: Int64 = 10_000
    public var proof: Int64 = 30_000
    /// Messages of IKE that one may send before.
    public var messages = 64

    public init() {}
}
