import Decode
import IKEMessage
import IPsecCrypto
import Octets
import Testing

struct NotificationTextTests {
    private static func text(_ type: NotifyType, _ data: [UInt8], spi: [UInt8] = []) -> [String] {
        let message = Message(
            header: SampleFrames.header(.ikeSAInit, .initiator, 0),
            payloads: [.notify(NotifyPayload(protocolID: spi.isEmpty ? .none : .esp, spi: spi, type: type, data: data))]
        )
        return SampleFrames.text(frames: [SealedSample.frame(message.serialized())]).dropFirst(3).map {
            String($0.dropFirst(8))
        }
    }

    @Test(
        "The data of notifications read as their documents have them",
        arguments: [
            (.unsupportedCriticalPayload, [200], ["payload type: PRIVATE(200, 0xc8)"]),
            (.invalidMessageID, [0, 0, 0, 9], ["message ID: 9"]), (.invalidSPI, [1, 2, 3, 4], ["SPI: 01020304"]),
            (.invalidKEPayload, [0, 31], ["wanted: CURVE25519"]), (.setWindowSize, [0, 0, 0, 5], ["window size: 5"]),
            (.ipcompSupported, [0, 9, 2], ["CPI: 9", "transform: IPCOMP_DEFLATE"]),
            (.cookie, [1, 2], ["cookie: 2 octets, 0102"]),
            (.puzzle, [0, 5, 18, 7], ["PRF: PRF_HMAC_SHA2_256", "difficulty: 18 bits", "cookie: 1 octet, 07"]),
            (.signatureHashAlgorithms, [0, 2, 0, 5], ["hash: SHA2-256", "hash: Identity"]),
            (.additionalIP4Address, [192, 0, 2, 9], ["address: 192.0.2.9"]),
            (
                .noNATsAllowed, [192, 0, 2, 1, 192, 0, 2, 2, 1, 244, 17, 148],
                ["source: 192.0.2.1 port 500", "destination: 192.0.2.2 port 4500"]
            ),
            (.redirect, [3, 2, 0x67, 0x77, 9, 9], ["new responder: \"gw\"", "nonce: 2 octets, 0909"]),
            (.redirectedFrom, [1, 4, 192, 0, 2, 1], ["original responder: 192.0.2.1"]),
            (.authLifetime, [0, 0, 14, 16], ["lifetime: 3600 s"]),
            (.ticketLTOpaque, [0, 0, 14, 16, 1], ["lifetime: 3600 s", "ticket: 1 octet, 01"]),
            (.saResourceInfo, [0xab, 1], ["resource identifier, the sender's own: 2 octets, ab01"]),
            (.saResourceInfo, [], []),
            (.quickCrashDetection, [1], ["token: 1 octet, 01"]),
            (.ppkIdentity, [2, 0x61], ["PPK_ID_FIXED: \"a\""]),
            (
                .ppkIdentityKey, [2, 0x61, 1, 2, 3, 4, 5, 6, 7, 8],
                ["PPK_ID_FIXED: \"a\"", "confirmation: 8 octets, 0102030405060708"]
            ),
            (.useAGGFRAG, [1], ["congestion control: not needed", "fragmentation: not accepted"]),
            (
                .ikev2MessageIDSync, [9, 9, 9, 9, 0, 0, 0, 4, 0, 0, 0, 5],
                ["nonce: 09090909", "next message ID to send: 4", "next message ID to receive: 5"]
            ),
            (
                .supportedAuthMethods, [2, 2, 3, 1, 1],
                [
                    "method: Shared Key Message Integrity Code", "method: RSA Digital Signature",
                    "    certificate request: 1",
                ]
            ),
            (NotifyType(rawValue: 50_000), [1], ["notification data: 1 octet, 01"]),
        ] as [(NotifyType, [UInt8], [String])])
    func data(_ type: NotifyType, _ data: [UInt8], _ expected: [String]) {
        #expect(Self.text(type, data) == expected)
    }

    @Test("Data that do not fit are named with the octet at fault, and shown as they are")
    func fault() {
        #expect(
            Self.text(.supportedAuthMethods, [2, 2, 1]) == [
                "fault: notification data, octet 2: announcement length: 1 octets; at least 2 are needed",
                "notification data: 3 octets, 020201",
            ])
        #expect(Self.text(.invalidKEPayload, [0, 19, 7]) == ["wanted: ECP_256", "further octets: 1 octet, 07"])
    }

    @Test("A number that a draft leaves open is shown by the draft's name, whichever it is")
    func openCodePoint() {
        func text(_ number: UInt16, _ codePoints: CodePoints) -> [String] {
            let notify = NotifyPayload(
                protocolID: .none, spi: [], type: NotifyType(rawValue: number), data: [0xc1, 2, 3, 4])
            let message = Message(
                header: SampleFrames.header(.createChildSA, .initiator, 7), payloads: [.notify(notify)])
            let capture = CaptureBuilder.pcap([.init(octets: SealedSample.frame(message.serialized()))])
            return CaptureDecoder.lines(of: capture, codePoints: codePoints).dropFirst(2).map {
                $0.trimmingPrefix { $0 == " " }.description
            }
        }
        var other = CodePoints()
        other[.optimizedRekey] = 45002
        #expect(text(51202, CodePoints()) == ["Notify: OPTIMIZED_REKEY, private number 51202", "new SPI: c1020304"])
        #expect(text(45002, other) == ["Notify: OPTIMIZED_REKEY, private number 45002", "new SPI: c1020304"])
        #expect(text(51202, other) == ["Notify: PRIVATE(51202, 0xc802)", "notification data: 4 octets, c1020304"])
    }

    @Test("LMAP and PTB are shown with their sizes (draft-liu-ipsecme-ikev2-mtu-dect)")
    func linkMTU() {
        let points = CodePoints()
        func text(_ point: OpenCodePoint, _ data: [UInt8]) -> [String] {
            Self.text(points.notify(point), data)
        }
        #expect(text(.largestAtomicPacket, [0x40, 0, 5, 0x74]) == ["IP version: 4", "first fragment: 1396 octets"])
        #expect(
            text(.largestAtomicPacket, [0x6f, 0xff, 5, 0xb0]) == [
                "IP version: 6", "payload of the first fragment: 1456 octets",
            ])
        #expect(
            text(.packetTooBig, [0, 0, 5, 0xdc, 0, 0, 0x23, 0x28]) == [
                "MTU of the link: 1500 octets", "largest packet taken: 9000 octets",
            ])
        #expect(text(.packetTooBig, [0, 0, 5, 0xdc]).first?.hasPrefix("fault: notification data, octet 4") == true)
    }

    @Test("ANTI_REPLAY_SUBSPACES is shown with its profile and highest subspace")
    func subspaces() {
        func text(_ data: [UInt8]) -> [String] { Self.text(CodePoints().notify(.antiReplaySubspaces), data) }
        #expect(text([1, 0, 0, 15]) == ["profile: 1", "highest subspace received: 15"])
        #expect(text([2, 3, 1, 0]) == ["profile: 2, not known", "flags: 3", "highest subspace received: 256"])
        #expect(text([1, 0, 0]).first?.hasPrefix("fault: notification data, octet 2") == true)
        #expect(text([1, 0, 0, 1, 9]).last == "further octets: 1 octet, 09")
    }

    @Test("EXTENDED_PAYLOAD_FORMAT is shown with its profile and the longest message taken")
    func extendedPayloads() {
        let type = CodePoints().notify(.extendedPayloadFormat)
        #expect(
            Self.text(type, [1, 0, 0, 0, 0, 0x10, 0, 0]) == [
                "profile: 1", "longest message taken: 1048576 octets of payloads",
            ])
        #expect(Self.text(type, [2, 0, 0, 0, 0, 0, 0, 0]) == ["profile: 2", "longest message taken: not said"])
        #expect(Self.text(type, [1, 0, 0]).first?.hasPrefix("fault: notification data, octet 1") == true)
    }

    @Test("No two numbers that drafts leave open are the same, and all are for private use")
    func usualNumbers() {
        for registry in Set(OpenCodePoint.allCases.map(\.registry)) {
            let numbers = OpenCodePoint.allCases.filter { $0.registry == registry }.map(\.usual)
            #expect(Set(numbers).count == numbers.count)
            #expect(numbers.allSatisfy(registry.privateUse.contains))
        }
    }

    @Test("The SPI of a notification is shown with its protocol")
    func spi() { #expect(Self.text(.rekeySA, [], spi: [1, 2, 3, 4]) == ["SPI: ESP 01020304"]) }

    @Test("NAT detection says whether the hash is that of the packet's own address")
    func natDetection() {
        let spis = SampleFrames.initiatorSPI.bigEndianOctets + SampleFrames.responderSPI.bigEndianOctets
        let hash = NamingDigest.sha1(spis + [192, 0, 2, 2] + UInt16(4500).bigEndianOctets)
        #expect(Self.text(.natDetectionSourceIP, hash) == ["hash: that of the packet's source, \(hash.hexadecimal)"])
        #expect(
            Self.text(.natDetectionDestinationIP, hash).first?.hasPrefix("hash: not that of the packet's destination")
                == true)
    }
}
