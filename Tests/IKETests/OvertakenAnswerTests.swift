import IKE
import IKEMessage
import Octets
import Simulation
import Testing

// What one side begins reaches the other before the answer that made it possible. C and A are request and answer of left's
// CREATE_CHILD_SA exchange, D is a Delete; L is left, R is right.
@Suite("Answers that are overtaken")
struct OvertakenAnswerTests {
    /// A pair whose child left has been asked to keep up by nobody.
    private func idle(seed: UInt64, children: Bool = true) async -> Pair {
        let pair = await Pair.established(seed: seed, left: { $0.start = .none })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        guard !children else { return pair }
        await pair.terminate("left", child: "net")
        await pair.rest()
        return pair
    }

    @Test("A child that its maker's peer deletes before the answer with its SPI has come is not taken on")
    func deletedBeforeItIsKnown() async {
        // L: C ->
        // R: C <- A (held)      R has the child
        // R: D(child) ->
        // L: D <- answer ->     the SPI means nothing to L yet
        // L: A <-
        let pair = await idle(seed: 51, children: false)
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.initiate(child: "net")
        await pair.world.run(for: .milliseconds(50))
        #expect(pair.right.inbound.count == 1)
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(50))
        held.release()
        await pair.rest()
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.endpoint.childSPICount == 0 && pair.right.endpoint.childSPICount == 0)
        #expect(pair.left.refusals.last?.cause == .refusedByPeer)
        #expect(pair.faults.isEmpty)
    }

    @Test("It is asked for again if it is to be kept up, also on an IKE SA that the peer has begun")
    func askedForAgain() async {
        // R: IKE rekey ->       from now on the IKE SA is R's
        // R: D(child) ->
        // L: C ->               what L keeps up is asked for again
        // R: C <- A (held)
        // R: D(child) ->
        // L: A <-  C ->
        let pair = await Pair.established(seed: 61)
        _ = await pair.world.act("right") { endpoint, now in try? endpoint.rekey("site", at: now) }
        await pair.world.run(for: .seconds(5))
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .seconds(3))
        #expect(!held.datagrams.isEmpty)
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(50))
        held.release()
        let isBack = await pair.world.run(atMost: .seconds(30)) { pair.isUp }
        #expect(isBack)
        #expect(pair.faults.isEmpty)
    }

    @Test("Nor is a replacement, and the pair it was to replace, which the peer deleted as well, is gone")
    func replacementDeletedBeforeItIsKnown() async {
        // L: C(rekey) ->
        // R: C <- A (held)
        // R: D(old) ->  D(new) ->
        // L: A <-
        let pair = await idle(seed: 52)
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.rekeyChild("left")
        await pair.world.run(for: .milliseconds(50))
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(100))
        held.release()
        await pair.rest()
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.endpoint.childSPICount == 0 && pair.right.endpoint.childSPICount == 0)
        #expect(pair.faults.isEmpty)
    }

    @Test("A rekey of a child that is not known yet is to come again, not to be followed by a second child")
    func rekeyedBeforeItIsKnown() async {
        // L: C ->
        // R: C <- A (held)
        // R: R(rekey of the new child) ->
        // L: R <- TEMPORARY_FAILURE ->
        // L: A <-
        let pair = await idle(seed: 53, children: false)
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.initiate(child: "net")
        await pair.world.run(for: .milliseconds(50))
        await pair.rekeyChild("right")
        await pair.world.run(for: .milliseconds(50))
        let answers = pair.world.sent.filter { pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
            .compactMap { pair.wiretap.payloads(of: $0.octets) }
        #expect(answers.last?.contains(.temporaryFailure) == true)
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "When the deletion of an old pair is answered, packets do not go over to a replacement that the peer has not made yet"
    )
    func replacementTwice() async {
        // L: C(rekey) ->  A <-
        // L: D(old) ->
        // R: D <-  R(rekey of the new) ->  answer to D ->
        // L: R <- (answer held)  answer to D <-       the old pair is gone here; the newest exists at L only
        let pair = await Pair.established(seed: 54)
        await pair.rekeyChild("left")
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        #expect(await pair.world.run(atMost: .seconds(3)) { pair.world.sent.contains { $0.isRequest(.informational) } })
        await pair.rekeyChild("right")
        let isCarried = await pair.world.run(atMost: .milliseconds(300)) { !pair.carries }
        #expect(!isCarried)
        #expect(pair.left.inbound.count == 3)
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("An IKE SA whose connection is taken down during IKE_AUTH is deleted when the peer says that it is there")
    func takenDownDuringAuthentication() async {
        // L: IKE_AUTH ->
        // R: IKE_AUTH <- answer (held)      R is established
        // L is told to take the connection down
        // L: answer <-  D(IKE) ->
        let pair = await Pair(seed: 55, start: .none, endpoint: { $0.exportsKeys = true })
        let held = Held(pair.world) { $0.isResponse(.ikeAuth) }
        await pair.initiate()
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.right.isUp("site"))
        await pair.terminate("left")
        #expect(pair.left.status("site")?.state == .idle)
        held.release()
        await pair.rest()
        #expect(pair.left.status("site")?.state == .idle)
        await pair.world.run(for: .seconds(40))
        #expect(pair.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A connection taken down while its IKE SA is being rekeyed does not stay up under the new one",
        arguments: ["left", "right"])
    func takenDownDuringRekey(by name: String) async {
        let pair = await idle(seed: 56)
        await pair.rekeyIKE(name)
        await pair.terminate(name)
        // Left, which does not know why, will call again.
        await pair.world.run(for: .milliseconds(500))
        #expect(!pair.left.isUp("site") && !pair.right.isUp("site"))
        #expect(pair.right.inbound.isEmpty && pair.right.endpoint.childSPICount == 0)
        #expect(pair.faults.isEmpty)
    }

    @Test("A child that was being made on an IKE SA which another replaced meanwhile is asked for again on that")
    func madeDuringReauthentication() async {
        // R: D(child) ->  L: answer
        // L: C ->  R: A (held)      left wants the child back
        // L: new IKE SA, which has no child to take along
        // L: A <-  D(old IKE SA) ->
        let pair = await Pair.established(seed: 57)
        await pair.terminate("right", child: "net")
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        #expect(await pair.world.run(atMost: .seconds(5)) { !held.datagrams.isEmpty })
        await pair.world.act("left") { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.world.run(for: .milliseconds(200))
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test("The Delete of one of two IKE SAs that were set up at once is sent again when it is lost")
    func loserDeletedTwice() async {
        let pair = await Pair(seed: 58, start: .none, endpoint: { $0.exportsKeys = true })
        var lost = 0
        pair.world.tap = { datagram in
            guard datagram.isRequest(.informational), lost == 0 else { return [datagram] }
            lost += 1
            return []
        }
        await pair.initiate("left")
        await pair.initiate("right")
        await pair.world.run(for: .seconds(3))
        #expect(lost == 1)
        #expect(pair.agrees())
    }

    @Test("A child that is to be up from boot is asked for when the peer has called with another only")
    func peerCallsWithLess() async {
        func addChild(_ connection: inout ConnectionConfiguration, _ ours: String, _ theirs: String) {
            var extra = connection.children[0]
            (extra.name, extra.policyID, extra.start) = ("extra", 2, StartPolicy.none)
            (extra.localSelectors, extra.remoteSelectors) = (Pair.selector(ours), Pair.selector(theirs))
            connection.children.append(extra)
        }
        let pair = await Pair.established(
            seed: 59, left: { addChild(&$0, "10.3.0.0/16", "10.4.0.0/16") },
            right: { addChild(&$0, "10.4.0.0/16", "10.3.0.0/16") })
        await pair.terminate("right")
        await pair.initiate("right", child: "extra")
        await pair.world.run(for: .milliseconds(100))
        await pair.rest()
        #expect(pair.agrees(children: 2))
    }

    /// Both sides rekey the IKE SA. Right has finished; left's request, and right's Delete of the old SA, are held.
    private func crossed(seed: UInt64) async -> (Pair, Held) {
        let pair = await idle(seed: seed)
        let old = pair.ikeSPI
        let held = Held(pair.world) {
            pair.isFromLeft($0)
                ? $0.isRequest(.createChildSA) : $0.isRequest(.informational) && $0.header?.initiatorSPI == old
        }
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .milliseconds(100))
        return (pair, held)
    }

    @Test(
        "An IKE SA that the peer uses is the one that holds, though our own rekey, which crossed its, is not answered")
    func usedBeforeDecision() async {
        // L: R(IKE) -> (held)   R: R(IKE) ->
        //                       L: answer ->
        // R: D(old IKE SA) -> (held)   D(child), on the new SA ->
        // L: D(child) <-        it has the child on the old SA yet
        // R: R(IKE) <- TEMPORARY_FAILURE ->
        let (pair, held) = await crossed(seed: 60)
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(100))
        #expect(pair.left.outbound.isEmpty)
        held.release()
        await pair.rest()
        await pair.world.run(for: .seconds(40))
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.endpoint.saCount == 1 && pair.right.endpoint.saCount == 1)
        #expect(pair.left.status("site")?.ikeSAs.map(\.localSPI) == pair.right.status("site")?.ikeSAs.map(\.remoteSPI))
        #expect(pair.faults.isEmpty)
    }

    @Test("Children do not outlive an IKE SA whose undecided successor the peer has deleted first")
    func successorDeletedFirst() async {
        // as above, but R: D(new IKE SA) ->  and then  D(old IKE SA) ->
        let (pair, held) = await crossed(seed: 61)
        await pair.terminate("right")
        await pair.world.run(for: .milliseconds(100))
        held.release()
        await pair.world.run(for: .milliseconds(400))
        #expect(pair.left.inbound.isEmpty && pair.left.outbound.isEmpty)
        #expect(pair.left.endpoint.childSPICount == 0)
        #expect(pair.left.endpoint.audit().isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "An IKE SA made by a rekey that crossed a new authentication goes as the old one would have",
        arguments: ["left", "right"])
    func rekeyedDuringReauthentication(by name: String) async {
        // L: R(IKE) ->          R: answer (held)
        // R: a new IKE SA in place of the old one
        // L: answer <-          it belongs to what is replaced
        let pair = await Pair.established(seed: 62)
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.rekeyIKE("left")
        await pair.world.run(for: .milliseconds(50))
        await pair.world.act(name) { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.world.run(for: .milliseconds(200))
        held.release()
        let isCarried = await pair.world.run(atMost: .seconds(50)) { !pair.carries }
        #expect(!isCarried)
        #expect(pair.left.endpoint.saCount == 1 && pair.right.endpoint.saCount == 1)
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "The IKE SA that prevails takes all with it when it is deleted before our own crossing rekey is answered",
        arguments: 71...78 as ClosedRange<UInt64>)
    func prevailingDeletedFirst(seed: UInt64) async {
        // L: R(IKE) ->          R: R(IKE) ->
        // R: answer -> (held)   L: answer ->
        // R: D(old) -> (held)   D(new IKE SA) ->
        // L: answer <-          only now it knows which one prevails
        let pair = await Pair.established(seed: seed)
        let old = pair.ikeSPI
        let held = Held(pair.world) {
            !pair.isFromLeft($0)
                && ($0.isResponse(.createChildSA) || $0.isRequest(.informational) && $0.header?.initiatorSPI == old)
        }
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .milliseconds(50))
        await pair.terminate("right")
        await pair.world.run(for: .milliseconds(100))
        held.release()
        // Left calls anew, as nobody has taken it down there.
        let isBack = await pair.world.run(atMost: .seconds(5)) { pair.isUp }
        #expect(isBack)
        // What is left of the crossing goes by itself.
        await pair.world.run(for: .seconds(40))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "Of two IKE SAs that were set up at once one goes, also when it has been rekeyed before the other was there",
        arguments: 81...88 as ClosedRange<UInt64>)
    func rekeyedBeforeTheOtherIsThere(seed: UInt64) async {
        // R: IKE_SA_INIT, IKE_AUTH -> (held)
        // L: IKE_SA_INIT, IKE_AUTH -> (held)
        // L: IKE_AUTH <-        R: R(IKE) ->
        // R: IKE_AUTH <-        for R the other is what was set up
        // L: R(IKE) <-          for L, once its IKE_AUTH is answered, the successor, with another SPI
        let pair = await Pair.established(seed: seed)
        let fromRight = Held(pair.world) { $0.isRequest(.ikeAuth) }
        await pair.world.act("right") { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.world.run(for: .milliseconds(50))
        await pair.world.act("left") { endpoint, now in endpoint.reauthenticate("site", at: now) }
        await pair.world.run(for: .milliseconds(50))
        let held = fromRight.datagrams
        #expect(held.count == 2)
        pair.world.tap = nil
        for datagram in held where !pair.isFromLeft(datagram) { pair.world.inject(datagram) }
        await pair.world.run(for: .milliseconds(30))
        await pair.rekeyIKE("right")
        for datagram in held where pair.isFromLeft(datagram) { pair.world.inject(datagram) }
        await pair.world.run(for: .seconds(20))
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }
}
