import IKE

/// Reads security labels (RFC 9478): texts, which a zero octet ends on the wire, or octets as they are, written as `0x` and
/// hexadecimal digits.
enum SecurityLabelReader {
    /// More would make the messages that offer them too large.
    private static let limit = 16

    /// One label, or a list of them, the best first; those with mistakes are left out.
    static func list(_ node: ConfigurationNode) -> [SecurityLabel] {
        let elements = node.elements
        if elements.isEmpty { node.error("the list of labels is empty; leave the key out or name one") }
        if elements.count > limit { node.error("expected at most \(limit) labels, found \(elements.count)") }
        var labels: [SecurityLabel] = []
        for element in elements {
            guard let label = label(element) else { continue }
            if labels.contains(label) { element.error("\(quoted(label.description)) is in the list already") }
            labels.append(label)
        }
        return labels
    }

    private static func label(_ node: ConfigurationNode) -> SecurityLabel? {
        guard let text = node.text(expected: "a security label such as system_u:object_r:ipsec_spd_t:s0") else {
            return nil
        }
        if text.hasPrefix("0x") {
            guard let label = [UInt8](hexadecimal: text.dropFirst(2)).flatMap({ SecurityLabel(octets: $0) }) else {
                node.error(
                    "expected 1 to \(SecurityLabel.limit) octets, not a single zero, as pairs of hexadecimal digits behind 0x; found \(quoted(text))"
                )
                return nil
            }
            return label
        }
        guard let label = SecurityLabel(text: text) else {
            node.error(
                "expected a security label of 1 to \(SecurityLabel.limit - 1) octets without a zero octet, or octets as they are behind 0x; found \(quoted(text))"
            )
            return nil
        }
        return label
    }
}
