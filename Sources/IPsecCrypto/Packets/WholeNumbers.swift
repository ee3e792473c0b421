/// Packets that carry all 64 bits of their sequence numbers: SPI (4 octets), sequence number (8), IV and so on.
///
/// For the ciphers such a packet begins four octets later, at the high half of its number: from there on it looks as they know it,
/// number's low half, IV, payload. What comes before is a matter of associated data.
enum WholeNumbers {
    /// Only low halves are sent.
    case none
    /// The SPI stands in the place of the high half for as long as an AEAD works, which takes that half from the number as it does
    /// with every extended one.
    case associated
    /// A separate integrity algorithm begins at the SPI, and is given no high half behind the packet.
    case covered

    /// Octets by which the header is longer.
    static let lead = 4
}

extension UnsafeMutableBufferPointer where Element == CipherPacket {
    /// Gives the packets the form that ciphers know.
    @inline(__always)
    func shorten(_ form: WholeNumbers) {
        for index in indices {
            let octets = self[index].octets
            self[index].octets = octets + WholeNumbers.lead
            self[index].count -= WholeNumbers.lead
            // One too short to be a packet is refused by its length.
            guard case .associated = form, self[index].count >= ESPLayout.iv else { continue }
            self[index].octets.storeBytes(of: octets.loadUnaligned(as: UInt32.self), as: UInt32.self)
        }
    }

    /// Takes that back.
    @inline(__always)
    func lengthen(_ form: WholeNumbers) {
        for index in indices {
            if case .associated = form, self[index].count >= ESPLayout.iv {
                self[index].octets.storeBytes(of: self[index].sequenceHigh.bigEndian, as: UInt32.self)
            }
            self[index].octets -= WholeNumbers.lead
            self[index].count += WholeNumbers.lead
        }
    }
}
