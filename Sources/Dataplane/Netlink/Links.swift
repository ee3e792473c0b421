import CLinux
import Glibc
import IPPacket

/// Network devices and their addresses.
enum Links {
    /// The index of a device by name; `nil` if there is none.
    static func index(of name: String) -> UInt32? {
        let index = if_nametoindex(name)
        return index == 0 ? nil : index
    }

    /// The name of a device, or its index in words where it has just gone.
    static func name(of index: UInt32) -> String {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &name) != nil else { return "number \(index)" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Packets the kernel had for a device and dropped because nobody took them in time.
    static func packetsNotTaken(from name: String) -> UInt64 {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return 0 }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard entry.pointee.ifa_addr?.pointee.sa_family == sa_family_t(AF_PACKET),
                let data = entry.pointee.ifa_data,
                String(cString: entry.pointee.ifa_name) == name
            else { continue }
            return UInt64(data.load(as: rtnl_link_stats.self).tx_dropped)
        }
        return 0
    }

    /// Gives a device its MTU, keeps the kernel from making IPv6 addresses for it, and turns it on.
    ///
    /// - Parameter queueLength: packets that may wait in it.
    static func bringUp(
        _ index: UInt32, mtu: Int, queueLength: Int, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) {
        var header = ifinfomsg()
        header.ifi_index = Int32(index)
        var addressing = NetlinkRequest(RTM_NEWLINK, header)
        addressing.nested(Int(IFLA_AF_SPEC)) {
            $0.nested(Int(AF_INET6)) {
                $0.attribute(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(1) /* IN6_ADDR_GEN_MODE_NONE */)
            }
        }
        // Without IPv6 in the kernel there is nothing to keep it from.
        try socket.perform(
            addressing, tolerating: [EOPNOTSUPP, EAFNOSUPPORT, EINVAL], "turn IPv6 address generation of the device off"
        )
        header.ifi_flags = UInt32(IFF_UP)
        header.ifi_change = UInt32(IFF_UP)
        var up = NetlinkRequest(RTM_NEWLINK, header)
        up.attribute(Int(IFLA_MTU), UInt32(mtu))
        up.attribute(Int(IFLA_TXQLEN), UInt32(queueLength))
        try socket.perform(up, "turn the device on with an MTU of \(mtu)")
    }

    /// An address and the device it is on.
    struct Address: Hashable {
        let address: IPPrefix
        let host: IPAddress
        let index: UInt32
        let isGlobal: Bool
    }

    static func addresses(_ socket: inout NetlinkSocket) throws(DataplaneError) -> [Address] {
        let replies = try socket.dump(NetlinkRequest(RTM_GETADDR, ifaddrmsg()), "list the addresses")
        return replies.compactMap { reply in
            guard let header = reply.header(ifaddrmsg.self) else { return nil }
            let attributes = reply.attributes(after: MemoryLayout<ifaddrmsg>.size)
            // IFA_LOCAL is the host's own end of a point-to-point link; IPv6 has only IFA_ADDRESS.
            guard let octets = attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS], let host = IPAddress(octets: octets),
                let prefix = IPPrefix(host, length: Int(header.ifa_prefixlen))
            else { return nil }
            return Address(address: prefix, host: host, index: header.ifa_index, isGlobal: header.ifa_scope == 0)
        }
    }

    static func change(
        _ address: IPAddress, length: Int, on index: UInt32, adding: Bool, _ socket: inout NetlinkSocket
    ) throws(DataplaneError) {
        var header = ifaddrmsg()
        header.ifa_family = address.family.systemFamily
        header.ifa_prefixlen = UInt8(length)
        header.ifa_index = index
        // Nobody else is on this link: an IPv6 address is good at once, and makes no route of its own.
        header.ifa_flags = UInt8(IFA_F_NODAD)
        var request = NetlinkRequest(
            adding ? RTM_NEWADDR : RTM_DELADDR, flags: adding ? NLM_F_CREATE | NLM_F_REPLACE : 0, header)
        request.attribute(IFA_LOCAL, address.octets)
        request.attribute(IFA_ADDRESS, address.octets)
        request.attribute(IFA_FLAGS, UInt32(IFA_F_NODAD) | UInt32(IFA_F_NOPREFIXROUTE))
        try socket.perform(
            request, tolerating: adding ? [] : [EADDRNOTAVAIL], "\(adding ? "add" : "remove") the address \(address)")
    }
}
