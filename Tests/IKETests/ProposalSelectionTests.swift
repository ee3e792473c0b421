import IKE
import IKEMessage
import IPsecCrypto
import Testing

@Suite("Proposal selection")
struct ProposalSelectionTests {
    private let gcm = IKEProposal(
        encryption: [.aesGCM16(256), .aesGCM16(128)], prf: [.hmacSHA2_256, .hmacSHA2_384],
        keyExchange: [.curve25519, .ecp384])
    private let cbc = IKEProposal(
        encryption: [.aesCBC(256)], integrity: [.hmacSHA2_256_128], prf: [.hmacSHA2_256], keyExchange: [.ecp256])
    private let esp = ESPProposal(encryption: [.aesGCM16(256)])

    private func select(
        _ offered: [Proposal], _ configured: [IKEProposal], preferring method: KeyExchangeMethod? = nil
    ) -> IKESuite? {
        ProposalSelection.selectIKE(from: offered, configured: configured, preferring: method?.rawValue)?.suite
    }

    private func selectESP(
        _ offered: [Proposal], _ configured: [ESPProposal], withKeyExchange: Bool = true
    ) -> ChildSuite? {
        ProposalSelection.selectESP(
            from: offered, configured: configured, withKeyExchange: withKeyExchange, preferring: nil)?.suite
    }

    @Test("Our order decides, not the peer's")
    func ourOrder() {
        var offer = gcm
        offer.encryption.reverse()
        offer.prf.reverse()
        #expect(select([offer.payload(number: 1)], [gcm])?.encryption == .aesGCM16(256))
        #expect(select([offer.payload(number: 1)], [gcm])?.prf == .hmacSHA2_256)
        #expect(select([cbc.payload(number: 1), gcm.payload(number: 2)], [gcm, cbc])?.encryption == .aesGCM16(256))
    }

    @Test("The method of the KE payload at hand is taken where it is acceptable")
    func methodAtHand() {
        #expect(select([gcm.payload(number: 1)], [gcm], preferring: .ecp384)?.keyExchange == .ecp384)
        #expect(select([gcm.payload(number: 1)], [gcm], preferring: .modp2048)?.keyExchange == .curve25519)
    }

    @Test("The chosen proposal is answered with its own number and SPI")
    func number() {
        let offered = [cbc.payload(number: 1), gcm.payload(number: 2, spi: [1, 2, 3, 4, 5, 6, 7, 8])]
        let choice = ProposalSelection.selectIKE(from: offered, configured: [gcm], preferring: nil)
        #expect(choice?.number == 2)
        #expect(choice?.spi == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test("Without an algorithm in common there is no choice", arguments: TransformType.ofIKE)
    func nothingInCommon(type: TransformType) {
        var offer = cbc.payload(number: 1)
        offer.transforms = offer.transforms.map { $0.type == type ? Transform(type: type, id: 9999) : $0 }
        #expect(select([offer], [cbc]) == nil)
    }

    @Test("A key of another length is another algorithm")
    func keyLength() {
        var offer = gcm.payload(number: 1)
        offer.transforms[0] = Transform(type: .encryption, id: 20, keyLength: 192)
        offer.transforms[1] = Transform(type: .encryption, id: 20)
        #expect(select([offer], [gcm]) == nil)
    }

    @Test("A transform with an attribute we do not know is not chosen (RFC 7296 section 3.3.6)")
    func unknownAttribute() {
        var offer = cbc.payload(number: 1)
        offer.transforms[0].attributes.append(
            TransformAttribute(type: TransformAttributeType(rawValue: 77), value: .short(1)))
        #expect(select([offer], [cbc]) == nil)
    }

    @Test("A proposal with a transform type we do not know is not chosen, unless it may be left out")
    func unknownType() {
        var offer = gcm.payload(number: 1)
        offer.transforms.append(Transform(type: TransformType(rawValue: 99), id: 7))
        #expect(select([offer], [gcm]) == nil)
        offer.transforms[offer.transforms.count - 1].id = 0
        #expect(select([offer], [gcm]) != nil)
    }

    @Test("AEAD goes with no integrity transform, or with NONE, and with no other")
    func integrityOfAEAD() {
        var offer = gcm.payload(number: 1)
        offer.transforms.append(Transform(type: .integrity, id: 12))
        #expect(select([offer], [gcm]) == nil)
        offer.transforms.append(Transform(type: .integrity, id: 0))
        #expect(select([offer], [gcm])?.integrity == nil)
        #expect(select([offer], [gcm]) != nil)
    }

    @Test("A cipher without authentication is never chosen without integrity")
    func integrityOfCBC() {
        var offer = cbc.payload(number: 1)
        offer.transforms.removeAll { $0.type == .integrity }
        #expect(select([offer], [cbc]) == nil)
        offer.transforms.append(Transform(type: .integrity, id: 0))
        #expect(select([offer], [cbc]) == nil)
    }

    @Test("A proposal for another protocol is passed over")
    func otherProtocol() {
        var offer = gcm.payload(number: 1)
        offer.protocolID = .ah
        #expect(select([offer], [gcm]) == nil)
    }

    @Test("Extended sequence numbers are chosen where both sides have them")
    func sequenceNumbers() {
        #expect(
            selectESP([esp.payload(number: 1, spi: 256, withKeyExchange: true)], [esp])?.sequenceNumbers == .extended)
        var short = esp
        short.sequenceNumbers = [.sequential32]
        #expect(
            selectESP([short.payload(number: 1, spi: 256, withKeyExchange: true)], [esp])?.sequenceNumbers
                == .sequential32)
        var long = esp
        long.sequenceNumbers = [.extended]
        #expect(selectESP([short.payload(number: 1, spi: 256, withKeyExchange: true)], [long]) == nil)
    }

    @Test("A peer that leaves the sequence number transform out means 32 bits")
    func missingSequenceNumbers() {
        var offer = esp.payload(number: 1, spi: 256, withKeyExchange: true)
        offer.transforms.removeAll { $0.type == .sequenceNumbers }
        #expect(selectESP([offer], [esp])?.sequenceNumbers == .sequential32)
    }

    @Test("Perfect forward secrecy that we want is not negotiated away")
    func forwardSecrecy() {
        var wanted = esp
        wanted.keyExchange = [.curve25519]
        let without = esp.payload(number: 1, spi: 256, withKeyExchange: true)
        #expect(selectESP([without], [wanted]) == nil)
        #expect(selectESP([without], [wanted], withKeyExchange: false) != nil)
        var optional = wanted.payload(number: 1, spi: 256, withKeyExchange: true)
        optional.transforms.append(Transform(type: .keyExchange, id: 0))
        #expect(selectESP([optional], [wanted])?.keyExchange == .curve25519)
        #expect(selectESP([optional], [esp])?.keyExchange == nil)
        #expect(selectESP([optional], [esp]) != nil)
    }

    @Test("An ESP proposal whose SPI has not four octets is passed over")
    func shortSPI() {
        var offer = esp.payload(number: 1, spi: 256, withKeyExchange: true)
        offer.spi = [1, 2, 3]
        #expect(selectESP([offer], [esp]) == nil)
    }

    @Test("An answer must be one proposal with one transform of each type, all of them ours")
    func answers() throws {
        let suite = IKESuite(encryption: .aesGCM16(128), integrity: nil, prf: .hmacSHA2_384, keyExchange: .ecp384)
        #expect(try ProposalSelection.acceptedIKE([suite.payload(number: 1)], offered: [gcm]).suite == suite)
        #expect(throws: Refusal.self) { try ProposalSelection.acceptedIKE([], offered: [gcm]) }
        #expect(throws: Refusal.self) {
            try ProposalSelection.acceptedIKE([suite.payload(number: 1), suite.payload(number: 2)], offered: [gcm])
        }
        #expect(throws: Refusal.self) {
            try ProposalSelection.acceptedIKE([gcm.payload(number: 1)], offered: [gcm])
        }
        #expect(throws: Refusal.self) {
            try ProposalSelection.acceptedIKE([suite.payload(number: 1)], offered: [cbc])
        }
    }
}

extension TransformType {
    /// What an IKE proposal with a cipher that is no AEAD has.
    static let ofIKE: [TransformType] = [.encryption, .pseudorandomFunction, .integrity, .keyExchange]
}
