import Octets

/// Service parameters of a resolver in the wire form of RFC 9460 section 2.2: key, length, value, keys ascending.
public struct ServiceParameters: Sendable, Hashable, CustomStringConvertible {
    /// Keys of RFC 9460 section 14.3.2, RFC 9461 section 5.
    public enum Key {
        public static let mandatory: UInt16 = 0
        public static let alpn: UInt16 = 1
        public static let noDefaultALPN: UInt16 = 2
        public static let port: UInt16 = 3
        public static let ipv4Hint: UInt16 = 4
        public static let ech: UInt16 = 5
        public static let ipv6Hint: UInt16 = 6
        public static let dohPath: UInt16 = 7
    }

    private struct Entry: Hashable {
        let key: UInt16
        let value: [UInt8]
    }

    private var entries: [Entry] = []

    public init() {}

    /// - Parameters:
    ///   - alpn: the protocols it speaks: `dot`, `doq`, `h2`, `h3`; each of 1 to 255 octets.
    ///   - port: where none is given, each protocol's own.
    ///   - dohPath: the path and query of DNS over HTTPS as a URI template.
    public init(alpn: [String], port: UInt16? = nil, dohPath: String? = nil) {
        let names = alpn.map { Array($0.utf8.prefix(255)) }.filter { !$0.isEmpty }
        if !names.isEmpty {
            entries.append(Entry(key: Key.alpn, value: names.flatMap { [UInt8(truncatingIfNeeded: $0.count)] + $0 }))
        }
        if let port { entries.append(Entry(key: Key.port, value: port.bigEndianOctets)) }
        if let dohPath { entries.append(Entry(key: Key.dohPath, value: Array(dohPath.utf8))) }
    }

    /// Reads them from their wire form.
    ///
    /// - Throws: where a key is not above the one before it, a value has the wrong form, or something is mandatory that is not
    ///   there or not known here (RFC 9460 sections 2.2, 7, 8).
    public init(_ octets: [UInt8]) throws(OctetError) {
        var reader = OctetReader(octets)
        while !reader.isAtEnd {
            let start = reader.offset
            let key = try reader.readUInt16("SvcParamKey")
            let length = Int(try reader.readUInt16("length of a SvcParam"))
            let value = try reader.readOctets(length, "value of a SvcParam")
            if let last = entries.last, key <= last.key {
                throw reader.invalid("SvcParams", "key \(key) follows key \(last.key)", at: start)
            }
            if let complaint = Self.complaint(about: value, of: key) {
                throw reader.invalid("SvcParam \(Self.name(key))", complaint, at: start)
            }
            entries.append(Entry(key: key, value: value))
        }
        if self[Key.noDefaultALPN] != nil, self[Key.alpn] == nil {
            throw reader.invalid("SvcParams", "no-default-alpn stands without alpn")
        }
        for key in mandatory {
            guard self[key] != nil else {
                throw reader.invalid("SvcParams", "\(Self.name(key)) is mandatory and not there")
            }
            guard Self.known.contains(key) else {
                throw reader.invalid("SvcParams", "\(Self.name(key)) is mandatory and not known here")
            }
        }
    }

    private static let known: Set<UInt16> = [Key.alpn, Key.noDefaultALPN, Key.port, Key.dohPath]

    /// What is wrong with a value; `nil` if nothing is, or the key is not known.
    private static func complaint(about value: [UInt8], of key: UInt16) -> String? {
        switch key {
        case Key.mandatory:
            let keys = pairs(value)
            let isAscending = zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
            return value.isEmpty || !value.count.isMultiple(of: 2) || !isAscending || keys.contains(Key.mandatory)
                ? "not an ascending list of other keys" : nil
        case Key.alpn: return protocols(value) == nil ? "not a list of protocols" : nil
        case Key.noDefaultALPN: return value.isEmpty ? nil : "it has a value"
        case Key.port: return value.count == 2 && value != [0, 0] ? nil : "not a port"
        case Key.dohPath:
            return isPath(String(decoding: value, as: UTF8.self)) ? nil : "not a path with the variable dns"
        default: return nil
        }
    }

    private static func pairs(_ value: [UInt8]) -> [UInt16] {
        stride(from: 0, to: value.count - value.count % 2, by: 2).map { UInt16(value[$0]) << 8 | UInt16(value[$0 + 1]) }
    }

    /// A list of names, each with a length before it, of printable ASCII.
    private static func protocols(_ value: [UInt8]) -> [String]? {
        var reader = OctetReader(value)
        var result: [String] = []
        repeat {
            guard let length = try? reader.readUInt8("length"), length > 0,
                let name = try? reader.readOctets(Int(length), "protocol"),
                name.allSatisfy({ (0x21...0x7e).contains($0) })
            else { return nil }
            result.append(String(decoding: name, as: UTF8.self))
        } while !reader.isAtEnd
        return result
    }

    /// Whether it is a relative URI template with the variable `dns`, in printable ASCII (RFC 9461 section 5).
    public static func isPath(_ path: String) -> Bool {
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { return false }
        let expressions = path.split(separator: "{").dropFirst().compactMap { part in
            part.firstIndex(of: "}").map { part[..<$0] }
        }
        return expressions.contains { expression in
            let variables = Substring(expression.drop { "+#./;?&".contains($0) }).split(separator: ",")
            return variables.contains { Substring($0.prefix { $0 != ":" && $0 != "*" }) == "dns" }
        }
    }

    // MARK: What they say

    public var isEmpty: Bool { entries.isEmpty }

    /// The value of a key; `nil` where it is not there.
    public subscript(_ key: UInt16) -> [UInt8]? { entries.first { $0.key == key }?.value }

    private var mandatory: [UInt16] { self[Key.mandatory].map(Self.pairs) ?? [] }

    /// The protocols the resolver speaks.
    public var alpn: [String] { self[Key.alpn].flatMap(Self.protocols) ?? [] }

    public var port: UInt16? { self[Key.port].flatMap { Self.pairs($0).first } }

    public var dohPath: String? { self[Key.dohPath].map { String(decoding: $0, as: UTF8.self) } }

    /// In their wire form.
    public var octets: [UInt8] {
        entries.flatMap { entry in
            entry.key.bigEndianOctets + UInt16(truncatingIfNeeded: entry.value.count).bigEndianOctets + entry.value
        }
    }

    private static func name(_ key: UInt16) -> String {
        switch key {
        case Key.mandatory: "mandatory"
        case Key.alpn: "alpn"
        case Key.noDefaultALPN: "no-default-alpn"
        case Key.port: "port"
        case Key.ipv4Hint: "ipv4hint"
        case Key.ech: "ech"
        case Key.ipv6Hint: "ipv6hint"
        case Key.dohPath: "dohpath"
        default: "key\(key)"
        }
    }

    /// As in a zone file, values that are not known in hexadecimal digits: `alpn=dot,h2 port=8853`.
    public var description: String {
        entries.map { entry in
            let name = Self.name(entry.key)
            return switch entry.key {
            case Key.mandatory: "\(name)=\(mandatory.map(Self.name).joined(separator: ","))"
            case Key.alpn: "\(name)=\(alpn.joined(separator: ","))"
            case Key.noDefaultALPN: name
            case Key.port: "\(name)=\(port ?? 0)"
            case Key.dohPath: "\(name)=\(dohPath ?? "")"
            default: "\(name)=\(entry.value.hexadecimal)"
            }
        }.joined(separator: " ")
    }
}
