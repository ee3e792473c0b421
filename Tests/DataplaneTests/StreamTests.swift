import Dataplane
import ESP
import Foundation
import IPPacket
import TLS
import Testing

/// Two data planes with a TCP connection between them, which left has opened.
struct StreamedTunnel {
    let sides: (left: TestNamespace, right: TestNamespace)
    let tunnel: Tunnel
    let family: IPFamily
    private(set) var port: UInt16 = 4500
    /// Left's number for it, and right's.
    let called = StreamID(rawValue: 1)
    private(set) var accepted = StreamID(rawValue: 1)
    private(set) var source = SocketAddress(.unspecified(.v4), port: 0)

    static let first = [UInt8](1...60)

    /// - Parameter server: has TLS around it, on port 443.
    init(_ family: IPFamily = .v4, workers: Int = 1, server: TLSServer? = nil) async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides, workers: workers)
        self.sides = sides
        self.tunnel = tunnel
        self.family = family
        let far = try #require(IPAddress(family == .v4 ? "192.0.2.2" : "2001:db8:ffff::2"))
        let port: UInt16 = server == nil ? 4500 : 443
        let settings = server.map { _ in TLSClientSettings() }
        tunnel.right.listen(
            onStreams: StreamPorts(plain: [4500], secured: [443], server: server), callsOut: false)
        tunnel.left.listen(onStreams: [], callsOut: true)
        try tunnel.protect()
        // The other side may not listen yet.
        var number: UInt64 = 0
        var local: SocketAddress?
        var events = tunnel.left.events.makeAsyncIterator()
        tunnel.left.openStream(
            called, from: .unspecified(family), to: SocketAddress(far, port: port), tls: settings)
        while local == nil, let event = await events.next() {
            switch event {
            case .streamOpened(called, let end): local = end
            case .streamLost(called, _) where number < 50:
                number += 1
                try await Task.sleep(for: .milliseconds(50))
                tunnel.left.openStream(
                    called, from: .unspecified(family), to: SocketAddress(far, port: port), tls: settings)
            default: break
            }
        }
        source = try #require(local)
        tunnel.left.send(Self.first, by: called)
        let message = try await Self.message(at: tunnel.right)
        accepted = try #require(message.stream)
        #expect(message.octets == Self.first && message.nonESPMarker && message.remote == source)
        #expect(message.local == SocketAddress(far, port: port) && accepted.isAccepted)
        self.port = port
    }

    static func message(at dataplane: UserspaceDataplane) async throws -> ReceivedDatagram {
        for _ in 0..<500 {
            if let datagram = dataplane.datagrams.take() { return datagram }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestFailure(description: "no message has come")
    }

    /// Gives the pair of associations the connection.
    func key(_ inner: IPFamily) throws {
        try tunnel.key(inner: inner, outer: family, encapsulation: .tcp)
        let id: UInt32 = inner == .v4 ? 1 : 2
        let far = SocketAddress(try #require(IPAddress(family == .v4 ? "192.0.2.2" : "2001:db8:ffff::2")), port: port)
        tunnel.left.updateAddresses(
            inboundSPI: 0x2002_0000 + id, local: source, remote: far, encapsulation: .tcp, stream: called)
        tunnel.right.updateAddresses(
            inboundSPI: 0x1001_0000 + id, local: far, remote: source, encapsulation: .tcp, stream: accepted)
    }

    @inline(never)
    func ping(_ inner: IPFamily) throws -> Bool { try DataplaneTests.ping(sides.left, inner: inner) }
}

@Suite("TCP connections of the data plane (RFC 9329)", .serialized)
struct StreamTests {
    @Test(
        "IKE goes both ways by a connection, and packets of both families, whichever worker has the association",
        .timeLimit(.minutes(1)), arguments: zip([IPFamily.v4, .v6, .v4], [1, 1, 3]))
    func traffic(family: IPFamily, workers: Int) async throws {
        let streamed = try await StreamedTunnel(family, workers: workers)
        let tunnel = streamed.tunnel
        tunnel.right.trustStream(streamed.accepted)
        tunnel.right.send([UInt8](5...90), by: streamed.accepted)
        let answer = try await StreamedTunnel.message(at: tunnel.left)
        #expect(answer.octets == [UInt8](5...90) && answer.stream == streamed.called)
        for inner in IPFamily.allCases {
            try streamed.key(inner)
            #expect(try streamed.ping(inner))
        }
        let counters = await tunnel.left.counters()
        #expect(counters.map(\.counters.packets) == [3, 3, 3, 3])
        #expect(counters.allSatisfy { $0.counters.totalDrops == 0 })
        let statistics = await tunnel.right.statistics().streams
        #expect(statistics.open == 1 && statistics.accepted == 1)
        #expect(statistics.packetsIn == 6 && statistics.packetsOut == 6)
        tunnel.stop()
    }

    @Test(
        "What comes by a connection ranks low until the peer has proved who it is, whoever has opened it",
        .timeLimit(.minutes(1)))
    func ranks() async throws {
        let streamed = try await StreamedTunnel()
        let tunnel = streamed.tunnel
        let ends = [(tunnel.left, streamed.called), (tunnel.right, streamed.accepted)]
        for (index, (dataplane, stream)) in ends.enumerated() {
            let (other, otherStream) = ends[1 - index]
            var ranks: [ReceivedDatagram.Rank] = []
            for isProved in [false, true] {
                if isProved { dataplane.trustStream(stream) }
                try await Task.sleep(for: .milliseconds(50))
                other.send([UInt8](repeating: 1, count: 60), by: otherStream)
                ranks.append(try await StreamedTunnel.message(at: dataplane).rank)
            }
            #expect(ranks == [.unchecked, .known])
        }
        tunnel.stop()
    }

    @Test(
        "A connection that is cut is told of, and what would go by it is dropped and counted", .timeLimit(.minutes(1)))
    func cut() async throws {
        let streamed = try await StreamedTunnel()
        try streamed.key(.v4)
        #expect(try streamed.ping(.v4))
        streamed.tunnel.right.trustStream(streamed.accepted)
        try await Task.sleep(for: .milliseconds(50))
        try streamed.sides.left.mustExecute("ss -K dst 192.0.2.2 dport = 4500")
        var lost = 0
        for dataplane in [streamed.tunnel.left, streamed.tunnel.right] {
            for await event in dataplane.events {
                guard case .streamLost(let stream, _) = event else { continue }
                #expect(stream == (lost == 0 ? streamed.called : streamed.accepted))
                lost += 1
                break
            }
        }
        #expect(try !streamed.ping(.v4))
        #expect(await streamed.tunnel.left.statistics().drops["stream-gone"] ?? 0 > 0)
        streamed.tunnel.stop()
    }

    @Test("Authentic packets by another connection are told of, with its number", .timeLimit(.minutes(1)))
    func moved() async throws {
        let streamed = try await StreamedTunnel()
        try streamed.key(.v4)
        // Right believes that they come by UDP.
        let far = SocketAddress(try #require(IPAddress("192.0.2.2")), port: 4500)
        streamed.tunnel.right.updateAddresses(
            inboundSPI: 0x1001_0001, local: far, remote: streamed.source, encapsulation: .tcp,
            stream: StreamID(rawValue: streamed.accepted.rawValue + 7))
        _ = try streamed.ping(.v4)
        var told: DataplaneEvent?
        for await event in streamed.tunnel.right.events {
            if case .peerMoved = event {
                told = event
                break
            }
        }
        guard case .peerMoved(0x1001_0001, streamed.source, streamed.accepted) = told else {
            Issue.record("\(String(describing: told))")
            return
        }
        streamed.tunnel.stop()
    }

    // MARK: Strangers

    /// What a program sees of connections to a data plane.
    private func strangers(
        _ script: String, _ limits: (inout StreamLimits) -> Void,
        meanwhile: @escaping @Sendable (UserspaceDataplane) async throws -> Void = { _ in }
    ) async throws -> (output: String, DataplaneStatistics.Streams) {
        let sides = try TestNamespace.pair()
        var configuration = sides.right.configuration
        limits(&configuration.streamLimits)
        let dataplane = UserspaceDataplane(configuration)
        try dataplane.start()
        dataplane.listen(onStreams: [4500], callsOut: false)
        let prelude = """
            import socket, sys, time
            def connect():
                for attempt in range(100):
                    try:
                        s = socket.create_connection(("192.0.2.2", 4500), timeout=5)
                        return s
                    except ConnectionRefusedError:
                        time.sleep(0.05)
            def ended(s, patience=5):
                s.settimeout(patience)
                try:
                    return s.recv(100) == b""
                except ConnectionResetError:
                    return True
                except TimeoutError:
                    return False

            """
        let file = "/tmp/\(sides.left.name).py"
        try (prelude + script).write(toFile: file, atomically: false, encoding: .utf8)
        defer { unlink(file) }
        async let other: Void = meanwhile(dataplane)
        let name = sides.left.name
        // Not on a thread that tasks wait for.
        let result = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result { try DataplaneTests.run("ip", "netns", "exec", name, "python3", file).output })
            }
        }
        try await other
        try await Task.sleep(for: .milliseconds(100))
        let statistics = await dataplane.statistics().streams
        dataplane.stop()
        return (result, statistics)
    }

    @inline(never)
    private static func execute(_ namespace: TestNamespace, _ command: String) throws -> String {
        try namespace.execute(command).output
    }

    @Test(
        "What does not begin with the prefix, or has an impossible length, is closed at once", .timeLimit(.minutes(1)))
    func hostile() async throws {
        let (output, statistics) = try await strangers(
            """
            for octets in [b"GET / HTTP/1.1", b"IKETCQ", b"IKETCP\\0\\0", b"IKETCP\\0\\1", b"IKETCP\\0\\3\\1", b"IKETCP\\0\\x10" + bytes(14)]:
                s = connect()
                s.sendall(octets)
                print(ended(s, 3))
            s = connect()
            s.sendall(b"IKETCP\\0\\3\\xff\\0\\2")
            print(ended(s, 1))
            """, { _ in })
        #expect(output.split(separator: "\n") == ["True", "True", "True", "True", "True", "True", "False"])
        #expect(statistics.malformed == 6 && statistics.expired == 0)
    }

    @Test("Who says nothing, or not who it is, is given up when its time is over", .timeLimit(.minutes(1)))
    func slow() async throws {
        let (output, statistics) = try await strangers(
            """
            silent, slow, talking = connect(), connect(), connect()
            slow.sendall(b"IKET")
            talking.sendall(b"IKETCP" + b"\\0\\x40\\0\\0\\0\\0" + bytes([7]) * 58)
            start = time.time()
            print(ended(silent), ended(slow))
            first = time.time() - start
            print(ended(talking))
            print(0.3 < first < 1.5, time.time() - start > 1.5)
            """,
            {
                $0.firstMessage = 500
                $0.proof = 2000
            })
        #expect(output.split(separator: "\n") == ["True True", "True", "True True"])
        #expect(statistics.expired == 3 && statistics.open == 0)
    }

    @Test(
        "Who goes on beginning, is refused, and begins anew has no longer than strangers have", .timeLimit(.minutes(1)))
    func persistent() async throws {
        let (output, statistics) = try await strangers(
            """
            s = connect()
            s.sendall(b"IKETCP")
            start = time.time()
            try:
                while time.time() - start < 8:
                    s.sendall(b"\\0\\x40\\0\\0\\0\\0" + bytes([7]) * 58)
                    if ended(s, 0.25): break
            except OSError: pass
            print(time.time() - start < 4)
            """,
            {
                $0.firstMessage = 500
                $0.proof = 1000
            }
        ) { dataplane in
            // What IKE says when nobody uses the connection any more, again and again.
            for _ in 0..<40 {
                if let stream = dataplane.datagrams.take()?.stream { dataplane.closeStream(stream) }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        #expect(output == "True\n" && statistics.expired == 1)
    }

    @Test("More connections of strangers than there may be are turned away, by source", .timeLimit(.minutes(1)))
    func many() async throws {
        let (output, statistics) = try await strangers(
            """
            first = [connect() for n in range(4)]
            time.sleep(0.2)
            more = [connect() for n in range(3)]
            print([ended(s, 1) for s in more])
            first[0].close()
            time.sleep(0.4)
            print(ended(connect(), 0.5))
            """, { $0.strangersPerSource = 4 })
        #expect(output.split(separator: "\n") == ["[True, True, True]", "False"])
        #expect(statistics.refused == 3)
    }

    @Test(
        "When strangers hold all places, the one that has been silent for longest makes room", .timeLimit(.minutes(1)))
    func room() async throws {
        let (output, statistics) = try await strangers(
            """
            silent = [connect() for n in range(4)]
            time.sleep(0.2)
            more = connect()
            print([ended(s, 1) for s in silent], ended(more, 0.2))
            """, { $0.strangers = 4 })
        #expect(output == "[True, False, False, False] False\n")
        #expect(statistics.refused == 0 && statistics.expired == 1)
    }

    @Test(
        "Few packets of no association are passed over, many end the connection; so do too many messages",
        .timeLimit(.minutes(1)))
    func unknown() async throws {
        let (output, statistics) = try await strangers(
            """
            packet = b"\\0\\x22" + bytes([9, 9, 0, 1]) + bytes(28)
            s = connect()
            s.sendall(b"IKETCP" + packet * 8)
            print(ended(s, 1))
            s.sendall(packet * 40)
            print(ended(s, 3))
            s = connect()
            s.sendall(b"IKETCP" + (b"\\0\\x40\\0\\0\\0\\0" + bytes([7]) * 58) * 65)
            print(ended(s, 3))
            """, { _ in })
        #expect(output.split(separator: "\n") == ["False", "True", "True"])
        #expect(statistics.packetsIn >= 24)
    }

    @Test("A peer that does not read loses whole packets and holds up nobody", .timeLimit(.minutes(1)))
    func congestion() async throws {
        let sides = try TestNamespace.pair()
        let tunnel = try Tunnel(sides)
        tunnel.right.stop()
        tunnel.left.listen(onStreams: [], callsOut: true)
        try tunnel.left.apply([policy(1, "10.1.0.0/16", "10.2.0.0/16")])
        let script = """
            import socket, time
            l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            l.bind(("192.0.2.2", 4500)); l.listen()
            s, a = l.accept()
            time.sleep(3)
            data = b""
            s.settimeout(1)
            try:
                while len(data) < 6 or True:
                    part = s.recv(1 << 16)
                    if not part: break
                    data += part
            except TimeoutError: pass
            ok = data[:6] == b"IKETCP"
            at, count = 6, 0
            while at + 2 <= len(data):
                length = data[at] << 8 | data[at + 1]
                if length < 2 or data[at + 2:at + 6] != bytes([0x10, 1, 0, 1]): ok = False; break
                if at + length > len(data): break
                at += length; count += 1
            print(ok, at == len(data), count)
            """
        let sink = try sides.right.start(["python3", "-c", script])
        let stream = StreamID(rawValue: 1)
        let far = SocketAddress(try #require(IPAddress("192.0.2.2")), port: 4500)
        var isOpen = false
        var events = tunnel.left.events.makeAsyncIterator()
        tunnel.left.openStream(stream, from: .unspecified(.v4), to: far, tls: nil)
        while !isOpen, let event = await events.next() {
            if case .streamOpened = event { isOpen = true }
            if case .streamLost = event {
                try await Task.sleep(for: .milliseconds(50))
                tunnel.left.openStream(stream, from: .unspecified(.v4), to: far, tls: nil)
            }
        }
        var parameters = try Tunnel.parameters(0x1001_0001, true, .v4, .v4, .tcp)
        parameters.stream = stream
        try tunnel.left.activateOutbound(parameters, pairedWith: 0x2002_0001, policy: 1)
        // 8 MB within two seconds, of which the kernel and we keep about one.
        _ = try Self.execute(
            sides.left,
            "python3 -c 'import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind((\"10.1.0.1\",0))\nfor n in range(8000):\n s.sendto(bytes(1000),(\"10.2.0.1\",9))\n if n%100==0: time.sleep(0.01)'"
        )
        let drops = await tunnel.left.statistics().drops
        #expect(drops["stream-busy"] ?? 0 > 1000, "\(drops)")
        let sent = await tunnel.left.statistics().streams.packetsOut
        #expect(sink.rest() == "True True \(sent)\n")
        tunnel.stop()
    }
}

extension TestNamespace {
    fileprivate func mustExecute(_ command: String) throws { try mustRun("ip netns exec \(name) \(command)") }
}
