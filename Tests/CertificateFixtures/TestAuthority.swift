import Crypto
import CryptoExtras
import Foundation
import SwiftASN1
import X509

/// The moment the tests judge by: 2026-01-01 00:00:00 UTC.
package let testTime: Int64 = 1_767_225_600
package let year: Int64 = 365 * 86400

/// A key and its certificate, made for one test; it can issue further ones.
package struct TestAuthority {
    package let certificate: Certificate
    package let key: Certificate.PrivateKey

    package init(certificate: Certificate, key: Certificate.PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    package var der: [UInt8] { get throws { try DER.Serializer.serialized(element: certificate) } }
    package var pem: String { get throws { try certificate.serializeAsPEM().pemString } }
    package var keyPEM: String { get throws { try key.serializeAsPEM().pemString } }

    /// SHA-1 of the SubjectPublicKeyInfo, as Certificate Requests carry it.
    package var keyHash: [UInt8] {
        get throws {
            Array(Insecure.SHA1.hash(data: try DER.Serializer.serialized(element: certificate.publicKey)))
        }
    }

    /// What a test varies about a certificate; the defaults make a good gateway certificate.
    package struct Contents {
        package var subject = "gw"
        package var names: [GeneralName] = []
        package var notBefore = testTime - year
        package var notAfter = testTime + year
        package var key: Certificate.PrivateKey = .init(P256.Signing.PrivateKey())
        package var constraints: BasicConstraints? = .notCertificateAuthority
        package var usage: KeyUsage? = KeyUsage(digitalSignature: true)
        package var purposes: [ExtendedKeyUsage.Usage] = []
        package var criticalPurposes = false
        package var nameConstraints: NameConstraints?
        package var more: [Certificate.Extension] = []
        package var signatureAlgorithm: Certificate.SignatureAlgorithm?

        package static func authority(_ subject: String, maxPathLength: Int? = nil) -> Contents {
            var contents = Contents()
            contents.subject = subject
            contents.constraints = .isCertificateAuthority(maxPathLength: maxPathLength)
            contents.usage = KeyUsage(keyCertSign: true, cRLSign: true)
            return contents
        }

        package init() {}

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
    package static func root(_ subject: String = "Root", change: (inout Contents) -> Void = { _ in }) throws
        -> TestAuthority
    {
        var contents = Contents.authority(subject)
        change(&contents)
        return try make(contents, issuer: try name(contents.subject), signer: contents.key)
    }

    /// An authority below this one.
    package func authority(
        _ subject: String, maxPathLength: Int? = nil, change: (inout Contents) -> Void = { _ in }
    ) throws -> TestAuthority {
        var contents = Contents.authority(subject, maxPathLength: maxPathLength)
        change(&contents)
        return try issue(contents)
    }

    /// A gateway's certificate, by default with the name gw.example.org.
    package func leaf(
        _ names: [GeneralName] = [.dnsName("gw.example.org")], change: (inout Contents) -> Void = { _ in }
    ) throws
        -> TestAuthority
    {
        var contents = Contents()
        contents.names = names
        change(&contents)
        return try issue(contents)
    }

    package func issue(_ contents: Contents) throws -> TestAuthority {
        try Self.make(contents, issuer: certificate.subject, signer: key)
    }

    package static func name(_ commonName: String) throws -> DistinguishedName {
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
    package static func serialized(element: some DERSerializable) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(element)
        return serializer.serializedBytes
    }
}
