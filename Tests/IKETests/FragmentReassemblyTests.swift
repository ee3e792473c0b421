import IKE
import IKEMessage
import Octets
import Testing

@Suite("Reassembly of fragments")
struct FragmentReassemblyTests {
    private func add(
        _ assembly: inout FragmentReassembly, _ number: UInt16, of total: UInt16, _ octets: [UInt8], id: UInt32 = 1
    ) throws -> [UInt8]? {
        try assembly.add(
            octets, number: number, total: total, first: number == 1 ? .identificationInitiator : .none, messageID: id,
            at: .origin)?.octets
    }

    @Test("Fragments in any order make the message, the first one naming its first payload")
    func anyOrder() throws {
        var assembly = FragmentReassembly()
        #expect(try add(&assembly, 3, of: 3, [5]) == nil)
        #expect(try add(&assembly, 1, of: 3, [1, 2]) == nil)
        let whole = try assembly.add([3, 4], number: 2, total: 3, first: .none, messageID: 1, at: .origin)
        #expect(whole?.octets == [1, 2, 3, 4, 5])
        #expect(whole?.first == .identificationInitiator)
    }

    @Test("A fragment that comes twice counts once")
    func duplicates() throws {
        var assembly = FragmentReassembly()
        #expect(try add(&assembly, 1, of: 2, [1]) == nil)
        #expect(try add(&assembly, 1, of: 2, [9]) == nil)
        #expect(try add(&assembly, 2, of: 2, [2]) == [1, 2])
    }

    @Test("A larger total starts again, a smaller one is ignored (RFC 7383 section 2.6)")
    func totals() throws {
        var assembly = FragmentReassembly()
        #expect(try add(&assembly, 1, of: 2, [1]) == nil)
        #expect(try add(&assembly, 1, of: 3, [1]) == nil)
        #expect(try add(&assembly, 2, of: 2, [2]) == nil)
        #expect(try add(&assembly, 2, of: 3, [2]) == nil)
        #expect(try add(&assembly, 3, of: 3, [3]) == [1, 2, 3])
    }

    @Test("Fragments of another message do not mix with those at hand")
    func otherMessage() throws {
        var assembly = FragmentReassembly()
        #expect(try add(&assembly, 1, of: 2, [1], id: 1) == nil)
        #expect(try add(&assembly, 2, of: 2, [2], id: 2) == nil)
        #expect(try add(&assembly, 1, of: 2, [7], id: 2) == [7, 2])
    }

    @Test("Numbers outside the total are refused, N and N + 1 alike", arguments: [(0, 1), (2, 1), (513, 513), (1, 0)])
    func outside(number: Int, total: Int) {
        var assembly = FragmentReassembly()
        #expect(throws: MessageError.self) { _ = try add(&assembly, UInt16(number), of: UInt16(total), [1]) }
    }

    @Test("As many fragments as are allowed make a message")
    func mostFragments() throws {
        var assembly = FragmentReassembly()
        let total = UInt16(FragmentReassembly.fragmentLimit)
        for number in 1..<total { #expect(try add(&assembly, number, of: total, [0]) == nil) }
        #expect(try add(&assembly, total, of: total, [0])?.count == Int(total))
    }

    @Test("More octets than the limit are refused, and what was kept is dropped")
    func octetLimit() throws {
        var assembly = FragmentReassembly()
        let half = [UInt8](repeating: 0, count: FragmentReassembly.octetLimit / 2)
        #expect(try add(&assembly, 1, of: 3, half) == nil)
        #expect(try add(&assembly, 2, of: 3, half) == nil)
        #expect(throws: MessageError.self) { _ = try add(&assembly, 3, of: 3, [1]) }
        #expect(try add(&assembly, 1, of: 1, [1]) == [1])
    }
}
