import Glibc
import IPPacket

/// Asks the kernel which address packets to a peer would leave from.
enum RouteProbe {
    /// - Parameter mark: the mark of our outer packets, so that routes into the tunnel are passed by.
    /// - Returns: `nil` if there is no route.
    static func sourceAddress(towards remote: IPAddress, mark: UInt32) -> IPAddress? {
        let family = remote.family == .v4 ? AF_INET : AF_INET6
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var mark = mark
        setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, socklen_t(MemoryLayout<UInt32>.size))
        // Connecting a datagram socket sends nothing: it only looks up the route. The port does not matter.
        let connected: Int32
        switch remote.family {
        case .v4:
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(9).bigEndian
            address.sin_addr.s_addr = UInt32(truncatingIfNeeded: remote.value).bigEndian
            connected = withSocketAddress(&address) { connect(descriptor, $0, $1) }
        case .v6:
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = UInt16(9).bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: remote.octets) }
            connected = withSocketAddress(&address) { connect(descriptor, $0, $1) }
        }
        guard connected == 0 else { return nil }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard withSocketAddress(&storage, { address, _ in getsockname(descriptor, address, &length) }) == 0 else {
            return nil
        }
        return IPAddress(storage)
    }

    private static func withSocketAddress<Address>(
        _ address: inout Address, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}

extension IPAddress {
    /// The address in a socket address of the system; `nil` if that is of another family.
    init?(_ storage: sockaddr_storage) {
        let octets = withUnsafeBytes(of: storage) { Array($0) }
        switch Int32(storage.ss_family) {
        case AF_INET: self.init(octets: octets[4..<8])
        case AF_INET6: self.init(octets: octets[8..<24])
        default: return nil
        }
    }
}
