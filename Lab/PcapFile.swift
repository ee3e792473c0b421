import Foundation
import Octets

/// A captured Ethernet frame.
package struct CapturedFrame: Sendable, Hashable {
    /// Seconds since 1970.
    package var time: Double
    package var octets: [UInt8]
    /// Length on the wire, which can exceed `octets`.
    package var originalLength: Int
}

/// Writes Ethernet frames in the classic capture format (magic a1b2c3d4, microseconds, link type 1).
struct PcapWriter: ~Copyable {
    private let file: Int32
    private var pending: [UInt8] = []

    init(path: String) throws(LabError) {
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system("making \(path)") }
        append(0xa1b2_c3d4)
        append(4 << 16 | 2)  // version 2.4: two 16-bit numbers, the major one first in memory
        append(0)
        append(0)
        append(262_144)
        append(1)
        flush()
    }

    private mutating func append(_ value: UInt32) {
        withUnsafeBytes(of: value.littleEndian) { pending += $0 }
    }

    mutating func write(_ frame: ArraySlice<UInt8>, originalLength: Int, time: timespec) {
        append(UInt32(truncatingIfNeeded: time.tv_sec))
        append(UInt32(truncatingIfNeeded: time.tv_nsec / 1000))
        append(UInt32(frame.count))
        append(UInt32(originalLength))
        pending += frame
        if pending.count > 1 << 18 { flush() }
    }

    mutating func flush() {
        var written = 0
        while written < pending.count {
            let count = pending.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            guard count > 0 else { break }
            written += count
        }
        pending.removeAll(keepingCapacity: true)
    }

    deinit { close(file) }
}

/// Reads what `PcapWriter` wrote.
package enum PcapReader {
    package static func frames(at path: String) throws -> [CapturedFrame] {
        let octets = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        func number(at offset: Int) -> Int {
            Int(octets[offset]) | Int(octets[offset + 1]) << 8 | Int(octets[offset + 2]) << 16 | Int(octets[offset + 3])
                << 24
        }
        guard octets.count >= 24, number(at: 0) == 0xa1b2_c3d4, number(at: 20) == 1 else {
            throw LabError("\(path) is no capture of Ethernet frames")
        }
        var frames: [CapturedFrame] = []
        var offset = 24
        while offset + 16 <= octets.count {
            let length = number(at: offset + 8)
            guard offset + 16 + length <= octets.count else { break }
            frames.append(
                CapturedFrame(
                    time: Double(number(at: offset)) + Double(number(at: offset + 4)) / 1e6,
                    octets: Array(octets[(offset + 16)..<(offset + 16 + length)]),
                    originalLength: number(at: offset + 12)))
            offset += 16 + length
        }
        return frames
    }
}
