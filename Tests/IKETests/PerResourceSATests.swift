import IKE
import IKEMessage
import IPsecCrypto
import IPsecPolicy
import Octets
import Simulation
import Testing

@Suite("Child SAs for resources of their own")
struct PerResourceSATests {
    private static let workers = 4

    private static func limit(_ limit: Int?) -> (inout ConnectionConfiguration) -> Void {
        { $0.children[0].resourceLimit = limit }
    }

    /// A pair that is up, each side with several workers.
    private static func pair(
        seed: UInt64, left: Int? = 64, right: Int? = 64, workers: Int = workers, loss: Double = 0,
        change: @escaping (inout ConnectionConfiguration) -> Void = { _ in }
    ) async -> Pair {
        let pair = await Pair(
            seed: seed, start: .none, conditions: NetworkConditions(loss: loss),
            left: {
                limit(left)(&$0)
                change(&$0)
            },
            right: {
                limit(right)(&$0)
                change(&$0)
            },
            endpoint: {
                $0.exportsKeys = true
                $0.packetWorkers = workers
            })
        pair.world.audits = true
        await pair.initiate(child: "net")
        _ = await pair.world.run(atMost: .seconds(60)) { pair.isUp }
        return pair
    }

    /// A worker of a host sends through another's SA.
    private static func lack(_ pair: Pair, _ worker: Int, _ name: String = "left") async {
        guard let spi = pair.host(name).status("site")?.children.first?.inboundSPI else { return }
        await pair.world.act(name) { $0.handle(.lacksOwn(worker: worker, spi: spi), at: $1) }
    }

    /// All workers of a host have packets.
    private static func lackAll(_ pair: Pair, _ name: String = "left", workers: Int = workers) async {
        for worker in 0..<workers { await lack(pair, worker, name) }
        await pair.world.run(for: .seconds(5))
    }

    private static func owners(_ host: Host) -> [Int] {
        (host.status("site")?.children ?? []).filter { $0.state == "installed" }.compactMap(\.worker).sorted()
    }

    private static func groups(_ host: Host) -> Set<UInt32?> {
        Set((host.status("site")?.children ?? []).map { $0.place?.group })
    }

    private static func notifications(
        _ type: NotifyType, _ pair: Pair, _ wanted: (IKEDatagram) -> Bool
    ) -> [NotifyPayload] {
        var known: Set<IKEDatagram> = []
        return pair.world.sent.filter { wanted($0) && known.insert($0).inserted }.flatMap { datagram in
            (pair.wiretap.payloads(of: datagram.octets) ?? []).compactMap {
                if case .notify(let notify) = $0, notify.type == type { notify } else { nil }
            }
        }
    }

    private static func infos(_ pair: Pair, _ wanted: (IKEDatagram) -> Bool) -> [[UInt8]] {
        notifications(.saResourceInfo, pair, wanted).map(\.data)
    }

    private static func requests(_ pair: Pair, from name: String = "left") -> Int {
        Set(
            pair.world.sent.filter {
                $0.isRequest(.createChildSA) && $0.local.address == pair.host(name).address
            }
        ).count
    }

    private static func notification(_ type: NotifyType, _ data: [UInt8] = []) -> Payload {
        .notify(NotifyPayload(protocolID: .none, spi: [], type: type, data: data))
    }

    private static func info(_ data: [UInt8]) -> Payload { notification(.saResourceInfo, data) }

    private static func isInfo(_ payload: Payload) -> Bool { [payload].contains(NotifyType.saResourceInfo) }

    // MARK: Agreement

    @Test(
        "The first SA is asked for and answered with the notification, type 16444 without protocol, SPI and identifier")
    func first() async {
        let pair = await Self.pair(seed: 1)
        for message in [IKEDatagram.isRequest, IKEDatagram.isResponse] {
            let found = Self.notifications(.saResourceInfo, pair) { message($0)(.ikeAuth) }
            #expect(
                found.map { Payload.serializeChain([.notify($0)]).octets.hexadecimal } == ["000000080000403c"])
        }
        #expect(pair.agrees())
        #expect(pair.left.status("site")?.children.map { $0.place?.isFallback } == [true])
    }

    @Test("Each worker that has packets gets an SA of its own at both ends, and none gets two")
    func each() async {
        let pair = await Self.pair(seed: 2)
        await Self.lackAll(pair)
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3] && Self.owners(pair.right) == [0, 1, 2, 3])
        #expect(Self.groups(pair.left).count == 1 && Self.groups(pair.right).count == 1)
        #expect(Self.requests(pair) == 3)
        #expect(pair.left.status("site")?.children.filter { $0.place?.isFallback == true }.count == 1)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Identifiers are four random octets, all different, and name no worker")
    func identifiers() async {
        let pair = await Self.pair(seed: 3)
        await Self.lackAll(pair)
        let identifiers = Self.infos(pair) { $0.header?.exchangeType == .createChildSA }
        #expect(identifiers.count == 6 && Set(identifiers).count == 6)
        #expect(identifiers.allSatisfy { $0.count == 4 && $0.dropLast().contains { $0 != 0 } })
        let there = pair.right.status("site")?.children.compactMap(\.place?.peerIdentifier) ?? []
        let here = pair.left.status("site")?.children.compactMap(\.place?.identifier) ?? []
        #expect(Set(here) == Set(there))
    }

    @Test("Ends need not have equally many workers")
    func unequal() async {
        let world = await Pair(
            seed: 4, left: Self.limit(64), right: Self.limit(64), endpoint: { $0.packetWorkers = 2 })
        await world.world.run(for: .seconds(3))
        await Self.lackAll(world, workers: 2)
        #expect(world.agrees(children: 2))
        #expect(Self.owners(world.right) == [0, 1])
    }

    @Test("Where one side does not have it there is one SA, and no worker asks for another", arguments: [false, true])
    func oneSided(isLeft: Bool) async {
        let pair = await Self.pair(seed: 5, left: isLeft ? 64 : nil, right: isLeft ? nil : 64)
        for name in ["left", "right"] { await Self.lackAll(pair, name) }
        #expect(pair.agrees())
        #expect(pair.world.sent.allSatisfy { $0.header?.exchangeType != .createChildSA })
        #expect(Self.infos(pair) { $0.isResponse(.ikeAuth) }.isEmpty)
        #expect(pair.left.status("site")?.children.first?.place == nil)
        let told = pair.left.narratives.flatMap(\.lines).contains {
            $0.text.contains("the peer takes no further SAs for the same traffic")
        }
        #expect(told == isLeft)
    }

    @Test("A group comes to be whole over a network that loses a fifth of all datagrams")
    func loss() async {
        let pair = await Self.pair(seed: 6, loss: 0.2)
        for _ in 0..<4 {
            await Self.lackAll(pair)
            await pair.world.run(for: .seconds(30))
        }
        #expect(pair.agrees(children: 4))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3])
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Requests that cross make SAs for both; a surplus is no error and is not taken for a rekey")
    func crossing() async {
        let pair = await Self.pair(seed: 7, workers: 2)
        let missing = 1 - (Self.owners(pair.left).first ?? 0)
        let missingThere = 1 - (Self.owners(pair.right).first ?? 0)
        await Self.lack(pair, missing, "left")
        await Self.lack(pair, missingThere, "right")
        await pair.world.run(for: .seconds(10))
        #expect(Self.requests(pair) == 1 && Self.requests(pair, from: "right") == 1)
        #expect(pair.agrees(children: 3))
        #expect(Set(Self.owners(pair.left)) == [0, 1] && Set(Self.owners(pair.right)) == [0, 1])
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("More SAs than a peer may have otherwise are taken in a group")
    func many() async {
        let pair = await Self.pair(seed: 8, workers: 24)
        await Self.lackAll(pair, workers: 24)
        #expect(pair.agrees(children: 24))
        #expect(Self.owners(pair.left) == Array(0..<24) && Self.owners(pair.right) == Array(0..<24))
    }

    // MARK: Limits

    @Test("One SA too many is answered TS_MAX_QUEUE alone; it is not asked for again, and another child still comes up")
    func peersLimit() async {
        let pair = await Self.pair(seed: 9, right: 2) {
            $0.children.append($0.children[0])
            $0.children[1].name = "other"
            $0.children[1].policyID = 2
            $0.children[1].start = StartPolicy.none
            $0.children[1].localSelectors = Pair.selector("10.11.0.0/16") + Pair.selector("10.12.0.0/16")
            $0.children[1].remoteSelectors = $0.children[1].localSelectors
        }
        for _ in 0..<3 { await Self.lackAll(pair) }
        let refusals = Self.notifications(.tsMaxQueue, pair) { _ in true }
        #expect(refusals.map { Payload.serializeChain([.notify($0)]).octets.hexadecimal } == ["0000000800000030"])
        #expect(Self.owners(pair.left).count == 2)
        #expect(Self.requests(pair) == 2)
        await pair.initiate(child: "other")
        await pair.world.run(for: .seconds(5))
        #expect(pair.left.status("site")?.children.map(\.name).sorted() == ["net", "net", "other"])
        #expect(Self.notifications(.noAdditionalSAs, pair) { _ in true }.isEmpty)
        #expect(
            pair.right.refusals.map(\.reason) == [
                "child net has 2 SAs for the same traffic already, which are the most allowed"
            ])
        let failures = pair.left.events.filter { if case .failed = $0 { true } else { false } }
        #expect(failures.isEmpty, "\(failures)")
    }

    @Test("Our own limit is kept to without asking")
    func ownLimit() async {
        let pair = await Self.pair(seed: 10, left: 3)
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 3))
        #expect(Self.requests(pair) == 2)
    }

    @Test(
        "A peer that answers NO_ADDITIONAL_SAS, or any other refusal, is not asked again",
        arguments: [35, 14, 38] as [UInt16])
    func refused(type: UInt16) async {
        let pair = await Self.pair(seed: 11)
        pair.rewrite({ $0.isResponse(.createChildSA) }) { _ in
            [Self.notification(NotifyType(rawValue: type))]
        }
        await Self.lackAll(pair)
        await pair.world.run(for: .seconds(120))
        await Self.lackAll(pair)
        #expect(Self.requests(pair) == 1)
        #expect(pair.left.isUp("site"))
    }

    @Test("After TEMPORARY_FAILURE a worker waits for a few seconds and asks again")
    func temporaryFailure() async {
        let pair = await Self.pair(seed: 12)
        let worker = (0..<4).first { !Self.owners(pair.left).contains($0) } ?? 0
        pair.rewrite({ $0.isResponse(.createChildSA) }) { _ in
            [Self.notification(.temporaryFailure)]
        }
        await Self.lack(pair, worker)
        await pair.world.run(for: .seconds(1))
        await Self.lack(pair, worker)
        await pair.world.run(for: .seconds(1))
        #expect(Self.requests(pair) == 1)
        pair.world.tap = nil
        await pair.world.run(for: .seconds(5))
        await Self.lack(pair, worker)
        await pair.world.run(for: .seconds(2))
        #expect(Self.requests(pair) == 2)
        #expect(Self.owners(pair.left).contains(worker))
    }

    @Test("A peer that is always busy is asked ever more seldom, whichever workers have packets, and that is told once")
    func alwaysBusy() async {
        let pair = await Self.pair(seed: 31)
        pair.rewrite({ $0.isResponse(.createChildSA) }) { _ in [Self.notification(.temporaryFailure)] }
        for _ in 0..<600 {
            for worker in 0..<Self.workers { await Self.lack(pair, worker) }
            await pair.world.run(for: .seconds(1))
        }
        // After 4, 12, 28, 60, 124, 252 and 492 seconds, half as much again or half as much.
        #expect((5...11).contains(Self.requests(pair)), "\(Self.requests(pair))")
        #expect(pair.left.refusals.count == 1)
        #expect(pair.left.isUp("site"))
    }

    @Test("An SA that could not be installed is not made anew at once")
    func notInstalled() async throws {
        let pair = await Self.pair(seed: 32)
        let worker = (0..<4).first { !Self.owners(pair.left).contains($0) } ?? 0
        await Self.lack(pair, worker)
        await pair.world.run(for: .seconds(1))
        let spi = try #require(pair.childSPIs.last)
        await pair.world.act("left") { $0.handle(.installationFailed(spi: spi, reason: "no memory"), at: $1) }
        for _ in 0..<12 {
            await pair.world.run(for: .seconds(1))
            await Self.lack(pair, worker)
        }
        #expect(Self.requests(pair) == 1)
        #expect(pair.agrees())
    }

    @Test("Where the two sides prefer other algorithms, workers of either still get SAs with those of the first")
    func otherOrder() async {
        let orders: [[EncryptionAlgorithm]] = [
            [.aesGCM16(256), .chaCha20Poly1305], [.chaCha20Poly1305, .aesGCM16(256)],
        ]
        for name in ["left", "right"] {
            let pair = await Pair(
                seed: 33, start: .none,
                left: {
                    Self.limit(8)(&$0)
                    $0.children[0].espProposals = [ESPProposal(encryption: orders[0])]
                },
                right: {
                    Self.limit(8)(&$0)
                    $0.children[0].espProposals = [ESPProposal(encryption: orders[1])]
                },
                endpoint: {
                    $0.exportsKeys = true
                    $0.packetWorkers = Self.workers
                })
            await pair.initiate()
            await pair.world.run(for: .seconds(1))
            await Self.lackAll(pair, name)
            #expect(pair.agrees(children: 4), "\(name)")
            #expect(Set(pair.left.inbound.values.map(\.suite.encryption)) == [.chaCha20Poly1305])
            // A peer that offers all it has gets those of the first, too.
            pair.rewrite({ $0.isRequest(.createChildSA) }) { payloads in
                payloads.map { payload in
                    guard case .securityAssociation(var association) = payload else { return payload }
                    for index in association.proposals.indices {
                        association.proposals[index].transforms.append(
                            Transform(type: .encryption, id: 20, keyLength: 256))
                    }
                    return .securityAssociation(association)
                }
            }
            await Self.lack(pair, 5, name)
            await pair.world.run(for: .seconds(2))
            #expect(pair.left.refusals.isEmpty && pair.right.refusals.isEmpty)
            #expect(Set(pair.left.inbound.values.map(\.suite.encryption)) == [.chaCha20Poly1305])
        }
    }

    @Test("First requests that cross make one group at each end")
    func crossingFirst() async {
        let pair = await Self.pair(seed: 34) { connection in
            let isLeft = connection.localIdentity == .fqdn("left.example")
            let near = Pair.selector("10.3.0.0/16"), far = Pair.selector("10.4.0.0/16")
            var more = ChildConfiguration(
                name: "more", origin: connection.children[0].origin, policyID: 2,
                localSelectors: isLeft ? near : far, remoteSelectors: isLeft ? far : near)
            more.resourceLimit = 8
            connection.children.append(more)
        }
        await pair.initiate("left", child: "more")
        await pair.initiate("right", child: "more")
        await pair.rest()
        for host in [pair.left, pair.right] {
            let others = (host.status("site")?.children ?? []).filter { $0.name == "more" }
            #expect(others.count == 2)
            #expect(Set(others.map { $0.place?.group }).count == 1, "\(host.name)")
        }
    }

    @Test("TS_MAX_QUEUE for a first SA is the failure of that child only")
    func firstRefused() async {
        let pair = await Pair(
            seed: 13, start: .none, left: Self.limit(64), right: Self.limit(64), endpoint: { $0.exportsKeys = true })
        pair.rewrite({ $0.isResponse(.ikeAuth) }) { payloads in
            payloads.filter {
                ![PayloadType.securityAssociation, .trafficSelectorInitiator, .trafficSelectorResponder].contains(
                    $0.type)
                    && !Self.isInfo($0)
            } + [Self.notification(.tsMaxQueue)]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(2))
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.left.inbound.isEmpty)
        #expect(pair.left.refusals.contains { $0.reason.contains("TS_MAX_QUEUE") })
    }

    // MARK: Rekeys

    @Test(
        "A rekey of all SAs keeps each one's worker and place, is never refused at the limit, and does not repeat the notification",
        arguments: ["left", "right"])
    func childRekey(name: String) async {
        let pair = await Self.pair(seed: 14, right: 4)
        await Self.lackAll(pair)
        let before = Set(pair.childSPIs)
        let places = Set(pair.left.status("site")?.children.compactMap(\.place) ?? [])
        let said = Self.infos(pair) { _ in true }.count
        await pair.rekeyChild(name)
        await pair.rest()
        #expect(pair.agrees(children: 4))
        #expect(before.isDisjoint(with: pair.childSPIs))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3] && Self.owners(pair.right) == [0, 1, 2, 3])
        #expect(Set(pair.left.status("site")?.children.compactMap(\.place) ?? []) == places)
        #expect(Self.infos(pair) { _ in true }.count == said)
        #expect(Self.notifications(.tsMaxQueue, pair) { _ in true }.isEmpty)
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test(
        "When the peer has replaced a worker's SA, packets of that worker go by the new one although others are newer")
    func successor() async {
        let pair = await Self.pair(seed: 15)
        pair.world.carriesTraffic = false
        await Self.lackAll(pair)
        let spis = pair.left.status("site")?.children.map(\.inboundSPI) ?? []
        await pair.rekeyChild("right")
        await pair.rest()
        #expect(pair.agrees(children: 4))
        #expect(Set(pair.left.activated.map(\.inboundSPI)).isDisjoint(with: spis))
        #expect(pair.left.activated.count == 4 && pair.right.activated.count == 4)
    }

    @Test("Both rekey at once and again: one SA for each worker is left", arguments: 1...6 as ClosedRange<UInt64>)
    func crossingRekeys(seed: UInt64) async {
        let pair = await Self.pair(seed: 100 + seed, right: 4)
        await Self.lackAll(pair)
        for _ in 0..<2 {
            await pair.rekeyChild("left")
            await pair.rekeyChild("right")
            await pair.world.run(for: .seconds(40))
        }
        #expect(pair.agrees(children: 4))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3] && Self.owners(pair.right) == [0, 1, 2, 3])
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("A rekey of the IKE SA takes the group along, which goes on growing", arguments: ["left", "right"])
    func ikeRekey(name: String) async {
        let pair = await Self.pair(seed: 16)
        await Self.lack(pair, 0)
        await Self.lack(pair, 1)
        await pair.world.run(for: .seconds(5))
        let groups = Self.groups(pair.left)
        let old = pair.ikeSPI
        await pair.rekeyIKE(name)
        await pair.rest()
        #expect(pair.ikeSPI != old)
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(Self.groups(pair.left) == groups && Self.owners(pair.right) == [0, 1, 2, 3])
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("What the peer had refused is not asked for on the IKE SA that replaces the old one")
    func refusalGoesAlong() async {
        let pair = await Self.pair(seed: 17, right: 2)
        await Self.lackAll(pair)
        await pair.rekeyIKE("left")
        await pair.rest()
        let before = Self.notifications(.tsMaxQueue, pair) { _ in true }.count
        await Self.lackAll(pair)
        #expect(before == 1 && Self.notifications(.tsMaxQueue, pair) { _ in true }.count == 1)
    }

    // MARK: Deletion

    /// The right side deletes one SA that is no fallback, as a peer does with one of an idle resource.
    private static func deleteOne(_ pair: Pair) async -> Int? {
        guard let doomed = pair.right.status("site")?.children.first(where: { $0.place?.isFallback == false }) else {
            return nil
        }
        await pair.world.act("right") {
            $0.handle(.installationFailed(spi: doomed.inboundSPI, reason: "idle"), at: $1)
        }
        await pair.world.run(for: .seconds(5))
        let present = owners(pair.left)
        return (0..<workers).first { !present.contains($0) }
    }

    @Test("An SA that the peer deletes is not made anew at once, but later when its worker still has packets")
    func deletion() async throws {
        let pair = await Self.pair(seed: 18)
        await Self.lackAll(pair)
        let worker = try #require(await Self.deleteOne(pair))
        #expect(pair.agrees(children: 3))
        for _ in 0..<10 {
            await Self.lack(pair, worker)
            await pair.world.run(for: .seconds(1))
        }
        #expect(pair.agrees(children: 3))
        #expect(Self.requests(pair) == 3)
        await pair.world.run(for: .seconds(30))
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }

    @Test("Without packets a deleted SA is never made anew")
    func deletionAtRest() async throws {
        let pair = await Self.pair(seed: 19)
        await Self.lackAll(pair)
        _ = try #require(await Self.deleteOne(pair))
        await pair.world.run(for: .seconds(600))
        #expect(pair.agrees(children: 3))
        #expect(Self.requests(pair) == 3)
    }

    @Test("When the first SA is deleted the others stay, and its worker gets another that is no fallback")
    func firstDeleted() async throws {
        let pair = await Self.pair(seed: 20)
        await Self.lackAll(pair)
        let first = try #require(pair.left.status("site")?.children.first { $0.place?.isFallback == true })
        await pair.world.act("left") {
            $0.handle(.installationFailed(spi: first.inboundSPI, reason: "gone"), at: $1)
        }
        await pair.world.run(for: .seconds(60))
        #expect(pair.agrees(children: 3))
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3])
        #expect(pair.left.status("site")?.children.allSatisfy { $0.place?.isFallback == false } == true)
    }

    @Test("Taking the child down takes all of its SAs down, and no worker brings one back")
    func takenDown() async {
        let pair = await Self.pair(seed: 21)
        await Self.lackAll(pair)
        let spi = pair.childSPIs[0]
        await pair.terminate("left", child: "net")
        await pair.world.act("left") { $0.handle(.lacksOwn(worker: 3, spi: spi), at: $1) }
        await pair.rest()
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        await pair.terminate("left")
        await pair.world.run(for: .seconds(60))
        #expect(pair.isEmpty)
    }

    @Test("What is in the making when the child is taken down does not stay either", arguments: 0..<4)
    func takenDownInTheMaking(form: Int) async {
        let pair = await Self.pair(seed: 35)
        await Self.lackAll(pair)
        pair.world.tap = { $0.isResponse(.createChildSA) ? [] : [$0] }
        switch form {
        case 0: await pair.rekeyChild("left")
        case 1: await pair.rekeyChild("right")
        default:
            let spi = pair.childSPIs.last ?? 0
            let name = form == 2 ? "left" : "right"
            let host = pair.host(name)
            let worker = Self.owners(host).last ?? 0
            let last = host.status("site")?.children.first { $0.worker == worker }?.inboundSPI ?? spi
            await pair.world.act(name) { $0.handle(.hardLimit(spi: last), at: $1) }
            await pair.world.run(for: .seconds(60))
            await Self.lack(pair, worker, name)
        }
        await pair.world.run(for: .milliseconds(300))
        await pair.terminate("left", child: "net")
        pair.world.tap = nil
        await pair.world.run(for: .seconds(60))
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty, "\(form)")
        #expect(pair.faults.isEmpty, "\(pair.faults)")
        // Whoever brings it up afterwards may.
        await pair.initiate("right", child: "net")
        await pair.rest()
        #expect(pair.right.inbound.count == 1)
    }

    // MARK: What peers may send

    @Test(
        "An identifier may have any length, be there twice or not at all, and be another's",
        arguments: [0, 1, 4, 255, 20_000])
    func oddIdentifiers(length: Int) async {
        let pair = await Self.pair(seed: 22)
        pair.rewrite({ $0.isRequest(.createChildSA) }) { payloads in
            payloads.filter { !Self.isInfo($0) }
                + [Self.info([UInt8](repeating: 7, count: length)), Self.info([1]), Self.info([])]
        }
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        let kept = pair.right.status("site")?.children.compactMap { $0.place?.peerIdentifier.count } ?? []
        #expect(kept.max() == min(length, 32))
        #expect(Self.owners(pair.right) == [0, 1, 2, 3])
    }

    @Test("The peer's identifier decides nothing: whatever it says, SAs go to the workers that have fewest")
    func identifierDecidesNothing() async {
        let pair = await Self.pair(seed: 23)
        pair.rewrite({ $0.isRequest(.createChildSA) }) { payloads in
            payloads.map { Self.isInfo($0) ? Self.info([0, 0, 0, 1]) : $0 }
        }
        await Self.lackAll(pair)
        #expect(Self.owners(pair.right) == [0, 1, 2, 3])
    }

    @Test("Protocol and SPI in the notification are of no consequence")
    func protocolAndSPI() async {
        let pair = await Self.pair(seed: 24)
        pair.rewrite({ $0.isRequest(.createChildSA) }) { payloads in
            payloads.map {
                Self.isInfo($0)
                    ? .notify(NotifyPayload(protocolID: .esp, spi: [1, 2, 3, 4], type: .saResourceInfo, data: [])) : $0
            }
        }
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(Self.groups(pair.right).count == 1)
    }

    /// Puts AES-GCM with a key of 128 bits in place of all else.
    private static func weakened(_ payloads: [Payload]) -> [Payload] {
        payloads.map { payload in
            guard case .securityAssociation(var association) = payload else { return payload }
            for index in association.proposals.indices {
                association.proposals[index].transforms.removeAll { $0.type == .encryption }
                association.proposals[index].transforms.insert(
                    Transform(type: .encryption, id: 20, keyLength: 128), at: 0)
            }
            return .securityAssociation(association)
        }
    }

    @Test("One more SA that is offered with other algorithms than the first has is refused, and the first stays")
    func otherAlgorithms() async {
        let pair = await Self.pair(seed: 25)
        pair.rewrite({ $0.isRequest(.createChildSA) }, change: Self.weakened)
        await Self.lackAll(pair)
        #expect(pair.agrees())
        #expect(Self.notifications(.noProposalChosen, pair) { $0.isResponse(.createChildSA) }.count == 1)
        #expect(
            pair.right.refusals.map(\.reason) == [
                "one more SA of child net must have the algorithms of its first, and the peer's offer has others"
            ])
    }

    /// Leaves 10.1.7.0/24 of TSi.
    private static func narrowed(_ payloads: [Payload]) -> [Payload] {
        payloads.map { payload in
            guard case .trafficSelectorsInitiator(let body) = payload, case .addressRange(var range) = body.selectors[0]
            else { return payload }
            (range.firstAddress, range.lastAddress) = ([10, 1, 7, 0], [10, 1, 7, 255])
            return .trafficSelectorsInitiator(TrafficSelectorPayload(selectors: [.addressRange(range)]))
        }
    }

    @Test("One more SA that is answered with narrower selectors is deleted again, and not asked for any more")
    func narrowedAnswer() async {
        let pair = await Self.pair(seed: 26)
        pair.rewrite({ $0.isResponse(.createChildSA) }, change: Self.narrowed)
        await Self.lackAll(pair)
        pair.world.tap = nil
        await Self.lackAll(pair)
        #expect(pair.agrees())
        #expect(Self.requests(pair) == 1)
        #expect(pair.left.refusals.contains { $0.reason.contains("the peer answered other selectors") })
    }

    @Test("A request for other selectors of the same child is not counted with the others, and begins another group")
    func otherSelectors() async {
        let pair = await Self.pair(seed: 27, right: 2)
        await Self.lack(pair, (0..<4).first { !Self.owners(pair.left).contains($0) } ?? 0)
        await pair.world.run(for: .seconds(2))
        #expect(Self.owners(pair.right).count == 2)
        pair.rewrite({ $0.isRequest(.createChildSA) }, change: Self.narrowed)
        await Self.lackAll(pair)
        let refusals = Self.notifications(.tsMaxQueue, pair) { _ in true }
        #expect(refusals.isEmpty)
        let fallbacks = Self.notifications(.saResourceInfo, pair) { $0.isResponse(.createChildSA) }.map(\.data.count)
        #expect(fallbacks == [4, 0])
        #expect(pair.left.isUp("site") && pair.right.isUp("site"))
    }

    @Test("An answer without the notification is taken all the same: the SA serves its worker")
    func answerWithout() async {
        let pair = await Self.pair(seed: 28)
        pair.rewrite({ $0.isResponse(.createChildSA) }) { $0.filter { !Self.isInfo($0) } }
        await Self.lackAll(pair)
        #expect(pair.agrees(children: 4))
        #expect(Self.owners(pair.left) == [0, 1, 2, 3])
    }

    @Test("A message of which somebody on the way changes one octet has no effect, and the group comes to be whole")
    func changedOnTheWay() async {
        let pair = await Self.pair(seed: 29)
        var changed = 0
        pair.world.tap = { datagram in
            guard datagram.header?.exchangeType == .createChildSA, changed < 4 else { return [datagram] }
            changed += 1
            var datagram = datagram
            datagram.octets[datagram.octets.count / 2] ^= 0x10
            return [datagram]
        }
        await Self.lackAll(pair)
        await pair.world.run(for: .seconds(60))
        await Self.lackAll(pair)
        #expect(changed == 4)
        #expect(pair.agrees(children: 4))
        #expect(pair.faults.isEmpty, "\(pair.faults)")
    }
}
