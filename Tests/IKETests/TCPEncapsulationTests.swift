import IKE
import IKEMessage
import IPPacket
import Octets
import Simulation
import Testing

@Suite("TCP encapsulation (RFC 9329)")
struct TCPEncapsulationTests {
    /// Whether a firewall between the two stops UDP.
    private final class Firewall {
        var isClosed: Bool
        init(isClosed: Bool) { self.isClosed = isClosed }
    }

    private static func pair(
        seed: UInt64, use: TCPPolicy.Use = .fallback, theirs: TCPPolicy.Use = .fallback, mobility: Bool = false,
        isStopped: Bool = true, firewall: Firewall? = nil, behind nat: NAT? = nil, start: StartPolicy = .boot,
        left changeLeft: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        right changeRight: @escaping (inout ConnectionConfiguration) -> Void = { _ in },
        endpoint: (inout EndpointConfiguration) -> Void = { _ in }
    ) async -> Pair {
        let firewall = firewall ?? Firewall(isClosed: isStopped)
        return await Pair(
            seed: seed, start: start, behind: nat,
            prepare: { world in
                world.audits = true
                world.stopsUDP = { _ in firewall.isClosed }
            },
            left: {
                $0.tcp.use = use
                $0.mobility = mobility
                if mobility { $0.localAddresses = [] }
                changeLeft(&$0)
            },
            right: {
                $0.tcp.use = theirs
                $0.mobility = mobility
                changeRight(&$0)
            },
            endpoint: {
                $0.exportsKeys = true
                endpoint(&$0)
            })
    }

    private static func up(_ pair: Pair, within limit: Duration = .seconds(20)) async -> Bool {
        let isUp = await pair.world.run(atMost: limit) { pair.isUp }
        await pair.world.run(for: .milliseconds(500))
        return isUp
    }

    private static func spi(_ host: Host) -> UInt64? { host.status("site")?.ikeSAs.first?.localSPI }
    private static func isOverTCP(_ pair: Pair) -> Bool {
        [pair.left, pair.right].allSatisfy { host in
            host.status("site")?.ikeSAs.first?.isOverTCP == true && host.outbound[1]?.stream != nil
                && host.inbound.values.allSatisfy { $0.stream != nil }
        }
    }
    private static func isOverUDP(_ pair: Pair) -> Bool {
        [pair.left, pair.right].allSatisfy { host in
            host.status("site")?.ikeSAs.first?.isOverTCP == false && host.outbound[1]?.stream == nil
                && host.inbound.values.allSatisfy { $0.stream == nil }
        }
    }

    // MARK: Falling back

    @Test("Four first messages by UDP without an answer, then TCP, with another SPI and the ports of the connection")
    func fallback() async throws {
        let pair = await Self.pair(seed: 1)
        #expect(await Self.up(pair))
        let firsts = pair.world.sent.filter { $0.header?.exchangeType == .ikeSAInit && !$0.isResponse }
        #expect(firsts.map { $0.stream != nil } == [false, false, false, false, true])
        #expect(Set(firsts.prefix(4).compactMap { $0.header?.initiatorSPI }).count == 1)
        #expect(firsts[4].header?.initiatorSPI != firsts[0].header?.initiatorSPI)
        #expect(firsts[4].remote.port == 4500 && firsts[4].local.port > 40_000)
        #expect(Self.isOverTCP(pair) && pair.agrees())
        // The hashes were made with the connection's ports, or a NAT would have been seen.
        let status = try #require(pair.left.status("site")?.ikeSAs.first)
        #expect(!status.isBehindNAT && !status.isPeerBehindNAT)
        #expect(pair.right.status("site")?.ikeSAs.first?.isPeerBehindNAT == false)
        #expect(pair.world.streams.count == 1)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Where UDP is answered, TCP is not touched")
    func noNeed() async {
        let pair = await Self.pair(seed: 2, isStopped: false)
        #expect(await Self.up(pair))
        #expect(pair.world.streams.attempts.isEmpty && Self.isOverUDP(pair))
    }

    @Test("With `always`, nothing goes by UDP")
    func always() async {
        let pair = await Self.pair(seed: 3, use: .always, isStopped: false)
        #expect(await Self.up(pair, within: .seconds(2)))
        #expect(pair.world.sent.allSatisfy { $0.stream != nil })
        #expect(Self.isOverTCP(pair))
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("A side that is not to use TCP neither calls by it nor takes who does")
    func unwilling() async {
        let caller = await Self.pair(seed: 4, use: .no)
        #expect(await !Self.up(caller, within: .seconds(120)))
        #expect(caller.world.streams.attempts.isEmpty)

        let called = await Self.pair(seed: 5, theirs: .no)
        #expect(await !Self.up(called, within: .seconds(120)))
        #expect(!called.world.streams.attempts.isEmpty)
        #expect(called.right.refusals.contains { $0.cause == .noConnection })
    }

    @Test("IKE_AUTH that gets no answer by UDP is begun anew by TCP too")
    func laterFallback() async {
        let pair = await Pair(
            seed: 6,
            prepare: { world in
                world.stopsUDP = { $0.map { $0.header?.exchangeType != .ikeSAInit } ?? true }
            }, left: { $0.tcp.use = .fallback }, right: { $0.tcp.use = .fallback })
        #expect(await Self.up(pair, within: .seconds(60)))
        #expect(Self.isOverTCP(pair))
    }

    @Test("The peer's ports are tried in order; where none is open the attempt fails and UDP is tried again")
    func ports() async {
        let pair = await Self.pair(seed: 7, left: { $0.tcp.ports = [443, 8443, 4500] })
        #expect(await Self.up(pair))
        #expect(pair.world.streams.attempts.map(\.port) == [443, 8443, 4500])

        let closed = await Self.pair(seed: 8)
        closed.world.streams.accepts = { _ in false }
        #expect(await !Self.up(closed, within: .seconds(60)))
        #expect(
            closed.left.refusals.contains { $0.cause == .peerSilent && $0.reason.contains("TCP: connection refused") })
        let udp = closed.world.sent.filter { $0.stream == nil }.compactMap { $0.header?.initiatorSPI }
        #expect(Set(udp).count > 1)
        #expect(closed.faults.isEmpty, "\(closed.faults)")
    }

    @Test("A peer that has not answered by UDP is called by TCP for a while, then by UDP first")
    func memory() async {
        let pair = await Self.pair(seed: 9, left: { $0.tcp.probeAfter = .seconds(60) })
        #expect(await Self.up(pair))
        await pair.terminate("left")
        await pair.rest()
        var before = pair.world.sent.count
        await pair.initiate()
        #expect(await Self.up(pair, within: .seconds(2)))
        #expect(pair.world.sent.dropFirst(before).allSatisfy { $0.stream != nil })
        await pair.terminate("left")
        await pair.world.run(for: .seconds(90))
        before = pair.world.sent.count
        await pair.initiate()
        #expect(await Self.up(pair))
        #expect(pair.world.sent.dropFirst(before).first?.stream == nil)
    }

    @Test("Cookies are not demanded of who comes by TCP")
    func cookies() async {
        let pair = await Self.pair(seed: 10, use: .always, endpoint: { $0.cookieThreshold = 0 })
        #expect(await Self.up(pair))
        #expect(pair.right.endpoint.messageCounters[.cookieSent] == 0)
        let udp = await Self.pair(seed: 10, isStopped: false, endpoint: { $0.cookieThreshold = 0 })
        #expect(await Self.up(udp))
        #expect(udp.right.endpoint.messageCounters[.cookieSent] > 0)
    }

    @Test("An error in answer to IKE_SA_INIT is believed at once, as nobody else can have sent it")
    func refused() async {
        let pair = await Self.pair(
            seed: 11, use: .always, right: { $0.remoteAddresses = [IPAddress(v4: 0xcb00_7101)] })
        let start = pair.world.now
        _ = await pair.world.run(atMost: .seconds(5)) { !pair.left.refusals.isEmpty }
        #expect(pair.left.refusals.first?.cause == .noProposal)
        #expect(pair.world.now - start < .milliseconds(200))
    }

    @Test("Long messages are not sent in fragments")
    func fragments() async {
        let small: (inout ConnectionConfiguration) -> Void = { $0.fragmentSize = 200 }
        let pair = await Self.pair(seed: 12, use: .always, left: small, right: small)
        #expect(await Self.up(pair))
        #expect(pair.world.sent.contains { $0.octets.count > 200 && $0.header?.exchangeType == .ikeAuth })
        #expect(pair.world.sent.allSatisfy { $0.header?.nextPayload != .encryptedFragment })
    }

    @Test("A NAT is seen and passed, and nothing keeps its mapping alive")
    func behindNAT() async {
        let nat = NAT(outside: "203.0.113.5")
        let pair = await Self.pair(
            seed: 13, behind: nat,
            left: {
                $0.timing.natKeepalive = .seconds(2)
                $0.timing.livenessInterval = nil
            })
        #expect(await Self.up(pair))
        #expect(pair.left.status("site")?.ikeSAs.first?.isBehindNAT == true && Self.isOverTCP(pair))
        await pair.world.run(for: .seconds(30))
        #expect(pair.left.keepalives == 0)
        #expect(pair.left.inbound.values.allSatisfy { !$0.isEncapsulatedInUDP })
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    // MARK: On a connection

    @Test("A connection is trusted when its peer has proved who it is, and not before")
    func trust() async {
        let pair = await Self.pair(seed: 14)
        #expect(await Self.up(pair))
        #expect(pair.right.trustedStreams.count == 1)
        let stranger = await Self.pair(
            seed: 15, left: { $0.localAuthentication = .preSharedKey(SecretOctets([1, 2, 3])) })
        #expect(await !Self.up(stranger, within: .seconds(30)))
        #expect(!stranger.world.streams.attempts.isEmpty)
        #expect(stranger.right.trustedStreams.isEmpty)
    }

    @Test("A request goes by a connection once, however long its answer takes")
    func noRepetition() async {
        let pair = await Self.pair(seed: 16)
        #expect(await Self.up(pair))
        let before = pair.world.sent.count
        pair.world.suspend("right", for: .seconds(15))
        await pair.rekeyChild("left")
        await pair.world.run(for: .seconds(14))
        #expect(pair.world.sent.dropFirst(before).count { $0.header?.exchangeType == .createChildSA } == 1)
    }

    @Test("The SA that a rekey makes goes on by the connection; another IKE SA on it is not begun")
    func oneSA() async throws {
        let pair = await Self.pair(seed: 17)
        #expect(await Self.up(pair))
        let first = try #require(pair.world.sent.first { $0.stream != nil })
        for side in ["left", "right"] {
            await pair.rekeyIKE(side)
            await pair.rest()
            #expect(pair.agrees() && Self.isOverTCP(pair))
        }
        #expect(pair.world.streams.attempts.count == 1)
        let count = pair.right.endpoint.saCount
        let stream = try #require(pair.right.outbound[1]?.stream)
        var octets = first.octets
        octets[0] ^= 1
        pair.world.inject(octets, by: stream, at: pair.right)
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.endpoint.saCount == count)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("The connection is closed by the side that opened it when the IKE SA is gone")
    func closing() async {
        for side in ["left", "right"] {
            let pair = await Self.pair(seed: 18, start: .none, left: { $0.deadPeerAction = .clear })
            await pair.initiate()
            #expect(await Self.up(pair))
            await pair.terminate(side)
            await pair.world.run(for: .seconds(60))
            #expect(pair.world.streams.count == 0 && pair.isEmpty)
            #expect(pair.faults.isEmpty, "\(pair.faults)")
        }
    }

    // MARK: Lost connections

    @Test("A lost connection is opened again by the side that opened it, whoever rekeyed since, and no SA is lost")
    func reconnect() async {
        let pair = await Self.pair(seed: 19)
        #expect(await Self.up(pair))
        await pair.rekeyIKE("right")
        await pair.rest()
        let (spi, children) = (Self.spi(pair.left), Set(pair.left.inbound.keys))
        for count in 2...4 {
            await pair.world.run(for: .seconds(6))
            await pair.world.cutStreams()
            await pair.world.run(for: .seconds(2))
            #expect(pair.world.streams.attempts.count == count)
            #expect(pair.agrees() && Self.isOverTCP(pair))
        }
        #expect(pair.world.streams.attempts.allSatisfy { $0.address == pair.right.address })
        #expect(Self.spi(pair.left) == spi && Set(pair.left.inbound.keys) == children)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Whichever message a connection is lost before, the exchange comes to its end by the next", arguments: 0..<16)
    func lostAnywhere(number: Int) async {
        let pair = await Self.pair(seed: 20, use: .always, mobility: number.isMultiple(of: 2), start: .none)
        func cut() async {
            let sent = pair.world.sent.count
            _ = await pair.world.run(atMost: .seconds(1)) { pair.world.sent.count >= sent + 1 + number % 4 }
            await pair.world.cutStreams()
        }
        await pair.initiate()
        if number < 4 { await cut() }
        #expect(await Self.up(pair))
        if (4..<8).contains(number) {
            await pair.rekeyChild("left")
            await cut()
        } else if (8..<12).contains(number) {
            await pair.rekeyIKE("left")
            await cut()
        } else if number >= 12 {
            await pair.rekeyIKE("right")
            await cut()
        }
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees() && Self.isOverTCP(pair))
        #expect(pair.left.tally.established == 1)
        #expect(pair.world.streams.count == 1)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Attempts to reconnect become rarer, and the IKE SA lasts until its peer counts as dead")
    func backOff() async {
        let pair = await Self.pair(
            seed: 21, left: { $0.timing.livenessInterval = .seconds(3600) })
        #expect(await Self.up(pair))
        pair.world.streams.accepts = { _ in false }
        await pair.world.cutStreams()
        let before = pair.world.streams.attempts.count
        await pair.world.run(for: .seconds(40))
        #expect((5...8).contains(pair.world.streams.attempts.count - before))
        #expect(pair.left.isUp("site") && pair.right.isUp("site"))
        pair.world.streams.accepts = { _ in true }
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees() && pair.left.tally.established == 1)
    }

    @Test("A peer that is really gone is found dead, and called by UDP first again")
    func deadPeer() async {
        let pair = await Self.pair(seed: 22, left: { $0.timing.livenessInterval = .seconds(5) })
        #expect(await Self.up(pair))
        pair.world.kill("right")
        await pair.world.cutStreams()
        await pair.world.run(for: .seconds(300))
        #expect(pair.left.tally.deadPeers == 1)
        #expect(pair.world.sent.suffix(40).contains { $0.stream == nil })
        #expect(pair.left.faults.isEmpty)
    }

    // MARK: Which connection counts

    @Test("A repeated request is answered on the connection it came by, and moves nothing")
    func repeatedElsewhere() async throws {
        let pair = await Self.pair(seed: 23)
        #expect(await Self.up(pair))
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(500))
        let request = try #require(
            pair.world.sent.last {
                $0.local.address == pair.left.address && $0.header?.flags.contains(.response) == false
            })
        let own = try #require(pair.right.outbound[1]?.stream)
        let other = pair.world.connect(to: pair.right, from: SocketAddress(IPAddress(v4: 0xcb00_7109), port: 999))
        let before = pair.world.sent.count
        pair.world.inject(request.octets, by: other, at: pair.right)
        await pair.world.run(for: .milliseconds(100))
        let answers = pair.world.sent.dropFirst(before).filter { $0.header?.flags.contains(.response) == true }
        #expect(answers.map(\.stream) == [other])
        #expect(pair.right.outbound[1]?.stream == own && !pair.right.trustedStreams.contains(other))
    }

    @Test("Something new and authentic on another connection takes the SA there, something forged does not")
    func newConnection() async throws {
        let pair = await Self.pair(seed: 24)
        #expect(await Self.up(pair))
        // Packets by the first connection would take it back.
        pair.world.carriesTraffic = false
        let source = SocketAddress(IPAddress(v4: 0xcb00_7109), port: 999)
        let other = pair.world.connect(to: pair.right, from: source)
        let own = try #require(pair.right.outbound[1]?.stream)
        var swallowed: [IKEDatagram] = []
        pair.world.tap = { datagram in
            guard datagram.local.address == pair.left.address else { return [datagram] }
            swallowed.append(datagram)
            return []
        }
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(100))
        let request = try #require(swallowed.first?.octets)
        var forged = request
        forged[forged.count - 1] ^= 1
        pair.world.inject(forged, by: other, at: pair.right)
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.outbound[1]?.stream == own)
        pair.world.inject(request, by: other, at: pair.right)
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.inbound.values.contains { $0.stream == other && $0.remote == source })
        #expect(pair.right.trustedStreams.contains(other))
    }

    // MARK: TLS

    private static func secured(_ connection: inout ConnectionConfiguration, ports: [UInt16] = [4500]) {
        connection.tcp.ports = ports
        connection.tcp.tls = TLSPolicy()
    }

    @Test(
        "UDP, then TCP, then TLS: each is tried where the one before brings nothing, with an SPI of its own after silence"
    )
    func tlsLast() async throws {
        for isSwallowed in [false, true] {
            let pair = await Self.pair(seed: 40, start: .none, left: { Self.secured(&$0) })
            pair.world.streams.accepts = { $0.port == 443 || isSwallowed && $0.port == 4500 }
            pair.world.streams.swallows = { $0.port == 4500 }
            await pair.initiate()
            #expect(await Self.up(pair, within: .seconds(40)))
            #expect(pair.world.streams.attempts.map(\.port) == [4500, 443])
            #expect(pair.world.streams.wereSecured == [false, true])
            let spis = pair.world.sent.filter { $0.header?.exchangeType == .ikeSAInit && !$0.isResponse }
                .compactMap { $0.header?.initiatorSPI }
            #expect(Set(spis).count == (isSwallowed ? 3 : 2))
            let status = try #require(pair.left.status("site")?.ikeSAs.first)
            #expect(status.isOverTCP && status.streamPort == 443 && status.isStreamOurs)
            let theirs = try #require(pair.right.status("site")?.ikeSAs.first)
            #expect(theirs.streamPort == 443 && !theirs.isStreamOurs)
            #expect(!status.isBehindNAT && !status.isPeerBehindNAT)
            #expect(pair.faults.isEmpty, "\(pair.faults)")
        }
    }

    @Test("Without plain ports TLS is the first choice, and nothing else is tried")
    func tlsFirst() async {
        let pair = await Self.pair(seed: 41, use: .always, left: { Self.secured(&$0, ports: []) })
        pair.world.streams.accepts = { $0.port == 443 }
        #expect(await Self.up(pair))
        #expect(pair.world.streams.attempts.allSatisfy { $0.port == 443 })
        #expect(!pair.world.streams.wereSecured.contains(false))
    }

    @Test("The port that was found is where a lost connection is opened again, and where the next call begins")
    func tlsRemembered() async throws {
        let pair = await Self.pair(seed: 42, left: { Self.secured(&$0) })
        pair.world.streams.accepts = { $0.port == 443 }
        #expect(await Self.up(pair, within: .seconds(40)))
        let spi = Self.spi(pair.left)
        let before = pair.world.streams.attempts.count
        await pair.world.run(for: .seconds(6))
        await pair.world.cutStreams()
        await pair.world.run(for: .seconds(5))
        #expect(Self.spi(pair.left) == spi && Self.isOverTCP(pair))
        #expect(pair.world.streams.attempts.dropFirst(before).map(\.port) == [443])
        await pair.world.act("left") { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.world.run(for: .seconds(5))
        #expect(Self.spi(pair.left) != spi && Self.isOverTCP(pair))
        #expect(pair.world.streams.attempts.dropFirst(before).allSatisfy { $0.port == 443 })
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Where TLS is of no use either, the call fails with the reason, and the next one begins with UDP")
    func tlsInVain() async {
        let pair = await Self.pair(seed: 43, left: { Self.secured(&$0) })
        pair.world.streams.accepts = { _ in false }
        #expect(await !Self.up(pair, within: .seconds(30)))
        #expect(Array(pair.world.streams.attempts.map(\.port).prefix(4)) == [4500, 443, 4500, 443])
        #expect(pair.left.refusals.contains { $0.reason.contains("443 cannot be reached by TCP: connection refused") })
        let firsts = pair.world.sent.filter { $0.header?.exchangeType == .ikeSAInit && !$0.isResponse }
        #expect(Set(firsts.compactMap { $0.header?.initiatorSPI }).count >= 2)
    }

    @Test("With MOBIKE an SA goes over from UDP to TLS, where TCP is taken and nothing comes of it")
    func tlsMobile() async throws {
        let firewall = Firewall(isClosed: false)
        let pair = await Self.pair(
            seed: 44, mobility: true, firewall: firewall,
            left: {
                Self.secured(&$0)
                $0.timing.livenessInterval = .seconds(2)
            })
        pair.world.streams.accepts = { _ in true }
        pair.world.streams.swallows = { $0.port == 4500 }
        #expect(await Self.up(pair))
        let spi = Self.spi(pair.left)
        firewall.isClosed = true
        await pair.world.run(for: .seconds(40))
        #expect(Self.spi(pair.left) == spi && Self.isOverTCP(pair))
        #expect(Set(pair.world.streams.attempts.map(\.port)) == [4500, 443])
        // No stranger's any more, or it would be closed.
        let stream = try #require(pair.right.outbound[1]?.stream)
        #expect(pair.right.trustedStreams.contains(stream))
    }

    @Test("A connection that an SA by UDP does not go over to stays a stranger's")
    func untrustedBesideUDP() async throws {
        let pair = await Self.pair(seed: 45, isStopped: false)
        #expect(await Self.up(pair))
        let other = pair.world.connect(to: pair.right, from: SocketAddress(IPAddress(v4: 0xcb00_7109), port: 999))
        var swallowed: [IKEDatagram] = []
        pair.world.tap = { datagram in
            guard datagram.local.address == pair.left.address else { return [datagram] }
            swallowed.append(datagram)
            return []
        }
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(100))
        pair.world.inject(try #require(swallowed.first?.octets), by: other, at: pair.right)
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.trustedStreams.isEmpty && Self.isOverUDP(pair))
    }

    // MARK: Back to UDP

    @Test(
        "With MOBIKE the SA goes back to UDP when that passes again, and the connection is closed", arguments: [30, 31])
    func backByMobility(seed: UInt64) async {
        let firewall = Firewall(isClosed: true)
        let pair = await Self.pair(
            seed: seed, mobility: true, firewall: firewall, left: { $0.tcp.probeAfter = .seconds(30) })
        #expect(await Self.up(pair))
        let spi = Self.spi(pair.left)
        // While it does not pass, the SA stays, and both sides agree about it.
        await pair.world.run(for: .seconds(45))
        #expect(Self.isOverTCP(pair) && pair.agrees())
        #expect(pair.world.sent.contains { $0.stream == nil && $0.header?.exchangeType == .informational })
        firewall.isClosed = false
        await pair.world.run(for: .seconds(40))
        #expect(Self.isOverUDP(pair) && pair.agrees())
        #expect(Self.spi(pair.left) == spi)
        #expect(pair.world.streams.count == 0)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Answers by UDP that are lost leave both sides with TCP")
    func halfStopped() async {
        let pair = await Pair(
            seed: 32,
            prepare: { world in
                world.audits = true
                // Only what the right side sends is stopped.
                world.stopsUDP = { $0.map { $0.local.address == IPAddress(v4: 0xc633_6402) } ?? true }
            },
            left: {
                $0.tcp.use = .fallback
                $0.tcp.probeAfter = .seconds(20)
                $0.localAddresses = []
            }, right: { $0.tcp.use = .fallback })
        #expect(await Self.up(pair))
        await pair.world.run(for: .seconds(35))
        #expect(Self.isOverTCP(pair) && pair.agrees())
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Without MOBIKE another IKE SA by UDP takes the place of the one by TCP, if it comes up")
    func backByAnother() async {
        let firewall = Firewall(isClosed: true)
        let pair = await Self.pair(seed: 33, firewall: firewall, left: { $0.tcp.probeAfter = .seconds(30) })
        #expect(await Self.up(pair))
        let spi = Self.spi(pair.left)
        await pair.world.run(for: .seconds(60))
        #expect(Self.spi(pair.left) == spi && Self.isOverTCP(pair) && pair.agrees())
        firewall.isClosed = false
        await pair.world.run(for: .seconds(60))
        #expect(Self.spi(pair.left) != spi && Self.isOverUDP(pair) && pair.agrees())
        #expect(pair.world.streams.count == 0)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("With MOBIKE an SA by UDP goes over to TCP when UDP is stopped, by the request that waits for its answer")
    func overToTCP() async throws {
        let firewall = Firewall(isClosed: false)
        let pair = await Self.pair(
            seed: 34, mobility: true, firewall: firewall,
            left: {
                $0.tcp.probeAfter = .seconds(60)
                $0.timing.livenessInterval = .seconds(5)
            })
        #expect(await Self.up(pair))
        #expect(Self.isOverUDP(pair))
        let spi = Self.spi(pair.left)
        firewall.isClosed = true
        let before = pair.world.sent.count
        await pair.world.run(for: .seconds(20))
        #expect(Self.isOverTCP(pair) && pair.agrees() && Self.spi(pair.left) == spi)
        let ours = pair.world.sent.dropFirst(before).filter { $0.local.address == pair.left.address }
        let first = try #require(ours.first { $0.stream != nil })
        #expect(ours.contains { $0.stream == nil && $0.octets == first.octets })
        firewall.isClosed = false
        await pair.world.run(for: .seconds(80))
        #expect(Self.isOverUDP(pair) && pair.agrees() && Self.spi(pair.left) == spi)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test(
        "A host that moves tries UDP at its new address first, then TCP with the same request",
        arguments: [false, true])
    func moving(passesThere: Bool) async {
        let firewall = Firewall(isClosed: true)
        let pair = await Self.pair(seed: 35, mobility: true, firewall: firewall)
        #expect(await Self.up(pair))
        let spi = Self.spi(pair.left)
        firewall.isClosed = !passesThere
        await pair.world.move("left", to: ["203.0.113.77"])
        await pair.world.run(for: .seconds(30))
        #expect(passesThere ? Self.isOverUDP(pair) : Self.isOverTCP(pair))
        #expect(pair.agrees() && Self.spi(pair.left) == spi)
        #expect(pair.right.outbound[1]?.remote.address == IPAddress("203.0.113.77"))
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    // MARK: Everything at once

    @Test("Rekeys of both kinds by either side, while connections are cut and UDP comes and goes", arguments: 40..<48)
    func turmoil(seed: UInt64) async {
        let firewall = Firewall(isClosed: true)
        let pair = await Self.pair(
            seed: seed, mobility: seed.isMultiple(of: 2), firewall: firewall,
            left: {
                $0.tcp.probeAfter = .seconds(15)
                $0.timing.livenessInterval = .seconds(10)
            })
        #expect(await Self.up(pair))
        var random = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: await pair.world.cutStreams()
            case 2: firewall.isClosed.toggle()
            case 3: await pair.rekeyChild("left")
            case 4: await pair.rekeyChild("right")
            case 5: await pair.rekeyIKE("left")
            case 6: await pair.rekeyIKE("right")
            default: break
            }
            await pair.world.run(for: .milliseconds(Int64.random(in: 10...6000, using: &random)))
        }
        firewall.isClosed = true
        await pair.world.run(for: .seconds(400))
        #expect(pair.agrees() && Self.isOverTCP(pair))
        #expect(pair.world.streams.count == 1)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }
}
