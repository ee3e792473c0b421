import CLinux
import Glibc

/// A socket to nftables (nfnetlink). What is asked for together happens together, or not at all.
struct FilterSocket: ~Copyable {
    private let descriptor: Int32
    private var sequence: UInt32 = 0

    /// Takes over a descriptor from `cygnet_open_netlink_filter`.
    init(adopting descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Sends requests as one transaction and waits for the kernel's word.
    ///
    /// - Returns: 0, or the error number of the first request that failed.
    mutating func perform(
        _ requests: [NetlinkRequest], _ purpose: @autoclosure () -> String
    ) throws(DataplaneError) -> Int32 {
        // Numbers of one transaction do not wrap.
        if sequence > .max / 2 { sequence = 0 }
        let first = sequence + 1
        let last = first + UInt32(requests.count)
        sequence = last + 1
        let frame = nfgenmsg(nfgen_family: 0, version: 0, res_id: UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
        var octets = NetlinkRequest(Self.batchBegin, frame).serialized(sequence: first)
        for (index, request) in requests.enumerated() {
            octets += request.serialized(
                sequence: first + UInt32(index) + 1, adding: index == requests.count - 1 ? NLM_F_ACK : 0)
        }
        octets += NetlinkRequest(Self.batchEnd, frame).serialized(sequence: sequence)
        return try exchange(octets, first...last, purpose())
    }

    /// Asks for something that is to be there.
    ///
    /// - Returns: 0, or the error number in the place of an answer.
    mutating func ask(_ request: NetlinkRequest, _ purpose: @autoclosure () -> String) throws(DataplaneError) -> Int32 {
        if sequence > .max / 2 { sequence = 0 }
        sequence += 1
        return try exchange(request.serialized(sequence: sequence, adding: NLM_F_ACK), sequence...sequence, purpose())
    }

    /// Sends requests with these sequence numbers and waits for the last to be acknowledged.
    private func exchange(
        _ octets: [UInt8], _ numbers: ClosedRange<UInt32>, _ purpose: @autoclosure () -> String
    ) throws(DataplaneError) -> Int32 {
        guard send(descriptor, octets, octets.count, 0) == octets.count else { throw .system(errno, purpose()) }
        var failure: Int32 = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                if count < 0, errno == EINTR { continue }
                throw .system(errno, purpose())
            }
            var rest = buffer[..<count]
            while let header = NetlinkReply(type: 0, body: rest).header(nlmsghdr.self),
                header.nlmsg_len >= 16, Int(header.nlmsg_len) <= rest.count
            {
                let body = rest.dropFirst(16).prefix(Int(header.nlmsg_len) - 16)
                rest = rest.dropFirst((Int(header.nlmsg_len) + 3) & ~3)
                guard Int32(header.nlmsg_type) == NLMSG_ERROR, numbers.contains(header.nlmsg_seq) else { continue }
                if failure == 0 { failure = -(body.hostInteger(Int32.self) ?? 0) }
                // An error of what frames a transaction is one of all of it.
                if header.nlmsg_seq == numbers.upperBound || header.nlmsg_seq == numbers.lowerBound { return failure }
            }
        }
    }

    /// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END (linux/netfilter/nfnetlink.h).
    private static let batchBegin = 0x10
    private static let batchEnd = 0x11
}

extension NetlinkRequest {
    /// A request to nftables about tables that see both families.
    init(_ message: nf_tables_msg_types, flags: Int32 = 0) {
        // NFPROTO_INET is 1.
        self.init(
            Int(NFNL_SUBSYS_NFTABLES) << 8 | Int(message.rawValue), flags: flags,
            nfgenmsg(nfgen_family: 1, version: 0, res_id: 0))
    }

    /// An attribute of nftables, whose integers are in network order.
    mutating func attribute<Attribute: RawRepresentable<UInt32>>(_ type: Attribute, network value: UInt32) {
        attribute(Int(type.rawValue), value.bigEndian)
    }

    mutating func attribute<Attribute: RawRepresentable<UInt32>>(_ type: Attribute, _ text: String) {
        attribute(Int(type.rawValue), text)
    }

    mutating func attribute<Attribute: RawRepresentable<UInt32>>(_ type: Attribute, _ octets: [UInt8]) {
        attribute(Int(type.rawValue), octets)
    }

    mutating func nested<Attribute: RawRepresentable<UInt32>>(
        _ type: Attribute, _ fill: (inout NetlinkRequest) -> Void
    ) {
        nested(Int(type.rawValue) | Int(NLA_F_NESTED), fill)
    }
}
