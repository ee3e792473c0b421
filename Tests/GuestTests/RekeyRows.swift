import Lab

extension GuestRow {
    /// New keys while packets flow.
    static let rekeys: [GuestRow] = []
}
