import Decode
import Foundation
import IKEMessage
import IPPacket
import Lab
import Testing

extension Interoperability {
    /// `cygnet decode` held against tshark, message by message, on captures that neither of the two made.
    @Suite("Decoding captures", .serialized)
    struct Decoding {
        @Test(
            "What dumpcap records of strongSwan with strongSwan reads as tshark reads it, in each format",
            arguments: [AuthenticationChoice.rsa, .preSharedKey])
        func strangers(_ authentication: AuthenticationChoice) async throws {
            try Interoperability.requirePeers()
            try await Laboratory.with { laboratory in
                let topology = try await Topology(in: laboratory)
                var plan = TunnelPlan()
                plan.authentication = authentication
                let dumpcap = try await Dumpcap(in: topology, interface: authentication == .rsa ? "any" : "right")
                let left = try await StrongSwan(at: .left, of: topology)
                let right = try await StrongSwan(at: .right, of: topology)
                if authentication == .preSharedKey {
                    try await left.load(plan, .left)
                    try await right.load(plan, .right)
                } else {
                    let pki = try await PKI(in: laboratory)
                    for (daemon, side) in [(left, Side.left), (right, Side.right)] {
                        let issued = try await pki.issue(TunnelPlan.identity(side), authentication)
                        try await daemon.load(plan, side, certificate: issued, authority: pki.authority)
                    }
                }
                try await left.initiate().orThrow()
                _ = try await Ping.run(
                    from: topology.host(.left), to: Topology.hostAddress(.right, .v4), count: 5,
                    interval: .milliseconds(10))
                try await left.rekeyChild()
                try await left.terminateIKE()
                let file = try await dumpcap.stop()

                for format in ["pcapng", "pcap", "nsecpcap"] {
                    let converted = "\(laboratory.directory)/converted.\(format)"
                    try await Command.run(["editcap", "-F", format, file, converted]).orThrow()
                    let entries = try Reading.entries(converted)
                    let ours = entries.compactMap(Reading.init)
                    let theirs = try await Reading.tshark(converted)
                    #expect(ours.count >= 8)
                    #expect(ours == theirs, "\(format)")
                    let espFrames = try await Reading.frames(converted, showing: "esp")
                    #expect(entries.filter { $0.isESP }.map(\.frame) == espFrames)
                    #expect(espFrames.count >= 10)
                    let faults = entries.compactMap { $0.ikeFaults }.filter { !$0.isEmpty }
                    #expect(faults.isEmpty)
                }
            }
            #expect(Laboratory.leftovers().isEmpty)
        }

        @Test(
            "With the keys that Cygnet saved, what is sealed in its conversation with strongSwan reads as tshark reads it",
            arguments: [EncryptionChoice.aes256gcm16, .aes256sha256], [Side.left, .right])
        func savedKeys(_ encryption: EncryptionChoice, _ side: Side) async throws {
            var plan = TunnelPlan()
            plan.encryption = encryption
            // On the right with certificates, in fragments.
            plan.authentication = side == .left ? .preSharedKey : .rsa
            let lines = side == .left ? [] : ["fragment-size: 576"]
            try await Encounter.run(plan, cygnetAt: side, extraLines: lines, savingKeys: true) { encounter in
                let summary = try await encounter.converse()
                let entries = try Reading.entries(summary.file, keys: encounter.savedKeys())
                let ours = entries.compactMap(Reading.init)
                let theirs = try await Reading.tshark(summary.file, configuration: encounter.laboratory.directory)
                #expect(ours == theirs)
                #expect(ours.contains { $0.payloads.contains(PayloadType.authentication.rawValue) })
                if side == .right {
                    #expect(ours.contains { $0.payloads.starts(with: [PayloadType.encryptedFragment.rawValue]) })
                    #expect(entries.contains { $0.text.contains("subject: \"O=Cygnet lab, CN=right.example.org\"") })
                }
                #expect(entries.filter { $0.isOpenedESP }.count == summary.esp)
                #expect(entries.filter { $0.isESP }.count == summary.esp)
            }
        }

        @Test("Keys of ChaCha20-Poly1305, for which Wireshark has no name in IKE, are saved and opened too")
        func chaCha() async throws {
            var plan = TunnelPlan()
            plan.encryption = .chacha20poly1305
            try await Encounter.run(plan, cygnetAt: .left, savingKeys: true) { encounter in
                let summary = try await encounter.converse()
                let entries = try Reading.entries(summary.file, keys: encounter.savedKeys())
                let sealed = entries.filter { $0.ikeProtection != nil && $0.ikeProtection != Protection.none }
                #expect(sealed.count >= 6)
                #expect(sealed.allSatisfy { $0.ikeProtection?.name == "opened" })
                #expect(entries.filter { $0.isOpenedESP }.count == summary.esp)
            }
        }

        @Test("The command prints text and JSON, reads standard input, and its exit status tells of faults")
        func command() async throws {
            try await Encounter.run(TunnelPlan(), cygnetAt: .left, savingKeys: true) { encounter in
                let summary = try await encounter.converse()
                let cygnet = try CygnetDaemon.locateExecutable()
                let keys = "\(encounter.laboratory.directory)/wireshark"
                let text = try await Command.run([cygnet, "decode", "--keys", keys, "--no-esp", summary.file]).orThrow()
                #expect(text.output.contains("IKE_SA_INIT request 0 of the original initiator"))
                #expect(text.output.contains("IDi: ID_FQDN left.example.org"))
                #expect(!text.output.contains("ESP SPI"))
                let json = try await Command.run(
                    [cygnet, "decode", "--json", "--exchange", "IKE_AUTH", "--keys", keys, summary.file]
                ).orThrow()
                let objects = try json.output.split(separator: "\n").map {
                    try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
                }
                #expect(objects.map { $0?["direction"] as? String } == ["request", "response"])
                #expect(objects.allSatisfy { $0?["protection"] as? String == "opened" })

                let input = try await Command.run([cygnet, "decode", "-"], input: "no capture")
                #expect(input.status == .exited(1))
                #expect(input.errorOutput.hasPrefix("cygnet: -: octet 0: the file begins with 0x6e6f2063"))
                let broken = "\(encounter.laboratory.directory)/broken"
                try "\n1,2".write(toFile: broken, atomically: false, encoding: .utf8)
                let table = try await Command.run([cygnet, "decode", "--esp-keys", broken, summary.file])
                #expect(table.status == .exited(1))
                #expect(table.errorOutput.hasPrefix("cygnet: \(broken), line 2: 2 fields; 8 to 10 are expected"))
                #expect(try await Command.run([cygnet, "decode", "/nonexistent"]).status == .exited(1))
                #expect(try await Command.run([cygnet, "decode", "--spi", "12", summary.file]).status == .exited(64))
            }
        }
    }
}

/// dumpcap at the router: a recorder that is none of ours, writing pcapng.
private struct Dumpcap {
    private let process: ChildProcess
    private let file: String

    init(in topology: Topology, interface: String) async throws {
        let missing = Prerequisites.missing(of: ["tshark"])
        guard missing.isEmpty else { throw LabError(Prerequisites.advice(missing: missing)) }
        let directory = topology.laboratory.directory
        file = "\(directory)/dumpcap.pcapng"
        let log = "\(directory)/dumpcap.log"
        process = try topology.laboratory.start(
            ["dumpcap", "-q", "-i", interface, "-w", file], in: topology.router, logFile: log)
        let end = ContinuousClock.now + .seconds(10)
        while !((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").contains("File:") {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError("dumpcap did not begin: \((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Ends the recording; returns the file.
    func stop() async throws -> String {
        // dumpcap fetches packets from the kernel twice a second or so.
        try await Task.sleep(for: .seconds(1))
        await process.terminate()
        return file
    }
}

/// What both readers say of an IKE message.
private struct Reading: Hashable, CustomStringConvertible {
    var frame: Int
    var exchange: UInt8
    var messageID: UInt32
    var flags: UInt8
    /// All payloads in their order, those inside SK after it. As tshark counts them, proposals (2) and transforms (3) are
    /// among them.
    var payloads: [UInt8]

    var description: String { "#\(frame): exchange \(exchange), ID \(messageID), flags \(flags), payloads \(payloads)" }

    private init(frame: Int, exchange: UInt8, messageID: UInt32, flags: UInt8, payloads: [UInt8]) {
        self.frame = frame
        self.exchange = exchange
        self.messageID = messageID
        self.flags = flags
        self.payloads = payloads
    }

    init?(_ entry: DecodedEntry) {
        guard case .ike(let ike) = entry.body else { return nil }
        self.init(
            frame: entry.frame, exchange: ike.header.exchangeType.rawValue, messageID: ike.header.messageID,
            flags: ike.header.flags.rawValue, payloads: (ike.payloads + ike.inner).flatMap(Self.numbers))
    }

    private static func numbers(_ payload: PayloadDescription) -> [UInt8] {
        guard payload.type == .securityAssociation else { return [payload.type.rawValue] }
        return [payload.type.rawValue] + payload.fields.flatMap { [2] + $0.fields.map { _ in 3 } }
    }

    static func entries(_ file: String, keys: KeyTable = KeyTable()) throws -> [DecodedEntry] {
        var decoder = CaptureDecoder(keys: keys)
        decoder.append([UInt8](try Data(contentsOf: URL(fileURLWithPath: file))))
        decoder.complete()
        var entries: [DecodedEntry] = []
        while let entry = try decoder.nextEntry() { entries.append(entry) }
        return entries
    }

    /// - Parameter configuration: where the directory `wireshark` with the tables of keys is.
    private static func run(_ arguments: [String], configuration: String? = nil) async throws -> [Substring] {
        var environment = Command.environment
        environment["XDG_CONFIG_HOME"] = configuration ?? "/nonexistent"
        let result = try await Command.run(
            ["tshark", "-n"] + arguments, environment: environment, timeout: .seconds(30))
        return try result.orThrow().output.split(separator: "\n")
    }

    static func frames(_ file: String, showing filter: String) async throws -> [Int] {
        try await run(["-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number"]).compactMap { Int($0) }
    }

    static func tshark(_ file: String, configuration: String? = nil) async throws -> [Reading] {
        let fields = ["frame.number", "isakmp.exchangetype", "isakmp.messageid", "isakmp.flags", "isakmp.typepayload"]
        let lines = try await run(
            ["-r", file, "-Y", "isakmp", "-T", "fields"] + fields.flatMap { ["-e", $0] }, configuration: configuration)
        return try lines.map { line in
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard columns.count == 5, let frame = Int(columns[0]), let exchange = UInt8(columns[1]),
                let messageID = UInt32(columns[2].dropFirst(2), radix: 16),
                let flags = UInt8(columns[3].dropFirst(2), radix: 16)
            else { throw LabError("tshark says \(line)") }
            return Reading(
                frame: frame, exchange: exchange, messageID: messageID, flags: flags,
                payloads: columns[4].split(separator: ",").compactMap { UInt8($0) })
        }
    }
}

extension DecodedEntry {
    fileprivate var isESP: Bool { if case .esp = body { true } else { false } }
    fileprivate var isOpenedESP: Bool {
        if case .esp(let esp) = body { esp.protection.name == "opened" } else { false }
    }
    fileprivate var text: String { EntryText.lines(self).joined(separator: "\n") }
    fileprivate var ikeFaults: [String]? { if case .ike(let ike) = body { ike.faults } else { nil } }
    fileprivate var ikeProtection: Protection? { if case .ike(let ike) = body { ike.protection } else { nil } }
}

extension Encounter {
    /// Sets the tunnel up, uses it, rekeys both SAs and ends; returns what was recorded.
    fileprivate func converse() async throws -> CaptureSummary {
        try await initiate()
        _ = try await ping()
        try await strongSwan.rekeyChild()
        try await strongSwan.rekeyIKE()
        _ = try await ping()
        try await strongSwan.terminateIKE()
        return try await capture.stop(protected: TunnelPlan.protectedNetworks)
    }

    fileprivate func savedKeys() throws -> KeyTable {
        var table = KeyTable()
        let directory = "\(laboratory.directory)/wireshark"
        for name in KeyTable.ikeFiles {
            try table.addIKE([UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))), file: name)
        }
        for name in KeyTable.espFiles {
            try table.addESP([UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))), file: name)
        }
        return table
    }
}
