import CLinux
import IPPacket

/// A request to the kernel over rtnetlink: header, the family's own structure, attributes. Integers are in host order
/// unless an attribute says otherwise (rtnetlink(7)).
struct NetlinkRequest {
    let type: Int
    let flags: Int32
    /// Everything after the message header.
    private(set) var body: [UInt8] = []

    init<Header: BitwiseCopyable>(_ type: Int, flags: Int32 = 0, _ header: Header) {
        self.type = type
        self.flags = flags
        append(header)
    }

    private mutating func append<Value: BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value) { body.append(contentsOf: $0) }
    }

    private mutating func align() {
        while !body.count.isMultiple(of: 4) { body.append(0) }
    }

    mutating func attribute(_ type: Int, _ octets: some Collection<UInt8>) {
        align()
        append(UInt16(4 + octets.count))
        append(UInt16(type))
        body.append(contentsOf: octets)
        align()
    }

    mutating func attribute<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Int, _ value: Value) {
        attribute(type, withUnsafeBytes(of: value) { Array($0) })
    }

    mutating func attribute(_ type: Int, _ text: String) {
        attribute(type, Array(text.utf8) + [0])
    }

    mutating func nested(_ type: Int, _ fill: (inout NetlinkRequest) -> Void) {
        align()
        let start = body.count
        attribute(type, [])
        fill(&self)
        let length = UInt16(body.count - start)
        withUnsafeBytes(of: length) { body.replaceSubrange(start..<start + 2, with: $0) }
    }

    func serialized(sequence: UInt32, adding further: Int32 = 0) -> [UInt8] {
        let header = nlmsghdr(
            nlmsg_len: UInt32(MemoryLayout<nlmsghdr>.size + body.count), nlmsg_type: UInt16(type),
            nlmsg_flags: UInt16(flags | further | NLM_F_REQUEST), nlmsg_seq: sequence, nlmsg_pid: 0)
        return withUnsafeBytes(of: header) { Array($0) } + body
    }
}

/// A message from the kernel: the family's structure and the attributes after it.
struct NetlinkReply {
    let type: Int
    private let body: ArraySlice<UInt8>

    init(type: Int, body: ArraySlice<UInt8>) {
        self.type = type
        self.body = body
    }

    /// The structure the message begins with; `nil` if the message is too short for it.
    func header<Header: BitwiseCopyable>(_: Header.Type) -> Header? {
        guard body.count >= MemoryLayout<Header>.size else { return nil }
        return body.withUnsafeBytes { $0.loadUnaligned(as: Header.self) }
    }

    /// The attributes after a structure of `headerLength` octets, by type. Of repeated ones the last counts.
    func attributes(after headerLength: Int) -> [Int: ArraySlice<UInt8>] {
        var found: [Int: ArraySlice<UInt8>] = [:]
        var rest = body.dropFirst((headerLength + 3) & ~3)
        while rest.count >= 4 {
            let (length, type) = rest.withUnsafeBytes {
                (Int($0.loadUnaligned(as: UInt16.self)), $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            }
            guard length >= 4, length <= rest.count else { break }
            // The two high bits are flags: nested, and network order.
            found[Int(type & 0x3fff)] = rest.dropFirst(4).prefix(length - 4)
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }
}

extension ArraySlice<UInt8> {
    /// An integer in host order, as rtnetlink attributes hold them.
    func hostInteger<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type) -> Value? {
        guard count >= MemoryLayout<Value>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
    }
}

extension IPFamily {
    /// `AF_INET` or `AF_INET6` as the kernel's structures hold it.
    var systemFamily: UInt8 { self == .v4 ? 2 : 10 }

    init?(systemFamily: UInt8) {
        switch systemFamily {
        case 2: self = .v4
        case 10: self = .v6
        default: return nil
        }
    }
}
