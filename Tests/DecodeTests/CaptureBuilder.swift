import Decode
import Octets

/// Captures written octet by octet, in every form that is read.
struct CaptureBuilder {
    enum Order { case big, little }

    struct Frame {
        var octets: [UInt8]
        var seconds: UInt32 = 1_762_164_930
        var fraction: UInt32 = 123_456
        /// Octets on the wire; as many as were captured if not said.
        var originalLength: Int?
    }

    private(set) var octets: [UInt8] = []
    let order: Order

    init(_ order: Order) { self.order = order }

    mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        let big = number.bigEndianOctets
        octets += order == .big ? big : big.reversed()
    }

    mutating func write(_ more: [UInt8]) { octets += more }

    // MARK: pcap

    static func pcap(
        _ frames: [Frame], link: UInt32 = 1, order: Order = .little, nanoseconds: Bool = false
    ) -> [UInt8] {
        var file = CaptureBuilder(order)
        file.write(nanoseconds ? 0xA1B2_3C4D : 0xA1B2_C3D4 as UInt32)
        file.write(2 as UInt16)
        file.write(4 as UInt16)
        file.write(0 as UInt32)
        file.write(0 as UInt32)
        file.write(262_144 as UInt32)
        file.write(link)
        for frame in frames {
            file.write(frame.seconds)
            file.write(frame.fraction)
            file.write(UInt32(frame.octets.count))
            file.write(UInt32(frame.originalLength ?? frame.octets.count))
            file.write(frame.octets)
        }
        return file.octets
    }

    // MARK: pcapng

    static func pcapng(_ frames: [Frame], link: UInt16 = 1, order: Order = .little) -> [UInt8] {
        var file = CaptureBuilder(order)
        file.section()
        file.interface(link: link)
        for frame in frames { file.enhancedPacket(frame) }
        return file.octets
    }

    mutating func block(_ type: UInt32, _ body: (inout CaptureBuilder) -> Void) {
        var inner = CaptureBuilder(order)
        body(&inner)
        let padding = -inner.octets.count & 3
        let length = UInt32(12 + inner.octets.count + padding)
        write(type)
        write(length)
        write(inner.octets + [UInt8](repeating: 0, count: padding))
        write(length)
    }

    mutating func section() {
        block(0x0A0D_0D0A) { body in
            body.write(0x1A2B_3C4D as UInt32)
            body.write(1 as UInt16)
            body.write(0 as UInt16)
            body.write(UInt64.max)
        }
    }

    /// - Parameter options: code and value of each.
    mutating func interface(link: UInt16, snapshotLength: UInt32 = 0, options: [(UInt16, [UInt8])] = []) {
        block(1) { body in
            body.write(link)
            body.write(0 as UInt16)
            body.write(snapshotLength)
            for (code, value) in options {
                body.write(code)
                body.write(UInt16(value.count))
                body.write(value + [UInt8](repeating: 0, count: -value.count & 3))
            }
        }
    }

    mutating func enhancedPacket(_ frame: Frame, interface: UInt32 = 0, units: UInt64? = nil) {
        let units = units ?? UInt64(frame.seconds) * 1_000_000 + UInt64(frame.fraction)
        block(6) { body in
            body.write(interface)
            body.write(UInt32(truncatingIfNeeded: units >> 32))
            body.write(UInt32(truncatingIfNeeded: units))
            body.write(UInt32(frame.octets.count))
            body.write(UInt32(frame.originalLength ?? frame.octets.count))
            body.write(frame.octets)
        }
    }
}
