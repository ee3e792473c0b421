import ArgumentParser
import Decode
import Foundation
import Gateway
import IKEMessage

struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Show the IKE messages and ESP packets of a capture as text.",
        discussion: """
            Reads pcap and pcapng. With keys, what is sealed is opened and checked: tables of Wireshark \
            (ikev2_decryption_table, esp_sa), or the directory that `cygnet run --save-keys` wrote. Exit status 1 if the \
            capture or a table of keys has a fault.
            """)

    @Argument(help: "The capture; - for standard input.", completion: .file(extensions: ["pcap", "pcapng", "cap"]))
    var file: String
    @Option(help: "Keys of IKE: a file in the form of ikev2_decryption_table.", completion: .file())
    var ikeKeys: [String] = []
    @Option(help: "Keys of ESP: a file in the form of esp_sa.", completion: .file())
    var espKeys: [String] = []
    @Option(help: "A directory with either or both, as `cygnet run --save-keys` writes it.", completion: .directory)
    var keys: [String] = []
    @Option(help: "A UDP or TCP port on which IKE is to be looked for besides 500 and 4500.") var port: [UInt16] = []
    @Option(help: "A number that a draft leaves open, as in the configuration: optimized-rekey=51202.")
    var codePoint: [String] = []
    @Option(help: "Only what has this SPI: 16 hexadecimal digits for IKE, 8 for ESP.") var spi: [String] = []
    @Option(help: "Only messages of this exchange, such as IKE_AUTH or 35.") var exchange: [String] = []
    @Flag(name: .customLong("no-esp"), help: "Leave ESP packets out.") var withoutESP = false
    @Flag(help: "Print JSON, one object on a line for each.") var json = false

    /// How much of the file is in memory at a time.
    private static let chunk = 1 << 18

    func validate() throws {
        _ = try filter()
        _ = try codePoints()
    }

    func run() throws {
        let table = try keyTable()
        for reason in table.unusable { Terminal.complain("cygnet: these keys cannot be used: \(reason)") }
        let filter = try filter()
        let input = try open()
        var decoder = CaptureDecoder(keys: table, ports: Set(port), codePoints: try codePoints())
        do {
            var isAtEnd = false
            while !isAtEnd {
                if let data = try input.read(upToCount: Self.chunk), !data.isEmpty {
                    decoder.append([UInt8](data))
                } else {
                    decoder.complete()
                    isAtEnd = true
                }
                while let entry = try decoder.nextEntry() {
                    guard filter.admits(entry) else { continue }
                    if json {
                        print(EntryJSON.line(entry))
                    } else {
                        for line in EntryText.lines(entry) { print(line) }
                    }
                }
                Terminal.flush()
            }
        } catch let error as CaptureError {
            Terminal.flush()
            Terminal.complain("cygnet: \(file): \(error)")
            summarise(decoder)
            throw Outcome.failed.exitCode
        } catch {
            Terminal.flush()
            throw fail("cannot read \(file): \(error.localizedDescription)")
        }
        summarise(decoder)
    }

    /// Says on standard error how much there was, so that an empty output explains itself.
    private func summarise(_ decoder: CaptureDecoder) {
        let counts = decoder.counts
        var text = "\(counts.packets) packets: \(counts.ike) IKE messages, \(counts.esp) ESP packets"
        if counts.unreadable > 0 { text += ", \(counts.unreadable) unreadable" }
        Terminal.complain(text)
        for (link, count) in decoder.unknownLinks.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            Terminal.complain("\(count) packets are of link type \(link), which is not known here")
        }
    }

    private func filter() throws -> EntryFilter {
        var filter = EntryFilter()
        filter.includesESP = !withoutESP
        for text in exchange {
            guard let exchange = EntryFilter.exchange(text) else {
                throw ValidationError("--exchange \(text): a name such as IKE_AUTH, or a number up to 255, is expected")
            }
            filter.exchanges.insert(exchange)
        }
        for text in spi {
            guard let spi = EntryFilter.SPI(text) else {
                throw ValidationError("--spi \(text): 16 hexadecimal digits (IKE) or 8 (ESP) are expected")
            }
            filter.spis.insert(spi)
        }
        return filter
    }

    private func codePoints() throws -> CodePoints {
        var points = CodePoints()
        for text in codePoint {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let point = OpenCodePoint(rawValue: String(parts[0])) else {
                let words = OpenCodePoint.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--code-point \(text): NAME=NUMBER is expected, with a name of \(words)")
            }
            let range = point.registry.privateUse
            guard let number = UInt16(parts[1]), range.contains(number) else {
                throw ValidationError(
                    "--code-point \(text): a number from \(range.lowerBound) to \(range.upperBound) is expected")
            }
            points[point] = number
        }
        return points
    }

    private func open() throws -> FileHandle {
        guard file != "-" else { return .standardInput }
        do {
            return try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
        } catch {
            throw fail("cannot open \(file): \(Self.reason(error))")
        }
    }

    private func keyTable() throws -> KeyTable {
        var table = KeyTable()
        do {
            for path in ikeKeys { try table.addIKE(try contents(path), file: path) }
            for path in espKeys { try table.addESP(try contents(path), file: path) }
            for directory in keys { try addDirectory(directory, to: &table) }
        } catch let error as KeyTableError {
            throw fail("\(error)")
        }
        return table
    }

    private func addDirectory(_ directory: String, to table: inout KeyTable) throws {
        let present = { (name: String) in FileManager.default.fileExists(atPath: "\(directory)/\(name)") }
        let files = KeyTable.ikeFiles.filter(present)
        let espFiles = KeyTable.espFiles.filter(present)
        guard !files.isEmpty || !espFiles.isEmpty else {
            throw fail(
                "\(directory) has no keys: none of \((KeyTable.ikeFiles + KeyTable.espFiles).joined(separator: ", ")) is there"
            )
        }
        for name in files { try table.addIKE(try contents("\(directory)/\(name)"), file: "\(directory)/\(name)") }
        for name in espFiles { try table.addESP(try contents("\(directory)/\(name)"), file: "\(directory)/\(name)") }
    }

    private func contents(_ path: String) throws -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw fail("cannot read \(path): \(Self.reason(error))")
        }
    }

    /// The reason the system gave, without the path that Foundation wraps it in.
    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return underlying.map { String(cString: strerror(Int32($0.code))) } ?? error.localizedDescription
    }

    private func fail(_ reason: String) -> ExitCode {
        Terminal.complain("cygnet: \(reason)")
        return Outcome.failed.exitCode
    }
}
