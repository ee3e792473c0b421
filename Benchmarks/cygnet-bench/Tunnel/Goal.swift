/// What is wanted of a measure's figures.
struct Goal: Sendable {
    enum Bound: Sendable { case atLeast, atMost }

    var quantity: Quantity
    var carrier: Carrier
    /// What it is compared with; `nil` if the figure itself is meant.
    var reference: Carrier?
    var bound: Bound
    var value: Double

    /// The ratio of a carrier's figure to another's.
    static func ratio(
        _ quantity: Quantity = .throughput, of carrier: Carrier = .cygnet, to reference: Carrier = .wireguard,
        atLeast value: Double
    ) -> Goal {
        Goal(quantity: quantity, carrier: carrier, reference: reference, bound: .atLeast, value: value)
    }

    static func ratio(
        _ quantity: Quantity, of carrier: Carrier = .cygnet, to reference: Carrier = .wireguard, atMost value: Double
    ) -> Goal {
        Goal(quantity: quantity, carrier: carrier, reference: reference, bound: .atMost, value: value)
    }

    var text: String {
        let sign = bound == .atLeast ? "≥" : "≤"
        guard let reference else { return "\(quantity.noun) \(sign) \(value.text())" }
        // A cost of 1/4.5 reads better than one of 0.22.
        let number = value < 0.5 && bound == .atMost ? "1/\((1 / value).text(1))" : "\(value)"
        return "\(quantity.noun) \(sign) \(number) × \(reference.name)"
    }

    /// The value reached, if all took part.
    func reached(_ figure: (Carrier, Quantity) -> Double?) -> Double? {
        guard let own = figure(carrier, quantity) else { return nil }
        guard let reference else { return own }
        return figure(reference, quantity).flatMap { $0 > 0 ? own / $0 : nil }
    }

    func isMet(by value: Double) -> Bool { bound == .atLeast ? value >= self.value : value <= self.value }
}
