import COpenSSL
import Octets

/// A Brainpool curve (RFC 5639) with the arithmetic of libcrypto, for key exchange as RFC 6954 has it.
///
/// Its cofactor is 1, so that every point on the curve but infinity generates the whole group.
final class BrainpoolCurve: Sendable {
    // Written only in `init` and read by libcrypto afterwards, so sharing them is safe.
    private nonisolated(unsafe) let group: OpaquePointer
    private nonisolated(unsafe) let orderLessOne: OpaquePointer
    private let fieldLength: Int

    private static let made = MadeObjects<BrainpoolCurve> { method in
        switch method {
        case .brainpoolP256r1: BrainpoolCurve(method, NID_brainpoolP256r1)
        case .brainpoolP384r1: BrainpoolCurve(method, NID_brainpoolP384r1)
        case .brainpoolP512r1: BrainpoolCurve(method, NID_brainpoolP512r1)
        default: nil
        }
    }

    static func named(_ method: KeyExchangeMethod) throws(CryptoError) -> BrainpoolCurve {
        try made.named(method, orThrow: CryptoError(.libraryFailure, "libcrypto gives no curve \(method)"))
    }

    private init?(_ method: KeyExchangeMethod, _ name: Int32) {
        let parts = (group: EC_GROUP_new_by_curve_name(name), less: BN_new())
        guard let group = parts.group, let less = parts.less, let order = EC_GROUP_get0_order(group),
            BN_sub(less, order, BN_value_one()) == 1, Int(EC_GROUP_get_degree(group)) == 4 * method.publicValueLength
        else {
            EC_GROUP_free(parts.group)
            BN_free(parts.less)
            return nil
        }
        self.group = group
        orderLessOne = less
        fieldLength = method.publicValueLength / 2
    }

    deinit {
        EC_GROUP_free(group)
        BN_free(orderLessOne)
    }

    /// The private key of a seed, most significant octet first: seed mod (n - 1) + 1.
    func scalar(seed: SecretOctets) throws(CryptoError) -> SecretOctets {
        let context = BN_CTX_secure_new()
        let number = BN_secure_new()
        let rest = BN_secure_new()
        defer {
            BN_clear_free(number)
            BN_clear_free(rest)
            BN_CTX_free(context)
        }
        guard let context, let number, let rest else { throw Self.failure }
        // With this flag libcrypto divides without looking at the value.
        BN_set_flags(number, BN_FLG_CONSTTIME)
        let read = seed.withUnsafeBytes { octets in
            BN_bin2bn(octets.bindMemory(to: UInt8.self).baseAddress, Int32(octets.count), number) != nil
        }
        guard read, BN_div(nil, rest, number, orderLessOne, context) == 1, BN_add(rest, rest, BN_value_one()) == 1
        else { throw Self.failure }
        return try octets(of: rest)
    }

    /// Both coordinates of the scalar's multiple of the base point.
    func publicValue(scalar: SecretOctets) throws(CryptoError) -> [UInt8] {
        let (x, y) = try multiply(nil, by: scalar)
        return x.unprotected + y.unprotected
    }

    /// The x coordinate of the scalar's multiple of the peer's point (RFC 6954, section 2.1, as RFC 5903, section 7).
    ///
    /// - Parameter peerPublicValue: both coordinates.
    func sharedSecret(peerPublicValue: [UInt8], scalar: SecretOctets) throws(CryptoError) -> SecretOctets {
        let encoded = [UInt8(POINT_CONVERSION_UNCOMPRESSED.rawValue)] + peerPublicValue
        guard let peer = EC_POINT_new(group) else { throw Self.failure }
        defer { EC_POINT_free(peer) }
        // RFC 6989, section 2.3: both coordinates below p, and on the curve; libcrypto checks both here. Infinity has no
        // such coordinates.
        guard EC_POINT_oct2point(group, peer, encoded, encoded.count, nil) == 1 else {
            throw CryptoError(.invalidPublicValue, "the peer's public value is no point on the curve")
        }
        return try multiply(peer, by: scalar).x
    }

    /// A multiple of a point, or of the base point; with one scalar libcrypto takes the same steps whatever its value.
    private func multiply(
        _ point: OpaquePointer?, by scalar: SecretOctets
    ) throws(CryptoError) -> (x: SecretOctets, y: SecretOctets) {
        let context = BN_CTX_secure_new()
        let number = BN_secure_new()
        let (x, y) = (BN_secure_new(), BN_secure_new())
        let result = EC_POINT_new(group)
        defer {
            BN_clear_free(number)
            BN_clear_free(x)
            BN_clear_free(y)
            EC_POINT_clear_free(result)
            BN_CTX_free(context)
        }
        guard let context, let number, let x, let y, let result else { throw Self.failure }
        BN_set_flags(number, BN_FLG_CONSTTIME)
        let read = scalar.withUnsafeBytes { octets in
            BN_bin2bn(octets.bindMemory(to: UInt8.self).baseAddress, Int32(octets.count), number) != nil
        }
        let multiplied =
            point == nil
            ? EC_POINT_mul(group, result, number, nil, nil, context)
            : EC_POINT_mul(group, result, nil, point, number, context)
        guard read, multiplied == 1, EC_POINT_get_affine_coordinates(group, result, x, y, context) == 1 else {
            throw Self.failure
        }
        return (try octets(of: x), try octets(of: y))
    }

    /// A number below p or n, padded on the left.
    private func octets(of number: OpaquePointer) throws(CryptoError) -> SecretOctets {
        try SecretOctets(count: fieldLength) { (output) throws(CryptoError) in
            let address = output.bindMemory(to: UInt8.self).baseAddress
            guard BN_bn2binpad(number, address, Int32(output.count)) == Int32(output.count) else { throw Self.failure }
        }
    }

    private static let failure = CryptoError(.libraryFailure, "libcrypto failed to compute on a Brainpool curve")
}
