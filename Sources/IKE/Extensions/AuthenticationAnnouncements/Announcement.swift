// RFC 9593: Announcing Supported Authentication Methods in IKEv2; the announcements themselves (section 3.2).
import IKEMessage
import IPsecCrypto
import Octets

/// One way of authentication that its sender accepts.
///
/// | octets | field |
/// | --- | --- |
/// | 0 | length of all of it |
/// | 1 | authentication method |
/// | 2 | certificate link; not with methods that need no certificate |
/// | 3… | with method 14 the AlgorithmIdentifier, as it stands in an AUTH payload behind its length |
package struct Announcement: Hashable, Sendable {
    package var method: AuthenticationMethod
    /// 0: by whatever authority; else that one of the sender's certificate requests, counted from 1. `nil`: it needs no certificate.
    package var link: UInt8?
    /// Empty except with method 14.
    package var algorithmIdentifier: [UInt8]

    package init(_ method: AuthenticationMethod, link: UInt8? = nil, algorithmIdentifier: [UInt8] = []) {
        self.method = method
        self.link = link
        self.algorithmIdentifier = algorithmIdentifier
    }

    package var octets: [UInt8] {
        let body = [method.rawValue] + (link.map { [$0] } ?? []) + algorithmIdentifier
        return [UInt8(clamping: body.count + 1)] + body
    }

    /// As many as are looked at: a peer has no reason for more.
    private static let limit = 64

    /// The announcements that can be made sense of, in the sender's order; `nil` if lengths do not fit the data.
    package static func list(_ data: [UInt8]) -> [Announcement]? {
        var result: [Announcement] = []
        var rest = data[...]
        while let length = rest.first {
            guard length >= 2, Int(length) <= rest.count else { return nil }
            let announcement = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            if result.count < limit, let known = read(Array(announcement)) { result.append(known) }
        }
        return result
    }

    /// `nil` where length and method do not go together, or nobody knows the method.
    private static func read(_ octets: [UInt8]) -> Announcement? {
        let method = AuthenticationMethod(rawValue: octets[1])
        switch (method, octets.count) {
        case (.sharedKey, 2), (.null, 2): return Announcement(method)
        case (.rsaDigitalSignature, 3), (.dssDigitalSignature, 3), (.ecdsaP256, 3), (.ecdsaP384, 3), (.ecdsaP521, 3):
            return Announcement(method, link: octets[2])
        case (.digitalSignature, 4...):
            return Announcement(method, link: octets[2], algorithmIdentifier: Array(octets[3...]))
        default: return nil
        }
    }

    /// The algorithm of a signature; `nil` for methods without, and for algorithms that are not known here.
    var algorithm: SignatureAlgorithm? {
        switch method {
        case .digitalSignature: SignatureAlgorithm(algorithmIdentifier: algorithmIdentifier)
        case .ecdsaP256: .ecdsa(.sha2_256)
        case .ecdsaP384: .ecdsa(.sha2_384)
        case .ecdsaP521: .ecdsa(.sha2_512)
        default: nil
        }
    }
}
