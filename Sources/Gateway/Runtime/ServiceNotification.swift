import Glibc

/// Tells systemd how the service is (sd_notify): datagrams to the socket that `NOTIFY_SOCKET` names. Without it nothing
/// is sent.
struct ServiceNotification: Sendable {
    private let path: String?
    /// Half the time within which systemd wants a sign of life; `nil` if it wants none.
    let watchdogInterval: Duration?

    init() {
        path = Self.variable("NOTIFY_SOCKET")
        let owner = Self.variable("WATCHDOG_PID").flatMap { pid_t($0) }
        watchdogInterval =
            owner == nil || owner == getpid()
            ? Self.variable("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap { $0 > 0 ? .microseconds($0 / 2) : nil }
            : nil
    }

    func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
    func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        send("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
    }
    func stopping() { send("STOPPING=1") }
    func alive() { send("WATCHDOG=1") }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private func send(_ message: String) {
        guard let path, var address = sockaddr_un(path: path) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count + (path.hasPrefix("@") ? 0 : 1))
        let octets = Array(message.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = sendto(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL), address, length)
            }
        }
    }
}

extension sockaddr_un {
    /// A socket address in the file system or, with `@` in front, in the abstract name space; `nil` if the path is too long.
    init?(path: String) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        let octets = Array(path.utf8)
        guard (1..<MemoryLayout.size(ofValue: sun_path)).contains(octets.count) else { return nil }
        withUnsafeMutableBytes(of: &sun_path) { storage in
            storage.copyBytes(from: octets)
            if octets.first == UInt8(ascii: "@") { storage[0] = 0 }
        }
    }
}
