import Foundation

/// An AF_PACKET socket over all interfaces of the calling thread's namespace (packet(7)).
///
/// The kernel's headers for it are not among those Swift imports, so the few numbers and layouts stand here.
struct PacketSocket: Sendable {
    private static let allProtocols: UInt16 = 0x0003
    private static let optionLevel: Int32 = 263
    private static let statisticsOption: Int32 = 6
    private static let outgoing: UInt8 = 4

    let descriptor: Int32

    /// `receiveBuffer` holds what arrives while the reader is not running.
    init(receiveBuffer: Int32 = 16 << 20) throws(LabError) {
        descriptor = socket(
            AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int32(Self.allProtocols.bigEndian))
        guard descriptor >= 0 else { throw .system("opening a packet socket") }
        var size = receiveBuffer
        // Forcing needs a privilege of the first user namespace; what is then granted is enough for a lab.
        if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size)) != 0 {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// One frame, waiting at most `milliseconds` for it. Frames that this host itself sent out are passed over, so
    /// that what a router forwards is seen once: where it came in.
    func receive(into buffer: inout [UInt8], waiting milliseconds: Int32) -> Int? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) > 0 else { return nil }
        // struct sockaddr_ll: family 2, protocol 2, interface index 4, hardware type 2, packet type 1, length 1,
        // address 8.
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT | MSG_TRUNC), $0, &length)
            }
        }
        let type = withUnsafeBytes(of: &address) { $0[10] }
        guard count > 0, type != Self.outgoing else { return nil }
        return count
    }

    /// How many frames the kernel had no room for since this was last asked.
    func dropped() -> Int {
        var statistics: (packets: UInt32, drops: UInt32) = (0, 0)
        var length = socklen_t(8)
        guard getsockopt(descriptor, Self.optionLevel, Self.statisticsOption, &statistics, &length) == 0 else {
            return 0
        }
        return Int(statistics.drops)
    }
}
