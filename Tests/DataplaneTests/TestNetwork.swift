import Dataplane
import Foundation
import IPPacket
import IPsecPolicy
import Synchronization
import TestPrograms
import Testing

struct TestFailure: Error, CustomStringConvertible {
    let description: String
}

/// Runs a program to its end.
///
/// - Returns: whether its exit status was 0, and what it printed.
@discardableResult
func run(_ arguments: String...) throws -> (isSuccess: Bool, output: String) { try TestProgram.run(arguments) }

func mustRun(_ arguments: String...) throws {
    let process = try run("sh", "-c", arguments.joined(separator: " "))
    guard process.isSuccess else {
        throw TestFailure(description: "\(arguments.joined(separator: " ")): \(process.output)")
    }
}

/// A network namespace of its own, gone with the value.
final class TestNamespace: Sendable {
    private static let counter = Atomic<Int>(0)
    let name: String
    var path: String { "/run/netns/\(name)" }

    init(forwarding: Bool = true) throws {
        guard geteuid() == 0 else {
            throw TestFailure(description: "these tests make network namespaces: run them as root")
        }
        name = "cydp\(getpid())n\(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        try mustRun("ip netns add \(name)")
        try mustRun("ip -n \(name) link set lo up")
        if forwarding {
            try mustRun("ip netns exec \(name) sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        }
    }

    deinit { _ = try? run("ip", "netns", "del", name) }

    /// Starts a program in the namespace.
    func start(_ arguments: [String], keeping kept: TestProgram.Output = .standard) throws -> TestProgram {
        try TestProgram(["ip", "netns", "exec", name] + arguments, keeping: kept)
    }

    /// Starts a command of the shell's in the namespace; what it complains of is kept too.
    func start(command: String) throws -> TestProgram { try start(["sh", "-c", "exec \(command)"], keeping: .both) }

    func ip(_ command: String) throws -> String {
        try run("sh", "-c", "ip -n \(name) \(command)").output
    }

    func mustIP(_ command: String) throws { try mustRun("ip -n \(name) \(command)") }

    func execute(_ command: String) throws -> (isSuccess: Bool, output: String) {
        try run("sh", "-c", "exec ip netns exec \(name) \(command)")
    }

    /// Rules of ours as the kernel lists them, without the numbers.
    func rules(_ family: IPFamily) throws -> [String] {
        try ip("-\(family.rawValue) -N rule show").split(separator: "\n").filter { $0.hasSuffix(" proto 201") }.map {
            line in
            let words = line.split(whereSeparator: \.isWhitespace).dropFirst().dropLast(2)
            return words.joined(separator: " ").replacingOccurrences(of: "ipproto-", with: "")
        }
    }

    var configuration: UserspaceDataplane.Configuration {
        var configuration = UserspaceDataplane.Configuration()
        configuration.networkNamespace = path
        configuration.batchSize = 32
        return configuration
    }

    /// Two namespaces joined by a link, each with an outer address of either family on it and inner ones on its loopback.
    static func pair() throws -> (left: TestNamespace, right: TestNamespace) {
        let (left, right) = (try TestNamespace(), try TestNamespace())
        try left.mustIP("link add eth0 type veth peer name eth0 netns \(right.name)")
        for (index, side) in [left, right].enumerated() {
            let number = index + 1
            try side.mustIP("addr add 192.0.2.\(number)/24 dev eth0")
            try side.mustIP("addr add 2001:db8:ffff::\(number)/64 dev eth0 nodad")
            try side.mustIP("addr add 10.\(number).0.1/32 dev lo")
            try side.mustIP("addr add fd0\(number)::1/128 dev lo nodad")
            try side.mustIP("link set eth0 up")
        }
        // The kernel takes its time with IPv6 on a new link.
        try mustRun("ip netns exec \(left.name) ping -q -n -i 0.1 -c 1 -w 5 2001:db8:ffff::2")
        return (left, right)
    }
}

func policy(
    _ id: UInt32, _ local: String, _ remote: String, _ action: PolicyAction = .protect, ipProtocol: UInt8 = 0,
    remotePorts: ClosedRange<UInt16> = 0...(.max)
) throws -> InstalledPolicy {
    let sides = try (#require(IPPrefix(local)), #require(IPPrefix(remote)))
    return InstalledPolicy(
        SecurityPolicy(
            id: id, action: action, local: [TrafficSelector(sides.0, ipProtocol: ipProtocol)],
            remote: [TrafficSelector(sides.1, ipProtocol: ipProtocol, ports: remotePorts)]))
}
