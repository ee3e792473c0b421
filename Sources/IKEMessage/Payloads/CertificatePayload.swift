import Octets

/// CERT payload (RFC 7296 section 3.6).
public struct CertificatePayload: Hashable, Sendable {
    public var encoding: CertificateEncoding
    public var data: [UInt8]

    public init(encoding: CertificateEncoding, data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        encoding = CertificateEncoding(rawValue: try reader.readUInt8("certificate encoding"))
        data = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        writer.write(encoding.rawValue)
        writer.write(data)
    }
}

/// CERTREQ payload (RFC 7296 section 3.7).
public struct CertificateRequestPayload: Hashable, Sendable {
    /// Octets of a key hash in ``authorities``: SHA-1 of an authority's SubjectPublicKeyInfo.
    public static let keyHashOctetCount = 20

    public var encoding: CertificateEncoding
    /// For X.509 encodings the key hashes, one after the other; what it holds for others, they define. Kept as it came, even if
    /// it is no whole number of hashes.
    public var authorities: [UInt8]

    public init(encoding: CertificateEncoding, authorities: [UInt8]) {
        self.encoding = encoding
        self.authorities = authorities
    }

    /// The key hashes in ``authorities``; `nil` if the last one is incomplete.
    public var keyHashes: [[UInt8]]? {
        guard authorities.count.isMultiple(of: Self.keyHashOctetCount) else { return nil }
        return stride(from: 0, to: authorities.count, by: Self.keyHashOctetCount).map {
            Array(authorities[$0..<$0 + Self.keyHashOctetCount])
        }
    }

    init(parsing reader: inout OctetReader) throws(OctetError) {
        encoding = CertificateEncoding(rawValue: try reader.readUInt8("certificate encoding"))
        authorities = reader.readRest()
    }

    func write(to writer: inout OctetWriter) {
        writer.write(encoding.rawValue)
        writer.write(authorities)
    }
}
