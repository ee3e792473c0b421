import Foundation
import Testing

/// `docs/security.md` names what fails if a defence goes; here it is held against the tests, and the sources against its rules.
struct SecurityDocumentTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func files(_ folder: String) throws -> [(path: String, text: String)] {
        let names = try #require(FileManager.default.enumerator(atPath: root.appending(path: folder).path))
        return try names.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.map { name in
            ("\(folder)/\(name)", try String(contentsOf: root.appending(path: "\(folder)/\(name)"), encoding: .utf8))
        }
    }

    private static func document() throws -> String {
        try String(contentsOf: root.appending(path: "docs/security.md"), encoding: .utf8)
    }

    /// What stands between backticks.
    private static func quoted(_ text: some StringProtocol) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .compactMap { $0.offset.isMultiple(of: 2) ? nil : String($0.element) }
    }

    @Test("Every test and every file that the security document names exists")
    func names() throws {
        let document = try Self.document()
        let tests = try Self.files("Tests").map(\.text).joined()
        let names = document.split(separator: "\n").flatMap { Self.quoted($0) }
        let suites = Set(names.filter { $0.hasSuffix("Tests") })
        #expect(suites.count > 20)
        for suite in suites.sorted()
        where !["GuestTests", "InteropTests", "IPsecCryptoTests", "IKETests"].contains(suite) {
            #expect(tests.contains("struct \(suite)") || tests.contains("class \(suite)"), "\(suite)")
        }
        let folders = ["Sources/", "Tests/", "Packaging/", "Fuzz/", "docs/"]
        for path in Set(names.filter { name in folders.contains { name.hasPrefix($0) } && !name.contains(" ") }) {
            #expect(FileManager.default.fileExists(atPath: Self.root.appending(path: path).path), "\(path)")
        }
    }

    @Test("Every test that the page of hostile tests quotes exists, and each of fifteen extensions has its row there")
    func hostileTests() throws {
        let page = try String(contentsOf: Self.root.appending(path: "docs/hostile-tests.md"), encoding: .utf8)
        let files = try Self.files("Tests")
        var count = 0
        // Each row, and each paragraph before the table, names the suites in which its tests are.
        for part in page.split(separator: "\n\n").flatMap({ $0.hasPrefix("|") ? $0.split(separator: "\n") : [$0] }) {
            let names = Self.quoted(part).filter { $0.hasSuffix("Tests") }
            for name in names { #expect(files.contains { $0.text.contains("struct \(name)") }, "\(name)") }
            let suites = files.filter { file in names.contains { file.text.contains("struct \($0)") } }.map(\.text)
            let titles = part.replacingOccurrences(of: "\n", with: " ")
                .split(separator: "\"", omittingEmptySubsequences: false)
                .enumerated().compactMap { $0.offset.isMultiple(of: 2) ? nil : String($0.element) }
            for title in titles { #expect(suites.contains { $0.contains("\"\(title)\"") }, "\(title)") }
            count += titles.count
        }
        #expect(count > 120)
        #expect(page.split(separator: "\n").count { $0.hasPrefix("| ") } == 15 + 2)
    }

    @Test("Every way to fail has its row, numbered from 1 to 40, and says what stands for it")
    func rows() throws {
        let rows = try Self.document().split(separator: "\n").filter {
            $0.hasPrefix("| ") && $0.dropFirst(2).first?.isNumber == true
        }
        #expect(rows.compactMap { Int($0.dropFirst(2).prefix { $0.isNumber }) } == Array(1...40))
        for row in rows {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            #expect(cells.count == 4 && cells.allSatisfy { !$0.isEmpty }, "\(row)")
        }
    }

    /// What may handle memory by hand: the packet path and the bindings to C, and for one buffer each some files elsewhere.
    private static let mayBeUnsafe: [String] = [
        "Sources/Dataplane/", "Sources/ESP/", "Sources/IPPacket/", "Sources/IPsecCrypto/", "Sources/TLS/",
        "Sources/Decode/Messages/ESPDecoder.swift",
        "Sources/Gateway/Configuration/AuthenticationReader.swift",
        "Sources/Gateway/Configuration/ReferencedFile.swift",
        "Sources/Gateway/Control/ControlClient.swift",
        "Sources/Gateway/Resolver/SubordinateProgram.swift",
        "Sources/Gateway/Revocation/RevocationSettings.swift",
        "Sources/Gateway/Runtime/CompactLogHandler.swift",
        "Sources/Gateway/Runtime/DaemonLauncher.swift",
        "Sources/Gateway/Runtime/HostResolver.swift",
        "Sources/Gateway/Runtime/RouteProbe.swift",
        "Sources/Gateway/Runtime/ServiceNotification.swift",
        "Sources/Gateway/Runtime/StateDirectory.swift",
        "Sources/IPsecPolicy/PacketSelector.swift",
        "Sources/IPsecPolicy/SecurityPolicy.swift",
        "Sources/IPsecPolicy/SelectorMatch.swift",
        "Sources/Octets/OctetWriter.swift",
        "Sources/Octets/SecretOctets.swift",
    ]

    @Test(
        "Only the packet path, bindings to C and a few named files handle memory by hand; parsers and the IKE machine do not"
    )
    func unsafeCode() throws {
        let words = ["Unsafe", "unsafeBitCast", "unowned(unsafe)", "unsafeAddress"]
        for file in try Self.files("Sources") where words.contains(where: { file.text.contains($0) }) {
            #expect(Self.mayBeUnsafe.contains { file.path.hasPrefix($0) }, "\(file.path)")
        }
        let parsers = ["Sources/IKE/", "Sources/IKEMessage/", "Sources/Credentials/"]
        #expect(!Self.mayBeUnsafe.contains { path in parsers.contains { path.hasPrefix($0) } })
    }

    @Test("The daemon starts no shell, and a program in one place only, which hands its arguments over as they are")
    func programs() throws {
        let words = ["Process()", "posix_spawn", "execv", "Glibc.system(", "popen("]
        for file in try Self.files("Sources") where !file.path.hasPrefix("Sources/cygnet/") {
            if file.path == "Sources/Gateway/Resolver/SubordinateProgram.swift" {
                #expect(!file.text.contains("\"-c\"") && !file.text.contains("/sh"))
                continue
            }
            for word in words { #expect(!file.text.contains(word), "\(word) in \(file.path)") }
        }
    }
}
