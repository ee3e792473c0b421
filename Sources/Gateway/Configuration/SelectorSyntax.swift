import IPPacket
import IPsecPolicy

/// Traffic selectors as a person writes them: `10.1.0.0/16`, `10.1.0.7`, `10.1.0.1-10.1.0.9`, each with an optional
/// protocol and ports: `10.1.0.0/16 tcp/443`, `192.0.2.1 udp/5000-5010`, `::/0 icmpv6`, `10.1.0.7 tcp/opaque`.
package enum SelectorSyntax {
    package struct Complaint: Error { package let text: String }

    static let protocols: [String: UInt8] = [
        "any": 0, "icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "ospf": 89, "sctp": 132,
    ]

    package static func parse(_ text: String) -> Result<TrafficSelector, Complaint> {
        let words = text.split(separator: " ", omittingEmptySubsequences: true)
        guard let range = words.first, words.count <= 2 else {
            return .failure(
                Complaint(
                    text:
                        "expected a subnet, then at most protocol/ports, as in 10.1.0.0/16 tcp/443; found \(quoted(text))"
                ))
        }
        let ends: (first: IPAddress, last: IPAddress)
        switch addresses(range) {
        case .success(let value): ends = value
        case .failure(let complaint): return .failure(complaint)
        }
        let limits: (ipProtocol: UInt8, first: UInt16, last: UInt16)
        switch words.count == 1 ? .success((0, 0, .max)) : traffic(words[1]) {
        case .success(let value): limits = value
        case .failure(let complaint): return .failure(complaint)
        }
        let selector = TrafficSelector(
            ipProtocol: limits.ipProtocol, firstPort: limits.first, lastPort: limits.last, first: ends.first,
            last: ends.last)
        guard let selector else { return .failure(Complaint(text: "\(quoted(range)) is not a range of addresses")) }
        return .success(selector)
    }

    private static func addresses(_ text: Substring) -> Result<(first: IPAddress, last: IPAddress), Complaint> {
        if let dash = text.firstIndex(of: "-") {
            guard let first = IPAddress(text[..<dash]), let last = IPAddress(text[text.index(after: dash)...]),
                first.family == last.family, first <= last
            else {
                return .failure(
                    Complaint(text: "\(quoted(text)) is not a range of addresses; expected as in 10.1.0.1-10.1.0.9"))
            }
            return .success((first, last))
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else {
            return .failure(
                Complaint(
                    text:
                        "\(quoted(text)) is not a subnet; expected an address and a prefix length, as in 10.1.0.0/16 or 2001:db8::/32"
                ))
        }
        guard let prefix = IPPrefix(text) else {
            return .failure(
                Complaint(
                    text: "\(quoted(text)): \(address.family) prefix lengths run from 0 to \(address.family.bitWidth)"))
        }
        guard prefix.address == address else {
            return .failure(
                Complaint(
                    text:
                        "\(quoted(text)) has bits set after its prefix length; did you mean \(quoted(prefix.description))?"
                ))
        }
        return .success((prefix.first, prefix.last))
    }

    private static func traffic(
        _ text: Substring
    ) -> Result<(ipProtocol: UInt8, first: UInt16, last: UInt16), Complaint> {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let number = protocols[parts[0].lowercased()] ?? UInt8(parts[0]) else {
            return .failure(
                Complaint(
                    text: NearestWord.complaint(
                        about: parts[0], what: "protocol", expected: protocols.keys.sorted() + ["a number"])))
        }
        guard parts.count == 2 else { return .success((number, 0, .max)) }
        guard number != 0 else {
            return .failure(Complaint(text: "\(quoted(text)): ports need a protocol, as in tcp/443"))
        }
        if parts[1] == "opaque" { return .success((number, .max, 0)) }
        if parts[1] == "any" { return .success((number, 0, .max)) }
        let ends = parts[1].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = UInt16(ends[0]), let last = UInt16(ends[ends.count - 1]), first <= last else {
            return .failure(
                Complaint(text: "\(quoted(parts[1])) is not a port; expected 0 to 65535 or a range as in 5000-5010"))
        }
        return .success((number, first, last))
    }
}
