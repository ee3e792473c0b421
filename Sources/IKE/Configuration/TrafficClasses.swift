import IPsecPolicy

/// The classes of packets (DSCP) that a child is for, and what the peer is told of them.
public struct TrafficClasses: Hashable, Sendable {
    /// How the peer hears of the classes.
    public enum Form: String, Hashable, Sendable, CaseIterable {
        /// By a traffic selector in TSi, which both sides keep to (draft-mglt-ipsecme-ts-dscp-03).
        case selector
        /// The same with one in TSi and one in TSr, as earlier revisions had it.
        case selectors
        /// By a notification, which says what we send and binds nobody (draft-mglt-ipsecme-dscp-np).
        case notify
        /// Not at all: packets are sorted as they are sent, and those of all classes are taken.
        case local

        var isSelector: Bool { self == .selector || self == .selectors }
    }

    /// Not empty.
    public var values: DSCPSet
    public var form: Form
    /// Of selectors: whether there is no child without.
    public var isRequired: Bool

    public init(_ values: DSCPSet, form: Form = .selector, isRequired: Bool = false) {
        self.values = values
        self.form = form
        self.isRequired = isRequired
    }
}
