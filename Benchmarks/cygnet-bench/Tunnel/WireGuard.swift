import Foundation
import IPPacket
import IPsecCrypto
import Lab
import Octets

/// wireguard-go in a gateway's namespace, set up over its control socket (the cross-platform userspace interface).
struct WireGuard {
    static let port: UInt16 = 51820

    /// Debian's packages of it, each in a directory of its own.
    enum Release: String {
        case trixie, bookworm

        /// Where `Benchmarks/fetch-wireguard-go` puts it.
        private var directory: String {
            let environment = ProcessInfo.processInfo.environment
            let cache = environment["XDG_CACHE_HOME"] ?? "\(environment["HOME"] ?? "/root")/.cache"
            return "\(cache)/cygnet/wireguard-go\(self == .trixie ? "" : "-\(rawValue)")"
        }
        fileprivate var program: String { "\(directory)/usr/bin/wireguard-go" }
        var isThere: Bool { Program.locate(program) != nil }
        var name: String { "wireguard-go \(version)" }
        private var version: String {
            ((try? String(contentsOfFile: "\(directory)/version", encoding: .utf8)) ?? "of Debian's \(rawValue)")
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    let process: ChildProcess
    let device: String

    /// Starts the daemons of both gateways and has them know each other.
    /// - Parameter family: Inside and outside.
    static func pair(_ release: Release, in topology: Topology, family: IPFamily = .v4) async throws -> [WireGuard] {
        var generator = SystemRandomNumberGenerator()
        let seeds = Side.allCases.map { _ in
            SecretOctets((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
        let publicValues = try seeds.map { try KeyExchangeMethod.curve25519.makeKey(seed: $0).publicValue }
        var daemons: [WireGuard] = []
        for (index, side) in Side.allCases.enumerated() {
            daemons.append(
                try await WireGuard(
                    release, at: side, of: topology, family, seed: seeds[index], peer: publicValues[1 - index]))
        }
        return daemons
    }

    private init(
        _ release: Release, at side: Side, of topology: Topology, _ family: IPFamily, seed: SecretOctets, peer: [UInt8]
    ) async throws {
        device = "wg\(side)"
        let gateway = topology.gateway(side)
        let socket = "/run/wireguard/\(device).sock"
        // Of a daemon that was killed.
        unlink(socket)
        process = try topology.laboratory.start(
            [release.program, "-f", device], in: gateway, logFile: "\(topology.laboratory.directory)/\(device).log")
        let end = ContinuousClock.now + .seconds(5)
        while access(socket, F_OK) != 0 {
            guard process.isRunning, ContinuousClock.now < end else { throw LabError("wireguard-go did not come up") }
            try await Task.sleep(for: .milliseconds(10))
        }
        let network = Topology.network(side.other, family)
        try Self.control(
            socket,
            """
            set=1
            private_key=\(seed.unprotected.hexadecimal)
            listen_port=\(Self.port)
            public_key=\(peer.hexadecimal)
            endpoint=\(SocketAddress(Topology.outerAddress(side.other, family), port: Self.port))
            allowed_ip=\(network)


            """)
        try await gateway.ip([
            "link set \(device) up", "route add \(network) dev \(device)",
        ])
    }

    /// Gives a request over the control socket; every answer ends with `errno=`.
    private static func control(_ path: String, _ request: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LabError("opening a socket: error \(errno)") }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw LabError("connecting to \(path): error \(errno)") }
        guard send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
            throw LabError("writing to \(path): error \(errno)")
        }
        var answer = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &answer, answer.count, 0)
        let text = String(decoding: answer.prefix(max(count, 0)), as: UTF8.self)
        guard text.hasPrefix("errno=0") else { throw LabError("wireguard-go refused its settings: \(text)") }
    }
}
