import Glibc
import IPPacket

/// Asks the kernel which addresses packets can leave from.
enum RouteProbe {
    /// - Parameter mark: the mark of our outer packets, so that routes into the tunnel are passed by.
    /// - Returns: `nil` if there is no route.
    static func sourceAddress(towards remote: IPAddress, mark: UInt32) -> IPAddress? {
        let descriptor = datagramSocket(remote.family)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var mark = mark
        setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, socklen_t(MemoryLayout<UInt32>.size))
        // Connecting a datagram socket sends nothing: it only looks up the route. The port does not matter.
        let connected = withSocketAddress(of: remote, port: 9) { connect(descriptor, $0, $1) }
        guard connected == 0 else { return nil }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard withSocketAddress(&storage, { address, _ in getsockname(descriptor, address, &length) }) == 0 else {
            return nil
        }
        return IPAddress(storage)
    }

    /// Whether packets can leave from an address: this host has it, or may use one that it does not have.
    static func isLocal(_ address: IPAddress) -> Bool {
        let descriptor = datagramSocket(address.family)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withSocketAddress(of: address, port: 0) { bind(descriptor, $0, $1) } == 0
    }

    private static func datagramSocket(_ family: IPFamily) -> Int32 {
        socket(family == .v4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }

    private static func withSocketAddress(
        of address: IPAddress, port: UInt16, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        switch address.family {
        case .v4:
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.value).bigEndian
            return withSocketAddress(&name, body)
        case .v6:
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.octets) }
            return withSocketAddress(&name, body)
        }
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
