import CLinux
import IPPacket

/// The expressions of one rule of nftables (linux/netfilter/nf_tables.h): each loads something into a register, looks
/// at one, or decides. What is compared stands as it does in packets.
struct FilterExpressions {
    private var list: [(name: String, fill: (inout NetlinkRequest) -> Void)] = []

    /// Registers have four octets. What is loaded here for a lookup stands in one after the other.
    private static let register = NFT_REG32_00.rawValue

    private mutating func add(_ name: String, _ fill: @escaping (inout NetlinkRequest) -> Void = { _ in }) {
        list.append((name, fill))
    }

    func write(to request: inout NetlinkRequest, _ attribute: nft_rule_attributes) {
        request.nested(attribute) { request in
            for (name, fill) in list {
                request.nested(NFTA_LIST_ELEM) {
                    $0.attribute(NFTA_EXPR_NAME, name)
                    $0.nested(NFTA_EXPR_DATA, fill)
                }
            }
        }
    }

    // MARK: Loading and comparing

    private mutating func load(_ key: nft_meta_keys) {
        add("meta") {
            $0.attribute(NFTA_META_KEY, network: key.rawValue)
            $0.attribute(NFTA_META_DREG, network: Self.register)
        }
    }

    private mutating func load(
        _ base: nft_payload_bases, at offset: Int, count: Int, into register: UInt32 = Self.register
    ) {
        add("payload") {
            $0.attribute(NFTA_PAYLOAD_DREG, network: register)
            $0.attribute(NFTA_PAYLOAD_BASE, network: base.rawValue)
            $0.attribute(NFTA_PAYLOAD_OFFSET, network: UInt32(offset))
            $0.attribute(NFTA_PAYLOAD_LEN, network: UInt32(count))
        }
    }

    private mutating func compare(_ operation: nft_cmp_ops, _ octets: [UInt8]) {
        add("cmp") {
            $0.attribute(NFTA_CMP_SREG, network: Self.register)
            $0.attribute(NFTA_CMP_OP, network: operation.rawValue)
            $0.nested(NFTA_CMP_DATA) { $0.attribute(NFTA_DATA_VALUE, octets) }
        }
    }

    private mutating func compare(from first: [UInt8], to last: [UInt8]) {
        guard first != last else { return compare(NFT_CMP_EQ, first) }
        compare(NFT_CMP_GTE, first)
        compare(NFT_CMP_LTE, last)
    }

    /// Sets the bits after the first `length` of an address in a register to 0.
    private mutating func mask(_ family: IPFamily, _ length: Int, in register: UInt32) {
        guard length < family.bitWidth, let host = IPPrefix(.unspecified(family), length: length) else { return }
        let mask = host.last.octets.map { ~$0 }
        add("bitwise") {
            $0.attribute(NFTA_BITWISE_SREG, network: register)
            $0.attribute(NFTA_BITWISE_DREG, network: register)
            $0.attribute(NFTA_BITWISE_LEN, network: UInt32(mask.count))
            $0.nested(NFTA_BITWISE_MASK) { $0.attribute(NFTA_DATA_VALUE, mask) }
            $0.nested(NFTA_BITWISE_XOR) { $0.attribute(NFTA_DATA_VALUE, [UInt8](repeating: 0, count: mask.count)) }
        }
    }

    // MARK: What rules ask

    mutating func device(_ key: nft_meta_keys, is name: String) {
        load(key)
        let octets = Array(name.utf8.prefix(15))
        compare(NFT_CMP_EQ, octets + [UInt8](repeating: 0, count: 16 - octets.count))
    }

    mutating func family(is family: IPFamily) {
        load(NFT_META_NFPROTO)
        // NFPROTO_IPV4 and NFPROTO_IPV6 are the numbers of the families of sockets.
        compare(NFT_CMP_EQ, [family.systemFamily])
    }

    mutating func ipProtocol(is number: UInt8) {
        load(NFT_META_L4PROTO)
        compare(NFT_CMP_EQ, [number])
    }

    /// Of what begins with ports, and of no later fragment.
    mutating func ports(source: ClosedRange<UInt16>?, destination: ClosedRange<UInt16>?) {
        for (offset, range) in [(0, source), (2, destination)] {
            guard let range else { continue }
            load(NFT_PAYLOAD_TRANSPORT_HEADER, at: offset, count: 2)
            compare(from: range.lowerBound.networkOctets, to: range.upperBound.networkOctets)
        }
    }

    /// What goes to a socket with this mark.
    mutating func socketMark(is mark: UInt32) {
        add("socket") {
            $0.attribute(NFTA_SOCKET_KEY, network: NFT_SOCKET_MARK.rawValue)
            $0.attribute(NFTA_SOCKET_DREG, network: Self.register)
        }
        // A register has marks in the host's order.
        compare(NFT_CMP_EQ, withUnsafeBytes(of: mark) { Array($0) })
    }

    mutating func icmpType(in range: ClosedRange<UInt8>) {
        load(NFT_PAYLOAD_TRANSPORT_HEADER, at: 0, count: 1)
        compare(from: [range.lowerBound], to: [range.upperBound])
    }

    /// The addresses without the bits after these lengths are in the set; one with a length of 0 does not matter.
    mutating func addresses(_ family: IPFamily, sourceLength: Int, destinationLength: Int, areIn set: String) {
        var register = Self.register
        let source = family == .v4 ? 12 : 8
        for (offset, length) in [(source, sourceLength), (source + family.octetCount, destinationLength)] {
            guard length > 0 else { continue }
            load(NFT_PAYLOAD_NETWORK_HEADER, at: offset, count: family.octetCount, into: register)
            mask(family, length, in: register)
            register += UInt32(family.octetCount / 4)
        }
        add("lookup") {
            $0.attribute(NFTA_LOOKUP_SET, set)
            $0.attribute(NFTA_LOOKUP_SREG, network: Self.register)
        }
    }

    mutating func count() { add("counter") }

    /// NF_DROP is 0, NF_ACCEPT 1 (linux/netfilter.h).
    mutating func decide(_ verdict: InboundFilterPlan.Verdict) { decide(verdict == .accept ? 1 : 0) }

    mutating func goOn(in chain: String) { decide(NFT_GOTO.rawValue, chain) }

    private mutating func decide(_ code: Int32, _ chain: String? = nil) {
        add("immediate") {
            $0.attribute(NFTA_IMMEDIATE_DREG, network: NFT_REG_VERDICT.rawValue)
            $0.nested(NFTA_IMMEDIATE_DATA) {
                $0.nested(NFTA_DATA_VERDICT) {
                    $0.attribute(NFTA_VERDICT_CODE, network: UInt32(bitPattern: code))
                    if let chain { $0.attribute(NFTA_VERDICT_CHAIN, chain) }
                }
            }
        }
    }
}

extension UInt16 {
    fileprivate var networkOctets: [UInt8] { [UInt8(self >> 8), UInt8(truncatingIfNeeded: self)] }
}
