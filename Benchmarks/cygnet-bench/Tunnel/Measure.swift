import Lab

/// A workload, what carries it, and what is wanted of the figures.
struct Measure: Sendable {
    /// For the command line.
    let name: String
    let title: String
    let workload: Workload
    let carriers: [Carrier]
    let goals: [Goal]

    /// All of them, in the order of the report.
    static let all: [Measure] = [
        oneStream, chaCha, streams, smallSegments, ipv6, smallPackets, internetMix, quic, idlePing, loadedPing, forced,
        idleAssociations, rekeying,
    ]

    private static let oneStream = Measure(
        name: "tcp", title: "one TCP stream, AES-256-GCM", workload: .tcp(),
        carriers: [.plain, .cygnet, .libipsec, .wireguard],
        goals: [
            .ratio(atLeast: 3.5), .ratio(to: .libipsec, atLeast: 15), .ratio(to: .plain, atLeast: 0.5),
            .ratio(.processor, atMost: 1 / 4.5),
        ])

    private static let chaCha: Measure = {
        let cygnet = Carrier(program: .cygnet, encryption: .chacha20poly1305)
        return Measure(
            name: "chacha", title: "one TCP stream, ChaCha20-Poly1305", workload: .tcp(),
            carriers: [cygnet, .wireguard],
            goals: [.ratio(of: cygnet, atLeast: 2.5)])
    }()

    private static let streams = Measure(
        name: "streams", title: "four TCP streams", workload: .tcp(streams: 4), carriers: [.cygnet, .wireguard],
        goals: [.ratio(atLeast: 3.5)])

    private static let smallSegments = Measure(
        name: "mss500", title: "one TCP stream, segments of 500 octets", workload: .tcp(segmentSize: 500),
        carriers: [.cygnet, .wireguard], goals: [.ratio(atLeast: 4)])

    private static let ipv6: Measure = {
        let cygnet = Carrier(program: .cygnet, family: .v6)
        return Measure(
            name: "ipv6", title: "one TCP stream, IPv6 inside and outside", workload: .tcp(),
            carriers: [cygnet, .cygnet, Carrier(program: .wireguard, family: .v6)],
            goals: [.ratio(of: cygnet, to: .cygnet, atLeast: 0.9)])
    }()

    private static let smallPackets = Measure(
        name: "udp64", title: "UDP, packets of 64 octets from 16 senders",
        workload: .udp(sizes: [64], senders: 16, segments: 1), carriers: [.plain, .cygnet, .wireguard],
        goals: [.ratio(.lossless, atLeast: 3)])

    private static let internetMix = Measure(
        name: "imix", title: "UDP, packets of 64, 576 and 1400 octets, 7 : 4 : 1, from 16 senders",
        workload: .udp(sizes: Workload.internetMix, senders: 16, segments: 1), carriers: [.plain, .cygnet, .wireguard],
        goals: [.ratio(.lossless, atLeast: 3)])

    private static let quic = Measure(
        name: "quic", title: "UDP, packets of 1400 octets from one sender, 32 in one by UDP_SEGMENT",
        workload: .udp(sizes: [1400], senders: 1, segments: 32), carriers: [.plain, .cygnet, .wireguard],
        goals: [.ratio(.lossless, atLeast: 3)])

    private static let idlePing = Measure(
        name: "ping", title: "ping through an idle tunnel", workload: .ping(isLoaded: false),
        carriers: [.plain, .cygnet, .wireguard], goals: [.ratio(.roundTrip, atMost: 0.5)])

    private static let loadedPing = Measure(
        name: "ping-loaded", title: "ping beside a TCP stream", workload: .ping(isLoaded: true),
        carriers: [.plain, .cygnet, .wireguard], goals: [.ratio(.roundTrip, atMost: 0.5)])

    private static let forced: Measure = {
        let withoutOffloads = Carrier(program: .cygnet, dataplane: DataplaneChoice(offloads: []))
        let withoutIPsecMB = Carrier(program: .cygnet, dataplane: DataplaneChoice(ciphers: .libcrypto))
        let raw = Carrier(program: .cygnet, isInUDP: false)
        let simple = Carrier(program: .simpleWireguard)
        return Measure(
            name: "forced", title: "one TCP stream, with less than there is", workload: .tcp(),
            carriers: [withoutOffloads, withoutIPsecMB, raw, simple, .wireguard],
            goals: [
                .ratio(of: withoutOffloads, to: simple, atLeast: 1), .ratio(of: withoutIPsecMB, atLeast: 1),
                // No kernel joins or cuts protocol 50: each packet is a datagram by itself, as without offloads.
                .ratio(of: raw, to: simple, atLeast: 1),
            ])
    }()

    private static let idleAssociations: Measure = {
        let carriers = [1, 100, 10_000].map { Carrier(program: .cygnet, connections: $0) }
        return Measure(
            name: "idle", title: "one TCP stream beside idle SAs", workload: .tcp(), carriers: carriers,
            goals: carriers.dropFirst().map { .ratio(of: $0, to: carriers[0], atLeast: 0.9) })
    }()

    private static let rekeying: Measure = {
        let rekeyed = Carrier(program: .cygnet, rekeySeconds: 1)
        return Measure(
            name: "rekey", title: "one TCP stream, rekeyed every second", workload: .tcp(),
            carriers: [.cygnet, rekeyed],
            goals: [
                .ratio(of: rekeyed, to: .cygnet, atLeast: 0.95),
                Goal(quantity: .lost, carrier: rekeyed, reference: nil, bound: .atMost, value: 0),
            ])
    }()
}
