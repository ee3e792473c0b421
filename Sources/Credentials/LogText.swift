extension String {
    /// The text fit for one line of a log: control, formatting and unassigned characters as `\u{…}`, and not longer
    /// than `limit` characters. For everything a peer can choose.
    package func forLog(limit: Int = 256) -> String {
        var text = ""
        var count = 0
        for scalar in unicodeScalars {
            guard count < limit else { return text + "…" }
            count += 1
            switch scalar.properties.generalCategory {
            case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
