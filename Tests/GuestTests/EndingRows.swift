import Lab

extension GuestRow {
    /// How tunnels end.
    static let endings: [GuestRow] = []
}
