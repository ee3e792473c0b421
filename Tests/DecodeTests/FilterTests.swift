import Decode
import Foundation
import IKEMessage
import Octets
import Testing

struct FilterTests {
    private static func admitted(_ change: (inout EntryFilter) -> Void) throws -> [Int] {
        var filter = EntryFilter()
        change(&filter)
        let frames = [
            SealedSample.frame(SampleFrames.request), SealedSample.frame(try SealedSample.sealed()),
            SealedSample.espFrame(try SealedSample.espPacket(sequence: 1)), SealedSample.frame([1]),
        ]
        return try SampleFrames.entries(frames: frames).filter(filter.admits).map(\.frame)
    }

    @Test("Filters by exchange, by SPI and by kind let through what they say")
    func filters() throws {
        #expect(try Self.admitted { _ in } == [1, 2, 3, 4])
        #expect(try Self.admitted { $0.includesESP = false } == [1, 2, 4])
        #expect(try Self.admitted { $0.exchanges = [.ikeAuth] } == [2])
        #expect(try Self.admitted { $0.spis = [.esp(SealedSample.espSPI)] } == [3])
        #expect(try Self.admitted { $0.spis = [.ike(SampleFrames.responderSPI)] } == [2])
        #expect(try Self.admitted { $0.spis = [.ike(SampleFrames.initiatorSPI)] } == [1, 2])
    }

    @Test("Exchanges are found by name or number, SPIs by their number of digits")
    func words() {
        #expect(EntryFilter.exchange("ike_auth") == .ikeAuth)
        #expect(EntryFilter.exchange("37") == .informational)
        #expect(EntryFilter.exchange("256") == nil)
        #expect(EntryFilter.SPI("0xc1000005") == .esp(SealedSample.espSPI))
        #expect(EntryFilter.SPI("0102030405060708") == .ike(SampleFrames.initiatorSPI))
        #expect(EntryFilter.SPI("01020304050607") == nil)
    }

    @Test("JSON has one object on a line, with the documented keys")
    func json() throws {
        let frames = [
            SealedSample.frame(try SealedSample.sealed()),
            SealedSample.espFrame(try SealedSample.espPacket(sequence: 1)),
        ]
        let lines = try SampleFrames.entries(frames: frames, keys: SealedSample.keys).map(EntryJSON.line)
        #expect(lines.allSatisfy { !$0.contains("\n") })
        let objects = try lines.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        let ike = objects[0]
        #expect(ike["protocol"] as? String == "IKEv2")
        #expect(ike["exchange"] as? String == "IKE_AUTH")
        #expect(ike["direction"] as? String == "request")
        #expect(ike["sender"] as? String == "initiator")
        #expect(ike["messageID"] as? Int == 1)
        #expect(ike["protection"] as? String == "opened")
        #expect((ike["inner"] as? [[String: Any]])?.map { $0["type"] as? String } == ["IDi", "AUTH", "Notify"])
        #expect(objects[1]["spi"] as? String == "0xc1000005")
        #expect(objects[1]["innerPacket"] as? String == "10.1.0.2:40000 -> 10.2.0.2:53 udp")
    }
}
