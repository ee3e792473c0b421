import Crypto
import CryptoExtras
import Foundation
import SwiftASN1
import X509

/// The moment the tests judge by: 2026-01-01 00:00:00 UTC.
let testTime: Int64 = 1_767_225_600
let year: Int64 = 365 * 86400

/// A key and its certificate, made for one test; it can issue further ones.
struct TestAuthority {
    let certificate: Certificate
    let key: Certificate.PrivateKey

    var der: [UInt8] { get throws { try DER.Serializer.serialized(element: certificate) } }
    var pem: String { get throws { try certificate.serializeAsPEM().pemString } }
    var keyPEM: String { get throws { try key.serializeAsPEM().pemString } }

    /// SHA-1 of the SubjectPublicKeyInfo, as Certificate Requests carry it.
    var keyHash: [UInt8] {
        get throws {
            Array(Insecure.SHA1.hash(data: try DER.Serializer.serialized(element: certificate.publicKey)))
        }
    }

    /// What a test varies about a certificate; the defaults make a good gateway certificate.
    struct Contents {
        var subject = "gw"
        var names: [GeneralName] = []
        var notBefore = testTime - year
        var notAfter = testTime + year
        var key: Certificate.PrivateKey = .init(P256.Signing.PrivateKey())
        var constraints: BasicConstraints? = .notCertificateAuthority
        var usage: KeyUsage? = KeyUsage(digitalSignature: true)
        var purposes: [ExtendedKeyUsage.Usage] = []
        var criticalPurposes = false
        var nameConstraints: NameConstraints?
        var more: [Certificate.Extension] = []
        var signatureAlgorithm: Certificate.SignatureAlgorithm?

        static func authority(_ subject: String, maxPathLength: Int? = nil) -> Contents {
            var contents = Contents()
            contents.subject = subject
            contents.constraints = .isCertificateAuthority(maxPathLength: maxPathLength)
            contents.usage = KeyUsage(keyCertSign: true, cRLSign: true)
            return contents
        }

        fileprivate func extensions() throws -> Certificate.Extensions {
            var list = more
            if let constraints { list.append(try .init(constraints, critical: true)) }
            if let usage { list.append(try .init(usage, critical: true)) }
            if !purposes.isEmpty { list.append(try .init(ExtendedKeyUsage(purposes), critical: criticalPurposes)) }
            if !names.isEmpty { list.append(try .init(SubjectAlternativeNames(names), critical: false)) }
            if let nameConstraints { list.append(try .init(nameConstraints, critical: true)) }
            return try Certificate.Extensions(list)
        }
    }

    /// A self-signed authority.
    static func root(_ subject: String = "Root", change: (inout Contents) -> Void = { _ in }) throws -> TestAuthority {
        var contents = Contents.authority(subject)
        change(&contents)
        return try make(contents, issuer: try name(contents.subject), signer: contents.key)
    }

    /// An authority below this one.
    func authority(
        _ subject: String, maxPathLength: Int? = nil, change: (inout Contents) -> Void = { _ in }
    ) throws -> TestAuthority {
        var contents = Contents.authority(subject, maxPathLength: maxPathLength)
        change(&contents)
        return try issue(contents)
    }

    /// A gateway's certificate, by default with the name gw.example.org.
    func leaf(_ names: [GeneralName] = [.dnsName("gw.example.org")], change: (inout Contents) -> Void = { _ in }) throws
        -> TestAuthority
    {
        var contents = Contents()
        contents.names = names
        change(&contents)
        return try issue(contents)
    }

    func issue(_ contents: Contents) throws -> TestAuthority {
        try Self.make(contents, issuer: certificate.subject, signer: key)
    }

    static func name(_ commonName: String) throws -> DistinguishedName {
        try DistinguishedName {
            CountryName("CH")
            OrganizationName("Cygnet Test")
            CommonName(commonName)
        }
    }

    private static func make(
        _ contents: Contents, issuer: DistinguishedName, signer: Certificate.PrivateKey
    ) throws -> TestAuthority {
        let date = { (seconds: Int64) in Date(timeIntervalSince1970: TimeInterval(seconds)) }
        let subject = try name(contents.subject)
        let certificate: Certificate
        if let algorithm = contents.signatureAlgorithm {
            certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: contents.key.publicKey,
                notValidBefore: date(contents.notBefore), notValidAfter: date(contents.notAfter), issuer: issuer,
                subject: subject, signatureAlgorithm: algorithm, extensions: try contents.extensions(),
                issuerPrivateKey: signer)
        } else {
            certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: contents.key.publicKey,
                notValidBefore: date(contents.notBefore), notValidAfter: date(contents.notAfter), issuer: issuer,
                subject: subject, extensions: try contents.extensions(), issuerPrivateKey: signer)
        }
        return TestAuthority(certificate: certificate, key: contents.key)
    }
}

extension DER.Serializer {
    static func serialized(element: some DERSerializable) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(element)
        return serializer.serializedBytes
    }
}
