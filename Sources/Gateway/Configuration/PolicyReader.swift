import IKE
import IPPacket
import IPsecPolicy

/// An entry of `policies`: traffic that is let through or dropped, whatever connections say.
public struct ConfiguredPolicy: Hashable, Sendable {
    public enum Action: String, Hashable, Sendable, CaseIterable {
        case bypass, discard
    }

    public enum Place: String, Hashable, Sendable, CaseIterable {
        /// Before the policies of connections.
        case before
        /// After them: for what no connection protects.
        case after
    }

    public var action: Action
    public var place: Place
    public var local: [TrafficSelector]
    public var remote: [TrafficSelector]
    public var origin: Origin
}

extension ConfiguredPolicy.Action: ConfigurationKey {}
extension ConfiguredPolicy.Place: ConfigurationKey {}

extension ConfiguredPolicy {
    /// Reads a list of policies; those with mistakes are left out.
    static func list(_ node: ConfigurationNode) -> [ConfiguredPolicy] {
        guard node.isSequence else {
            node.wrongType(expected: "a list of policies, as in - { action: bypass, remote: 192.0.2.0/24 }")
            return []
        }
        return node.elements.compactMap { element in
            guard let mapping = element.mapping(PolicyKey.self, expected: "a policy, a mapping") else { return nil }
            let action = mapping.required(.action, "bypass or discard")?.word(Action.self, what: "action")
            let place = mapping[.place].map { $0.word(Place.self, what: "place") } ?? .before
            let everything = IPFamily.allCases.map { TrafficSelector(.all($0)) }
            let local = mapping[.local].map { SelectorSyntax.list($0) } ?? everything
            let remote = mapping[.remote].map { SelectorSyntax.list($0) } ?? everything
            guard let action, let place, let local, let remote else { return nil }
            return ConfiguredPolicy(action: action, place: place, local: local, remote: remote, origin: element.origin)
        }
    }
}

extension SelectorSyntax {
    /// A selector or a list of them; `any` stands for all addresses of both families.
    static func list(_ node: ConfigurationNode) -> [TrafficSelector]? {
        var result: [TrafficSelector] = []
        var failed = false
        for element in node.elements {
            guard let text = element.text(expected: "a subnet such as 10.1.0.0/16") else {
                failed = true
                continue
            }
            if text == "any" {
                result += IPFamily.allCases.map { TrafficSelector(.all($0)) }
                continue
            }
            switch parse(text) {
            case .success(let selector): result.append(selector)
            case .failure(let complaint):
                element.error(complaint.text)
                failed = true
            }
        }
        if result.isEmpty, !failed {
            node.error("the list of subnets is empty")
            return nil
        }
        return failed ? nil : result
    }
}
