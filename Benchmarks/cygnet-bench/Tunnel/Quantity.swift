/// What a run of a workload can tell, as a column of a report.
enum Quantity: Hashable, CaseIterable, Sendable {
    /// Bits of TCP's payload delivered a second.
    case throughput
    /// Processor seconds of both daemons for 10⁹ octets delivered.
    case processor
    /// Datagrams a second at the highest rate of which no more than one in a thousand is lost.
    case lossless
    /// Datagrams a second delivered when as many are offered as the sender can make.
    case flatOut
    /// Datagrams a second that the sender could make then.
    case offered
    /// Datagrams that arrived after a later one of the same sender, of all runs.
    case reordered
    /// Mean round trip in milliseconds.
    case roundTrip
    /// Echo requests without an answer.
    case unanswered
    /// Child SAs replaced.
    case rekeys
    /// ESP packets that one gateway sent and the other did not deliver, unless the kernel between them dropped them.
    case lost
    /// Packets between the gateways that the kernel dropped, mostly for want of room in a socket.
    case overflowed
    /// MTU of the tunnel device.
    case mtu

    var heading: String {
        switch self {
        case .throughput: "Gbit/s"
        case .processor: "Daemons' CPU s/GB"
        case .lossless: "Packets/s without loss"
        case .flatOut: "Delivered/s flat out"
        case .offered: "Offered/s then"
        case .reordered: "Reordered"
        case .roundTrip: "Round trip ms"
        case .unanswered: "Unanswered"
        case .rekeys: "Rekeys"
        case .lost: "ESP packets lost"
        case .overflowed: "Dropped by the kernel between"
        case .mtu: "Device MTU"
        }
    }

    /// What a goal calls it.
    var noun: String {
        switch self {
        case .throughput: "throughput"
        case .processor: "processor s/GB"
        case .lossless: "packets/s without loss"
        case .roundTrip: "round trip"
        case .lost: "packets lost"
        default: heading
        }
    }

    /// Whether it counts what should not be: then the worst run tells, not the middle one.
    private var isFault: Bool { [.reordered, .unanswered, .lost, .overflowed].contains(self) }

    /// The one value for several runs; `nil` for none.
    func summary(_ values: [Double]) -> Double? {
        if values.isEmpty { return nil }
        return isFault ? values.max() : values.median
    }

    /// Whether the lowest and the highest of the runs are told beside the median.
    var hasRange: Bool { self == .throughput || self == .lossless || self == .roundTrip }

    func text(_ value: Double) -> String {
        switch self {
        case .throughput: (value / 1e9).text(2)
        case .processor: value.text(2)
        case .roundTrip: value.text(3)
        default: value.text()
        }
    }
}

/// What one run showed.
typealias TunnelFigures = [Quantity: Double]
