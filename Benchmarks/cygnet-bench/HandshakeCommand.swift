import ArgumentParser
import IKE
import Lab

struct HandshakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "handshake",
        abstract: "Set up IKE SAs with a child in memory, beside `openssl speed` for their public-key work.")

    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "Rounds of each kind; the median counts.")
    var rounds = 5

    @Option(name: .long, help: "Seconds of a round.")
    var seconds = 0.8

    func validate() throws {
        guard rounds > 0, seconds > 0 else { throw ValidationError("There has to be a round, and time for it.") }
    }

    func run() async throws { output.print(try await report()) }

    func report() async throws -> Report {
        var openssl = OpenSSLSpeed()
        let chain = try await CertificateChain(identities: HandshakeWorkload.names)
        var kinds = [
            HandshakeKind(name: "PSK", workload: try HandshakeWorkload(nil)),
            HandshakeKind(name: "ECDSA P-256 chain", workload: try HandshakeWorkload(chain), hasCertificates: true),
        ]
        var times: [OpenSSLSpeed.PublicKeyTimes] = []
        for round in 1...rounds {
            tellProgress("handshake: round \(round) of \(rounds)")
            for index in kinds.indices { try await kinds[index].run(seconds: seconds) }
            if times.count < 3 { times.append(try await openssl.publicKeyTimes()) }
        }
        let limits = OpenSSLSpeed.PublicKeyTimes(
            agreement: times.map(\.agreement).median, signature: times.map(\.signature).median,
            verification: times.map(\.verification).median)

        var rows = [
            [
                "Authentication", "Role", "µs", "Handshakes/s", "Key exchange", "Sign", "Verify", "Public-key share",
                "openssl µs", "Handshakes/s at most", "Reached",
            ]
        ]
        for kind in kinds {
            for (role, samples) in [("initiator", kind.initiator), ("responder", kind.responder)] {
                let time = samples.map(\.total).median / 1000
                func share(_ job: Job.Kind) -> Double {
                    samples.map { ($0.jobs[job] ?? 0) / $0.total }.median
                }
                let limit = kind.limit(limits)
                rows.append([
                    kind.name, role, time.text(), (1e6 / time).text(), share(.keyExchange).percentage,
                    share(.sign).percentage, share(.verify).percentage,
                    samples.map { ($0.total - $0.machine) / $0.total }.median.percentage, limit.text(),
                    (1e6 / limit).text(), (limit / time).percentage,
                ])
            }
        }
        return Report(
            title: "Handshakes in memory",
            parts: [
                .commands([self.output.command("handshake")]),
                .text(
                    """
                    IKE_SA_INIT and IKE_AUTH with a child SA between two endpoints of one process, whole datagrams \
                    through `Endpoint.receive`, AES-256-GCM, PRF HMAC-SHA2-256 and X25519. Processor time of one \
                    handshake in each role, its computations included; median of \(rounds) rounds of \
                    \(seconds.text(1)) s. The chain is root, intermediate, leaf; "Verify" has the building and checking \
                    of the path besides the signatures. Between two handshakes the first is deleted again, which is not \
                    counted.
                    """),
                .table(rows),
                .text(
                    """
                    The limit is the public-key work of a role alone as libcrypto does it, by `openssl speed` between the \
                    rounds: two X25519 operations of \(limits.agreement.text(1)) µs (making a key counted as one); with \
                    certificates besides one signature of \(limits.signature.text(1)) µs and three verifications of \
                    \(limits.verification.text(1)) µs. Beside charon, see the next \
                    section. The smallest part of a processor that one of its runs was given is \
                    \(openssl.smallestShare.percentage): well below 100 % its times are coarse.
                    """),
                .commands(openssl.examples),
                .table(
                    [["Authentication", "Datagrams", "Octets in them", "Allocations, both roles"]]
                        + kinds.map {
                            [
                                $0.name, "\($0.workload.datagrams.count)",
                                "\($0.workload.datagrams.map(String.init).joined(separator: ", "))",
                                "\($0.workload.allocations)",
                            ]
                        }),
            ])
    }
}

/// One way to authenticate, with what was measured of it.
private struct HandshakeKind {
    let name: String
    let workload: HandshakeWorkload
    var hasCertificates = false
    /// The mean of each round.
    var initiator: [RoleTime] = []
    var responder: [RoleTime] = []

    mutating func run(seconds: Double) async throws {
        let end = ProcessorClock.wall() + Int64(seconds * 1e9)
        var sums = (initiator: RoleTime(), responder: RoleTime())
        var count = 0
        repeat {
            guard let times = try await workload.handshake() else { continue }
            sums.initiator.add(times.initiator)
            sums.responder.add(times.responder)
            count += 1
        } while ProcessorClock.wall() < end
        guard count > 0 else { throw LabError("every handshake was moved from thread to thread") }
        initiator.append(sums.initiator.divided(by: Double(count)))
        responder.append(sums.responder.divided(by: Double(count)))
    }

    /// Microseconds of public-key work that a role cannot do without.
    func limit(_ times: OpenSSLSpeed.PublicKeyTimes) -> Double {
        2 * times.agreement + (hasCertificates ? times.signature + 3 * times.verification : 0)
    }
}

extension RoleTime {
    fileprivate mutating func add(_ other: RoleTime) {
        machine += other.machine
        jobs.merge(other.jobs, uniquingKeysWith: +)
    }

    fileprivate func divided(by count: Double) -> RoleTime {
        RoleTime(machine: machine / count, jobs: jobs.mapValues { $0 / count })
    }
}
