import IPsecCrypto
import Octets

extension Job {
    /// Does the computation with a key exchange that costs nothing and hides nothing: for a simulation whose hosts all do so.
    ///
    /// No number on the wire stands for it, so nobody can negotiate it. A peer that computes in earnest arrives at another
    /// secret, and IKE_AUTH fails.
    package func rehearse() async -> JobResult {
        switch work {
        case .makeKey(let method, let seeds):
            return JobResult(
                .key(
                    KeyExchangeKey(
                        rehearsing: method, seed: seeds.first ?? SecretOctets([]), isResponder: false)))
        case .makeKeyAndAgree(let method, let seeds, let peer):
            let key = KeyExchangeKey(
                rehearsing: method, seed: seeds.first ?? SecretOctets([]), isResponder: true)
            guard case .secret(let secret) = await Job(id: id, work: .agree(key, peerPublicValue: peer)).run().value
            else { return .failed("the peer's public value does not fit \(method)") }
            return JobResult(.agreement(publicValue: key.publicValue, secret: secret))
        case .agree, .sign, .verify, .solve:
            return await run()
        }
    }
}
