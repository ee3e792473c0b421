import IPPacket
import IPsecCrypto
import IPsecPolicy
import Octets

/// Everything one security association of ESP is made from; what IKE negotiated and the configuration asked for.
public struct SAParameters: Sendable {
    /// Never below 256: 0 is reserved for local use and 1 to 255 by IANA (RFC 4303, section 2.1).
    public var spi: UInt32
    public var encryption: EncryptionAlgorithm
    /// The key, then the salt of an AEAD.
    public var encryptionKey: SecretOctets
    /// `nil` with an AEAD.
    public var integrity: IntegrityAlgorithm?
    public var integrityKey: SecretOctets?
    public var extendedSequenceNumbers: Bool
    /// Packets that may come late, 0 to ``ReplayWindow/maximumSize``; 0 turns replay protection off. Inbound only.
    public var replayWindow: Int
    public var mode: SAMode
    public var encapsulation: Encapsulation
    /// The outer addresses; the ports count with ``Encapsulation/udp``.
    public var local: SocketAddress
    public var remote: SocketAddress
    /// With ``Encapsulation/tcp``, the connection.
    public var stream: StreamID?
    public var localSelectors: [TrafficSelector]
    public var remoteSelectors: [TrafficSelector]
    /// The classes that packets may have, sent and received; `nil` for all. In tunnel mode only.
    public var dscp: DSCPSet?
    /// What the peer says of the way that packets take to it. Outbound only.
    public var outerPath = OuterPath()
    /// Octets of the largest outer packet that the peer should send, IP header included; larger ones are told of. Inbound only.
    public var largestReceived = Int.max
    /// Those for the same traffic among which each worker that sends has its own; `nil`: it is for all workers. Outbound only.
    public var group: SAGroup?
    public var lifetime: SALifetime
    public var options: SAOptions
    /// How many sequence number subspaces there are, 1 to 65536, with IDs from 0 on; `nil`: the number is one of RFC 4303. Needs
    /// extended sequence numbers, and then takes the place of ``extendedSequenceNumbers``.
    public var subspaces: Int?

    public init(
        spi: UInt32, encryption: EncryptionAlgorithm, encryptionKey: SecretOctets,
        integrity: IntegrityAlgorithm? = nil, integrityKey: SecretOctets? = nil, extendedSequenceNumbers: Bool = true,
        replayWindow: Int = 1024, mode: SAMode = .tunnel, encapsulation: Encapsulation, local: SocketAddress,
        remote: SocketAddress, localSelectors: [TrafficSelector], remoteSelectors: [TrafficSelector],
        lifetime: SALifetime = SALifetime(),
        options: SAOptions = SAOptions()
    ) {
        self.spi = spi
        self.encryption = encryption
        self.encryptionKey = encryptionKey
        self.integrity = integrity
        self.integrityKey = integrityKey
        self.extendedSequenceNumbers = extendedSequenceNumbers
        self.replayWindow = replayWindow
        self.mode = mode
        self.encapsulation = encapsulation
        self.local = local
        self.remote = remote
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
        self.lifetime = lifetime
        self.options = options
    }
}

/// The place of an association among those for the same traffic (RFC 9611).
public struct SAGroup: Hashable, Sendable {
    public var number: UInt32
    /// Whether it serves those that have none of their own.
    public var isFallback: Bool

    public init(number: UInt32, isFallback: Bool) {
        self.number = number
        self.isFallback = isFallback
    }
}

/// How ESP packets travel.
public enum Encapsulation: UInt8, Hashable, Sendable {
    /// As IP protocol 50.
    case ip
    /// In UDP (RFC 3948).
    case udp
    /// In a TCP connection (RFC 9329), which is not the association's: it may be another at any time.
    case tcp
}

/// How much an association may carry. `.max` stands for no limit. Limits of time are the control side's.
///
/// Octets are those given to the cipher: inner packets with their padding.
public struct SALifetime: Hashable, Sendable {
    public var softOctets: UInt64
    public var hardOctets: UInt64
    public var softPackets: UInt64
    public var hardPackets: UInt64

    public init(
        softOctets: UInt64 = .max, hardOctets: UInt64 = .max, softPackets: UInt64 = .max, hardPackets: UInt64 = .max
    ) {
        self.softOctets = softOctets
        self.hardOctets = hardOctets
        self.softPackets = softPackets
        self.hardPackets = hardPackets
    }
}

/// What is chosen for an association besides its keys. All of it concerns sending.
public struct SAOptions: Hashable, Sendable {
    /// The DSCP of the outer packet is that of the inner one; otherwise ``dscp``. A copy tells an observer something.
    public var copyDSCP = true
    /// The DSCP of outer packets if it is not copied, 0 to 63, and of dummy packets always.
    public var dscp: UInt8 = 0
    /// The outer ECN field is the inner one (RFC 6040, section 4.1, normal mode); otherwise Not-ECT (compatibility mode),
    /// for when the far end or the sockets here cannot tell of congestion.
    public var copyECN = true
    /// Inner packets shorter than so many octets are padded to it (RFC 4303, section 2.7). `nil` for no such padding, as
    /// when the peer sent ESP_TFC_PADDING_NOT_SUPPORTED.
    public var tfcPaddingTo: Int?

    public init() {}
}

/// What happened to an association while it worked on a packet. Each is told once.
public struct SANotices: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A soft limit has been reached, of octets, packets or sequence numbers: time to rekey.
    public static let softLimit = SANotices(rawValue: 1)
    /// The association is used up: from now on it drops what it is given.
    public static let hardLimit = SANotices(rawValue: 2)
    /// The first authentic packet has come in.
    public static let firstPacket = SANotices(rawValue: 4)
}
