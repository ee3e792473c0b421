import Foundation
import IPPacket

extension Topology {
    /// Sends UDP datagrams of many flows from a host, so that the kernel gives some of them to each worker of its gateway. Nobody
    /// has to answer. (Pings between two hosts are all one flow to the kernel.)
    package func sendFlows(from side: Side = .left, _ family: IPFamily = .v4) async throws {
        let target = Topology.hostAddress(side.other, family)
        let senders = try await host(side).inside {
            (0..<48).map { _ in socket(target.family == .v4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue), 0) }
        }
        defer { for descriptor in senders where descriptor >= 0 { close(descriptor) } }
        for _ in 0..<5 {
            for descriptor in senders where descriptor >= 0 {
                let octets = [UInt8](repeating: 0x55, count: 400)
                _ = SystemAddress.with(target, 9) {
                    Int32(truncatingIfNeeded: sendto(descriptor, octets, octets.count, 0, $0, $1))
                }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
