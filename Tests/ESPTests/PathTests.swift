import ESP
import IPPacket
import Octets
import Testing

struct PathTests {
    @Test("The largest inner packet fits the path and one octet more does not", arguments: Transform.all)
    func largest(transform: Transform) {
        for outer in IPFamily.allCases {
            for encapsulation in [Encapsulation.ip, .udp] {
                let overhead = ESPOverhead(
                    outer: outer, encapsulation: encapsulation, encryption: transform.encryption,
                    integrity: transform.integrity)
                for mtu in 576...1600 {
                    let largest = overhead.maximumInnerSize(outerMTU: mtu)
                    #expect(overhead.outerSize(inner: largest) <= mtu)
                    #expect(overhead.outerSize(inner: largest + 1) > mtu)
                }
            }
        }
    }

    @Test("AES-GCM in UDP over IPv4 leaves 1438 of 1500 octets")
    func example() {
        let overhead = ESPOverhead(outer: .v4, encapsulation: .udp, encryption: .aesGCM16(256), integrity: nil)
        #expect(overhead.maximumInnerSize(outerMTU: 1500) == 1438)
    }

    @Test("A path too small for anything leaves nothing")
    func nothing() {
        let overhead = ESPOverhead(outer: .v6, encapsulation: .udp, encryption: .aesGCM16(256), integrity: nil)
        for mtu in [0, 40, 80] { #expect(overhead.maximumInnerSize(outerMTU: mtu) == 0) }
    }

    @Test("Moving to another family or encapsulation changes the overhead")
    func move() throws {
        var out = try OutboundSA(Transform.all[1].parameters())
        let before = out.maximumSize(outerMTU: 1500, front: 20)
        out.move(outer: .v6, encapsulation: .udp)
        #expect(out.maximumSize(outerMTU: 1500, front: 20) == before - 28)
    }

    private let now = Instant(nanoseconds: 5_000_000_000)

    @Test("A claim for an SPI we send with, within bounds, is believed for ten minutes (RFC 1191, section 6.3)")
    func believed() {
        var path = PathMTU(.v4, linkMTU: 1500)
        #expect(path.value(at: now) == 1500)
        let isLower = path.learn(1400, quotedSPI: 7, sending: 7, at: now)
        #expect(isLower)
        #expect(path.value(at: now + .seconds(599)) == 1400)
        #expect(path.value(at: now + .seconds(600)) == 1500)
    }

    @Test("What the peer says of the path holds until it says otherwise, within the same bounds as what routers say")
    func limit() {
        for family in IPFamily.allCases {
            var path = PathMTU(family, linkMTU: 1500)
            path.limit = 1396
            #expect(path.value(at: now) == 1396)
            path.limit = 9000
            #expect(path.value(at: now) == 1500)
            path.limit = 100
            #expect(path.value(at: now) == path.minimum)
            path.limit = 1396
            _ = path.learn(1300, quotedSPI: 7, sending: 7, at: now)
            #expect(path.value(at: now) == 1300)
            #expect(path.value(at: now + .seconds(600)) == 1396)
            path.limit = nil
            #expect(path.value(at: now + .seconds(600)) == 1500)
        }
    }

    @Test(
        "The table of inner sizes that draft-liu-ipsecme-ikev2-mtu-dect's arithmetic comes to, with IV and UDP header")
    func largestAtomicPackets() {
        func inner(_ octets: Int, _ outer: IPFamily, _ encapsulation: Encapsulation = .ip) -> Int {
            ESPOverhead(outer: outer, encapsulation: encapsulation, encryption: .aesGCM16(256), integrity: nil)
                .maximumInnerSize(outerMTU: octets)
        }
        #expect(
            [inner(1500, .v4), inner(1500, .v4, .udp), inner(1500, .v6), inner(1396, .v4)] == [1446, 1438, 1426, 1342])
    }

    @Test(
        "Claims below what every path carries, above the link, or for a foreign SPI are not",
        arguments: IPFamily.allCases)
    func notBelieved(family: IPFamily) {
        var path = PathMTU(family, linkMTU: 1500)
        let minimum = family == .v4 ? 576 : 1280
        for claim in [0, -1, 68, minimum - 1, 1500, 9000] {
            let isBelieved = path.learn(claim, quotedSPI: 7, sending: 7, at: now)
            #expect(!isBelieved)
        }
        let isBelieved = path.learn(1400, quotedSPI: 8, sending: 7, at: now)
        #expect(!isBelieved)
        #expect(path.value(at: now) == 1500)
        let isLower = path.learn(minimum, quotedSPI: 7, sending: 7, at: now)
        #expect(isLower)
    }

    @Test("A greater claim does not raise what was learnt; the same one prolongs it")
    func onlyDown() {
        var path = PathMTU(.v4, linkMTU: 1500)
        let isLower = path.learn(1300, quotedSPI: 7, sending: 7, at: now)
        #expect(isLower)
        let isRaised = path.learn(1400, quotedSPI: 7, sending: 7, at: now)
        #expect(!isRaised)
        let isLowerAgain = path.learn(1300, quotedSPI: 7, sending: 7, at: now + .seconds(500))
        #expect(!isLowerAgain)
        #expect(path.value(at: now + .seconds(700)) == 1300)
    }

    @Test("A link smaller than every path must carry counts as that")
    func smallLink() {
        #expect(PathMTU(.v6, linkMTU: 1000).value(at: now) == 1280)
    }
}
