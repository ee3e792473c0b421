import IKE
import IKEMessage

extension OpenCodePoint: ConfigurationKey {}

extension CodePoints {
    /// Reads `code-points`. Two of one registry that were the same could not be told apart, so that this is a mistake.
    init(reading node: ConfigurationNode?) {
        self.init()
        guard let mapping = node?.mapping(OpenCodePoint.self) else { return }
        for point in OpenCodePoint.allCases {
            let range = point.registry.privateUse
            if let number = mapping[point]?.integer(in: Int(range.lowerBound)...Int(range.upperBound)) {
                self[point] = UInt16(number)
            }
        }
        for (index, point) in OpenCodePoint.allCases.enumerated() {
            for other in OpenCodePoint.allCases[..<index]
            where other.registry == point.registry && self[other] == self[point] {
                // At whichever of the two is written, as the other may have its usual number.
                let written = mapping[point] == nil ? other : point
                let unwritten = written == point ? other : point
                mapping.node.diagnostics.error(
                    "\(self[point]) is the number of \(quoted(unwritten.rawValue)) too; expected another for one of them",
                    at: mapping.origin(of: written))
            }
        }
    }
}
