import Decode
import IKEMessage
import Octets
import Testing

struct SealedMessageTests {
    @Test("With keys, what is sealed is opened and shown below the message")
    func opened() throws {
        let lines = SampleFrames.text(frames: [SealedSample.frame(try SealedSample.sealed())], keys: SealedSample.keys)
        #expect(
            lines == [
                "#1 2025-11-03T10:15:30.123456Z 192.0.2.2:4500 > 192.0.2.130:4500 IKE_AUTH request 1 of the original initiator",
                "    SPIs 0102030405060708 1112131415161718, 125 octets",
                "    SK: 93 octets sealed",
                "        first payload inside: IDi",
                "    opened with ike, line 1:",
                "        IDi: ID_FQDN left.example",
                "        AUTH: Shared Key Message Integrity Code",
                "            authentication data: 32 octets, \(String(repeating: "05", count: 32))",
                "        Notify: INITIAL_CONTACT",
            ])
    }

    /// IKE_SA_INIT's response, in which extended payload headers are agreed on.
    private static let agreement = SealedSample.frame(
        Message(
            header: SampleFrames.header(.ikeSAInit, .response, 0),
            payloads: [
                .notify(
                    NotifyPayload(
                        protocolID: .none, spi: [], type: NotifyType(rawValue: 41021),
                        data: [1, 0, 0, 0, 0, 0x10, 0, 0]))
            ]
        ).serialized())

    @Test("Extended payload headers are read where they were agreed on, and named", arguments: [true, false])
    func extended(isAgreementSeen: Bool) throws {
        let sealed = SealedSample.frame(try SealedSample.sealed(format: .extended))
        let lines = SampleFrames.text(
            frames: (isAgreementSeen ? [Self.agreement] : []) + [sealed], keys: SealedSample.keys)
        #expect(
            lines.suffix(5) == [
                "    opened with ike, line 1; extended payload headers, 5 octets less than classic ones:",
                "        IDi: ID_FQDN left.example",
                "        AUTH: Shared Key Message Integrity Code",
                "            authentication data: 32 octets, \(String(repeating: "05", count: 32))",
                "        Notify: INITIAL_CONTACT",
            ])
    }

    @Test("Classic headers where extended ones were agreed on are malformed")
    func notExtended() throws {
        let lines = SampleFrames.text(
            frames: [Self.agreement, SealedSample.frame(try SealedSample.sealed())], keys: SealedSample.keys)
        #expect(lines.last?.hasPrefix("    malformed: inside, ") == true)
    }

    @Test("Without keys, it is sealed and nothing more")
    func sealed() throws {
        let entries = try SampleFrames.entries(frames: [SealedSample.frame(try SealedSample.sealed())])
        #expect(entries.first?.ike?.protection == .sealed)
        #expect(entries.first?.ike?.inner == [])
    }

    @Test("A message that was changed, or sealed with other keys, is plainly said not to be authentic")
    func notAuthentic() throws {
        var changed = try SealedSample.sealed()
        changed[60] ^= 1
        for message in [changed, try SealedSample.sealed(key: SealedSample.responderKey)] {
            let lines = SampleFrames.text(frames: [SealedSample.frame(message)], keys: SealedSample.keys)
            #expect(lines.last == "    not authentic: the integrity check fails with the keys of ike, line 1")
        }
    }

    @Test("The responder's messages are opened with the responder's key")
    func responder() throws {
        let message = try SealedSample.sealed(key: SealedSample.responderKey, flags: .response)
        let entries = try SampleFrames.entries(frames: [SealedSample.frame(message)], keys: SealedSample.keys)
        #expect(entries.first?.ike?.inner.map(\.type) == [.identificationInitiator, .authentication, .notify])
    }

    @Test("Of two rows for the same SPIs, the one that fits is found")
    func severalRows() throws {
        let wrong = SealedSample.ikeRow.replacing("a1a1", with: "a2a2")
        let table = try SealedSample.table(ike: wrong + "\n" + SealedSample.ikeRow)
        let entries = try SampleFrames.entries(frames: [SealedSample.frame(try SealedSample.sealed())], keys: table)
        #expect(entries.first?.ike?.protection == .opened(KeyTable.Origin(file: "ike", line: 2)))
    }

    @Test("Fragments are shown one by one, and the message with the one that completes it, in any order")
    func fragments() throws {
        var frames = try SealedSample.fragments(30).map(SealedSample.frame)
        frames.swapAt(0, 1)
        let entries = try SampleFrames.entries(frames: frames, keys: SealedSample.keys)
        #expect(entries.map { $0.ike?.fragment?.number } == [2, 1, 3])
        #expect(entries.map { $0.ike?.fragment?.completes } == [false, false, true])
        #expect(entries.map { $0.ike?.inner.count } == [0, 0, 3])
    }

    @Test("A repetition names the packet it repeats")
    func repetition() throws {
        let frame = SealedSample.frame(try SealedSample.sealed())
        let other = SealedSample.frame(try SealedSample.sealed(SealedSample.payloads, 2))
        let entries = try SampleFrames.entries(frames: [frame, other, frame, frame], keys: SealedSample.keys)
        #expect(entries.map { $0.ike?.repeats } == [nil, nil, 1, 1])
        #expect(entries.allSatisfy { $0.ike?.inner.count == 3 })
    }

    @Test("A fault inside is named with its octet in the message, after the payloads before it")
    func faultInside() throws {
        let proposal = Payload.unknown(RawPayload(type: .securityAssociation, body: [9, 0, 0, 8, 1, 3, 0, 0]))
        let message = try SealedSample.sealed([SealedSample.payloads[0], proposal, SealedSample.payloads[1]])
        let ike = try #require(
            try SampleFrames.entries(frames: [SealedSample.frame(message)], keys: SealedSample.keys).first?.ike)
        #expect(ike.inner.map(\.type) == [.identificationInitiator])
        // Header 28, generic header 4, IV 8, IDi 20, generic header 4.
        #expect(ike.faults == ["inside, SA payload, octet 64: last proposal mark: 9 instead of 0 or 2"])
    }

    @Test("The decoding goes on behind a malformed message")
    func faultOutside() throws {
        var broken = SampleFrames.request
        broken[30] = 0xFF
        let entries = try SampleFrames.entries(
            frames: [broken, [1, 2, 3], SampleFrames.request].map(SealedSample.frame))
        #expect(entries.first?.ike?.faults.first?.hasPrefix("SA payload, octet 30: payload length") == true)
        #expect(
            entries.dropFirst().first?.body == .unreadable("message, octet 0: initiator's SPI: needs 8 octets, 3 left"))
        #expect(entries.last?.ike?.faults == [])
    }

    @Test("IKEv1 is named, and not decoded")
    func ikev1() {
        var message = SampleFrames.request
        message[17] = 0x10
        message[18] = 4
        let lines = SampleFrames.text(frames: [SealedSample.frame(message)])
        #expect(lines.count == 2)
        #expect(lines.first?.hasSuffix("IKEv1 Aggressive, not decoded: historic since RFC 9395") == true)
    }
}
