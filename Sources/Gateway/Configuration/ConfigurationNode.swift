import IKE
import Yams

/// A value in a configuration file, read as the type that is wanted. Each reading function reports what is wrong and
/// answers `nil`, so that reading goes on to the next mistake.
struct ConfigurationNode {
    let node: Node
    let path: [String]
    let document: ConfigurationDocument
    let diagnostics: Diagnostics

    var origin: Origin { document.origin(node.mark, key: path.joined(separator: ".")) }

    func error(_ message: String) { diagnostics.error(message, at: origin) }
    func warning(_ message: String) { diagnostics.warning(message, at: origin) }

    /// A key without a value, or `null` or `~`.
    var isNull: Bool {
        guard let scalar = node.scalar else { return false }
        return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    var isMapping: Bool { node.mapping != nil }
    var isSequence: Bool { node.sequence != nil }

    private var kind: String {
        switch node {
        case .mapping: "a mapping"
        case .sequence: "a list"
        default: isNull ? "nothing" : quoted(node.scalar?.string ?? "")
        }
    }

    func wrongType(expected: String) { error("expected \(expected), found \(kind)") }

    func child(_ node: Node, _ key: String) -> ConfigurationNode {
        ConfigurationNode(node: node, path: path + [key], document: document, diagnostics: diagnostics)
    }

    /// The text of a scalar; `expected` names the wanted thing where there is none.
    func text(expected: String = "text") -> String? {
        guard let scalar = node.scalar, !isNull else {
            wrongType(expected: expected)
            return nil
        }
        return scalar.string
    }

    /// The elements of a list; a single value stands for a list of one.
    var elements: [ConfigurationNode] {
        guard let sequence = node.sequence else { return [self] }
        return sequence.map {
            ConfigurationNode(node: $0, path: path, document: document, diagnostics: diagnostics)
        }
    }

    /// The entries of a mapping whose keys are names of the writer's choice, in the order written.
    func namedEntries(expected: String) -> [ConfigurationEntry] {
        guard let mapping = node.mapping else {
            if !isNull { wrongType(expected: expected) }
            return []
        }
        var entries: [ConfigurationEntry] = []
        var earlier: [String: Int] = [:]
        for (key, value) in mapping {
            guard let scalar = key.scalar else {
                diagnostics.error(
                    "a key must be a word", at: document.origin(key.mark, key: path.joined(separator: ".")))
                continue
            }
            let (name, isRepeated) = document.key(scalar)
            let child = child(value, name)
            let keyOrigin = document.origin(key.mark, key: child.path.joined(separator: "."))
            if let line = earlier[name] {
                diagnostics.error(
                    "key \(quoted(name)) appears twice; the first is on line \(line): keep one of them", at: keyOrigin)
            }
            if isRepeated { earlier[name] = keyOrigin.line }
            entries.append(ConfigurationEntry(name: name, origin: keyOrigin, value: child))
        }
        return entries
    }

    /// The entries of a mapping with known keys; unknown keys are reported.
    func mapping<Key: ConfigurationKey>(_ keys: Key.Type, expected: String = "a mapping") -> ConfigurationMapping<Key>?
    {
        guard isMapping else {
            wrongType(expected: "\(expected) with keys among \(Key.words.joined(separator: ", "))")
            return nil
        }
        var values: [Key: ConfigurationEntry] = [:]
        var misspelt: Set<Key> = []
        for entry in namedEntries(expected: expected) {
            if let key = Key(rawValue: entry.name) {
                values[key] = entry
            } else {
                diagnostics.error(
                    NearestWord.complaint(about: entry.name, what: "key", expected: Key.words), at: entry.origin)
                if let meant = NearestWord.suggestion(for: entry.name, among: Key.words).flatMap(Key.init(rawValue:)) {
                    misspelt.insert(meant)
                }
            }
        }
        return ConfigurationMapping(values: values, misspelt: misspelt, node: self)
    }
}

/// The keys a mapping may have.
protocol ConfigurationKey: RawRepresentable<String>, CaseIterable, Hashable {}

extension ConfigurationKey {
    static var words: [String] { allCases.map(\.rawValue) }
}

/// A key with its value.
struct ConfigurationEntry {
    let name: String
    /// Where the key stands, the value being possibly on a later line.
    let origin: Origin
    let value: ConfigurationNode
}

/// A mapping of which all keys are known words.
struct ConfigurationMapping<Key: ConfigurationKey> {
    fileprivate let values: [Key: ConfigurationEntry]
    /// Keys that were probably meant by unknown ones: to call them missing as well would say nothing new.
    let misspelt: Set<Key>
    let node: ConfigurationNode

    /// The value of a key; `nil` if the key is absent or has no value.
    subscript(_ key: Key) -> ConfigurationNode? {
        guard let value = values[key]?.value, !value.isNull else { return nil }
        return value
    }

    /// The value also where it is empty, which otherwise counts as absent.
    func written(_ key: Key) -> ConfigurationNode? { values[key]?.value }

    /// Where the key stands, or the mapping if it is absent.
    func origin(of key: Key) -> Origin { values[key]?.origin ?? node.origin }

    func required(_ key: Key, _ meaning: String) -> ConfigurationNode? {
        if let value = self[key] { return value }
        if !misspelt.contains(key) {
            node.error("\(quoted(key.rawValue)) is missing: \(meaning)")
        }
        return nil
    }
}
