// The AlgorithmIdentifier of RFC 7427 section 3: what stands before the signature in an AUTH payload of method 14.
// Encodings are those of RFC 7427 appendix A, RFC 8420 section 2 and draft-ietf-ipsecme-ikev2-pqc-auth.

import SwiftASN1

extension ASN1ObjectIdentifier {
    fileprivate static let sha1: ASN1ObjectIdentifier = [1, 3, 14, 3, 2, 26]
    fileprivate static let sha2_256: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 1]
    fileprivate static let sha2_384: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 2]
    fileprivate static let sha2_512: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 3]
    fileprivate static let maskGeneration1: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 1, 8]
    static let rsaPSS: ASN1ObjectIdentifier = [1, 2, 840, 113_549, 1, 1, 10]
    static let ed25519: ASN1ObjectIdentifier = [1, 3, 101, 112]
    static let ed448: ASN1ObjectIdentifier = [1, 3, 101, 113]
    static let mlDSA44: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 3, 17]
    static let mlDSA65: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 3, 18]
    static let mlDSA87: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 3, 19]

    fileprivate static func rsaPKCS1(_ last: UInt) -> ASN1ObjectIdentifier { [1, 2, 840, 113_549, 1, 1, last] }
    fileprivate static func ecdsaSHA2(_ last: UInt) -> ASN1ObjectIdentifier { [1, 2, 840, 10_045, 4, 3, last] }
    fileprivate static let ecdsaSHA1: ASN1ObjectIdentifier = [1, 2, 840, 10_045, 4, 1]
}

extension HashAlgorithm {
    fileprivate var objectIdentifier: ASN1ObjectIdentifier? {
        switch self {
        case .sha1: .sha1
        case .sha2_256: .sha2_256
        case .sha2_384: .sha2_384
        case .sha2_512: .sha2_512
        case .identity: nil
        }
    }

    fileprivate init?(objectIdentifier: ASN1ObjectIdentifier) {
        guard let hash = HashAlgorithm.allCases.first(where: { $0.objectIdentifier == objectIdentifier }) else {
            return nil
        }
        self = hash
    }
}

extension SignatureAlgorithm {
    private var objectIdentifier: ASN1ObjectIdentifier? {
        switch self {
        case .rsaPKCS1(.sha1): .rsaPKCS1(5)
        case .rsaPKCS1(.sha2_256): .rsaPKCS1(11)
        case .rsaPKCS1(.sha2_384): .rsaPKCS1(12)
        case .rsaPKCS1(.sha2_512): .rsaPKCS1(13)
        case .ecdsa(.sha1): .ecdsaSHA1
        case .ecdsa(.sha2_256): .ecdsaSHA2(2)
        case .ecdsa(.sha2_384): .ecdsaSHA2(3)
        case .ecdsa(.sha2_512): .ecdsaSHA2(4)
        case .rsaPSS(.sha1), .rsaPSS(.sha2_256), .rsaPSS(.sha2_384), .rsaPSS(.sha2_512): .rsaPSS
        case .ed25519: .ed25519
        case .ed448: .ed448
        case .mlDSA65: .mlDSA65
        case .mlDSA87: .mlDSA87
        case .rsaPKCS1(.identity), .ecdsa(.identity), .rsaPSS(.identity): nil
        }
    }

    /// The DER AlgorithmIdentifier, exactly as RFC 7427 appendix A has it; empty for combinations that do not exist.
    public var algorithmIdentifier: [UInt8] {
        guard let objectIdentifier else { return [] }
        var serializer = DER.Serializer()
        do {
            try serializer.appendConstructedNode(identifier: .sequence) { coder in
                try coder.serialize(objectIdentifier)
                switch self {
                case .rsaPKCS1: try coder.serialize(ASN1Null())
                case .rsaPSS(let hash): try Self.serializePSSParameters(hash, into: &coder)
                case .ecdsa, .ed25519, .ed448, .mlDSA65, .mlDSA87: break
                }
            }
        } catch {
            return []
        }
        return serializer.serializedBytes
    }

    /// Reads an AlgorithmIdentifier that a peer sent; `nil` if it is not exactly one of the algorithms known here.
    ///
    /// Besides the encodings of RFC 7427 appendix A those are taken that RFC 4055 allows and others send: hash
    /// identifiers without NULL parameters and an explicit trailer field of 1. A PSS salt length other than the hash
    /// length and a mask hash other than the message hash are not taken.
    public init?(algorithmIdentifier: [UInt8]) {
        guard algorithmIdentifier.count <= 255, let root = try? DER.parse(algorithmIdentifier),
            let algorithm = try? DER.sequence(root, identifier: .sequence, Self.parse)
        else { return nil }
        self = algorithm
    }

    private static let withoutOwnParameters: [SignatureAlgorithm] =
        [.sha1, .sha2_256, .sha2_384, .sha2_512].flatMap { [.rsaPKCS1($0), .ecdsa($0)] }
        + [.ed25519, .ed448, .mlDSA65, .mlDSA87]

    private static func parse(_ nodes: inout ASN1NodeCollection.Iterator) throws -> SignatureAlgorithm {
        let identifier = try ASN1ObjectIdentifier(derEncoded: &nodes)
        if identifier == .rsaPSS {
            guard let parameters = nodes.next() else { throw mismatch("PSS parameters are missing") }
            return .rsaPSS(try DER.sequence(parameters, identifier: .sequence, parsePSSParameters))
        }
        guard let algorithm = withoutOwnParameters.first(where: { $0.objectIdentifier == identifier }) else {
            throw mismatch("unknown algorithm")
        }
        if case .rsaPKCS1 = algorithm { try skipNull(&nodes) }
        return algorithm
    }

    private static func mismatch(_ reason: String) -> ASN1Error { .invalidASN1Object(reason: reason) }

    private static func skipNull(_ nodes: inout ASN1NodeCollection.Iterator) throws {
        guard let node = nodes.next() else { return }
        _ = try ASN1Null(derEncoded: node)
    }

    // MARK: RSASSA-PSS-params, RFC 8017 appendix A.2.3

    private static func tag(_ number: UInt) -> ASN1Identifier {
        ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific)
    }

    private static func serializeHash(_ hash: HashAlgorithm, into coder: inout DER.Serializer) throws {
        guard let identifier = hash.objectIdentifier else { throw mismatch("no identifier") }
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            try coder.serialize(identifier)
            try coder.serialize(ASN1Null())
        }
    }

    private static func serializePSSParameters(_ hash: HashAlgorithm, into coder: inout DER.Serializer) throws {
        try coder.appendConstructedNode(identifier: .sequence) { coder in
            // DER leaves default values out, and all the defaults are those of SHA-1.
            guard hash != .sha1 else { return }
            try coder.appendConstructedNode(identifier: tag(0)) { try serializeHash(hash, into: &$0) }
            try coder.appendConstructedNode(identifier: tag(1)) { coder in
                try coder.appendConstructedNode(identifier: .sequence) { coder in
                    try coder.serialize(ASN1ObjectIdentifier.maskGeneration1)
                    try serializeHash(hash, into: &coder)
                }
            }
            try coder.appendConstructedNode(identifier: tag(2)) { try $0.serialize(hash.outputLength) }
        }
    }

    private static func parseHash(_ node: ASN1Node) throws -> HashAlgorithm {
        try DER.sequence(node, identifier: .sequence) { nodes in
            guard let hash = HashAlgorithm(objectIdentifier: try ASN1ObjectIdentifier(derEncoded: &nodes)) else {
                throw mismatch("unknown hash")
            }
            try skipNull(&nodes)
            return hash
        }
    }

    private static func parsePSSParameters(_ nodes: inout ASN1NodeCollection.Iterator) throws -> HashAlgorithm {
        let hash = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 0, tagClass: .contextSpecific, parseHash)
        let maskHash = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 1, tagClass: .contextSpecific) { node in
            try DER.sequence(node, identifier: .sequence) { nodes in
                guard try ASN1ObjectIdentifier(derEncoded: &nodes) == .maskGeneration1, let hash = nodes.next() else {
                    throw mismatch("mask generation is not MGF1")
                }
                return try parseHash(hash)
            }
        }
        let saltLength = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 2, tagClass: .contextSpecific) {
            try Int(derEncoded: $0)
        }
        let trailer = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 3, tagClass: .contextSpecific) {
            try Int(derEncoded: $0)
        }
        let message = hash ?? .sha1
        guard (maskHash ?? .sha1) == message, (saltLength ?? 20) == message.outputLength, (trailer ?? 1) == 1 else {
            throw mismatch("PSS parameters do not go together")
        }
        return message
    }
}
