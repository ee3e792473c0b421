import Foundation
import IPPacket

/// What a transfer over TCP did.
package struct TransferResult: Sendable {
    package let octets: Int
    package let seconds: Double
    /// Whether every octet arrived as it was sent.
    package let isIntact: Bool

    package var megabitsPerSecond: Double { Double(octets) * 8 / seconds / 1e6 }
}

/// Sends octets over TCP between two namespaces.
package enum Transfer {
    private static let chunk = 1 << 16

    /// - Parameters:
    ///   - address: An address of `receiver`.
    ///   - patience: How long one read or write may take.
    package static func run(
        from sender: Namespace, to receiver: Namespace, address: IPAddress, port: UInt16 = 9000, octets: Int,
        patience: Int = 10
    ) async throws -> TransferResult {
        let listener = try await receiver.inside {
            let listener = try open(address, patience: patience)
            var yes: Int32 = 1
            setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
            guard SystemAddress.with(address, port, { bind(listener, $0, $1) }) == 0, listen(listener, 1) == 0 else {
                let error = LabError.system("listening on \(SocketAddress(address, port: port))")
                close(listener)
                throw error
            }
            return listener
        }
        defer { close(listener) }
        async let received = receiver.inside { try receive(listener, patience: patience) }
        let begin = ContinuousClock.now
        try await sender.inside { try send(octets, to: address, port, patience: patience) }
        let (count, isIntact) = try await received
        let time = (ContinuousClock.now - begin).components
        return TransferResult(
            octets: count, seconds: Double(time.seconds) + Double(time.attoseconds) / 1e18,
            isIntact: isIntact && count == octets)
    }

    /// The octet at a position of the stream; 251 is prime, so a lost or repeated block is noticed.
    private static func octet(at position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position % 251) }

    private static func open(_ address: IPAddress, patience: Int) throws(LabError) -> Int32 {
        let descriptor = socket(
            address.family == .v4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("opening a TCP socket") }
        limit(descriptor, patience)
        return descriptor
    }

    private static func limit(_ descriptor: Int32, _ patience: Int) {
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private static func send(_ octets: Int, to address: IPAddress, _ port: UInt16, patience: Int) throws(LabError) {
        let descriptor = try open(address, patience: patience)
        defer { close(descriptor) }
        guard SystemAddress.with(address, port, { connect(descriptor, $0, $1) }) == 0 else {
            throw .system("connecting to \(SocketAddress(address, port: port))")
        }
        var sent = 0
        var buffer = [UInt8](repeating: 0, count: chunk)
        while sent < octets {
            let wanted = min(chunk, octets - sent)
            for index in 0..<wanted { buffer[index] = octet(at: sent + index) }
            var done = 0
            while done < wanted {
                let count = buffer.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress?.advanced(by: done), wanted - done, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw .system("sending after \(sent + done) octets") }
                done += count
            }
            sent += wanted
        }
        shutdown(descriptor, Int32(SHUT_WR))
        // Until the receiver has closed, it has not read everything.
        _ = recv(descriptor, &buffer, 1, 0)
    }

    private static func receive(_ listener: Int32, patience: Int) throws(LabError) -> (count: Int, isIntact: Bool) {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { throw .system("waiting for the connection") }
        defer { close(descriptor) }
        limit(descriptor, patience)
        var position = 0
        var isIntact = true
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = recv(descriptor, &buffer, chunk, 0)
            guard count >= 0 else { throw .system("receiving after \(position) octets") }
            guard count > 0 else { return (position, isIntact) }
            for index in 0..<count where buffer[index] != octet(at: position + index) { isIntact = false }
            position += count
        }
    }
}
