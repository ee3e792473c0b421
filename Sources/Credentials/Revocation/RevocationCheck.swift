import X509

/// Whether the authorities of a path still stand by its certificates, as far as is known and asked for.
///
/// It does no I/O. Where documents are missing that a certificate says can be fetched, ``Outcome/needs(_:)`` names them; the
/// check is made again with what came of it, and ends at the latest when everything has been tried.
public struct RevocationCheck: Sendable {
    public var policy: RevocationPolicy
    /// Documents may be fetched.
    public var mayFetch: Bool
    /// What is known here.
    public var known: StatusStore
    /// What came from the peer, in CERT payloads: CRLs (RFC 7296 section 3.6) and OCSP responses (RFC 4806).
    public var supplied: [[UInt8]]
    private var answers: [StatusAnswer] = []

    /// More documents from a peer are not looked at.
    public static let suppliedLimit = 8

    public init(policy: RevocationPolicy, mayFetch: Bool, known: StatusStore, supplied: [[UInt8]] = []) {
        self.policy = policy
        self.mayFetch = mayFetch
        self.known = known
        self.supplied = supplied
    }

    /// A fetched document that was found good for a certificate.
    public struct Learned: Sendable {
        let document: StatusDocument
        let certificate: CertificateFile
        let issuer: CertificateFile
        let size: Int
        let at: Int64
    }

    public enum Outcome: Sendable {
        /// `notes`: what could not be learned, for a person to read.
        case accepted(notes: [String], learned: [Learned])
        case refused(CredentialError, learned: [Learned])
        case needs([StatusRequest])
    }

    /// Adds what was fetched.
    public mutating func add(_ answers: [StatusAnswer]) { self.answers += answers }

    private struct Fetched {
        let document: StatusDocument
        let size: Int
    }

    /// What is to be said of one certificate.
    private struct Judgement {
        var revoked: (at: Int64, reason: RevocationReason)?
        var isGood = false
        var isFresh = false
        /// Why documents about it could not be used.
        var complaints: [String] = []
        var learned: [Learned] = []
    }

    /// Judges the certificates of a path that is good in all else.
    public func evaluate(_ path: TrustedPath, at unixSeconds: Int64) -> Outcome {
        guard policy != .off else { return .accepted(notes: [], learned: []) }
        let fromPeer = supplied.prefix(Self.suppliedLimit).compactMap { try? StatusDocument($0) }
        var failures: [String] = []
        var fetched: [Fetched] = []
        for answer in answers {
            do {
                let octets = try answer.result.get()
                fetched.append(Fetched(document: try StatusDocument(octets), size: octets.count))
            } catch let error as StatusAnswer.Failure {
                failures.append("\(answer.request.url.forLog()): \(error.reason)")
            } catch let error as CredentialError {
                failures.append("\(answer.request.url.forLog()): \(error.reason)")
            } catch {
                failures.append("\(answer.request.url.forLog()): \(error)")
            }
        }
        var notes: [String] = []
        var learned: [Learned] = []
        var needs: [StatusRequest] = []
        var refusal: CredentialError?
        for (certificate, issuer) in zip(path.certificates, path.certificates.dropFirst()) {
            let judgement = judge(certificate, issuer, fromPeer, fetched, at: unixSeconds)
            learned += judgement.learned
            let name = "certificate \(certificate.subjectText) (serial \(certificate.serialText))"
            if let revoked = judgement.revoked {
                // Nothing that could be fetched besides would make it better.
                return .refused(
                    CredentialError(
                        .revoked,
                        "\(name) was revoked by \(issuer.subjectText) on \(CivilTime.text(revoked.at)): \(revoked.reason)"
                    ),
                    learned: learned)
            }
            if judgement.isGood, judgement.isFresh { continue }
            let requests = mayFetch ? requests(for: certificate, issuer) : []
            needs += requests
            guard requests.isEmpty, !judgement.isGood else { continue }
            let reasons = judgement.complaints + failures
            let why = reasons.isEmpty ? noSource(certificate) : reasons.joined(separator: "; ")
            let text = "it cannot be learned whether \(name) is revoked: \(why)"
            if policy == .require {
                refusal = refusal ?? CredentialError(.statusUnknown, text)
            } else {
                notes.append(text)
            }
        }
        if let refusal { return .refused(refusal, learned: learned) }
        return needs.isEmpty ? .accepted(notes: notes, learned: learned) : .needs(needs)
    }

    private func judge(
        _ certificate: CertificateFile, _ issuer: CertificateFile, _ supplied: [StatusDocument], _ fetched: [Fetched],
        at unixSeconds: Int64
    ) -> Judgement {
        var judgement = Judgement()
        // Of lists the newest counts: a certificate may have been on hold. Any OCSP response that says "revoked" counts.
        var newestList: (thisUpdate: Int64, finding: RevocationFinding, isFresh: Bool)?
        func note(_ finding: RevocationFinding, isFresh: Bool) {
            switch finding {
            case .good:
                judgement.isGood = true
                judgement.isFresh = judgement.isFresh || isFresh
            case .revoked(let time, let reason, _):
                if judgement.revoked == nil { judgement.revoked = (time, reason) }
            case .unusable(let reason): judgement.complaints.append(reason)
            case .silent: break
            }
        }
        func consider(_ document: StatusDocument, isFresh: Bool, size: Int? = nil) {
            let finding = document.finding(on: certificate, issuedBy: issuer, at: unixSeconds)
            switch finding {
            case .good(let update), .revoked(_, _, let update):
                if let size {
                    judgement.learned.append(
                        Learned(
                            document: document, certificate: certificate, issuer: issuer, size: size, at: unixSeconds))
                }
                guard case .list = document else { return note(finding, isFresh: isFresh) }
                if newestList.map({ $0.thisUpdate < update }) ?? true { newestList = (update, finding, isFresh) }
            case .silent, .unusable: note(finding, isFresh: isFresh)
            }
        }
        for document in supplied { consider(document, isFresh: true) }
        for item in fetched { consider(item.document, isFresh: true, size: item.size) }
        for item in known.documents(at: unixSeconds) {
            consider(item.document, isFresh: item.isFresh)
        }
        if let newestList { note(newestList.finding, isFresh: newestList.isFresh) }
        return judgement
    }

    /// What can be tried next: first responders, then lists.
    private func requests(for certificate: CertificateFile, _ issuer: CertificateFile) -> [StatusRequest] {
        let sources = certificate.revocationSources()
        let tried = Set(answers.map(\.request))
        let body = certificate.statusRequest(issuedBy: issuer)
        let questions = body.map { body in sources.responders.map { StatusRequest(url: $0, body: body) } } ?? []
        let first = questions.filter { !tried.contains($0) }
        if !first.isEmpty { return first }
        return sources.lists.map { StatusRequest(url: $0, body: nil) }.filter { !tried.contains($0) }
    }

    private func noSource(_ certificate: CertificateFile) -> String {
        let sources = certificate.revocationSources()
        let hasSources = !sources.responders.isEmpty || !sources.lists.isEmpty
        return hasSources
            ? "nothing is to be fetched, and neither the peer nor the configuration has a list or an OCSP response on it"
            : "it names no OCSP responder or list that can be fetched, and neither the peer nor the configuration has one"
    }
}

/// A path that has been found good, from the peer's certificate to a configured authority.
public struct TrustedPath: Sendable {
    let certificates: [CertificateFile]

    /// When the first of them expires, in seconds since 1970; the authority's own counts as well.
    public var expiry: Int64 { certificates.map(\.certificate.notValidAfterSeconds).min() ?? 0 }
}

extension CertificateFile {
    /// In hexadecimal digits, as `openssl x509 -serial` shows it.
    var serialText: String {
        certificate.serialNumber.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
