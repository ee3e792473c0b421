import Crypto
import SwiftASN1

/// How OCSP names a certificate: CertID of RFC 6960 section 4.1.1.
struct OCSPCertificateID: Sendable, Hashable {
    /// Hashes here only look something up.
    enum Hash: Sendable, Hashable, CaseIterable {
        case sha1, sha256, sha384, sha512

        var identifier: ASN1ObjectIdentifier {
            switch self {
            case .sha1: [1, 3, 14, 3, 2, 26]
            case .sha256: [2, 16, 840, 1, 101, 3, 4, 2, 1]
            case .sha384: [2, 16, 840, 1, 101, 3, 4, 2, 2]
            case .sha512: [2, 16, 840, 1, 101, 3, 4, 2, 3]
            }
        }

        func digest(_ octets: [UInt8]) -> [UInt8] {
            switch self {
            case .sha1: Array(Insecure.SHA1.hash(data: octets))
            case .sha256: Array(SHA256.hash(data: octets))
            case .sha384: Array(SHA384.hash(data: octets))
            case .sha512: Array(SHA512.hash(data: octets))
            }
        }
    }

    let hash: Hash
    let issuerNameHash: [UInt8]
    let issuerKeyHash: [UInt8]
    let serialNumber: [UInt8]

    /// `nil` if the hash is an unknown one.
    init?(_ node: ASN1Node) throws {
        let fields = try node.elements()
        guard fields.count == 4, let algorithm = try fields[0].elements().first else {
            throw ASN1Error.invalidASN1Object(reason: "not a CertID")
        }
        let identifier = try ASN1ObjectIdentifier(derEncoded: algorithm)
        guard let hash = Hash.allCases.first(where: { $0.identifier == identifier }) else { return nil }
        self.hash = hash
        issuerNameHash = Array(try ASN1OctetString(derEncoded: fields[1]).bytes)
        issuerKeyHash = Array(try ASN1OctetString(derEncoded: fields[2]).bytes)
        serialNumber = try fields[3].serialNumber()
    }

    func names(_ certificate: CertificateFile, issuedBy issuer: CertificateFile) -> Bool {
        guard serialNumber == certificate.serialNumber, issuerNameHash == hash.digest(certificate.issuer),
            let key = issuer.keyBits
        else { return false }
        return issuerKeyHash == hash.digest(key)
    }

    /// The same, as far as it can be told without the issuer's certificate.
    func mayName(_ certificate: CertificateFile) -> Bool {
        serialNumber == certificate.serialNumber && issuerNameHash == hash.digest(certificate.issuer)
    }
}

extension CertificateFile {
    /// The content of the BIT STRING in the SubjectPublicKeyInfo.
    var keyBits: [UInt8]? {
        guard let bits = try? DER.parse(subjectPublicKeyInfo).elements().last else { return nil }
        return (try? ASN1BitString(derEncoded: bits)).map { Array($0.bytes) }
    }

    /// An OCSPRequest (RFC 6960 section 4.1.1) for one certificate, without extensions: the time in the answer tells how
    /// old it is, and only answers without a nonce can be prepared in advance (RFC 5019).
    func statusRequest(issuedBy issuer: CertificateFile) -> [UInt8]? {
        // SHA-1 is what every responder knows (RFC 5019 section 2.1.1).
        let hash = OCSPCertificateID.Hash.sha1
        guard let key = issuer.keyBits else { return nil }
        var coder = DER.Serializer()
        func sequence(_ coder: inout DER.Serializer, _ body: (inout DER.Serializer) throws -> Void) throws {
            try coder.appendConstructedNode(identifier: .sequence, body)
        }
        do {
            // OCSPRequest { TBSRequest { requestList { Request { CertID } } } }
            try sequence(&coder) { coder in
                try sequence(&coder) { coder in
                    try sequence(&coder) { coder in
                        try sequence(&coder) { coder in
                            try sequence(&coder) { coder in
                                try sequence(&coder) { coder in
                                    try coder.serialize(hash.identifier)
                                    try coder.serialize(ASN1Null())
                                }
                                try coder.serialize(ASN1OctetString(contentBytes: hash.digest(self.issuer)[...]))
                                try coder.serialize(ASN1OctetString(contentBytes: hash.digest(key)[...]))
                                try coder.serialize(certificate.serialNumber.bytes)
                            }
                        }
                    }
                }
            }
        } catch {
            return nil
        }
        return coder.serializedBytes
    }
}
