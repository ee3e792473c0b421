import Credentials
import IKE
import IKEMessage
import Octets
import Simulation
import Testing

@Suite("NULL authentication (RFC 7619)")
struct NullAuthenticationTests {
    private static func anonymousBoth(_ connection: inout ConnectionConfiguration) {
        connection.localAuthentication = .anonymous
        connection.remoteAuthentication = .anonymous
        connection.localIdentity = .anonymous
        connection.remoteIdentity = nil
    }

    @Test("Two anonymous sides agree; their identities are ID_NULL and empty")
    func bothAnonymous() async throws {
        let pair = await Pair.established(seed: 1, left: Self.anonymousBoth, right: Self.anonymousBoth)
        #expect(pair.agrees())
        let request = try #require(
            pair.world.sent.first { $0.isRequest(.ikeAuth) }.flatMap { pair.wiretap.payloads(of: $0.octets) })
        let identities = request.compactMap { payload -> IdentificationPayload? in
            if case .identificationInitiator(let identity) = payload { identity } else { nil }
        }
        #expect(identities.map(\.type) == [.null])
        #expect(identities.map(\.data) == [[]])
        let methods = request.compactMap { payload -> AuthenticationMethod? in
            if case .authentication(let authentication) = payload { authentication.method } else { nil }
        }
        #expect(methods == [.null])
        #expect(!request.contains(NotifyType.initialContact))
    }

    @Test("An anonymous initiator can demand that the responder proves itself")
    func oneSided() async {
        let pair = await Pair.established(
            seed: 2,
            left: {
                $0.localAuthentication = .anonymous
                $0.localIdentity = .anonymous
            },
            right: {
                $0.remoteAuthentication = .anonymous
                $0.remoteIdentity = nil
            })
        #expect(pair.agrees())
        #expect(pair.left.status("site")?.ikeSAs.first?.remoteIdentity == "right.example")
    }

    @Test("An anonymous peer is refused where a pre-shared key is wanted")
    func notAllowed() async {
        let pair = await Pair(
            seed: 3,
            left: {
                $0.localAuthentication = .anonymous
                $0.localIdentity = .fqdn("left.example")
            })
        await pair.world.run(for: .seconds(3))
        #expect(!pair.left.isUp("site"))
        #expect(pair.right.refusals.first?.cause == .authenticationFailed)
        #expect(pair.right.endpoint.status().first?.ikeSAs.isEmpty ?? false)
    }

    @Test("Who proves itself by a secret needs an identity, though any would do", arguments: [[], [1]] as [[UInt8]])
    func secretWithoutIdentity(data: [UInt8]) async {
        let pair = await Pair(
            seed: 7, left: { $0.localIdentity = .other(type: 13, data: data) },
            right: {
                $0.acceptsAnyRemoteAddress = true
                $0.remoteIdentity = nil
            })
        await pair.world.run(for: .seconds(3))
        #expect(!pair.left.isUp("site"))
        #expect(pair.right.refusals.first?.reason.contains("nobody without an identity") == true)
        #expect(pair.right.status("site")?.ikeSAs.isEmpty == true)
    }

    @Test("A responder that proves itself by a secret needs an identity as well")
    func responderWithoutIdentity() async {
        let pair = await Pair(
            seed: 8, left: { $0.remoteIdentity = nil }, right: { $0.localIdentity = .anonymous })
        await pair.world.run(for: .seconds(3))
        #expect(!pair.left.isUp("site"))
        #expect(pair.left.refusals.first?.cause == .authenticationFailed)
    }

    @Test("Whoever an anonymous peer says it is, nothing follows from it")
    func claimsAreIgnored() async {
        let pair = await Pair.established(
            seed: 4,
            left: {
                Self.anonymousBoth(&$0)
                $0.localIdentity = .fqdn("somebody.else")
            }, right: Self.anonymousBoth)
        #expect(pair.agrees())
        #expect(pair.right.status("site")?.ikeSAs.first?.remoteIdentity.contains("somebody") == false)
    }

    @Test("A second anonymous peer does not take the place of the first, not even by INITIAL_CONTACT")
    func noReplacement() async {
        let pair = await Pair.established(
            seed: 5, left: Self.anonymousBoth,
            right: {
                Self.anonymousBoth(&$0)
                $0.acceptsAnyRemoteAddress = true
            })
        var other = Pair.configuration(isLeft: true, start: .boot, change: Self.anonymousBoth)
        other.localAddresses = []
        await pair.world.add("other", "192.0.2.77", [other])
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.status("site")?.ikeSAs.count == 2)
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
    }

    @Test("Behind the same NAT, one anonymous peer does not get the traffic of another, which keeps it through rekeys")
    func noSharedTraffic() async {
        let nat = NAT(outside: "203.0.113.5")
        let pair = await Pair(seed: 7, behind: nat, left: Self.anonymousBoth, right: Self.anonymousBoth)
        #expect(await pair.world.run(atMost: .seconds(5)) { pair.isUp })
        var other = Pair.configuration(isLeft: true, start: .boot, change: Self.anonymousBoth)
        other.localAddresses = []
        let second = await pair.world.add("other", "192.0.2.77", behind: nat, [other])
        await pair.world.run(for: .seconds(2))
        #expect(pair.right.status("site")?.ikeSAs.count == 2)
        #expect(pair.right.refusals.last?.reason.contains("another peer") == true)
        #expect(second.inbound.isEmpty)
        await pair.rekeyIKE("left")
        await pair.rest()
        let old = pair.childSPIs
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.childSPIs != old && pair.carries)
    }

    @Test("A connection takes only so many anonymous peers, and has room again when one goes")
    func limited() async {
        let pair = await Pair(
            seed: 6, start: .none, left: Self.anonymousBoth,
            right: {
                Self.anonymousBoth(&$0)
                $0.acceptsAnyRemoteAddress = true
            }, endpoint: { $0.anonymousLimit = 1 })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.status("site")?.ikeSAs.count == 1)
        var other = Pair.configuration(isLeft: true, start: .boot, change: Self.anonymousBoth)
        other.localAddresses = []
        let second = await pair.world.add("other", "192.0.2.77", [other])
        await pair.world.run(for: .seconds(1))
        #expect(pair.right.status("site")?.ikeSAs.count == 1)
        #expect(second.refusals.first?.cause == .authenticationFailed)
        await pair.terminate("left")
        #expect(await pair.world.run(atMost: .seconds(90)) { second.isUp("site") })
    }
}
