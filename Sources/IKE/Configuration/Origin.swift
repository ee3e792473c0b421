/// Where a setting was written: what an explanation or an error points at.
public struct Origin: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// Line and column, counted from 1.
    public var line: Int
    public var column: Int
    /// The setting's path of keys, for example `connections.office.ike`.
    public var key: String

    public init(file: String, line: Int, column: Int, key: String) {
        self.file = file
        self.line = line
        self.column = column
        self.key = key
    }

    public var description: String { "\(file):\(line): \(key)" }
}
