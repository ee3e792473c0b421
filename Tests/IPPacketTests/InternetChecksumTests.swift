import IPPacket
import Octets
import Testing

struct InternetChecksumTests {
    @Test("The checksum of RFC 1071, section 3, is as printed there")
    func rfc1071() {
        let octets: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        #expect(octets.withUnsafeBytes(InternetChecksum.checksum) == ~0xddf2)
    }

    @Test("Every length up to 300 octets, at every alignment, sums as the plain loop does")
    func againstNaive() {
        var generator = SeededGenerator(seed: 1)
        let octets = (0..<320).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for start in 0..<16 {
            for count in 0...300 {
                let part = Array(octets[start..<start + count])
                let sum = octets.withUnsafeBytes {
                    InternetChecksum.checksum(of: .init(rebasing: $0[start..<start + count]))
                }
                #expect(sum == SamplePackets.naiveChecksum(part))
            }
        }
    }

    @Test("Copying sums what it copies, at every length up to 300 octets and every alignment, and writes nothing else")
    func copies() {
        var generator = SeededGenerator(seed: 3)
        let octets = (0..<320).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for start in 0..<16 {
            for count in 0...300 {
                var place = [UInt8](repeating: 0xee, count: 320)
                let sum = octets.withUnsafeBytes { source in
                    place.withUnsafeMutableBytes { target -> UInt64 in
                        guard let from = source.baseAddress, let to = target.baseAddress else { return 0 }
                        return InternetChecksum.copy(from + start, to: to + (start ^ 5), count: count)
                    }
                }
                let part = Array(octets[start..<start + count])
                #expect(InternetChecksum.finish(sum) == SamplePackets.naiveChecksum(part))
                var expected = [UInt8](repeating: 0xee, count: 320)
                let first = start ^ 5
                expected.replaceSubrange(first..<first + count, with: part)
                #expect(place == expected)
            }
        }
    }

    @Test("Carries are kept over megabytes of ones", arguments: [65535, 1 << 20, (1 << 21) + 7])
    func carries(count: Int) {
        let octets = [UInt8](repeating: 0xff, count: count)
        #expect(octets.withUnsafeBytes(InternetChecksum.checksum) == SamplePackets.naiveChecksum(octets))
    }

    @Test("A changed word updates the checksum as RFC 1624, section 4, shows")
    func rfc1624() {
        #expect(InternetChecksum.updated(0xdd2f, replacing: 0x5555, with: 0x3285) == 0x0000)
    }

    @Test("Updating by difference gives what summing anew gives")
    func incremental() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<2000 {
            var octets = (0..<40).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let before = octets.withUnsafeBytes(InternetChecksum.checksum)
            let at = Int.random(in: 0..<20, using: &generator) * 2
            let old = UInt16(octets[at]) << 8 | UInt16(octets[at + 1])
            let new = UInt16.random(in: 0...(.max), using: &generator)
            octets.replaceSubrange(at..<at + 2, with: new.bigEndianOctets)
            let updated = InternetChecksum.updated(before, replacing: old, with: new)
            #expect(updated == octets.withUnsafeBytes(InternetChecksum.checksum))
        }
    }

    @Test(
        "The pseudo-header counts addresses, protocol and length",
        arguments: [("10.1.0.2", "10.2.255.9"), ("2001:db8::1", "fe80::ffff:1")])
    func pseudoHeader(source: String, destination: String) throws {
        let segment = [UInt8](1...33)
        let sum = InternetChecksum.pseudoHeaderSum(
            source: try #require(IPAddress(source)), destination: try #require(IPAddress(destination)), ipProtocol: 6,
            length: segment.count)
        let total = sum + segment.withUnsafeBytes(InternetChecksum.sum)
        #expect(
            InternetChecksum.finish(total)
                == SamplePackets.transportChecksum(segment, from: source, to: destination, ipProtocol: 6))
    }
}
