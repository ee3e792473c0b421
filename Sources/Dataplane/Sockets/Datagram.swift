import CLinux
import IPPacket

extension cygnet_datagram {
    private static func address(_ octets: UnsafeRawBufferPointer, _ family: UInt8) -> IPAddress {
        if family == IPFamily.v4.rawValue {
            return IPAddress(v4: UInt32(bigEndian: octets.loadUnaligned(as: UInt32.self)))
        }
        return IPAddress(v6: UInt128(bigEndian: octets.loadUnaligned(as: UInt128.self)))
    }

    private static func store(_ address: IPAddress, in octets: UnsafeMutableRawBufferPointer) {
        switch address.family {
        case .v4: octets.storeBytes(of: UInt32(truncatingIfNeeded: address.value).bigEndian, as: UInt32.self)
        case .v6: octets.storeBytes(of: address.value.bigEndian, as: UInt128.self)
        }
    }

    var remoteAddress: SocketAddress {
        SocketAddress(
            withUnsafeBytes(of: remote) { Self.address($0, family) }, port: remote_port)
    }

    /// The address it was sent to; unspecified if the kernel did not say.
    var localAddress: IPAddress {
        guard has_local != 0 else { return .unspecified(family == IPFamily.v4.rawValue ? .v4 : .v6) }
        return withUnsafeBytes(of: local) { Self.address($0, family) }
    }

    /// Sets where it goes, and where from unless that is left to the kernel.
    mutating func address(from source: IPAddress, to destination: SocketAddress) {
        family = destination.address.family.rawValue
        remote_port = destination.port
        interface = 0
        stream = 0
        withUnsafeMutableBytes(of: &remote) {
            Self.store(destination.address, in: $0)
        }
        has_local = source.isUnspecified || source.family != destination.address.family ? 0 : 1
        if has_local != 0 {
            withUnsafeMutableBytes(of: &local) { Self.store(source, in: $0) }
        }
    }
}

extension cygnet_socket_error {
    /// Where the datagram in question was sent.
    var remoteAddress: IPAddress? {
        withUnsafeBytes(of: remote) { IPAddress(octets: Array($0).prefix(family == IPFamily.v4.rawValue ? 4 : 16)) }
    }
}
