import Foundation
import IPPacket

/// Addresses as the system's calls take them.
package enum SystemAddress {
    /// Calls `body` with the `sockaddr` of an address and a port.
    package static func with(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        // sockaddr_in: family, port, address 4; sockaddr_in6: family, port, flow 4, address 16, scope 4.
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { bytes in
            bytes.storeBytes(of: sa_family_t(address.family == .v4 ? AF_INET : AF_INET6), as: sa_family_t.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            for (index, octet) in address.octets.enumerated() {
                bytes[(address.family == .v4 ? 4 : 8) + index] = octet
            }
        }
        let length = address.family == .v4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }
}
