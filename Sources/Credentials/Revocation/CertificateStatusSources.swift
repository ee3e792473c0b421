import SwiftASN1
import X509

/// Something to be fetched that tells whether a certificate is revoked.
public struct StatusRequest: Sendable, Hashable {
    /// An `http` URL out of a certificate that has been found good in all else.
    public let url: String
    /// An OCSPRequest to be posted (RFC 6960 appendix A.1); `nil`: the URL leads to a CRL (RFC 5280 section 4.2.1.13).
    public let body: [UInt8]?

    package init(url: String, body: [UInt8]?) {
        self.url = url
        self.body = body
    }
}

/// What came of a ``StatusRequest``.
public struct StatusAnswer: Sendable {
    public let request: StatusRequest
    package let result: Result<[UInt8], Failure>

    package struct Failure: Error { package let reason: String }

    public init(to request: StatusRequest, octets: [UInt8]) {
        self.request = request
        result = .success(octets)
    }

    /// - Parameter reason: what went wrong, as part of a sentence: `"no answer within 5 seconds"`.
    public init(to request: StatusRequest, failure reason: String) {
        self.request = request
        result = .failure(Failure(reason: reason))
    }
}

/// Where a certificate says that its status can be learned.
struct CertificateStatusSources {
    /// `http` URLs of OCSP responders, from Authority Information Access (RFC 5280 section 4.2.2.1).
    var responders: [String] = []
    /// `http` URLs of CRLs, from CRLDistributionPoints.
    var lists: [String] = []
    /// The names of all distribution points, each a GeneralName in DER.
    var points: Set<[UInt8]> = []

    /// URLs of one kind that are tried; more are of no use to anybody.
    static let limit = 2
    /// Longer URLs are not tried.
    static let longestURL = 2048
}

extension CertificateFile {
    private static let distributionPoints: ASN1ObjectIdentifier = [2, 5, 29, 31]

    /// What cannot be read counts as absent: nothing is fetched from there, and nothing depends on it.
    func revocationSources() -> CertificateStatusSources {
        var sources = CertificateStatusSources()
        for description in (try? certificate.extensions.authorityInformationAccess) ?? AuthorityInformationAccess() {
            guard description.method == .ocspServer, case .uniformResourceIdentifier(let url) = description.location
            else { continue }
            sources.responders.append(url)
        }
        if let points = certificate.extensions[oid: Self.distributionPoints] {
            sources.read((try? DER.parse(points.value)).flatMap { try? $0.elements() } ?? [])
        }
        sources.responders = Self.usable(sources.responders)
        sources.lists = Self.usable(sources.lists)
        return sources
    }

    private static func usable(_ urls: [String]) -> [String] {
        // Over TLS the server's certificate would have to be judged first, by asking for its status.
        Array(
            urls.filter {
                $0.utf8.count <= CertificateStatusSources.longestURL && $0.lowercased().hasPrefix("http://")
                    && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            }.prefix(CertificateStatusSources.limit))
    }

    /// As it is compared: without leading zeros.
    var serialNumber: [UInt8] { Array(certificate.serialNumber.bytes.drop { $0 == 0 }) }
}

extension CertificateStatusSources {
    fileprivate mutating func read(_ distributionPoints: [ASN1Node]) {
        for point in distributionPoints {
            // One with reasons or with another issuer leads to a list that could not be used.
            guard let fields = try? point.elements(), fields.count == 1, let field = fields.first, field.isTagged(0),
                let name = try? field.explicit(), name.isTagged(0), let names = try? name.inner()
            else { continue }
            for name in names {
                points.insert(Array(name.encodedBytes))
                // uniformResourceIdentifier [6] IA5String
                if name.isTagged(6), let octets = try? name.primitive(),
                    let url = String(validating: octets, as: UTF8.self)
                {
                    lists.append(url)
                }
            }
        }
    }
}
