// RFC 7427: signature authentication in IKEv2. Code points: notify 16431, authentication method 14 (IKEMessage).
import Credentials
import IKEMessage
import IPsecCrypto
import Octets

/// Which signatures are made and accepted, and how they stand in an AUTH payload.
enum SignatureAuthentication: IKEExtension {
    /// Hash algorithms of the peer's SIGNATURE_HASH_ALGORITHMS.
    typealias State = [HashAlgorithm]

    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] {
        switch stage {
        case .initRequest, .initResponse:
            [
                .notify(
                    NotifyPayload(
                        type: .signatureHashAlgorithms, data: acceptedHashes.flatMap { $0.rawValue.bigEndianOctets }))
            ]
        case .authRequest, .authResponse: []
        }
    }

    /// A list with half a number at its end is no list (RFC 7427 section 4).
    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) {
        switch stage {
        case .initRequest, .initResponse:
            // What an earlier answer said, which somebody else may have sent, does not count.
            sa.slots[Self.self] = nil
            guard let hashes = payloads.notification(.signatureHashAlgorithms)?.data, hashes.count.isMultiple(of: 2)
            else { return }
            sa.slots[Self.self] = stride(from: 0, to: hashes.count, by: 2).compactMap {
                HashAlgorithm(rawValue: UInt16(hashes[$0]) << 8 | UInt16(hashes[$0 + 1]))
            }
        case .authRequest, .authResponse: break
        }
    }

    /// What our SIGNATURE_HASH_ALGORITHMS names, SHA-1 left out (RFC 8247 section 3).
    static let acceptedHashes: [HashAlgorithm] = [.sha2_256, .sha2_384, .sha2_512, .identity]

    /// How a key signs for a peer with these hashes; `nil`: a peer without RFC 7427.
    static func choose(
        for key: SigningKey, peerHashes: [HashAlgorithm]?
    ) throws(Refusal) -> (method: AuthenticationMethod, algorithm: SignatureAlgorithm) {
        if let peerHashes {
            guard let algorithm = key.algorithms(acceptedHashes: peerHashes).first else {
                throw Refusal(
                    .authenticationFailed,
                    "the peer accepts signatures with \(peerHashes.map(\.description).joined(separator: ", ")); our \(key.publicKey.kind) key can make none of them"
                )
            }
            return (.digitalSignature, algorithm)
        }
        guard case .ecdsa(let bits) = key.publicKey.kind, let legacy = legacyECDSA.first(where: { $0.bits == bits })
        else {
            throw Refusal(
                .authenticationFailed,
                "the peer does not announce signature hash algorithms (RFC 7427), and without them our \(key.publicKey.kind) key could only sign with SHA-1"
            )
        }
        return (legacy.method, .ecdsa(legacy.hash))
    }

    /// The methods of RFC 4754, each tied to a curve and a hash.
    private static let legacyECDSA: [(method: AuthenticationMethod, bits: Int, hash: HashAlgorithm)] = [
        (.ecdsaP256, 256, .sha2_256), (.ecdsaP384, 384, .sha2_384), (.ecdsaP521, 521, .sha2_512),
    ]

    static func payload(
        _ method: AuthenticationMethod, _ algorithm: SignatureAlgorithm, signature: [UInt8]
    ) -> AuthenticationPayload? {
        if method == .digitalSignature {
            return AuthenticationPayload(
                method: method,
                data: SignatureAuthenticationData(
                    algorithmIdentifier: algorithm.algorithmIdentifier, signature: signature
                ).serialized())
        }
        guard let legacy = legacyECDSA.first(where: { $0.method == method }),
            let raw = VerificationKey.ecdsaDERToRaw(signature, curveBits: legacy.bits)
        else { return nil }
        return AuthenticationPayload(method: method, data: raw)
    }

    /// The algorithm and signature of a peer's AUTH payload.
    static func read(
        _ payload: AuthenticationPayload
    ) throws(Refusal) -> (algorithm: SignatureAlgorithm, signature: [UInt8]) {
        if let legacy = legacyECDSA.first(where: { $0.method == payload.method }) {
            guard let der = VerificationKey.ecdsaRawToDER(payload.data, curveBits: legacy.bits) else {
                throw Refusal(
                    .authenticationFailed, "the AUTH payload's ECDSA signature has \(payload.data.count) octets",
                    notify: .authenticationFailed)
            }
            return (.ecdsa(legacy.hash), der)
        }
        guard payload.method == .digitalSignature else {
            throw Refusal(
                .authenticationFailed,
                "the peer authenticated by \(payload.method); a certificate with a digital signature (RFC 7427) was expected",
                notify: .authenticationFailed)
        }
        let data: SignatureAuthenticationData
        do {
            data = try SignatureAuthenticationData(parsing: payload.data)
        } catch {
            throw Refusal(
                .authenticationFailed, "the AUTH payload cannot be read: \(error)", notify: .authenticationFailed)
        }
        guard let algorithm = SignatureAlgorithm(algorithmIdentifier: data.algorithmIdentifier),
            acceptedHashes.contains(algorithm.hash)
        else {
            throw Refusal(
                .authenticationFailed,
                "the peer signed with an algorithm we do not accept (AlgorithmIdentifier \(data.algorithmIdentifier.hexadecimal))",
                notify: .authenticationFailed)
        }
        return (algorithm, data.signature)
    }
}
