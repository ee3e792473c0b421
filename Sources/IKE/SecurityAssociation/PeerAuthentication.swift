/// When a peer has proved who it is, and how long that may be built upon. An IKE SA that goes on from a ticket
/// (RFC 5723) has it from the SA before, one that replaces another by a rekey likewise: neither makes it any newer.
///
/// Times are seconds since 1970, so that they mean the same after a restart.
struct PeerAuthentication {
    var time: Int64
    /// When the first of the certificates expires that the proof rests on; `nil` without certificates.
    var certificateExpiry: Int64?
    /// When the ticket expires that the SA goes on from: tickets of this SA expire then as well. `nil`: the peer has
    /// proved itself in this SA, or in one that it replaces.
    var ticketExpiry: Int64?

    /// For how long the peer had been trusted when the SA began, at `now`.
    func age(at now: Int64) -> Int64 {
        // The clock may have been set back meanwhile.
        ticketExpiry == nil ? 0 : max(0, now - time)
    }

    /// When what is given at `now`, to be good for `lifetime` seconds, expires.
    ///
    /// - Parameter reauthentication: after how many seconds the peer has to prove itself again; `nil`: never.
    func expiry(at now: Int64, lifetime: Int64, reauthentication: Int64?) -> Int64 {
        let limits = [certificateExpiry, ticketExpiry, reauthentication.map { time + $0 }]
        return limits.compactMap(\.self).reduce(now + lifetime, min)
    }
}
