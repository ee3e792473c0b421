import ESP
import IPPacket
import IPsecCrypto
import IPsecPolicy

/// Counters of one security association.
public struct SACountersReport: Hashable, Sendable {
    public var spi: UInt32
    /// Our SPI of the pair: what tells two associations apart for which two peers have chosen one SPI.
    public var inboundSPI: UInt32
    public var direction: TrafficDirection
    public var policy: UInt32
    public var local: SocketAddress
    public var remote: SocketAddress
    public var counters: SACounters
    /// What went by each of its sequence number subspaces; empty where it has none, or none has been used.
    public var subspaces: [SubspaceReport] = []

    public init(
        spi: UInt32, inboundSPI: UInt32, direction: TrafficDirection, policy: UInt32, local: SocketAddress,
        remote: SocketAddress, counters: SACounters
    ) {
        self.spi = spi
        self.inboundSPI = inboundSPI
        self.direction = direction
        self.policy = policy
        self.local = local
        self.remote = remote
        self.counters = counters
    }
}

/// What the data plane as a whole has done since its start.
public struct DataplaneStatistics: Hashable, Sendable {
    /// What one worker has moved.
    public struct Worker: Hashable, Sendable {
        /// Times it found something to do.
        public var batches: UInt64 = 0
        /// Calls that brought packets or datagrams, each perhaps many as one.
        public var reads: UInt64 = 0
        /// Calls that passed some on.
        public var writes: UInt64 = 0
        /// Packets or datagrams it took in.
        public var packetsIn: UInt64 = 0
        /// Packets or datagrams it passed on.
        public var packetsOut: UInt64 = 0
        public var octetsIn: UInt64 = 0
        public var octetsOut: UInt64 = 0
        /// Packets of other workers' that it took in and copied over to them.
        public var handedOver: UInt64 = 0
        /// Time of a processor it has had, in nanoseconds.
        public var processorTime: Int64 = 0
        public init() {}
    }

    /// A pair of workers, to which a share of the associations belongs.
    public struct WorkerPair: Hashable, Sendable {
        /// From the network inwards.
        public var inbound = Worker()
        /// From the inside to the network.
        public var outbound = Worker()
        public init() {}
    }

    public var workers: [WorkerPair] = []
    /// Packets dropped, by reason in words fit for a metric's label (`no-policy`, `replay`, …); zeros left out.
    public var drops: [String: UInt64] = [:]
    /// Events nobody took in time, IKE datagrams among them.
    public var eventsDropped: UInt64 = 0
    /// ICMP "too big" sent inwards.
    public var tooBigSent: UInt64 = 0
    /// What waits for the workers.
    public var queues: [Queue] = []
    /// What of the kernel's is in use.
    public var offloads: [OffloadReport] = []
    /// TCP connections that carry IKE and ESP (RFC 9329).
    public struct Streams: Hashable, Sendable {
        /// Now.
        public var open: Int = 0
        /// By peers, and from here, since the start.
        public var accepted: UInt64 = 0
        public var opened: UInt64 = 0
        /// Turned away, as there were too many whose peers had not proved who they were; closed, as theirs did not in time; closed,
        /// as what came was nothing that could be read.
        public var refused: UInt64 = 0
        public var expired: UInt64 = 0
        public var malformed: UInt64 = 0
        /// With TLS around the stream; resumed an earlier session of TLS; came to nothing, as TLS could not be agreed upon, or was broken.
        public var secured: UInt64 = 0
        public var resumed: UInt64 = 0
        public var unsecured: UInt64 = 0
        public var messagesIn: UInt64 = 0
        public var messagesOut: UInt64 = 0
        public var packetsIn: UInt64 = 0
        public var packetsOut: UInt64 = 0
        /// For want of room in a connection, or with a worker; and as the connection was gone.
        public var packetsDropped: UInt64 = 0
        public var packetsWithoutStream: UInt64 = 0
        public var octetsIn: UInt64 = 0
        public var octetsOut: UInt64 = 0
        public init() {}
    }

    public var streams = Streams()
    /// What encrypts packets, the best first.
    public var cipherProviders: [CipherProvider] = []

    /// Something from which a worker takes packets.
    public struct Queue: Hashable, Sendable {
        /// For example `udp 4500 IPv4`.
        public var name: String
        /// Octets of memory that wait there; `nil` where the kernel does not tell.
        public var waiting: UInt64?
        /// Packets the kernel dropped since the start because there was no room.
        public var dropped: UInt64

        public init(name: String, waiting: UInt64?, dropped: UInt64) {
            self.name = name
            self.waiting = waiting
            self.dropped = dropped
        }
    }

    public init() {}
}
