import Dispatch
import Glibc
import IPPacket

/// Looks host names up with the system's resolver, away from the daemon's own threads.
enum HostResolver {
    private static let queue = DispatchQueue(label: "cygnet.resolver", attributes: .concurrent)

    /// The addresses in the resolver's order, each once; empty if the name has none or cannot be looked up now.
    static func addresses(of name: String) async -> [IPAddress] {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: lookUp(name)) }
        }
    }

    private static func lookUp(_ name: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var result: [IPAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let address = entry.pointee.ai_addr else { continue }
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
            }
            if let found = IPAddress(storage), !result.contains(found) { result.append(found) }
        }
        return result
    }
}
