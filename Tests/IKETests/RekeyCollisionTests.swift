import IKE
import IKEMessage
import Octets
import Simulation
import Testing

// Both sides rekey at once. Ri and Ai are request and response of the exchange that side i began; L is left, R is right.
@Suite("Rekeys that cross")
struct RekeyCollisionTests {
    /// One CREATE_CHILD_SA exchange, as a wiretap heard it.
    private struct Exchange {
        let nonces: [[UInt8]]
        /// The SPIs that left and right chose.
        let left: [UInt8]
        let right: [UInt8]
        var lowest: [UInt8] { nonces.min { $0.lexicographicallyPrecedes($1) } ?? [] }
    }

    private func exchange(_ pair: Pair, byLeft: Bool, ofIKE: Bool) -> Exchange? {
        var nonces: [[UInt8]] = []
        var spis: [Bool: [UInt8]] = [:]
        for datagram in pair.world.sent where datagram.header?.exchangeType == .createChildSA {
            // The side that began the exchange sends its request, the other its answer.
            guard pair.isFromLeft(datagram) == (byLeft != datagram.isResponse),
                let payloads = pair.wiretap.payloads(of: datagram.octets)
            else { continue }
            for payload in payloads {
                switch payload {
                case .nonce(let nonce) where !nonces.contains(nonce): nonces.append(nonce)
                case .securityAssociation(let association):
                    guard let proposal = association.proposals.first, (proposal.protocolID == .ike) == ofIKE else {
                        return nil
                    }
                    spis[pair.isFromLeft(datagram)] = proposal.spi
                default: break
                }
            }
        }
        guard nonces.count == 2, let left = spis[true], let right = spis[false] else { return nil }
        return Exchange(nonces: nonces, left: left, right: right)
    }

    /// The exchange whose SA must stay: not the one that has the lowest of the four nonces.
    private func winner(_ pair: Pair, ofIKE: Bool) -> Exchange? {
        guard let ours = exchange(pair, byLeft: true, ofIKE: ofIKE),
            let theirs = exchange(pair, byLeft: false, ofIKE: ofIKE)
        else { return nil }
        return ours.lowest.lexicographicallyPrecedes(theirs.lowest) ? theirs : ours
    }

    @Test(
        "Of two replacements for a child, the one with the lowest nonce goes, whichever side made it",
        arguments: 1...8 as ClosedRange<UInt64>)
    func child(seed: UInt64) async {
        // L: RL ->          R: RR ->
        // R: RL <- AL ->    L: RR <- AR ->     both answer while their own request is under way
        // L: AL <-          R: AR <-           each knows all four nonces
        // loser: D(own) ->  winner: D(old) ->
        let pair = await Pair.established(seed: seed)
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.world.run(for: .milliseconds(200))
        #expect(pair.left.inbound.count == 3)
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        let winner = winner(pair, ofIKE: false)
        #expect(winner != nil)
        #expect(pair.childSPIs.map(\.bigEndianOctets) == [winner?.left ?? []])
    }

    @Test(
        "A request that arrives when the other side's rekey is complete still loses or wins by its nonce",
        arguments: 1...8 as ClosedRange<UInt64>)
    func childLate(seed: UInt64) async {
        // L: RL -> (held)   R: RR ->
        //                   L: RR <- AR ->
        //                   R: AR <-           R has finished and knows nothing of RL
        // R: RL <- AL ->                       before R's Delete of the old pair
        let pair = await Pair.established(seed: seed)
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isRequest(.createChildSA) }
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.world.run(for: .milliseconds(100))
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        #expect(pair.childSPIs.map(\.bigEndianOctets) == [winner(pair, ofIKE: false)?.left ?? []])
    }

    @Test(
        "A request for a child that the other side has replaced and deleted makes no second replacement",
        arguments: [1500, 4000] as [Int64])
    func childTooLate(milliseconds: Int64) async {
        // as above, but RL arrives when R is about to delete, or has deleted, the old pair: TEMPORARY_FAILURE or CHILD_SA_NOT_FOUND
        let pair = await Pair.established(seed: 11)
        let held = Held(pair.world) { pair.isFromLeft($0) && $0.isRequest(.createChildSA) }
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.world.run(for: .milliseconds(milliseconds))
        #expect(pair.carries)
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A loser whose own answer comes after the old pair is gone still deletes its replacement",
        arguments: 1...8 as ClosedRange<UInt64>)
    func childAnswerLate(seed: UInt64) async {
        // L: RL ->          R: RR ->
        // R: RL <- AL (held)
        //                   L: RR <- AR ->
        //                   R: AR <-           R knows all four nonces; if it won, it deletes the old pair after a second
        // L: AL <-                             L hears of its own replacement only now
        let pair = await Pair.established(seed: seed)
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.rekeyChild("left")
        await pair.rekeyChild("right")
        await pair.world.run(for: .seconds(3))
        #expect(pair.carries)
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        #expect(pair.childSPIs.map(\.bigEndianOctets) == [winner(pair, ofIKE: false)?.left ?? []])
    }

    @Test(
        "Of two new IKE SAs, the one with the lowest nonce goes and the other has the children",
        arguments: 1...8 as ClosedRange<UInt64>)
    func ike(seed: UInt64) async {
        // L: RL ->          R: RR ->
        // R: RL <- AL ->    L: RR <- AR ->
        // L: AL <-          R: AR <-
        // loser: D(own) ->  winner: D(old) ->
        let pair = await Pair.established(seed: seed)
        let children = pair.childSPIs
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        #expect(pair.childSPIs == children)
        #expect(pair.ikeSPI.bigEndianOctets == winner(pair, ofIKE: true)?.left)
        await pair.world.run(for: .seconds(40))
        #expect(pair.left.endpoint.saCount == 1)
        #expect(pair.right.endpoint.saCount == 1)
    }

    @Test(
        "The old IKE SA can be deleted before the crossing rekey is answered", arguments: 1...8 as ClosedRange<UInt64>)
    func ikeAnswerLate(seed: UInt64) async {
        // L: RL ->          R: RR ->
        // R: RL <- AL (held)
        //                   L: RR <- AR ->
        //                   R: AR <-  and, if it won, D(old) ->   L has children on the old SA and an undecided new one
        let pair = await Pair.established(seed: seed)
        let children = pair.childSPIs
        let held = Held(pair.world) { !pair.isFromLeft($0) && $0.isResponse(.createChildSA) }
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .milliseconds(400))
        held.release()
        await pair.rest()
        #expect(pair.carries)
        #expect(pair.childSPIs == children)
        await pair.world.run(for: .seconds(40))
        #expect(pair.agrees())
        #expect(pair.left.endpoint.saCount == 1)
        #expect(pair.right.endpoint.saCount == 1)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "A rekey of the IKE SA that arrives when the other side's is complete gets TEMPORARY_FAILURE, and is given up for it"
    )
    func ikeLate() async {
        // L: RL -> (held)   R: RR ->
        //                   L: RR <- AR ->
        //                   R: AR <-  D(old) -> (held)
        // R: RL <- TEMPORARY_FAILURE ->
        let pair = await Pair.established(seed: 21)
        let held = Held(pair.world) {
            pair.isFromLeft($0) && $0.isRequest(.createChildSA) || !pair.isFromLeft($0) && $0.isRequest(.informational)
        }
        await pair.rekeyIKE("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .milliseconds(100))
        held.release()
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.faults.isEmpty)
        #expect(pair.left.endpoint.ikeSPICount <= 2)
    }

    @Test(
        "A child's rekey and the IKE SA's wait for each other (RFC 7296 section 2.25)",
        arguments: 1...4 as ClosedRange<UInt64>)
    func childAndIKE(seed: UInt64) async {
        let pair = await Pair.established(seed: seed)
        let old = (pair.childSPIs, pair.ikeSPI)
        await pair.rekeyChild("left")
        await pair.rekeyIKE("right")
        await pair.world.run(for: .milliseconds(100))
        let answers = pair.world.sent.filter { $0.isResponse(.createChildSA) }.compactMap {
            pair.wiretap.payloads(of: $0.octets)
        }
        #expect(answers.filter { $0.contains(.temporaryFailure) }.count == 2)
        await pair.world.run(for: .seconds(30))
        #expect(pair.agrees())
        #expect(pair.childSPIs != old.0)
        #expect(pair.ikeSPI != old.1)
        #expect(pair.faults.isEmpty)
    }

    @Test("A child that is deleted while the other side rekeys it is gone in the end, at both sides")
    func rekeyAndDelete() async {
        // L: R(rekey) ->    R: D(child) ->
        // R: <- TEMPORARY_FAILURE: it is being deleted
        // L: <- D(child)
        let pair = await Pair.established(seed: 31, left: { $0.start = .none })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        await pair.rekeyChild("left")
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(100))
        let answers = pair.world.sent.filter { $0.isResponse(.createChildSA) }.compactMap {
            pair.wiretap.payloads(of: $0.octets)
        }
        #expect(answers.last?.contains(.temporaryFailure) == true)
        await pair.rest()
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.left.status("site")?.ikeSAs.count == 1)
        #expect(pair.left.endpoint.childSPICount == 0)
        #expect(pair.right.endpoint.childSPICount == 0)
    }

    @Test("The same child deleted by both sides at once is named by each side once (RFC 7296 section 1.4.1)")
    func deletions() async {
        let pair = await Pair.established(seed: 32, left: { $0.start = .none })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        await pair.terminate("left", child: "net")
        await pair.terminate("right", child: "net")
        await pair.world.run(for: .milliseconds(100))
        let answers = pair.world.sent.filter { $0.isResponse(.informational) }.compactMap {
            pair.wiretap.payloads(of: $0.octets)
        }
        #expect(answers.count == 2)
        #expect(answers.allSatisfy { $0.isEmpty })
        await pair.rest()
        #expect(pair.left.inbound.isEmpty && pair.right.inbound.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test("The IKE SA deleted by both sides at once is gone at both")
    func ikeDeletions() async {
        let pair = await Pair.established(seed: 33)
        await pair.terminate("left")
        await pair.terminate("right")
        await pair.world.run(for: .seconds(40))
        #expect(pair.isEmpty)
        #expect(pair.faults.isEmpty)
    }

    @Test("An IKE SA that is rekeyed by one side and deleted by the other is gone in the end")
    func ikeRekeyAndDelete() async {
        let pair = await Pair.established(seed: 34, left: { $0.start = .none })
        await pair.initiate()
        await pair.world.run(for: .seconds(1))
        await pair.rekeyIKE("left")
        await pair.terminate("right")
        await pair.terminate("left")
        await pair.world.run(for: .seconds(60))
        #expect(pair.isEmpty)
        #expect(pair.faults.isEmpty)
    }
}
