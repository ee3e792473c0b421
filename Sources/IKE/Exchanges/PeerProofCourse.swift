import Credentials
import IKEMessage

// Checking what a peer proves itself by, which may need documents from elsewhere.
extension IKESA {
    enum ProofStep {
        case proved
        case refused(Refusal)
        /// This is waited for.
        case goesOn(Job.ID)
    }

    /// Goes on with the check of a certificate, from the result of a job that was a part of it.
    func pursueProof(_ result: JobResult.Value) -> ProofStep {
        switch result {
        case .verification(.accepted(let notes, let learned, let expiry)):
            certificateExpiry = expiry
            context.statusStore.keep(learned)
            for note in notes { tell(.note, note, origin: connection?.origin(of: "revocation")) }
            return .proved
        case .verification(.refused(let refusal, let learned)):
            context.statusStore.keep(learned)
            return .refused(refusal)
        case .verification(.open(let inquiry)):
            for request in inquiry.requests {
                tell(.note, "\(request.body == nil ? "a list" : "an OCSP response") is fetched from \(request.url)")
            }
            return .goesOn(context.start(inquiry, for: localSPI))
        case .inquired(let proof): return .goesOn(context.start(.verify(proof), for: localSPI))
        default: return .refused(Refusal(.local, "authentication cannot be computed", notify: .authenticationFailed))
        }
    }

    /// What is asked of the status of the peer's certificates, with what the peer has sent on it.
    func revocationCheck(_ payloads: [Payload]) -> RevocationCheck {
        RevocationCheck(
            policy: connection?.revocation ?? .off, mayFetch: context.configuration.fetchesStatus,
            known: context.statusStore, supplied: payloads.statusDocuments)
    }
}

extension [Payload] {
    /// CRLs (RFC 7296 section 3.6) and OCSP responses (RFC 4806 section 3.2).
    fileprivate var statusDocuments: [[UInt8]] {
        compactMap {
            guard case .certificate(let certificate) = $0,
                [.certificateRevocationList, .ocspContent].contains(certificate.encoding)
            else { return nil }
            return certificate.data
        }
    }
}

extension Endpoint {
    /// Takes over what the operator has given on the status of certificates; what was fetched before is kept.
    ///
    /// - Parameter fetches: whether the driver fetches what is missing.
    public func updateStatusDocuments(_ documents: [StatusDocument], fetches: Bool) {
        context.statusStore.given = documents
        context.configuration.fetchesStatus = fetches
    }
}
