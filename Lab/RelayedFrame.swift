import IPPacket

/// An Ethernet frame behind the kernel's header of what is left to do in it.
struct RelayedFrame: Sendable {
    private static let linkHeader = 14
    private static let encapsulationPort = 4500

    /// Header, then frame.
    private(set) var octets: [UInt8]
    /// Where the frame begins.
    private let start = RelaySocket.headerLength

    let destination: IPAddress
    /// Where ESP begins, if that is what the packet carries.
    private let esp: Int?
    private let udp: Int?
    private let family: IPFamily
    private let end: Int

    var isESP: Bool { esp != nil }
    /// Whether it stands for several packets.
    var isSuperPacket: Bool { octets[1] & 0x7f != 0 }

    /// `nil` unless it is a whole packet of IP.
    init?(_ octets: [UInt8]) {
        self.octets = octets
        let packet = RelaySocket.headerLength + Self.linkHeader
        guard octets.count >= packet + 20 else { return nil }
        let number: UInt8
        let header: Int
        var isWhole = true
        switch (octets[packet - 2], octets[packet - 1], octets[packet] >> 4) {
        case (0x08, 0x00, 4):
            family = .v4
            header = Int(octets[packet] & 0x0f) * 4
            end = packet + Int(octets.word(packet + 2))
            number = octets[packet + 9]
            isWhole = octets.word(packet + 6) & 0x3fff == 0
            guard let address = IPAddress(octets: octets[packet + 16..<packet + 20]) else { return nil }
            destination = address
        case (0x86, 0xdd, 6):
            guard octets.count >= packet + 40 else { return nil }
            family = .v6
            header = 40
            end = packet + 40 + Int(octets.word(packet + 4))
            number = octets[packet + 6]
            guard let address = IPAddress(octets: octets[packet + 24..<packet + 40]) else { return nil }
            destination = address
        default: return nil
        }
        let payload = packet + header
        guard end <= octets.count, payload <= end else { return nil }
        switch number {
        case 50 where isWhole && end - payload > 8:
            udp = nil
            esp = payload
        case 17 where isWhole && end - payload > 16:
            udp = payload
            let ports = [octets.word(payload), octets.word(payload + 2)]
            let hasMarker = octets[payload + 8..<payload + 12].allSatisfy { $0 == 0 }
            esp = ports.contains(UInt16(Self.encapsulationPort)) && !hasMarker ? payload + 8 : nil
        default:
            udp = nil
            esp = nil
        }
        if !isSuperPacket { completeChecksum() }
    }

    /// Gives it new link addresses.
    mutating func address(to destination: [UInt8], from source: [UInt8]) {
        octets.replaceSubrange(start..<start + 12, with: destination + source)
    }

    /// A copy with one bit changed behind SPI and sequence number, whose UDP checksum does not tell; `nil` if it is no ESP.
    func forged(_ choice: UInt64) -> RelayedFrame? {
        guard let esp, end - esp > 8 else { return nil }
        var copy = self
        let bit = Int(choice % UInt64((end - esp - 8) * 8))
        copy.octets[esp + 8 + bit / 8] ^= 1 << UInt8(bit % 8)
        if let udp { copy.renewUDPChecksum(udp) }
        return copy
    }

    /// What the kernel leaves to a device that sends the frame.
    private mutating func completeChecksum() {
        guard octets[0] & 1 != 0 else { return }
        // In the machine's order.
        let from = start + Int(octets[6]) + Int(octets[7]) << 8
        let field = from + Int(octets[8]) + Int(octets[9]) << 8
        octets[0] = 0
        for index in 6..<10 { octets[index] = 0 }
        guard field + 2 <= end, from < end else { return }
        store(checksum: ~Self.sum(octets[from..<end], 0), at: field)
    }

    /// In UDP zero says that there is none, which IPv6 does not allow; its other form is as good for all protocols.
    private mutating func store(checksum: UInt16, at index: Int) {
        octets.store(checksum == 0 ? 0xffff : checksum, at: index)
    }

    private mutating func renewUDPChecksum(_ udp: Int) {
        octets.store(0, at: udp + 6)
        // Without one it is believed.
        guard family == .v6 else { return }
        let packet = start + Self.linkHeader
        let pseudo = Self.sum(octets[packet + 8..<packet + 40], UInt32(end - udp) + 17)
        store(checksum: ~Self.sum(octets[udp..<end], UInt32(pseudo)), at: udp + 6)
    }

    /// The sum of RFC 1071, not complemented.
    private static func sum(_ octets: ArraySlice<UInt8>, _ initial: UInt32) -> UInt16 {
        var sum = initial
        var index = octets.startIndex
        while index < octets.endIndex {
            let low = index + 1 < octets.endIndex ? octets[index + 1] : 0
            sum += UInt32(octets[index]) << 8 | UInt32(low)
            index += 2
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return UInt16(sum)
    }
}

extension [UInt8] {
    fileprivate func word(_ index: Int) -> UInt16 { UInt16(self[index]) << 8 | UInt16(self[index + 1]) }

    fileprivate mutating func store(_ word: UInt16, at index: Int) {
        self[index] = UInt8(word >> 8)
        self[index + 1] = UInt8(truncatingIfNeeded: word)
    }
}
