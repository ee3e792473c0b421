/// What of the kernel's is used to handle many packets at once, where it has it.
public struct Offloads: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The TUN device gives and takes TCP and UDP in packets of up to 64 KiB and leaves checksums to us.
    public static let device = Offloads(rawValue: 1)
    /// UDP sockets cut what is sent into datagrams (UDP_SEGMENT).
    public static let send = Offloads(rawValue: 2)
    /// UDP sockets give datagrams of one flow joined (UDP_GRO).
    public static let receive = Offloads(rawValue: 4)
    public static let all: Offloads = [.device, .send, .receive]
}

/// One thing the kernel may do for us, and whether it does.
public struct OffloadReport: Hashable, Sendable {
    /// In words fit for a table: `tun tso`, `udp gso`.
    public var name: String
    public var isOn: Bool
    /// Why not, or what is done instead.
    public var detail: String

    public init(name: String, isOn: Bool, detail: String) {
        self.name = name
        self.isOn = isOn
        self.detail = detail
    }
}
