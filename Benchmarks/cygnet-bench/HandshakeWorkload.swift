import AllocationCount
import Credentials
import Foundation
import IKE
import IPPacket
import IPsecPolicy
import Lab
import Octets

/// Processor time that one role spent on a handshake, in nanoseconds, by what it was spent on.
struct RoleTime {
    /// In the endpoint's own calls: parsing, serialising, symmetric cryptography, bookkeeping.
    var machine = 0.0
    /// In its computations.
    var jobs: [Job.Kind: Double] = [:]

    var total: Double { jobs.values.reduce(machine, +) }
}

/// Two endpoints in one process that set a connection with one child up and take it down again, over and over.
final class HandshakeWorkload {
    private final class Gateway {
        let endpoint: Endpoint
        let address: IPAddress
        var time = RoleTime()
        var isUp = false
        var complaint: String?

        init(_ endpoint: Endpoint, _ address: IPAddress) {
            self.endpoint = endpoint
            self.address = address
        }
    }

    static let names = ["left.example", "right.example"]
    private static let addresses = [IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xc633_6402)]
    private let gateways: [Gateway]
    private var now = Instant.origin
    /// Datagrams of the last handshake and their octets.
    private(set) var datagrams: [Int] = []
    /// Calls of `malloc` in the last handshake, by both roles.
    private(set) var allocations = 0

    /// - Parameter chain: for certificates in place of a pre-shared key.
    init(_ chain: CertificateChain?) throws {
        let unixTime = Duration.seconds(Date().timeIntervalSince1970)
        gateways = try (0...1).map { index in
            var configuration = EndpointConfiguration()
            configuration.unixTimeAtOrigin = unixTime
            let endpoint = Endpoint(configuration: configuration, random: SystemRandomNumberGenerator())
            endpoint.apply([try Self.connection(index, chain)], at: .origin)
            return Gateway(endpoint, Self.addresses[index])
        }
    }

    private static func connection(_ index: Int, _ chain: CertificateChain?) throws -> ConnectionConfiguration {
        let origin = Origin(file: "bench.yaml", line: 1, column: 1, key: "connections.bench")
        let secret = SecretOctets(Array("correct horse battery staple".utf8))
        var connection = ConnectionConfiguration(
            name: "bench", origin: origin, localIdentity: .fqdn(names[index]), remoteIdentity: .fqdn(names[1 - index]),
            localAuthentication: try chain.map { .certificate(try $0.identity(names[index])) } ?? .preSharedKey(secret),
            remoteAuthentication: chain.map { .certificate($0.anchors) } ?? .preSharedKey(secret))
        connection.localAddresses = [addresses[index]]
        connection.remoteAddresses = [addresses[1 - index]]
        connection.ikeProposals = [
            IKEProposal(encryption: [.aesGCM16(256)], prf: [.hmacSHA2_256], keyExchange: [.curve25519])
        ]
        func network(_ number: Int) -> [TrafficSelector] {
            IPPrefix(IPAddress(v4: 0x0a00_0000 | UInt32(number + 1) << 16), length: 16).map { [TrafficSelector($0)] }
                ?? []
        }
        var child = ChildConfiguration(
            name: "net", origin: origin, policyID: 1, localSelectors: network(index),
            remoteSelectors: network(1 - index))
        child.espProposals = [ESPProposal(encryption: [.aesGCM16(256)])]
        connection.children = [child]
        return connection
    }

    /// Sets up and takes down once.
    /// - Returns: the initiator's and the responder's time for setting up; `nil` if the thread changed under way, which
    ///   makes the clock useless.
    func handshake() async throws -> (initiator: RoleTime, responder: RoleTime)? {
        for gateway in gateways {
            gateway.time = RoleTime()
            gateway.isUp = false
        }
        datagrams = []
        let thread = pthread_self()
        let allocationsBefore = cygnet_allocation_count()
        try await drive(0) { try $0.initiate("bench", at: $1) }
        allocations = cygnet_allocation_count() - allocationsBefore
        for (gateway, name) in zip(gateways, Self.names) where !gateway.isUp {
            throw LabError("\(name) is not up: \(gateway.complaint ?? "no reason was told")")
        }
        let times = (gateways[0].time, gateways[1].time)
        let isSameThread = pthread_equal(thread, pthread_self()) != 0
        let count = datagrams
        try await drive(0) { try $0.terminate("bench", at: $1) }
        datagrams = count
        // Slowly enough for no cookie to be demanded.
        now = now + .milliseconds(10)
        return isSameThread ? times : nil
    }

    /// The first message of a handshake.
    static func firstRequest() async throws -> [UInt8] {
        let workload = try HandshakeWorkload(nil)
        let initiator = workload.gateways[0]
        try initiator.endpoint.initiate("bench", at: workload.now)
        return await workload.execute(initiator).first?.octets ?? []
    }

    /// Makes a call of a gateway's, then delivers datagrams and does computations until neither has anything left to do.
    private func drive(_ index: Int, _ call: (Endpoint, Instant) throws -> Void) async throws {
        try charge(gateways[index]) { try call($0, now) }
        var post = await execute(gateways[index])
        while !post.isEmpty {
            var datagram = post.removeFirst()
            guard let gateway = gateways.first(where: { $0.address == datagram.remote.address }) else { continue }
            swap(&datagram.local, &datagram.remote)
            charge(gateway) { $0.receive(datagram, at: now) }
            post += await execute(gateway)
        }
    }

    /// Does what the endpoint wants done; returns the datagrams it sends.
    private func execute(_ gateway: Gateway) async -> [IKEDatagram] {
        var sent: [IKEDatagram] = []
        while let output = charge(gateway, { $0.nextOutput() }) {
            switch output {
            case .send(let datagram):
                sent.append(datagram)
                datagrams.append(datagram.octets.count)
            case .compute(let job):
                let begin = ProcessorClock.thread()
                let result = await job.run()
                gateway.time.jobs[job.kind, default: 0] += Double(ProcessorClock.thread() - begin) - ProcessorClock.cost
                charge(gateway) { $0.complete(job.id, with: result, at: now) }
            case .event(.childEstablished): gateway.isUp = true
            case .event(.failed(_, _, let refusal, _)): gateway.complaint = refusal.reason
            default: break
            }
        }
        return sent
    }

    private func charge<Result>(_ gateway: Gateway, _ call: (Endpoint) throws -> Result) rethrows -> Result {
        let begin = ProcessorClock.thread()
        defer { gateway.time.machine += Double(ProcessorClock.thread() - begin) - ProcessorClock.cost }
        return try call(gateway.endpoint)
    }
}
