import IKEMessage
import IPsecCrypto
import Octets

// How configured proposals look on the wire, and to people.

extension IKEProposal {
    package func payload(number: UInt8, spi: [UInt8] = []) -> Proposal {
        Proposal(
            number: number, protocolID: .ike, spi: spi,
            transforms: encryption.map(\.transform) + prf.map(\.transform) + integrity.map(\.transform)
                + keyExchange.map(\.transform) + additional.flatMap(\.transforms))
    }
}

extension ESPProposal {
    /// - Parameter withKeyExchange: false in IKE_AUTH, where the child SA's keys come from IKE_SA_INIT.
    package func payload(number: UInt8, spi: UInt32, withKeyExchange: Bool) -> Proposal {
        Proposal(
            number: number, protocolID: .esp, spi: spi.bigEndianOctets,
            transforms: encryption.map(\.transform) + integrity.map(\.transform)
                + (withKeyExchange ? keyExchange.map(\.transform) + additional.flatMap(\.transforms) : [])
                + sequenceNumbers.map { Transform(type: .sequenceNumbers, id: $0.rawValue) })
    }
}

extension EncryptionAlgorithm {
    var transform: Transform { Transform(type: .encryption, id: transformID, keyLength: keyLengthAttribute) }
}

extension IntegrityAlgorithm {
    var transform: Transform { Transform(type: .integrity, id: rawValue) }
}

extension PRF {
    var transform: Transform { Transform(type: .pseudorandomFunction, id: rawValue) }
}

extension AdditionalKeyExchange {
    var type: TransformType { .additionalKeyExchange(number) }

    var transforms: [Transform] {
        (methods.map(\.rawValue) + (isOptional ? [0] : [])).map { Transform(type: type, id: $0) }
    }
}

extension AdditionalChoice {
    var type: TransformType { .additionalKeyExchange(number) }

    /// The choice as a proposal has it.
    fileprivate var offer: AdditionalKeyExchange {
        AdditionalKeyExchange(number: number, methods: method.map { [$0] } ?? [], isOptional: method == nil)
    }
}

extension TransformType {
    /// - Parameter number: 1 to 7.
    static func additionalKeyExchange(_ number: Int) -> TransformType {
        TransformType(rawValue: additionalKeyExchange1.rawValue + UInt8(truncatingIfNeeded: number - 1))
    }
}

extension KeyExchangeMethod {
    var transform: Transform { Transform(type: .keyExchange, id: rawValue) }
    /// The IANA name.
    var name: String { transform.name }
}

extension IKESuite {
    package func payload(number: UInt8, spi: [UInt8] = []) -> Proposal {
        IKEProposal(
            encryption: [encryption], integrity: integrity.map { [$0] } ?? [], prf: [prf], keyExchange: [keyExchange],
            additional: additional.map(\.offer)
        ).payload(number: number, spi: spi)
    }
}

extension IKESuite: CustomStringConvertible {
    public var description: String {
        ([encryption.transform, prf.transform] + (integrity.map { [$0.transform] } ?? [])
            + ([keyExchange] + additional.methods).map(\.transform))
            .map(\.name).joined(separator: " / ")
    }
}

extension ChildSuite {
    package func payload(number: UInt8, spi: UInt32) -> Proposal {
        ESPProposal(
            encryption: [encryption], integrity: integrity.map { [$0] } ?? [],
            keyExchange: keyExchange.map { [$0] } ?? [], additional: additional.map(\.offer),
            sequenceNumbers: [sequenceNumbers]
        ).payload(number: number, spi: spi, withKeyExchange: keyExchange != nil)
    }
}

extension ChildSuite: CustomStringConvertible {
    public var description: String {
        var parts = [encryption.transform.name]
        if let integrity { parts.append(integrity.transform.name) }
        if let keyExchange { parts.append(keyExchange.name) }
        parts += additional.methods.map(\.name)
        parts.append(sequenceNumbers == .extended ? "ESN" : "32-bit sequence numbers")
        return parts.joined(separator: " / ")
    }
}

extension Transform {
    var name: String { transformName(type, id, keyLength: keyLength) }
}

extension Proposal {
    /// The proposal in one line: the transforms by type, alternatives with `|`.
    var summary: String {
        var order: [TransformType] = []
        for transform in transforms where !order.contains(transform.type) { order.append(transform.type) }
        let parts = order.map { type in
            transforms.filter { $0.type == type }.map(\.name).joined(separator: " | ")
        }
        return "\(protocolID) #\(number): " + parts.joined(separator: " / ")
    }

    func offers(_ transform: Transform) -> Bool {
        transforms.contains {
            $0.type == transform.type && $0.id == transform.id && $0.keyLength == transform.keyLength
                && $0.hasOnlyKeyLength
        }
    }

    func ids(of type: TransformType) -> [UInt16] { transforms.filter { $0.type == type }.map(\.id) }
}
