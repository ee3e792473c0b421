import CertificateFixtures
import Credentials

extension FuzzTarget {
    /// CRLs and OCSP responses, judged for a certificate of the authority's; a signature makes no difference to what is read.
    static let status = FuzzTarget(
        name: "status", longest: 4096,
        seeds: {
            let root = try PublishedAuthority.root(), leaf = try PublishedAuthority.leaf()
            let delegate = try root.leaf([.dnsName("ocsp.example.org")]) { $0.purposes = [.ocspSigning] }
            return [
                try TestStatus.list(root), try TestStatus.list(root, .init { $0.revoked = [(leaf, reason: 1)] }),
                try TestStatus.list(
                    root, .init { $0.extensions = [.init(oid: [2, 5, 29, 20], isCritical: false, value: [2, 1, 5])] }),
                try TestStatus.response(on: leaf, by: root),
                try TestStatus.response(on: leaf, by: root, .init { $0.status = .revoked(reason: 1) }),
                try TestStatus.response(on: leaf, by: root, .init { $0.delegate = delegate }),
                try TestStatus.envelope(status: 6, nil),
            ]
        }
    ) { octets in
        _ = try? StatusDocument(octets)
        guard let path = await PublishedPath.path.value else { throw FuzzFinding(description: "the path is not valid") }
        for policy in [RevocationPolicy.ifAvailable, .require] {
            let check = RevocationCheck(policy: policy, mayFetch: false, known: StatusStore(), supplied: [octets])
            switch check.evaluate(path, at: testTime) {
            case .accepted: continue
            case .refused(let error, _): try expect(!error.reason.isEmpty, "a refusal without a reason")
            case .needs: throw FuzzFinding(description: "it wants to fetch although it must not")
            }
        }
    }
}

private enum PublishedPath {
    static let path = Task { () -> TrustedPath? in
        guard let validator = try? PublishedAuthority.validator(), let leaf = try? PublishedAuthority.leaf().der else {
            return nil
        }
        let result = await validator.validatePath(chainDER: [leaf], claiming: .fqdn("gw.example.org"), at: testTime)
        return try? result.get().path
    }
}
