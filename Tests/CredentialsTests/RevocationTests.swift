import CertificateFixtures
import Credentials
import SwiftASN1
import Testing
import X509

@Suite("Revocation of certificates")
struct RevocationTests {
    let root: TestAuthority
    let leaf: TestAuthority

    init() throws {
        root = try TestAuthority.root()
        leaf = try root.leaf()
    }

    /// What a check comes to with these documents from the peer, none being fetched unless `mayFetch`.
    private func outcome(
        of leaf: TestAuthority? = nil, through intermediates: [TestAuthority] = [], under root: TestAuthority? = nil,
        _ policy: RevocationPolicy = .require, with documents: [[UInt8]] = [], known: StatusStore = StatusStore(),
        mayFetch: Bool = false, answers: [StatusAnswer] = [], at time: Int64 = testTime
    ) async throws -> RevocationCheck.Outcome {
        let validator = CertificatePathValidator(anchors: try TrustAnchors(pem: [try (root ?? self.root).pem]))
        let chain = try ([leaf ?? self.leaf] + intermediates).map { try $0.der }
        let path = try await validator.validatePath(chainDER: chain, claiming: .fqdn("gw.example.org"), at: testTime)
            .get().path
        var check = RevocationCheck(policy: policy, mayFetch: mayFetch, known: known, supplied: documents)
        check.add(answers)
        return check.evaluate(path, at: time)
    }

    private func isAccepted(_ outcome: RevocationCheck.Outcome) -> Bool {
        if case .accepted(let notes, _) = outcome { notes.isEmpty } else { false }
    }

    private func refusal(_ outcome: RevocationCheck.Outcome) -> CredentialError? {
        if case .refused(let error, _) = outcome { error } else { nil }
    }

    private func reason(_ outcome: RevocationCheck.Outcome) -> String { refusal(outcome)?.reason ?? "\(outcome)" }

    // MARK: Policies

    @Test("Without any document, `require` refuses, `if-available` accepts with a note and `off` accepts")
    func policies() async throws {
        #expect(refusal(try await outcome(.require))?.code == .statusUnknown)
        guard case .accepted(let notes, _) = try await outcome(.ifAvailable) else { throw RefusedError() }
        #expect(notes.count == 1)
        #expect(isAccepted(try await outcome(.off)))
    }

    private struct RefusedError: Error {}

    @Test("A revoked certificate is refused under both policies, with serial, issuer, reason and time")
    func revoked() async throws {
        let list = try TestStatus.list(root, .init { $0.revoked = [(leaf, 1)] })
        let response = try TestStatus.response(on: leaf, by: root, .init { $0.status = .revoked(reason: 4) })
        let serial = leaf.certificate.serialNumber.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        for policy in [RevocationPolicy.require, .ifAvailable] {
            for (document, words) in [(list, "key compromise"), (response, "superseded")] {
                let refusal = refusal(try await outcome(policy, with: [document]))
                #expect(refusal?.code == .revoked)
                for part in [serial, "CN=Root", words, "2025-12-31T22:00:00Z"] {
                    #expect(refusal?.reason.contains(part) == true, "\(part): \(refusal?.reason ?? "")")
                }
            }
        }
    }

    @Test("An authority below the configured one is judged too, by a list for authorities")
    func intermediate() async throws {
        let middle = try root.authority("Middle")
        let leaf = try middle.leaf()
        let good = try TestStatus.list(middle)
        let revoked = try TestStatus.list(root, .init { $0.revoked = [(middle, 2)] })
        let through = try await outcome(of: leaf, through: [middle], with: [good, try TestStatus.list(root)])
        #expect(isAccepted(through))
        let refused = refusal(try await outcome(of: leaf, through: [middle], with: [good, revoked]))
        #expect(refused?.code == .revoked)
        #expect(refused?.reason.contains("CN=Middle") == true)
        #expect(refusal(try await outcome(of: leaf, through: [middle], with: [good]))?.code == .statusUnknown)
    }

    @Test("What a response says counts against a list, and the newer of two lists against the older")
    func conflicts() async throws {
        let held = try TestStatus.list(
            root,
            .init {
                $0.revoked = [(leaf, 6)]; $0.thisUpdate = testTime - 7000
            })
        let released = try TestStatus.list(root)
        #expect(isAccepted(try await outcome(with: [held, released])))
        let response = try TestStatus.response(on: leaf, by: root, .init { $0.status = .revoked(reason: 0) })
        #expect(refusal(try await outcome(with: [released, response]))?.code == .revoked)
    }

    // MARK: Lists

    @Test("A list that must not be believed tells nothing, and the refusal says why")
    func badLists() async throws {
        let other = try TestAuthority.root("Other")
        let idp: ASN1ObjectIdentifier = [2, 5, 29, 28]
        let cases: [(String, TestStatus.List)] = [
            ("should have been replaced", .init { $0.nextUpdate = testTime - 1 }),
            ("until when it holds", .init { $0.nextUpdate = nil }),
            ("from the future", .init { $0.thisUpdate = testTime + 301 }),
            ("not that of", .init { $0.signer = other }),
            ("critical extension 1.2.3", .init { $0.extensions = [.init(oid: [1, 2, 3])] }),
            ("delta", .init { $0.extensions = [.init(oid: [2, 5, 29, 27], value: [2, 1, 1])] }),
            ("indirect", .init { $0.extensions = [.init(oid: idp, value: [0x30, 3, 0x84, 1, 0xff])] }),
            ("some reasons", .init { $0.extensions = [.init(oid: idp, value: [0x30, 4, 0x83, 2, 1, 2])] }),
            (
                "indirect",
                .init { list in
                    list.revoked = [(leaf, nil)]
                    list.entryExtensions = [.init(oid: [2, 5, 29, 29])]
                }
            ),
        ]
        for (words, list) in cases {
            let outcome = try await outcome(with: [try TestStatus.list(root, list)])
            #expect(
                refusal(outcome)?.code == .statusUnknown && reason(outcome).contains(words),
                "\(words): \(reason(outcome))")
        }
    }

    @Test("A list holds to the second of its nextUpdate")
    func lastSecond() async throws {
        #expect(isAccepted(try await outcome(with: [try TestStatus.list(root, .init { $0.nextUpdate = testTime })])))
    }

    @Test("A list of an authority whose key usage lacks cRLSign is not believed")
    func keyUsage() async throws {
        let root = try TestAuthority.root { $0.usage = KeyUsage(keyCertSign: true) }
        let outcome = try await outcome(of: try root.leaf(), under: root, with: [try TestStatus.list(root)])
        #expect(reason(outcome).contains("cRLSign"))
    }

    @Test("A list for authorities says nothing of a gateway's certificate")
    func scope() async throws {
        let list = try TestStatus.list(
            root, .init { $0.extensions = [.init(oid: [2, 5, 29, 28], value: [0x30, 3, 0x82, 1, 0xff])] })
        #expect(refusal(try await outcome(with: [list]))?.code == .statusUnknown)
    }

    @Test("A list for one distribution point is believed only of certificates that name the same")
    func distributionPoint() async throws {
        let url = "http://crl.example/1"
        let name = [0x86, UInt8(url.utf8.count)] + Array(url.utf8)
        let names = [0xa0, UInt8(name.count)] + name
        let point = [0xa0, UInt8(names.count)] + names
        let list = try TestStatus.list(
            root, .init { $0.extensions = [.init(oid: [2, 5, 29, 28], value: [0x30, UInt8(point.count)] + point)] })
        #expect(refusal(try await outcome(with: [list]))?.code == .statusUnknown)
        let pointing = try root.leaf { try? $0.point(toResponder: nil, list: url) }
        #expect(isAccepted(try await outcome(of: pointing, with: [list])))
    }

    // MARK: Responses

    @Test("A response by one whom the issuer has named for it is believed")
    func delegated() async throws {
        let responder = try root.leaf([]) {
            $0.subject = "Responder"; $0.purposes = [.ocspSigning]
        }
        let response = try TestStatus.response(on: leaf, by: root, .init { $0.delegate = responder })
        #expect(isAccepted(try await outcome(with: [response])))
    }

    @Test("A response that must not be believed tells nothing, and the refusal says why")
    func badResponses() async throws {
        let other = try TestAuthority.root("Other")
        let unnamed = try root.leaf([]) { $0.subject = "Unnamed" }
        let stranger = try other.leaf([]) {
            $0.subject = "Stranger"; $0.purposes = [.ocspSigning]
        }
        let expired = try root.leaf([]) {
            $0.subject = "Expired"
            $0.purposes = [.ocspSigning]
            $0.notAfter = testTime - 1
        }
        let cases: [(String, TestStatus.Response)] = [
            ("held until", .init { $0.nextUpdate = testTime - 1 }),
            (
                "held until",
                .init {
                    $0.nextUpdate = nil; $0.thisUpdate = testTime - 3601
                }
            ),
            ("from the future", .init { $0.thisUpdate = testTime + 301 }),
            ("not that of", .init { $0.signer = other }),
            ("OCSPSigning", .init { $0.delegate = unnamed }),
            ("has no certificate of", .init { $0.delegate = stranger }),
            ("not valid now", .init { $0.delegate = expired }),
            ("does not know it", .init { $0.status = .unknown }),
            ("critical extension 1.2.3", .init { $0.extensions = [.init(oid: [1, 2, 3])] }),
        ]
        for (words, response) in cases {
            let outcome = try await outcome(with: [try TestStatus.response(on: leaf, by: root, response)])
            #expect(
                refusal(outcome)?.code == .statusUnknown && reason(outcome).contains(words),
                "\(words): \(reason(outcome))")
        }
    }

    @Test("A good response on another certificate does not help")
    func otherCertificate() async throws {
        let other = try root.leaf()
        let response = try TestStatus.response(on: leaf, by: root, .init { $0.isAbout = other })
        #expect(refusal(try await outcome(with: [response]))?.code == .statusUnknown)
    }

    @Test("Documents that are cut short or changed anywhere neither crash the reader nor turn revoked into good")
    func damaged() async throws {
        let list = try TestStatus.list(root, .init { $0.revoked = [(leaf, 1)] })
        let response = try TestStatus.response(on: leaf, by: root, .init { $0.status = .revoked(reason: 1) })
        for document in [list, response] {
            for length in 0..<document.count {
                #expect(throws: CredentialError.self) { try StatusDocument(Array(document.prefix(length))) }
            }
            for index in stride(from: 0, to: document.count, by: 3) {
                var changed = document
                changed[index] ^= 0x01
                #expect(!isAccepted(try await outcome(with: [changed])), "octet \(index)")
            }
        }
    }

    // MARK: Fetching

    @Test("What is missing is asked for: first of the responder, then as a list, then no more")
    func needs() async throws {
        let leaf = try root.leaf { try? $0.point(toResponder: "http://ocsp.example/", list: "http://crl.example/1") }
        guard case .needs(let first) = try await outcome(of: leaf, mayFetch: true), let question = first.first else {
            throw RefusedError()
        }
        #expect(first.map(\.url) == ["http://ocsp.example/"] && question.body != nil)
        let silence = StatusAnswer(to: question, failure: "no answer within 5 seconds")
        guard case .needs(let second) = try await outcome(of: leaf, mayFetch: true, answers: [silence]),
            let wish = second.first
        else { throw RefusedError() }
        #expect(second.map(\.url) == ["http://crl.example/1"] && wish.body == nil)
        let garbage = StatusAnswer(to: wish, octets: [1, 2, 3])
        let last = try await outcome(of: leaf, mayFetch: true, answers: [silence, garbage])
        #expect(refusal(last)?.code == .statusUnknown)
        for part in ["http://ocsp.example/: no answer within 5 seconds", "http://crl.example/1"] {
            #expect(reason(last).contains(part), "\(reason(last))")
        }
        let good = StatusAnswer(to: wish, octets: try TestStatus.list(root))
        #expect(isAccepted(try await outcome(of: leaf, mayFetch: true, answers: [silence, good])))
    }

    @Test("Only http URLs are asked for")
    func urls() async throws {
        let leaf = try root.leaf { try? $0.point(toResponder: "ldap://b.example/", list: "https://crl.example/1") }
        #expect(refusal(try await outcome(of: leaf, mayFetch: true))?.code == .statusUnknown)
    }

    @Test("What was fetched and found good serves the next check; after six hours something newer is wanted")
    func store() async throws {
        let leaf = try root.leaf { try? $0.point(toResponder: "http://ocsp.example/", list: nil) }
        guard case .needs(let requests) = try await outcome(of: leaf, mayFetch: true), let question = requests.first
        else {
            throw RefusedError()
        }
        let octets = try TestStatus.response(on: leaf, by: root, .init { $0.nextUpdate = testTime + 86400 })
        let answered = try await outcome(
            of: leaf, mayFetch: true, answers: [StatusAnswer(to: question, octets: octets)])
        guard case .accepted(_, let learned) = answered else { throw RefusedError() }
        var store = StatusStore()
        store.keep(learned)
        #expect(store.fetchedCount == 1)
        #expect(isAccepted(try await outcome(of: leaf, known: store, mayFetch: true)))
        let later = testTime + 6 * 3600
        guard case .needs = try await outcome(of: leaf, known: store, mayFetch: true, at: later) else {
            throw RefusedError()
        }
        // With nobody there to say something newer, what is known still holds.
        let silence = StatusAnswer(to: question, failure: "no answer")
        #expect(isAccepted(try await outcome(of: leaf, known: store, mayFetch: true, answers: [silence], at: later)))
    }

    @Test("Fetched documents are kept within a bound, the oldest going first")
    func bound() async throws {
        var store = StatusStore(limit: 2)
        var leaves: [TestAuthority] = []
        for number in 0..<3 {
            let leaf = try root.leaf { try? $0.point(toResponder: "http://ocsp.example/", list: nil) }
            leaves.append(leaf)
            guard case .needs(let requests) = try await outcome(of: leaf, mayFetch: true) else { throw RefusedError() }
            let answer = StatusAnswer(to: requests[0], octets: try TestStatus.response(on: leaf, by: root))
            let answered = try await outcome(of: leaf, mayFetch: true, answers: [answer], at: testTime + Int64(number))
            guard case .accepted(_, let learned) = answered else { throw RefusedError() }
            store.keep(learned)
        }
        #expect(store.fetchedCount == 2)
        guard case .needs = try await outcome(of: leaves[0], known: store, mayFetch: true) else { throw RefusedError() }
        for leaf in leaves.dropFirst() {
            #expect(isAccepted(try await outcome(of: leaf, known: store, mayFetch: true)))
        }
    }

    @Test("A response for a certificate of ours is found for peers that ask, while it is good and holds")
    func staple() throws {
        let response = try TestStatus.response(on: leaf, by: root)
        let store = StatusStore(given: [try StatusDocument(try TestStatus.list(root)), try StatusDocument(response)])
        #expect(store.responses(on: [try leaf.der], at: testTime) == [response])
        #expect(store.responses(on: [try root.leaf().der], at: testTime).isEmpty)
        #expect(store.responses(on: [try leaf.der], at: testTime + 3601).isEmpty)
    }
}
