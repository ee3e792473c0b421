/// What peers that have not proved who they are may have us keep of unfinished messages, all of them together.
struct FragmentBudget {
    /// Each may have so many octets without their being counted.
    static let free = 64 * 1024

    private let limit: Int
    private var held: [UInt64: Int] = [:]
    private(set) var total = 0

    /// - Parameter limit: in octets.
    init(limit: Int) { self.limit = limit }

    /// Notes how many octets are kept for an IKE SA now.
    ///
    /// - Returns: whether there is room for them.
    mutating func hold(_ octets: Int, for localSPI: UInt64) -> Bool {
        let counted = octets > Self.free ? octets : 0
        let others = total - (held[localSPI] ?? 0)
        guard counted == 0 || others + counted <= limit else { return false }
        held[localSPI] = counted == 0 ? nil : counted
        total = others + counted
        return true
    }

    mutating func forget(_ localSPI: UInt64) { total -= held.removeValue(forKey: localSPI) ?? 0 }
}
