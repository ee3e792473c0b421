import CertificateFixtures
import Octets
import TLS
import Testing
import X509

/// A server's certificate from an authority of its own, good for as long as anybody will run these tests.
struct ServerCredentials {
    let authority: TestAuthority
    let certificate: TestAuthority

    init(
        name: GeneralName = .dnsName("gw.example.org"), change: (inout TestAuthority.Contents) -> Void = { _ in }
    ) throws {
        authority = try .root { $0.notAfter = testTime + 60 * year }
        certificate = try authority.leaf([name]) {
            $0.notAfter = testTime + 60 * year
            change(&$0)
        }
    }

    func server() throws -> TLSServer {
        try TLSServer(certificates: certificate.pem, key: SecretOctets(Array(certificate.keyPEM.utf8)))
    }
}

/// Both ends of a TLS connection, with nothing between them but what the test passes on.
final class TLSPair {
    let client: TLSSession
    let server: TLSSession
    /// What each has been told by the other.
    private(set) var heard: (client: [UInt8], server: [UInt8]) = ([], [])
    private(set) var failures: (client: TLSFailure?, server: TLSFailure?) = (nil, nil)
    private(set) var hasEnded: (client: Bool, server: Bool) = (false, false)
    /// Octets that have gone either way.
    private(set) var octets = 0

    init(_ client: TLSClient, _ server: TLSServer, address: String = "192.0.2.1", peer: String = "192.0.2.1:443") throws
    {
        self.client = try TLSSession(client, address: address, peer: peer)
        self.server = try TLSSession(server)
    }

    /// Passes on what there is until there is nothing more.
    ///
    /// - Parameter size: of the parts in which it arrives.
    func run(inPartsOf size: Int = .max) {
        var isBusy = true
        while isBusy {
            let fromClient = Self.drain(client)
            let fromServer = Self.drain(server)
            isBusy = !fromClient.isEmpty || !fromServer.isEmpty
            octets += fromClient.count + fromServer.count
            for part in Self.parts(fromClient, size) { give(part, toServer: true) }
            for part in Self.parts(fromServer, size) { give(part, toServer: false) }
        }
    }

    func give(_ octets: [UInt8], toServer: Bool) {
        let session = toServer ? server : client
        guard (toServer ? failures.server : failures.client) == nil else { return }
        do {
            let (taken, isEnd) = try Self.take(octets, session)
            if toServer {
                heard.server += taken
                hasEnded.server = hasEnded.server || isEnd
            } else {
                heard.client += taken
                hasEnded.client = hasEnded.client || isEnd
            }
        } catch {
            if toServer { failures.server = error } else { failures.client = error }
        }
    }

    static func take(_ octets: [UInt8], _ session: TLSSession) throws(TLSFailure) -> (octets: [UInt8], isEnd: Bool) {
        var taken: [UInt8] = []
        var isEnd = false
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSSession.recordSize, alignment: 16)
        defer { buffer.deallocate() }
        var failure: TLSFailure?
        octets.withUnsafeBytes { part in
            do throws(TLSFailure) {
                try session.taking(part) { () throws(TLSFailure) in
                    while let count = try session.next(into: buffer) {
                        isEnd = count == 0
                        if isEnd { return }
                        taken += buffer[..<count]
                    }
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return (taken, isEnd)
    }

    static func drain(_ session: TLSSession) -> [UInt8] {
        var octets: [UInt8] = []
        session.drain { octets += $0 }
        return octets
    }

    private static func parts(_ octets: [UInt8], _ size: Int) -> [[UInt8]] {
        guard size < octets.count else { return octets.isEmpty ? [] : [octets] }
        return stride(from: 0, to: octets.count, by: size).map { Array(octets[$0..<min($0 + size, octets.count)]) }
    }

    static func seal(_ octets: [UInt8], _ session: TLSSession) throws {
        var rest = octets[...]
        while !rest.isEmpty {
            var count = 0
            try rest.withUnsafeBytes { count = try session.seal($0) }
            rest = rest.dropFirst(count)
        }
    }
}
