import IKEMessage
import IPPacket
import IPsecCrypto
import Octets

/// The addresses an IKE SA uses, and the NATs found between them (RFC 7296 section 2.23).
struct Path: Sendable, Hashable {
    var local: SocketAddress
    var remote: SocketAddress
    /// Messages carry the non-ESP marker: they use the NAT traversal ports, or a TCP connection.
    var usesNATPort: Bool
    /// The TCP connection that everything goes by; `nil`: UDP, or ESP in IP.
    var stream: StreamID?
    var isBehindNAT = false
    var isPeerBehindNAT = false

    /// The peer has sent NAT detection notifications: it supports NAT traversal.
    var traversesNATs = false

    /// Where the peer was last known to be, if it is not known to be at ``remote``: a message that came from there is no
    /// proof, as whoever sends it can write any source into it.
    private(set) var lastProvedAddress: IPAddress?

    /// The address that the peer has shown to be its own, by an exchange that it could not have had elsewhere.
    var provedAddress: IPAddress { lastProvedAddress ?? remote.address }

    /// Notes that nothing but the peer's word has led from `known` to here.
    mutating func doubt(since known: Path) {
        lastProvedAddress = remote.address == known.provedAddress ? nil : known.provedAddress
    }

    /// Notes that the peer has answered here.
    mutating func believe() { lastProvedAddress = nil }

    /// Octets of the longest IKE message: in UDP, behind an IPv4 header and the non-ESP marker; by TCP, behind that marker and a
    /// length of 16 bits that counts itself (RFC 9329 section 3).
    var longestMessage: Int { stream == nil ? 0xffff - 20 - 8 - 4 : 0xffff - 2 - 4 }

    /// ESP goes in UDP.
    var encapsulatesESP: Bool { stream == nil && (isBehindNAT || isPeerBehindNAT) }

    /// A NAT's mapping has to be kept alive: for TCP, it lasts long enough (RFC 9329 section 6.6).
    var needsKeepalives: Bool { stream == nil && isBehindNAT }

    /// Whether messages go from and to the same addresses and ports, whatever is known of NATs.
    func hasSameEnds(as other: Path) -> Bool {
        local == other.local && remote == other.remote && usesNATPort == other.usesNATPort && stream == other.stream
    }

    /// The same path, for what is known of NATs, with other ends.
    func moved(to other: Path) -> Path {
        var result = self
        result.local = other.local
        result.remote = other.remote
        result.usesNATPort = other.usesNATPort
        result.stream = other.stream
        return result
    }

    /// The hash of RFC 7296 section 2.23: SHA-1 of both SPIs, address and port.
    static func natHash(_ initiatorSPI: UInt64, _ responderSPI: UInt64, _ address: SocketAddress) -> [UInt8] {
        NamingDigest.sha1(
            initiatorSPI.bigEndianOctets + responderSPI.bigEndianOctets + address.address.octets
                + address.port.bigEndianOctets)
    }

    /// The two notifications for a message we send.
    ///
    /// - Parameter pretendingNAT: octets put in place of our source's hash, so that the peer finds a NAT and takes to UDP.
    func natDetectionPayloads(
        _ initiatorSPI: UInt64, _ responderSPI: UInt64, pretendingNAT: [UInt8]?
    ) -> [Payload] {
        [
            .notify(
                NotifyPayload(
                    type: .natDetectionSourceIP, data: pretendingNAT ?? Self.natHash(initiatorSPI, responderSPI, local))
            ),
            .notify(
                NotifyPayload(
                    type: .natDetectionDestinationIP, data: Self.natHash(initiatorSPI, responderSPI, remote))),
        ]
    }

    /// Reads the peer's two notifications. Without them there is no NAT traversal, and `false` is returned.
    mutating func detectNAT(in payloads: [Payload], _ initiatorSPI: UInt64, _ responderSPI: UInt64) -> Bool {
        isBehindNAT = false
        isPeerBehindNAT = false
        let sources = payloads.notifications(.natDetectionSourceIP).map(\.data)
        let destinations = payloads.notifications(.natDetectionDestinationIP).map(\.data)
        guard !sources.isEmpty, !destinations.isEmpty else { return false }
        traversesNATs = true
        isPeerBehindNAT = !sources.contains(Self.natHash(initiatorSPI, responderSPI, remote))
        isBehindNAT = !destinations.contains(Self.natHash(initiatorSPI, responderSPI, local))
        return true
    }
}

extension IKEDatagram {
    /// The way it came by, seen from here: that of its answer.
    var way: Path { Path(local: local, remote: remote, usesNATPort: nonESPMarker, stream: stream) }

    /// An answer to it, the way it came.
    func answer(_ octets: [UInt8]) -> IKEDatagram {
        IKEDatagram(octets: octets, local: local, remote: remote, nonESPMarker: nonESPMarker, stream: stream)
    }
}

extension [Payload] {
    /// The notifications of one type, in order.
    func notifications(_ type: NotifyType) -> [NotifyPayload] {
        compactMap { if case .notify(let notify) = $0, notify.type == type { notify } else { nil } }
    }

    func notification(_ type: NotifyType) -> NotifyPayload? { notifications(type).first }

    /// The first notification that is an error (RFC 7296 section 3.10.1).
    var errorNotification: NotifyPayload? {
        for case .notify(let notify) in self where notify.type.isError { return notify }
        return nil
    }

    var securityAssociation: SecurityAssociationPayload? {
        for case .securityAssociation(let payload) in self { return payload }
        return nil
    }

    var keyExchange: KeyExchangePayload? {
        for case .keyExchange(let payload) in self { return payload }
        return nil
    }

    /// The nonce, if it has a length that RFC 7296 section 2.10 allows.
    var nonce: [UInt8]? {
        for case .nonce(let octets) in self { return (16...256).contains(octets.count) ? octets : nil }
        return nil
    }

    var authentication: AuthenticationPayload? {
        for case .authentication(let payload) in self { return payload }
        return nil
    }

    func identification(ofInitiator: Bool) -> IdentificationPayload? {
        for payload in self {
            switch payload {
            case .identificationInitiator(let identity) where ofInitiator: return identity
            case .identificationResponder(let identity) where !ofInitiator: return identity
            default: continue
            }
        }
        return nil
    }

    func trafficSelectors(ofInitiator: Bool) -> TrafficSelectorPayload? {
        for payload in self {
            switch payload {
            case .trafficSelectorsInitiator(let selectors) where ofInitiator: return selectors
            case .trafficSelectorsResponder(let selectors) where !ofInitiator: return selectors
            default: continue
            }
        }
        return nil
    }

    /// The X.509 certificates, in order; the first is the peer's own.
    var certificates: [[UInt8]] {
        compactMap {
            if case .certificate(let certificate) = $0, certificate.encoding == .x509Signature {
                certificate.data
            } else {
                nil
            }
        }
    }

    var deletions: [DeletePayload] {
        compactMap { if case .delete(let payload) = $0 { payload } else { nil } }
    }

    /// The kinds of payload in one line, for a narrative.
    func summary(_ codePoints: CodePoints) -> String {
        map { payload in
            guard case .notify(let notify) = payload else { return "\(payload.type)" }
            return "N(\(codePoints.point(notify.type.rawValue, of: .statusNotify)?.name ?? notify.type.description))"
        }.joined(separator: ", ")
    }
}

extension NotifyPayload {
    /// A notification that concerns no particular SA.
    init(type: NotifyType, data: [UInt8] = []) {
        self.init(protocolID: .none, spi: [], type: type, data: data)
    }
}
