import ESP
import IPPacket
import IPsecCrypto
import Octets

/// ESP SAs between left, 10.1.0.0/16 and 2001:db8:1::/48 behind 192.0.2.1, and right, 10.2.0.0/16 and 2001:db8:2::/48 behind
/// 192.0.2.2. Their keys are no secret.
public enum SampleAssociation {
    /// Of either SA.
    public static let spi: UInt32 = 0xc0de_0001

    /// What left sends with, and right receives with.
    public static func parameters(
        isLeft: Bool, _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?
    ) -> SAParameters {
        let left = Pair.selector("10.1.0.0/16") + Pair.selector("2001:db8:1::/48")
        let right = Pair.selector("10.2.0.0/16") + Pair.selector("2001:db8:2::/48")
        let here = SocketAddress(IPAddress(v4: 0xc000_0201), port: 4500)
        let there = SocketAddress(IPAddress(v4: 0xc000_0202), port: 4500)
        return SAParameters(
            spi: spi, encryption: encryption,
            encryptionKey: SecretOctets([UInt8](repeating: 7, count: encryption.keyMaterialLength)),
            integrity: integrity,
            integrityKey: integrity.map { SecretOctets([UInt8](repeating: 9, count: $0.keyLength)) },
            encapsulation: .ip, local: isLeft ? here : there, remote: isLeft ? there : here,
            localSelectors: isLeft ? left : right, remoteSelectors: isLeft ? right : left)
    }
}
