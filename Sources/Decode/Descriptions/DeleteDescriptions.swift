// RFC 7296 section 3.11: Delete.
import IKEMessage
import Octets

extension DeletePayload: DescribedPayload {
    var summary: String {
        protocolID == .ike ? "this IKE SA" : "\(protocolID.described), \(spis.count) SPI\(spis.count == 1 ? "" : "s")"
    }

    func fields(in context: MessageContext) -> [Field] { spis.map { Field("SPI", $0.hexadecimal) } }
}
