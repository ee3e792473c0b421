import Crypto
import Foundation
import IPsecCrypto
import SwiftASN1
import X509

/// CRLs and OCSP responses made for one test; the defaults make good ones.
package enum TestStatus {
    package struct RawExtension {
        package var oid: ASN1ObjectIdentifier
        package var isCritical = true
        package var value: [UInt8] = [0x05, 0x00]

        package init(oid: ASN1ObjectIdentifier, isCritical: Bool = true, value: [UInt8] = [0x05, 0x00]) {
            self.oid = oid
            self.isCritical = isCritical
            self.value = value
        }
    }

    package struct List {
        package var revoked: [(TestAuthority, reason: UInt8?)] = []
        package var thisUpdate = testTime - 3600
        package var nextUpdate: Int64? = testTime + 3600
        package var extensions: [RawExtension] = []
        package var entryExtensions: [RawExtension] = []
        package var signer: TestAuthority?

        package init(_ change: (inout List) -> Void = { _ in }) { change(&self) }
    }

    package struct Response {
        package var status = Status.good
        package var thisUpdate = testTime - 60
        package var nextUpdate: Int64? = testTime + 3600
        package var extensions: [RawExtension] = []
        /// Who signs, and whether its certificate comes along; `nil`: the issuer.
        package var delegate: TestAuthority?
        package var signer: TestAuthority?
        package var isAbout: TestAuthority?

        package enum Status { case good, revoked(reason: UInt8), unknown }

        package init(_ change: (inout Response) -> Void = { _ in }) { change(&self) }
    }

    package static func list(_ issuer: TestAuthority, _ list: List = List()) throws -> [UInt8] {
        let algorithm = SignatureAlgorithm.ecdsa(.sha2_256)
        return try signed(algorithm, by: list.signer ?? issuer) { coder in
            try coder.serialize(1)
            coder.serializeRawBytes(algorithm.algorithmIdentifier)
            try coder.serialize(issuer.certificate.subject)
            try coder.serialize(time(list.thisUpdate))
            if let next = list.nextUpdate { try coder.serialize(time(next)) }
            if !list.revoked.isEmpty {
                try coder.appendConstructedNode(identifier: .sequence) { coder in
                    for (certificate, reason) in list.revoked {
                        try coder.appendConstructedNode(identifier: .sequence) { coder in
                            try coder.serialize(certificate.certificate.serialNumber.bytes)
                            try coder.serialize(time(testTime - 7200))
                            var extensions = list.entryExtensions
                            if let reason {
                                extensions.append(
                                    .init(oid: [2, 5, 29, 21], isCritical: false, value: [0x0a, 1, reason]))
                            }
                            if !extensions.isEmpty { try write(extensions, to: &coder) }
                        }
                    }
                }
            }
            if !list.extensions.isEmpty {
                try coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { coder in
                    try write(list.extensions, to: &coder)
                }
            }
        }
    }

    package static func response(
        on certificate: TestAuthority, by issuer: TestAuthority, _ response: Response = Response()
    ) throws -> [UInt8] {
        let subject = response.isAbout ?? certificate
        let signer = response.signer ?? response.delegate ?? issuer
        let basic = try signed(
            .ecdsa(.sha2_256), by: signer, certificates: response.delegate.map { [try $0.der] } ?? []
        ) { coder in
            try coder.serialize(explicitlyTaggedWithTagNumber: 1, tagClass: .contextSpecific) { coder in
                try coder.serialize((response.delegate ?? issuer).certificate.subject)
            }
            try coder.serialize(time(response.thisUpdate))
            try coder.appendConstructedNode(identifier: .sequence) { coder in
                try coder.appendConstructedNode(identifier: .sequence) { coder in
                    try id(of: subject, issuer, to: &coder)
                    try status(response.status, to: &coder)
                    try coder.serialize(time(response.thisUpdate))
                    if let next = response.nextUpdate {
                        try coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) {
                            try $0.serialize(time(next))
                        }
                    }
                    if !response.extensions.isEmpty {
                        try coder.serialize(explicitlyTaggedWithTagNumber: 1, tagClass: .contextSpecific) {
                            try write(response.extensions, to: &$0)
                        }
                    }
                }
            }
        }
        return try envelope(status: 0, basic)
    }

    /// OCSPResponse; without a body it is an excuse.
    package static func envelope(status: UInt8, _ basic: [UInt8]?) throws -> [UInt8] {
        var coder = DER.Serializer()
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            coder.serializeRawBytes([0x0a, 1, status])
            guard let basic else { return }
            try coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { coder in
                try coder.appendConstructedNode(identifier: .sequence) { coder in
                    try coder.serialize([1, 3, 6, 1, 5, 5, 7, 48, 1, 1] as ASN1ObjectIdentifier)
                    try coder.serialize(ASN1OctetString(contentBytes: basic[...]))
                }
            }
        }
        return coder.serializedBytes
    }

    private static func id(of certificate: TestAuthority, _ issuer: TestAuthority, to coder: inout DER.Serializer)
        throws
    {
        let name = try DER.Serializer.serialized(element: issuer.certificate.subject)
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            try coder.appendConstructedNode(identifier: .sequence) { coder in
                try coder.serialize([2, 16, 840, 1, 101, 3, 4, 2, 1] as ASN1ObjectIdentifier)
            }
            try coder.serialize(ASN1OctetString(contentBytes: Array(SHA256.hash(data: name))[...]))
            let key = SHA256.hash(data: issuer.certificate.publicKey.subjectPublicKeyInfoBytes)
            try coder.serialize(ASN1OctetString(contentBytes: Array(key)[...]))
            try coder.serialize(certificate.certificate.serialNumber.bytes)
        }
    }

    private static func status(_ status: Response.Status, to coder: inout DER.Serializer) throws {
        switch status {
        case .good: coder.serializeRawBytes([0x80, 0])
        case .unknown: coder.serializeRawBytes([0x82, 0])
        case .revoked(let reason):
            try coder.appendConstructedNode(identifier: .init(tagWithNumber: 1, tagClass: .contextSpecific)) { coder in
                try coder.serialize(time(testTime - 7200))
                coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) {
                    $0.serializeRawBytes([0x0a, 1, reason])
                }
            }
        }
    }

    package static func write(_ extensions: [RawExtension], to coder: inout DER.Serializer) throws {
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            for item in extensions {
                try coder.appendConstructedNode(identifier: .sequence) { coder in
                    try coder.serialize(item.oid)
                    if item.isCritical { try coder.serialize(true) }
                    try coder.serialize(ASN1OctetString(contentBytes: item.value[...]))
                }
            }
        }
    }

    private static func time(_ seconds: Int64) throws -> GeneralizedTime {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let parts = calendar.dateComponents(
            [.year, .month, .day, .hour, .minute, .second], from: Date(timeIntervalSince1970: TimeInterval(seconds)))
        return try GeneralizedTime(
            year: parts.year ?? 0, month: parts.month ?? 0, day: parts.day ?? 0, hours: parts.hour ?? 0,
            minutes: parts.minute ?? 0, seconds: parts.second ?? 0, fractionalSeconds: 0)
    }

    private static func signed(
        _ algorithm: SignatureAlgorithm, by signer: TestAuthority, certificates: [[UInt8]] = [],
        _ body: (inout DER.Serializer) throws -> Void
    ) throws -> [UInt8] {
        var inner = DER.Serializer()
        try inner.appendConstructedNode(identifier: .sequence, body)
        let signature = try SigningKey(pem: try signer.keyPEM).sign(inner.serializedBytes, with: algorithm)
        var coder = DER.Serializer()
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            coder.serializeRawBytes(inner.serializedBytes)
            coder.serializeRawBytes(algorithm.algorithmIdentifier)
            try coder.serialize(ASN1BitString(bytes: signature[...]))
            guard !certificates.isEmpty else { return }
            coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { coder in
                coder.appendConstructedNode(identifier: .sequence) { coder in
                    for certificate in certificates { coder.serializeRawBytes(certificate) }
                }
            }
        }
        return coder.serializedBytes
    }
}

extension TestAuthority.Contents {
    /// Names an OCSP responder and a list.
    package mutating func point(toResponder responder: String?, list: String?) throws {
        if let responder {
            let access = AuthorityInformationAccess([
                .init(method: .ocspServer, location: .uniformResourceIdentifier(responder))
            ])
            more.append(try Certificate.Extension(access, critical: false))
        }
        if let list {
            var coder = DER.Serializer()
            coder.appendConstructedNode(identifier: .sequence) { coder in
                coder.appendConstructedNode(identifier: .sequence) { coder in
                    coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { coder in
                        coder.appendConstructedNode(identifier: .init(tagWithNumber: 0, tagClass: .contextSpecific)) {
                            $0.serializeRawBytes([0x86, UInt8(list.utf8.count)] + Array(list.utf8))
                        }
                    }
                }
            }
            more.append(.init(oid: [2, 5, 29, 31], critical: false, value: coder.serializedBytes[...]))
        }
    }
}
