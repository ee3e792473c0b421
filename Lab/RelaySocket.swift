import Foundation

/// A packet socket of one interface that tells with each frame what the kernel has left undone in it (packet(7)).
struct RelaySocket: Sendable {
    private static let allProtocols: UInt16 = 0x0003
    private static let optionLevel: Int32 = 263
    private static let headerOption: Int32 = 15
    private static let ignoreOutgoingOption: Int32 = 23
    /// Packet type of what is meant for this host.
    private static let host: UInt8 = 0
    /// struct virtio_net_hdr: flags, type of segmentation, header length 2, segment size 2, start 2 and offset 2 of the checksum.
    static let headerLength = 10

    let descriptor: Int32

    /// Opens it in the calling thread's namespace.
    init(interface: String) throws(LabError) {
        descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw .system("opening a packet socket") }
        var yes: Int32 = 1
        let length = socklen_t(MemoryLayout<Int32>.size)
        var size: Int32 = 16 << 20
        if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, length) != 0 {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, length)
        }
        // struct sockaddr_ll: family 2, protocol 2, interface index 4, hardware type 2, packet type 1, length 1, address 8.
        var address = sockaddr_storage()
        withUnsafeMutableBytes(of: &address) { bytes in
            bytes.storeBytes(of: sa_family_t(AF_PACKET), as: sa_family_t.self)
            bytes.storeBytes(of: Self.allProtocols.bigEndian, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: Int32(if_nametoindex(interface)), toByteOffset: 4, as: Int32.self)
        }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 20) }
        }
        guard setsockopt(descriptor, Self.optionLevel, Self.headerOption, &yes, length) == 0,
            setsockopt(descriptor, Self.optionLevel, Self.ignoreOutgoingOption, &yes, length) == 0, bound == 0
        else {
            let error = LabError.system("binding a packet socket to \(interface)")
            close(descriptor)
            throw error
        }
    }

    /// The next frame meant for this host, behind its header; `nil` if there is none.
    func receive(into buffer: inout [UInt8]) -> [UInt8]? {
        while true {
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 0 else { return nil }
            let type = withUnsafeBytes(of: &address) { $0[10] }
            if type == Self.host { return Array(buffer[..<count]) }
        }
    }

    /// Sends a frame behind its header, as `receive` gave it.
    func send(_ frame: [UInt8]) {
        // A full queue is a loss like any other on a link.
        _ = Glibc.send(descriptor, frame, frame.count, 0)
    }
}
