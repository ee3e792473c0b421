import CLinux
import Glibc

/// A socket to the kernel's routing tables; one request at a time.
struct NetlinkSocket: ~Copyable {
    private let descriptor: Int32
    private var sequence: UInt32 = 0
    /// Made once: there may be tens of thousands of requests.
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init() throws(DataplaneError) {
        let opened = cygnet_open_netlink_route()
        guard opened >= 0 else { throw .system(-opened, "open a netlink socket") }
        descriptor = opened
    }

    /// Takes over a descriptor from `cygnet_open_netlink_route`.
    init(adopting descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Sends a request and waits for the kernel's acknowledgement.
    ///
    /// - Parameter tolerating: errors that count as success, such as `ENOENT` on removal.
    mutating func perform(
        _ request: NetlinkRequest, tolerating: Set<Int32> = [], _ purpose: @autoclosure () -> String
    ) throws(DataplaneError) {
        let result = try exchange(request, flags: NLM_F_ACK, purpose) { _ in }
        guard result == 0 || tolerating.contains(result) else { throw .system(result, purpose()) }
    }

    /// Everything the kernel lists for a request.
    mutating func dump(
        _ request: NetlinkRequest, _ purpose: @autoclosure () -> String
    ) throws(DataplaneError) -> [NetlinkReply] {
        var replies: [NetlinkReply] = []
        let result = try exchange(request, flags: NLM_F_DUMP, purpose) { replies.append($0) }
        guard result == 0 else { throw .system(result, purpose()) }
        return replies
    }

    /// - Returns: 0 or the error number with which the kernel ended the exchange.
    private mutating func exchange(
        _ request: NetlinkRequest, flags: Int32, _ purpose: () -> String, each: (NetlinkReply) -> Void
    ) throws(DataplaneError) -> Int32 {
        sequence &+= 1
        let request = request.serialized(sequence: sequence, adding: flags)
        guard Glibc.send(descriptor, request, request.count, 0) == request.count else {
            throw .system(errno, purpose())
        }
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                if errno == EINTR { continue }
                throw .system(errno, purpose())
            }
            // A copy, which keeps the buffer ours alone.
            var rest = ArraySlice(Array(buffer[..<count]))
            while let header = NetlinkReply(type: 0, body: rest).header(nlmsghdr.self),
                header.nlmsg_len >= 16, Int(header.nlmsg_len) <= rest.count
            {
                let body = rest.dropFirst(16).prefix(Int(header.nlmsg_len) - 16)
                rest = rest.dropFirst((Int(header.nlmsg_len) + 3) & ~3)
                guard header.nlmsg_seq == sequence else { continue }
                switch Int32(header.nlmsg_type) {
                case NLMSG_ERROR, NLMSG_DONE:
                    return -(body.hostInteger(Int32.self) ?? 0)
                default:
                    each(NetlinkReply(type: Int(header.nlmsg_type), body: body))
                }
            }
        }
    }
}

extension DataplaneError {
    /// What a system call's error number says about `purpose`, which completes "cannot …".
    /// - Parameter remedy: what to say besides where somebody else has what was asked for.
    static func system(_ number: Int32, _ purpose: String, ifInUse remedy: String? = nil) -> DataplaneError {
        let code: Code =
            switch number {
            case EPERM, EACCES: .notPermitted
            case EBUSY, EADDRINUSE: .inUse
            default: .system
            }
        let advice = code == .inUse ? remedy.map { ": \($0)" } ?? "" : ""
        return DataplaneError(code, "cannot \(purpose): \(String(cString: strerror(number)))\(advice)")
    }
}
