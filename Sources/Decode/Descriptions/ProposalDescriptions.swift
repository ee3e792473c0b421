// RFC 7296 sections 3.3 and 3.4: SA and KE.
import IKEMessage
import Octets

extension SecurityAssociationPayload: DescribedPayload {
    var summary: String { proposals.count == 1 ? "1 proposal" : "\(proposals.count) proposals" }

    func fields(in context: MessageContext) -> [Field] { proposals.map(\.described) }
}

extension Proposal {
    fileprivate var described: Field {
        let spi = spi.isEmpty ? "" : ", SPI \(self.spi.hexadecimal)"
        return Field("proposal \(number)", protocolID.described + spi, transforms.map(\.described))
    }
}

extension Transform {
    fileprivate var described: Field {
        let others = attributes.filter { attribute in
            if case .short = attribute.value { attribute.type != .keyLength } else { true }
        }
        return Field(type.described, Decode.described(type, id, keyLength: keyLength), others.map(\.described))
    }
}

extension TransformAttribute {
    fileprivate var described: Field {
        switch value {
        case .short(let number): Field("attribute", "\(type.described): \(number)")
        case .variable(let octets): Field("attribute", "\(type.described), \(octets.count) octets", octets: octets)
        }
    }
}

extension KeyExchangePayload: DescribedPayload {
    var summary: String { "\(described(.keyExchange, method)), \(data.count) octets" }

    func fields(in context: MessageContext) -> [Field] { [Field("key exchange data", octets: data)] }
}
