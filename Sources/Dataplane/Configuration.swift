import CLinux
import IPPacket
import IPsecCrypto

extension UserspaceDataplane {
    /// What a userspace data plane is started with. The defaults suit a gateway that runs as root.
    public struct Configuration: Hashable, Sendable {
        /// Name of the TUN device, at most 15 octets.
        public var deviceName = "cygnet0"
        /// UDP port of IKE (RFC 7296, section 2).
        public var ikePort: UInt16 = 500
        /// UDP port of IKE behind NAT and of encapsulated ESP (RFC 3948).
        public var natPort: UInt16 = 4500
        /// Addresses to listen on; empty for all of both families.
        public var listenAddresses: [IPAddress] = []
        /// Whether to open raw sockets for ESP without UDP (IP protocol 50), which needs CAP_NET_RAW.
        public var acceptsPlainESP = true

        /// The mark on our own outer packets; by rule they pass our routes by.
        public var firewallMark: UInt32 = 0xc39e
        /// Number of the routing table that leads into the device.
        public var routeTable: UInt32 = 50_500
        /// Number of the table for traffic this host begins without having chosen a source address.
        public var sourceRouteTable: UInt32 = 50_501
        /// Who made a rule or route, in the kernel's terms (rtm_protocol, FRA_PROTOCOL): what carries it is ours.
        public var routeProtocol: UInt8 = 201
        /// Our rules stand within these priorities: after the table of local addresses, before all that is usual.
        public var rulePriorities: ClosedRange<UInt32> = 300...31_999

        /// Name of the table of nftables (family inet) that keeps out what comes in clear although a policy protects it.
        public var filterTable = "cygnet"

        /// Largest inner packet the device takes; the path's limit is found and signalled packet by packet.
        public var mtu = 1400
        /// Whether to lower the maximum segment size in TCP SYNs so that segments fit the tunnel.
        public var clampsSegmentSize = true
        /// Largest path MTU assumed towards a peer before anything is learnt.
        public var outerMTU = 1500

        /// Packets that may wait in the device for the worker. A tick of the scheduler's is 2000 packets of a fast sender's, and
        /// the kernel's own 500 would be full.
        public var queueLength = 4096
        /// Kernel buffers of each socket, in octets.
        public var socketBuffer = 8 << 20
        /// What of the kernel's is used to handle many packets at once, where it has it.
        public var offloads = Offloads.all
        /// What encrypts packets; `nil` for the fastest that is there, for each algorithm.
        public var cipherProvider: CipherProvider?
        /// Pairs of threads, one for each direction, among which associations are divided by their inbound SPIs; at most 64.
        public var workers = 1
        public static let maximumWorkers = Team.maximumCount
        /// A pair for every two processors, so that either direction has half of them.
        public static var usualWorkers: Int { max(1, min(Int(cygnet_processors()) / 2, Team.maximumCount)) }
        /// Datagrams or packets a worker takes at once.
        public var batchSize = 64
        /// How many TCP connections of strangers there may be.
        public var streamLimits = StreamLimits()
        /// Events that may wait for the control side.
        public var eventCapacity = 1024

        /// A file such as `/run/netns/left`: everything is opened in that network namespace. For tests and labs.
        package var networkNamespace: String?

        public init() {}
    }
}
