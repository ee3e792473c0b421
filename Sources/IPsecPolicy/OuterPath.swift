/// What is known of the way of an association's outer packets from the peer that opens them, not from routers on the way.
public struct OuterPath: Hashable, Sendable {
    /// Octets of the largest outer packet that comes through in one piece, IP header included; `nil` where the peer has said nothing. It
    /// never raises what the link takes.
    public var largestWhole: Int?
    /// Octets of the largest outer packet that the peer can put together from fragments, IP header included; `nil` where it has said
    /// nothing. What is larger does not arrive, fragmented or not.
    public var largestReassembled: Int?
    /// Whether routers may fragment outer packets, since the peer tells when they do: "don't fragment" is not set.
    public var mayBeFragmented = false

    public init(largestWhole: Int? = nil, largestReassembled: Int? = nil, mayBeFragmented: Bool = false) {
        self.largestWhole = largestWhole
        self.largestReassembled = largestReassembled
        self.mayBeFragmented = mayBeFragmented
    }
}

/// What authentic packets that came in by an association tell of their way. Sizes are octets with the outer IP header.
public struct ArrivalSummary: Hashable, Sendable {
    /// Packets that came in fragments.
    public var fragmented = 0
    /// A packet's largest fragment; the smallest of these.
    public var largestFragment: Int?
    /// Packets that were larger than what the association is to be sent: those that came in fragments, and those that did not.
    public var oversizedInFragments = 0
    public var oversizedWhole = 0

    public init() {}

    /// Takes in one packet, or leaves it if there is nothing to tell of it.
    ///
    /// - Parameters:
    ///   - fragment: its largest fragment; `nil` if it came whole.
    ///   - limit: what a packet may have.
    public mutating func note(size: Int, fragment: Int?, limit: Int) {
        if let fragment {
            fragmented &+= 1
            largestFragment = min(largestFragment ?? fragment, fragment)
            if size > limit { oversizedInFragments &+= 1 }
        } else if size > limit {
            oversizedWhole &+= 1
        }
    }

    /// Takes in what was seen by another association, or later.
    public mutating func add(_ other: ArrivalSummary) {
        fragmented &+= other.fragmented
        largestFragment = [largestFragment, other.largestFragment].compactMap(\.self).min()
        oversizedInFragments &+= other.oversizedInFragments
        oversizedWhole &+= other.oversizedWhole
    }
}
