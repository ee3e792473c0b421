import Credentials
import IPsecCrypto
import Octets

/// A computation that takes too long for the machine's own thread: public-key work, certificate paths and puzzles.
///
/// The driver runs it wherever it likes and gives the result to ``Endpoint/complete(_:with:at:)``.
public struct Job: Sendable {
    public struct ID: Hashable, Sendable {
        let number: UInt64
    }

    enum Work: Sendable {
        /// Makes a key exchange key from the first seed that is usable.
        case makeKey(KeyExchangeMethod, seeds: [SecretOctets])
        /// The same, and agrees with the peer's public value at once: what a responder does.
        case makeKeyAndAgree(KeyExchangeMethod, seeds: [SecretOctets], peerPublicValue: [UInt8])
        case agree(KeyExchangeKey, peerPublicValue: [UInt8])
        case sign(SigningKey, SignatureAlgorithm, octets: [UInt8])
        case verify(PeerProof)
        case solve(Puzzle)
    }

    /// What a computation is about: for measuring where time goes.
    package enum Kind: String, Sendable, CaseIterable {
        case keyExchange, sign, verify, puzzle
    }

    public let id: ID
    let work: Work

    package var kind: Kind {
        switch work {
        case .makeKey, .makeKeyAndAgree, .agree: .keyExchange
        case .sign: .sign
        case .verify: .verify
        case .solve: .puzzle
        }
    }

    /// What is signed, if it is a signature: for looking at what an AUTH payload stands for.
    package var octetsToSign: [UInt8]? {
        if case .sign(_, _, let octets) = work { octets } else { nil }
    }

    /// Does the computation.
    public func run() async -> JobResult {
        do throws(CryptoError) {
            switch work {
            case .makeKey(let method, let seeds):
                return JobResult(
                    .key(
                        try Self.fromUsable(seeds, method) { seed throws(CryptoError) in
                            try method.makeKey(seed: seed)
                        }))
            case .makeKeyAndAgree(let method, let seeds, let peer):
                let (publicValue, secret) = try Self.fromUsable(seeds, method) { seed throws(CryptoError) in
                    try method.respond(to: peer, seed: seed)
                }
                return JobResult(.agreement(publicValue: publicValue, secret: secret))
            case .agree(let key, let peer):
                return JobResult(.secret(try key.sharedSecret(with: peer)))
            case .sign(let key, let algorithm, let octets):
                return JobResult(.signature(try key.sign(octets, with: algorithm)))
            case .verify(let proof):
                return JobResult(.verification(await proof.verify()))
            case .solve(let puzzle):
                return JobResult(.solution(puzzle.solution()))
            }
        } catch {
            // Only a bad public value is the peer's doing; anything else is ours.
            let isPeersFault = error.code == .invalidPublicValue || error.code == .invalidLength
            return JobResult(.failure(error.reason), isPeersFault: isPeersFault)
        }
    }

    private static func fromUsable<Result>(
        _ seeds: [SecretOctets], _ method: KeyExchangeMethod, _ make: (SecretOctets) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        for seed in seeds {
            do {
                return try make(seed)
            } catch {
                guard error.code == .unusableSeed else { throw error }
            }
        }
        throw CryptoError(.unusableSeed, "no random octets for a \(method.name) key")
    }
}

/// What a peer sent to prove its identity by certificate, to be checked away from the machine's thread.
struct PeerProof: Sendable {
    var chain: [[UInt8]]
    var anchors: TrustAnchors
    var identity: Identity
    var signature: [UInt8]
    var algorithm: SignatureAlgorithm
    var signedOctets: [UInt8]
    var unixTime: Int64
    var revocation: RevocationCheck
    /// Octets of one certificate.
    var certificateLimit: Int

    enum Verdict: Sendable {
        /// `notes`: what could not be learned of the certificates. `expiry`: of the first of them, in seconds since
        /// 1970.
        case accepted(notes: [String], learned: [RevocationCheck.Learned], expiry: Int64)
        case refused(Refusal, learned: [RevocationCheck.Learned])
        /// The proof is good in all but one thing: whether certificates are revoked, which has to be asked elsewhere.
        case open(StatusInquiry)
    }

    func verify() async -> Verdict {
        let validator = CertificatePathValidator(anchors: anchors, longestCertificate: certificateLimit)
        switch await validator.validatePath(chainDER: chain, claiming: identity, at: unixTime) {
        case .failure(let error):
            return .refused(Refusal(.certificate, error.reason, notify: .authenticationFailed), learned: [])
        case .success((let key, let path)):
            guard key.isValid(signature, of: signedOctets, with: algorithm) else {
                return .refused(
                    Refusal(
                        .authenticationFailed,
                        "the signature (\(algorithm)) does not verify with the certificate of \(identity)",
                        notify: .authenticationFailed), learned: [])
            }
            // Last, so that nothing is fetched on behalf of somebody who has proved nothing.
            switch revocation.evaluate(path, at: unixTime) {
            case .accepted(let notes, let learned):
                return .accepted(notes: notes, learned: learned, expiry: path.expiry)
            case .refused(let error, let learned):
                return .refused(Refusal(.certificate, error.reason, notify: .authenticationFailed), learned: learned)
            case .needs(let requests): return .open(StatusInquiry(requests: requests, proof: self))
            }
        }
    }
}

/// Documents to be fetched before a peer's certificates can be judged (``Output/inquire(_:_:)``).
///
/// The driver fetches all at once, within a time of a few seconds, and gives ``answered(with:)`` to
/// ``Endpoint/complete(_:with:at:)``, also if nothing came.
public struct StatusInquiry: Sendable {
    public let requests: [StatusRequest]
    let proof: PeerProof

    public func answered(with answers: [StatusAnswer]) -> JobResult {
        var proof = proof
        // What the driver says nothing of has been tried all the same.
        let missing = requests.filter { request in !answers.contains { $0.request == request } }
        proof.revocation.add(answers + missing.map { StatusAnswer(to: $0, failure: "it was not fetched") })
        return JobResult(.inquired(proof))
    }
}

/// The result of a ``Job``.
public struct JobResult: Sendable {
    enum Value: Sendable {
        case key(KeyExchangeKey)
        case agreement(publicValue: [UInt8], secret: SecretOctets)
        case secret(SecretOctets)
        case signature([UInt8])
        case verification(PeerProof.Verdict)
        /// A proof with what was fetched for it.
        case inquired(PeerProof)
        /// `nil`: none was found within the limit.
        case solution([UInt8]?)
        case failure(String)
    }

    let value: Value

    /// Whether a failure lies in what the peer sent.
    let isPeersFault: Bool

    init(_ value: Value, isPeersFault: Bool = false) {
        self.value = value
        self.isPeersFault = isPeersFault
    }

    /// What an endpoint is told when a computation could not be made: for a driver that has lost it.
    package static func failed(_ reason: String) -> JobResult { JobResult(.failure(reason)) }
}
