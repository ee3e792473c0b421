import IKE
import IKEMessage
import Simulation
import Testing

/// Notifications of the extensions, from a peer that is authenticated, where they do not belong and in forms they do not have.
@Suite("Notifications of extensions out of place") struct MisplacedNotificationTests {
    /// Those of every extension but the ones that are the request itself: OPTIMIZED_REKEY and ADDITIONAL_KEY_EXCHANGE.
    private static let types: [NotifyType] = [
        .intermediateExchangeSupported, .usePPK, .ppkIdentity, .noPPKAuth, .usePPKInt, .ppkIdentityKey,
        .supportedAuthMethods, .saResourceInfo, .ikeSAInitFullTranscriptAuth,
        NotifyType(rawValue: 51201), NotifyType(rawValue: 41001), NotifyType(rawValue: 41002),
        NotifyType(rawValue: 41003), NotifyType(rawValue: 41011), NotifyType(rawValue: 41021),
        NotifyType(rawValue: 41031),
    ]

    private static func forms(_ type: NotifyType) -> [Payload] {
        [
            NotifyPayload(protocolID: .none, spi: [], type: type, data: []),
            NotifyPayload(protocolID: .none, spi: [], type: type, data: [0xff]),
            NotifyPayload(protocolID: .none, spi: [], type: type, data: [UInt8](repeating: 0xff, count: 300)),
            NotifyPayload(protocolID: .esp, spi: [1, 2, 3, 4], type: type, data: [0, 1, 2, 3]),
        ].map { .notify($0) }
    }

    /// With what can be had at once.
    private static func pair(seed: UInt64) async -> Pair {
        func change(_ connection: inout ConnectionConfiguration) {
            connection.timing.livenessInterval = .seconds(2)
            connection.linkMTUNotification = LinkMTUPolicy()
        }
        return await Pair.established(seed: seed, left: change, right: change)
    }

    @Test("In INFORMATIONAL, each in every form and all at once, they end no SA", arguments: types)
    func informational(_ type: NotifyType) async {
        let pair = await Self.pair(seed: 1)
        let (old, sa) = (pair.childSPIs, pair.ikeSPI)
        var changed = 0
        pair.rewrite({ $0.header?.exchangeType == .informational }) {
            changed += 1
            return $0 + Self.forms(type)
        }
        await pair.world.run(for: .seconds(20))
        #expect(changed > 4)
        #expect(pair.agrees() && pair.childSPIs == old && pair.ikeSPI == sa)
        #expect(pair.faults.isEmpty)
    }

    @Test("Beside a rekey of the IKE SA, and in its answer, they change nothing", arguments: types)
    func ikeRekey(_ type: NotifyType) async {
        let pair = await Self.pair(seed: 2)
        let sa = pair.ikeSPI
        pair.rewrite({ $0.header?.exchangeType == .createChildSA }) { $0 + Self.forms(type) }
        await pair.rekeyIKE("left")
        await pair.rest()
        #expect(pair.agrees() && pair.ikeSPI != sa)
        #expect(pair.faults.isEmpty)
    }

    @Test(
        "Beside a rekey of a child, and in its answer, they leave one child on which both sides agree", arguments: types
    )
    func childRekey(_ type: NotifyType) async {
        let pair = await Self.pair(seed: 3)
        let (old, sa) = (pair.childSPIs, pair.ikeSPI)
        pair.rewrite({ $0.header?.exchangeType == .createChildSA }) { $0 + Self.forms(type) }
        await pair.rekeyChild("left")
        await pair.rest()
        #expect(pair.agrees() && pair.childSPIs != old && pair.ikeSPI == sa)
        #expect(pair.faults.isEmpty)
    }
}
