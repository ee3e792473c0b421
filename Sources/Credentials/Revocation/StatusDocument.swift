import Crypto
import SwiftASN1

/// A signed statement about the status of certificates: a CRL or an OCSP response. Reading one believes nothing of it.
public enum StatusDocument: Sendable {
    case list(CertificateRevocationList)
    case response(OCSPResponse)

    /// Longer documents are refused.
    public static let longest = 4 << 20

    /// Reads a CRL or an OCSP response in DER, or the first CRL in PEM.
    ///
    /// Throws `unreadable` or `limitExceeded`; `statusUnknown` if it is an OCSP responder's excuse.
    public init(_ octets: [UInt8]) throws(CredentialError) {
        guard octets.count <= Self.longest else {
            throw CredentialError(.limitExceeded, "it has \(octets.count) octets; \(Self.longest) are accepted")
        }
        var der = octets
        if octets.starts(with: "-----BEGIN ".utf8) {
            let documents = try? PEMDocument.parseMultiple(pemString: String(decoding: octets, as: UTF8.self))
            guard let list = documents?.first(where: { $0.discriminator == "X509 CRL" }) else {
                throw CredentialError(.unreadable, "there is no PEM block with a list (-----BEGIN X509 CRL-----)")
            }
            der = list.derBytes
        }
        // Of the two, only an OCSP response begins with an ENUMERATED.
        let isResponse = Self.firstTag(der) == ASN1Identifier.enumerated.shortTag
        self = isResponse ? .response(try OCSPResponse(der: der)) : .list(try CertificateRevocationList(der: der))
    }

    /// The tag of the first element of a SEQUENCE.
    private static func firstTag(_ der: [UInt8]) -> UInt8? {
        guard der.count > 2 else { return nil }
        let index = der[1] < 0x80 ? 2 : 2 + Int(der[1] & 0x7f)
        return index < der.count ? der[index] : nil
    }

    func finding(
        on certificate: CertificateFile, issuedBy issuer: CertificateFile, at unixSeconds: Int64
    ) -> RevocationFinding {
        switch self {
        case .list(let list): list.finding(on: certificate, issuedBy: issuer, at: unixSeconds)
        case .response(let response): response.finding(on: certificate, issuedBy: issuer, at: unixSeconds)
        }
    }
}

extension ASN1Identifier {
    fileprivate var shortTag: UInt8 { UInt8(truncatingIfNeeded: tagNumber) }
}

/// What is known of the status of certificates: documents that the operator has given, and those fetched before.
///
/// Only documents that have been found good for a trusted path are kept, one for each certificate or list, within limits of
/// number and size.
public struct StatusStore: Sendable {
    private struct Fetched {
        let document: StatusDocument
        let size: Int
        let at: Int64
    }

    /// Fetched documents kept at most, and octets of them.
    private let limit: Int
    private static let octetLimit = 64 << 20
    /// What was fetched longer ago than this many seconds is fetched again, although it may still hold.
    static let freshness: Int64 = 6 * 3600

    /// What the operator has given; not looked at before it is needed.
    public var given: [StatusDocument]
    private var fetched: [[UInt8]: Fetched] = [:]

    public init(given: [StatusDocument] = [], limit: Int = 256) {
        self.given = given
        self.limit = limit
    }

    public var fetchedCount: Int { fetched.count }

    /// An OCSP response belongs to the exact octets of a certificate and of its issuer's key, a list to its issuer's name and
    /// key and its distribution point.
    private static func key(
        _ document: StatusDocument, _ certificate: CertificateFile, _ issuer: CertificateFile
    ) -> [UInt8] {
        var hash = SHA256()
        func add(_ octets: [UInt8]) { hash.update(data: SHA256.hash(data: octets).map(\.self)) }
        switch document {
        case .list(let list):
            add(issuer.subject)
            add(list.distributionPoint)
        case .response: add(certificate.der)
        }
        add(issuer.subjectPublicKeyInfo)
        return Array(hash.finalize())
    }

    /// Keeps what a check has found good.
    public mutating func keep(_ items: [RevocationCheck.Learned]) {
        for item in items {
            fetched[Self.key(item.document, item.certificate, item.issuer)] = Fetched(
                document: item.document, size: item.size, at: item.at)
        }
        while fetched.count > limit || fetched.values.reduce(0, { $0 + $1.size }) > Self.octetLimit,
            let oldest = fetched.min(by: { $0.value.at < $1.value.at })
        {
            fetched[oldest.key] = nil
        }
    }

    /// All that is known, with whether it is fresh.
    func documents(at unixSeconds: Int64) -> [(document: StatusDocument, isFresh: Bool)] {
        given.map { ($0, true) } + fetched.values.map { ($0.document, unixSeconds - $0.at < Self.freshness) }
    }

    /// OCSP responses on certificates of ours, to be sent to a peer that asks for them (RFC 4806).
    public func responses(on certificates: [[UInt8]], at unixSeconds: Int64) -> [[UInt8]] {
        certificates.compactMap { der in
            guard let certificate = try? CertificateFile(der: der) else { return nil }
            for document in given {
                if case .response(let response) = document, response.serves(certificate, at: unixSeconds) {
                    return response.der
                }
            }
            return nil
        }
    }
}
