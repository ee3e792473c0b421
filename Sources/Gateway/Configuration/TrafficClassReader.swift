import IKE
import IPsecPolicy

extension TrafficClasses.Form: ConfigurationKey {}

/// Reads the classes of packets that a child is for: `dscp`, `dscp-form` and `dscp-required`.
enum TrafficClassReader {
    /// The usual names of DSCP values (RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622).
    static let names: [String: UInt8] = {
        var names: [String: UInt8] = ["ef": 46, "voice-admit": 44, "le": 1]
        for number in 0..<8 { names["cs\(number)"] = UInt8(number * 8) }
        for (number, drop) in (1...4).flatMap({ number in (1...3).map { (number, $0) } }) {
            names["af\(number)\(drop)"] = UInt8(number * 8 + drop * 2)
        }
        return names
    }()

    static func classes(
        _ values: ConfigurationNode?, form: ConfigurationNode?, isRequired: ConfigurationNode?, isTunnel: Bool
    ) -> TrafficClasses? {
        let word = form?.word(TrafficClasses.Form.self, what: "dscp-form")
        let required = isRequired?.bool()
        guard let values else { return nil }
        guard let set = set(values) else { return nil }
        if !isTunnel { values.error("dscp needs tunnel mode: the DSCP of packets in transport mode is not protected") }
        let classes = TrafficClasses(set, form: word ?? .selector, isRequired: required ?? false)
        if required == true, classes.form == .notify || classes.form == .local {
            isRequired?.error("dscp-required is about selectors; dscp-form \(classes.form.rawValue) binds nobody")
        }
        return classes
    }

    private static func set(_ node: ConfigurationNode) -> DSCPSet? {
        var seen = DSCPSet(mask: 0)
        var isGood = true
        for element in node.elements {
            guard let text = element.text(expected: "a DSCP, 0 to 63 or a name such as ef or af11") else {
                isGood = false
                continue
            }
            guard let value = names[text.lowercased()] ?? UInt8(text), let one = DSCPSet([value]) else {
                element.error(
                    NearestWord.complaint(about: text, what: "DSCP", expected: ["0 to 63"] + names.keys.sorted()))
                isGood = false
                continue
            }
            if seen.contains(value) { element.error("DSCP \(value) is in the list already") }
            seen = seen.union(one)
        }
        guard isGood else { return nil }
        guard !seen.isEmpty else {
            node.error("the list of DSCP is empty; leave the key out for all")
            return nil
        }
        guard seen.mask != .max else {
            node.error("these are all DSCP there are; leave the key out for all")
            return nil
        }
        return seen
    }
}
