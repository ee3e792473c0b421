import IKE

/// Mappings of the same kind of which the first that has a key counts: a connection's own, then the defaults.
struct LayeredMapping<Key: ConfigurationKey> {
    let mappings: [ConfigurationMapping<Key>]

    subscript(_ key: Key) -> ConfigurationNode? {
        mappings.lazy.compactMap { $0[key] }.first
    }

    /// Whether one of these keys was probably meant by an unknown one, which is reported already.
    func isMisspelt(_ keys: Key...) -> Bool {
        mappings.contains { mapping in keys.contains { mapping.misspelt.contains($0) } }
    }

    /// Where the key that counts stands; `nil` if it is nowhere.
    func origin(of key: Key) -> Origin? {
        mappings.first { $0[key] != nil }?.origin(of: key)
    }

    /// The mappings below `key`, as layers of their own.
    func nested<Nested: ConfigurationKey>(_ key: Key, as keys: Nested.Type) -> LayeredMapping<Nested> {
        LayeredMapping<Nested>(mappings: mappings.compactMap { $0[key]?.mapping(keys) })
    }

    /// The key paths that are set, each with its place.
    func origins(prefix: String = "") -> [String: Origin] {
        var result: [String: Origin] = [:]
        for key in Key.allCases {
            if let origin = origin(of: key) { result[prefix + key.rawValue] = origin }
        }
        return result
    }
}
