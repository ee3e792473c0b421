import IKE
import IKEMessage
import IPsecCrypto
import Simulation
import Testing

@Suite("Algorithms of IKE")
struct AlgorithmTests {
    private static func ike(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm? = nil, prf: PRF = .hmacSHA2_256
    ) -> IKEProposal {
        IKEProposal(
            encryption: [encryption], integrity: integrity.map { [$0] } ?? [], prf: [prf], keyExchange: [.curve25519])
    }

    static let ikeProposals: [IKEProposal] =
        [
            .aesGCM8(128), .aesGCM12(256), .aesCCM8(128), .aesCCM12(192), .aesCCM16(256),
        ].map { ike($0) }
        + IntegrityAlgorithm.allCases.map { ike(.aesCBC(128), $0) }
        + [ike(.aesCTR(128), .hmacSHA2_256_128), ike(.aesCTR(256), .aesXCBC_96)]
        + PRF.allCases.map { ike(.aesGCM16(256), prf: $0) }

    @Test(
        "Two gateways agree with every cipher, integrity algorithm and PRF, and replace the SA", arguments: ikeProposals
    )
    func agreement(proposal: IKEProposal) async {
        let pair = await Pair.established(
            seed: 7, left: { $0.ikeProposals = [proposal] }, right: { $0.ikeProposals = [proposal] })
        #expect(pair.isUp)
        await pair.rekeyIKE("right")
        await pair.rest()
        #expect(pair.agrees())
        #expect(pair.left.status("site")?.ikeSAs.first?.suite.prf == proposal.prf.first)
    }

    static let espProposals: [ESPProposal] =
        [
            .aesGCM8(128), .aesCCM8(128), .aesCCM16(256), .nullWithGMAC(256), .aesGCM16ImplicitIV(256),
            .aesCCM8ImplicitIV(128), .chaCha20Poly1305ImplicitIV,
        ].map { ESPProposal(encryption: [$0]) }
        + [
            ESPProposal(encryption: [.null], integrity: [.hmacSHA2_256_128]),
            ESPProposal(encryption: [.aesCTR(256)], integrity: [.aesCMAC_96]),
        ]

    @Test("Packets pass with every kind of cipher of ESP", arguments: espProposals)
    func packets(proposal: ESPProposal) async {
        let pair = await Pair.established(
            seed: 8, left: { $0.children[0].espProposals = [proposal] },
            right: { $0.children[0].espProposals = [proposal] })
        #expect(pair.agrees())
    }

    @Test("An IKE SA is never without encryption, whatever is configured")
    func neverNull() {
        let proposal = Self.ike(.null, .hmacSHA2_256_128)
        let choice = ProposalSelection.selectIKE(
            from: [proposal.payload(number: 1)], configured: [proposal], preferring: nil)
        #expect(choice == nil)
    }

    @Test("Every number that a registry names stands in the table of levels once")
    func complete() {
        let registries: [(TransformType, AlgorithmRequirement.Registry)] = [
            (.encryption, .encryption), (.pseudorandomFunction, .prf), (.integrity, .integrity),
            (.keyExchange, .keyExchange),
        ]
        for (type, registry) in registries {
            // NONE as key exchange stands for the absence of one.
            let named = (transformNames[type] ?? [:]).keys.filter { type != .keyExchange || $0 != 0 }
            let listed = AlgorithmRequirement.all.filter { $0.registry == registry }.map(\.number)
            #expect(listed == named.sorted(), "\(registry)")
        }
        let methods = AlgorithmRequirement.all.filter { $0.registry == .authentication }.map(\.number)
        #expect(methods == AuthenticationMethod.names.keys.map { UInt16($0.rawValue) }.sorted())
    }

    @Test("Nothing that is refused is implemented, except NULL, which ESP must have")
    func refusals() {
        for requirement in AlgorithmRequirement.all where requirement.isImplemented {
            for use in AlgorithmRequirement.Use.allCases where requirement.refusal(for: use) != nil {
                #expect(requirement.name == "ENCR_NULL" && use == .ike)
            }
        }
    }

    @Test("What RFC 8247 forbids is passed over with a line that names it, and the rest is chosen from")
    func passedOver() async {
        let pair = await Pair(seed: 9, start: .none)
        pair.world.tap = { datagram in
            guard pair.isFromLeft(datagram), datagram.isRequest(.ikeSAInit),
                var message = try? Message(parsing: datagram.octets)
            else { return [datagram] }
            // A peer that offers DES and MODP-768 besides.
            message.payloads = message.payloads.map { payload in
                guard case .securityAssociation(var association) = payload else { return payload }
                association.proposals[0].transforms += [
                    Transform(type: .encryption, id: 2), Transform(type: .keyExchange, id: 1),
                ]
                return .securityAssociation(association)
            }
            var changed = datagram
            changed.octets = message.serialized()
            return [changed]
        }
        await pair.initiate()
        await pair.world.run(for: .seconds(3))
        // The changed message is not the one that the initiator signs, so that it ends there; the story is what counts.
        let lines = pair.right.narratives.flatMap(\.lines).filter { $0.kind == .refused }.map(\.text)
        #expect(lines.contains("ENCR_DES MUST NOT be used (RFC 8247, section 2.1): passed over"), "\(lines)")
        #expect(lines.contains("MODP_768 MUST NOT be used (RFC 8247, section 2.4): passed over"), "\(lines)")
        #expect(pair.right.narratives.flatMap(\.lines).contains { $0.kind == .chosen })
    }
}
