import IKE
import IPPacket

/// Where a peer may be.
public enum RemoteHost: Hashable, Sendable, CustomStringConvertible {
    case address(IPAddress)
    /// A host name, resolved when the peer is sought.
    case name(String)
    case any

    /// `nil` for what can be neither an address nor a host name.
    init?(_ text: String) {
        if text == "any" {
            self = .any
        } else if let address = IPAddress(text) {
            guard !address.isUnspecified else { return nil }
            self = .address(address)
        } else if Self.isHostName(text) {
            self = .name(text)
        } else {
            return nil
        }
    }

    var address: IPAddress? {
        if case .address(let address) = self { address } else { nil }
    }

    var name: String? {
        if case .name(let name) = self { name } else { nil }
    }

    public var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .name(let name): name
        case .any: "any"
        }
    }

    /// Labels of letters, digits and hyphens (RFC 1123 section 2.1). A last label of digits only would be a mistyped
    /// address.
    private static func isHostName(_ text: String) -> Bool {
        let labels = (text.hasSuffix(".") ? text.dropLast() : text[...]).split(
            separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last, !last.allSatisfy(\.isNumber) else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        }
    }
}

/// A connection with what the daemon has to find out before IKE can use it.
public struct GatewayConnection: Sendable {
    /// The addresses written as such are in place; those of names are added once resolved.
    public var configuration: ConnectionConfiguration
    /// The peer's addresses and names in the order written.
    public var hosts: [RemoteHost]

    public var name: String { configuration.name }

    /// The configuration with the names replaced by what they stand for at present.
    func resolved(_ addresses: [String: [IPAddress]]) -> ConnectionConfiguration {
        var result = configuration
        result.remoteAddresses = hosts.flatMap { host -> [IPAddress] in
            switch host {
            case .address(let address): [address]
            case .name(let name): addresses[name] ?? []
            case .any: []
            }
        }
        return result
    }
}
