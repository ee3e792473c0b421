import Octets
import Testing

struct SecretOctetsTests {
    @Test("Secrets are equal when their octets are")
    func equality() {
        #expect(SecretOctets([1, 2, 3]) == SecretOctets([1, 2, 3]))
        #expect(SecretOctets([1, 2, 3]) != SecretOctets([1, 2, 4]))
        #expect(SecretOctets([1, 2, 3]) != SecretOctets([1, 2]))
        #expect(SecretOctets([]) == SecretOctets([]))
    }

    @Test("Printing a secret shows its length only")
    func printing() {
        let secret = SecretOctets([0x41, 0x42])
        #expect("\(secret)" == "<2 secret octets>")
        #expect(String(reflecting: secret) == "<2 secret octets>")
    }

    @Test("A part beyond the end is cut at the end")
    func parts() {
        let secret = SecretOctets([1, 2, 3, 4])
        #expect(secret[1..<3].unprotected == [2, 3])
        #expect(secret[3..<9].unprotected == [4])
        #expect(secret[9..<12].isEmpty)
    }

    @Test("Joining keeps the order, with empty parts too")
    func joining() {
        #expect((SecretOctets([1]) + SecretOctets([2, 3])).unprotected == [1, 2, 3])
        #expect((SecretOctets([]) + SecretOctets([2, 3])).unprotected == [2, 3])
        #expect((SecretOctets([1]) + SecretOctets([])).unprotected == [1])
    }

    @Test("An error while filling is passed on")
    func failure() {
        struct Failure: Error {}
        #expect(throws: Failure.self) {
            _ = try SecretOctets(count: 4) { (_: UnsafeMutableRawBufferPointer) throws(Failure) in throw Failure() }
        }
    }

    @Test("Constant-time comparison answers as plain comparison does")
    func constantTime() {
        #expect(constantTimeEqual([1, 2], [1, 2]))
        #expect(!constantTimeEqual([1, 2], [1, 3]))
        #expect(!constantTimeEqual([1, 2], [1, 2, 3]))
        #expect(constantTimeEqual([UInt8](), []))
    }
}
