import Decode
import Octets
import Testing

/// Captures that somebody has spoilt: nothing traps, nothing loops, and what ends the reading is named.
struct HostileCaptureTests {
    private static let files = SealedSample.captures

    @Test("Every beginning of a good file is read to its end, and the error is within it", arguments: files.indices)
    func truncations(_ index: Int) {
        let file = Self.files[index]
        let whole = CaptureDecoder.lines(of: file, keys: SealedSample.keys)
        for count in 0..<file.count {
            let lines = CaptureDecoder.lines(of: Array(file.prefix(count)), keys: SealedSample.keys)
            guard let last = lines.last, last.hasPrefix("octet ") else {
                #expect(whole.starts(with: lines), "\(count) octets")
                continue
            }
            #expect(whole.starts(with: lines.dropLast()), "\(count) octets")
            let offset = Int(last.dropFirst(6).prefix { $0.isNumber }) ?? .max
            #expect(offset <= count, "\(last)")
        }
    }

    @Test("Flipped bits, one at a time and many at once, do no harm", arguments: files.indices)
    func flips(_ index: Int) {
        let file = Self.files[index]
        var lineCount = 0
        for position in file.indices {
            var spoilt = file
            spoilt[position] ^= 1 << UInt8(position % 8)
            lineCount += CaptureDecoder.lines(of: spoilt, keys: SealedSample.keys, ports: [5555]).count
        }
        var generator = SeededGenerator(seed: UInt64(index))
        for _ in 0..<500 {
            var spoilt = file
            for _ in 0..<Int.random(in: 2...40, using: &generator) {
                spoilt[Int.random(in: 0..<file.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            lineCount += CaptureDecoder.lines(of: spoilt, keys: SealedSample.keys, ports: [5555]).count
        }
        // Most changes leave most messages as they were.
        #expect(lineCount > file.count)
    }

    @Test("Each 32-bit word of a file as large as can be does no harm", arguments: files.indices)
    func giants(_ index: Int) {
        let file = Self.files[index]
        for value in [UInt32.max, 0x7FFF_FFFF, 0x8000_0000, 0x00FF_FFFC, 0] {
            for position in stride(from: 0, to: file.count - 3, by: 4) {
                var spoilt = file
                spoilt.replaceSubrange(position..<position + 4, with: value.bigEndianOctets)
                let lines = CaptureDecoder.lines(of: spoilt, keys: SealedSample.keys)
                #expect(lines.count < 1000)
            }
        }
    }

    @Test("Random octets behind a good header do no harm")
    func noise() {
        var generator = SeededGenerator(seed: 7)
        for link in [0, 1, 12, 14, 101, 108, 113, 228, 229, 276] as [UInt32] {
            for _ in 0..<200 {
                let frames = (0..<4).map { _ in
                    CaptureBuilder.Frame(
                        octets: (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                            UInt8.random(in: 0...255, using: &generator)
                        })
                }
                #expect(CaptureDecoder.lines(of: CaptureBuilder.pcap(frames, link: link)).count < 100)
            }
        }
    }
}

/// SplitMix64: the same numbers for the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
