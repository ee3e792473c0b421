/// One of the peers of a connection that takes several: `roadwarrior[3]`.
struct InstanceName: Hashable, CustomStringConvertible {
    let connection: String
    let number: Int

    init(_ connection: String, _ number: Int) {
        self.connection = connection
        self.number = number
    }

    /// `nil` for the name of a connection, in which there is no bracket.
    init?(_ text: String) {
        guard text.hasSuffix("]"), let bracket = text.firstIndex(of: "["),
            let number = Int(text[text.index(after: bracket)...].dropLast())
        else { return nil }
        self.init(String(text[..<bracket]), number)
    }

    var description: String { "\(connection)[\(number)]" }
}
