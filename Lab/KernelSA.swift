/// A security association of Linux, as `ip -s xfrm state` prints it.
package struct KernelSA: Sendable {
    package private(set) var source = ""
    package private(set) var spi: UInt32 = 0
    package private(set) var mode = ""
    package private(set) var algorithms: [String] = []
    package private(set) var isUDPEncapsulated = false
    package private(set) var hasESN = false
    package private(set) var packets = 0
    package private(set) var octets = 0

    /// Reads the lines
    ///
    ///     src 192.0.2.130 dst 192.0.2.2
    ///         proto esp spi 0xc9d5a5e6(3386222054) reqid 1(0x00000001) mode tunnel
    ///         replay-window 0 seq 0x00000000 flag af-unspec esn (0x10100000)
    ///         aead rfc4106(gcm(aes)) 0x… (288 bits) 128
    ///         encap type espinudp sport 4500 dport 4500 addr 0.0.0.0
    ///         lifetime current:
    ///           840(bytes), 10(packets)
    package static func parse(_ text: String) -> [KernelSA] {
        var associations: [KernelSA] = []
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            if line.hasPrefix("src "), words.count >= 2 {
                associations.append(KernelSA(source: words[1]))
            }
            guard var last = associations.popLast() else { continue }
            last.read(words)
            associations.append(last)
        }
        return associations.filter { $0.spi != 0 && !$0.algorithms.isEmpty }
    }

    private mutating func read(_ words: [String]) {
        switch words.first {
        case "proto":
            guard words.dropFirst().first == "esp" else { return }
            if let spi = Self.value(after: "spi", in: words) {
                self.spi = UInt32(spi.dropFirst(2).prefix(while: \.isHexDigit), radix: 16) ?? 0
            }
            mode = Self.value(after: "mode", in: words) ?? ""
        // iproute2 leaves out the space after its last flag.
        case "replay-window": hasESN = hasESN || words.contains { $0.hasPrefix("esn") }
        case "aead", "auth-trunc", "auth", "enc":
            guard words.count > 1 else { return }
            // Encryption first, though Linux prints it last.
            words[0] == "enc" ? algorithms.insert(words[1], at: 0) : algorithms.append(words[1])
        case "encap": isUDPEncapsulated = words.contains("espinudp")
        default:
            guard words.count == 2, words[0].hasSuffix("(bytes),"), words[1].hasSuffix("(packets)") else { return }
            octets = Int(words[0].prefix(while: \.isNumber)) ?? 0
            packets = Int(words[1].prefix(while: \.isNumber)) ?? 0
        }
    }

    private static func value(after word: String, in words: [String]) -> String? {
        guard let index = words.firstIndex(of: word), index + 1 < words.count else { return nil }
        return words[index + 1]
    }
}

extension Quarters {
    /// What the kernel inside holds.
    func kernelESP() async throws(LabError) -> [PeerReport.ESP] {
        let own = try await run(["ip", "-o", "addr"]).orThrow().output
            .split(whereSeparator: { $0.isWhitespace || $0 == "/" })
        return KernelSA.parse(try await run(["ip", "-s", "xfrm", "state"]).orThrow().output).map { association in
            PeerReport.ESP(
                isInbound: !own.contains(Substring(association.source)), spi: association.spi,
                protection: association.algorithms.joined(separator: "/"), mode: association.mode,
                isUDPEncapsulated: association.isUDPEncapsulated, hasESN: association.hasESN,
                packets: association.packets, octets: association.octets)
        }
    }
}
