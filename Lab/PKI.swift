import Foundation

/// A certificate authority and what it issues, made by the openssl command, as files of a laboratory.
package struct PKI: Sendable {
    /// The files of one key with its certificate.
    package struct Issued: Sendable {
        package let certificate: String
        package let key: String
    }

    /// What a gateway needs to prove its identity by a certificate and to check its peer's.
    package struct Credentials: Sendable {
        package let issued: Issued
        package let authority: String
    }

    package let directory: String
    package var authority: String { "\(directory)/ca.pem" }

    /// Makes the authority.
    package init(in laboratory: Laboratory, name: String = "pki") async throws {
        directory = try laboratory.makeDirectory(name)
        try await openssl([
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "\(directory)/ca.key",
        ])
        try await openssl([
            "req", "-x509", "-new", "-key", "\(directory)/ca.key", "-sha256", "-days", "30", "-subj",
            "/O=Cygnet lab/CN=\(name) authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", authority,
        ])
    }

    private func openssl(_ arguments: [String]) async throws(LabError) {
        try await Command.run(["openssl"] + arguments, timeout: .seconds(30)).orThrow()
    }

    /// Issues a certificate for a domain name.
    /// - Parameters:
    ///   - isExpired: Makes its validity end yesterday.
    ///   - purposes: The extended key usage.
    ///   - extensions: Further lines for openssl's section of extensions.
    package func issue(
        _ identity: String, _ kind: AuthenticationChoice, isExpired: Bool = false, rsaKeyBits: Int = 2048,
        purposes: String = "serverAuth,clientAuth", extensions: [String] = []
    ) async throws -> Issued {
        let stem = "\(directory)/\(identity)-\(kind.rawValue.lowercased())\(isExpired ? "-expired" : "")"
        let issued = Issued(certificate: "\(stem).pem", key: "\(stem).key")
        let parameters: [String] =
            switch kind {
            case .preSharedKey: throw LabError("no certificate is issued for a pre-shared key")
            case .rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:\(rsaKeyBits)"]
            case .ecdsa: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            case .ed25519: ["-algorithm", "ED25519"]
            }
        try await openssl(["genpkey"] + parameters + ["-out", issued.key])
        chmod(issued.key, 0o600)
        try await openssl([
            "req", "-new", "-key", issued.key, "-subj", "/O=Cygnet lab/CN=\(identity)", "-out", "\(stem).csr",
        ])

        // The ca command and not x509: only it takes a validity in the past.
        let configuration = """
            [ca]
            default_ca = lab
            [lab]
            database = \(stem).index
            new_certs_dir = \(directory)
            certificate = \(authority)
            private_key = \(directory)/ca.key
            rand_serial = yes
            default_md = sha256
            policy = any
            x509_extensions = leaf
            unique_subject = no
            [any]
            organizationName = optional
            commonName = supplied
            [leaf]
            basicConstraints = critical,CA:FALSE
            keyUsage = critical,digitalSignature
            extendedKeyUsage = \(purposes)
            subjectAltName = DNS:\(identity)
            subjectKeyIdentifier = hash
            authorityKeyIdentifier = keyid
            \(extensions.joined(separator: "\n"))

            """
        do {
            try configuration.write(toFile: "\(stem).cnf", atomically: false, encoding: .utf8)
            try "".write(toFile: "\(stem).index", atomically: false, encoding: .utf8)
        } catch {
            throw LabError("writing \(stem).cnf: \(error)")
        }
        let day = 86400.0
        let now = Date().timeIntervalSince1970
        let validity = isExpired ? (now - 10 * day, now - day) : (now - day, now + 10 * day)
        try await openssl([
            "ca", "-batch", "-notext", "-config", "\(stem).cnf", "-in", "\(stem).csr", "-out", issued.certificate,
            "-startdate", Self.time(validity.0), "-enddate", Self.time(validity.1),
        ])
        return issued
    }

    // MARK: Revocation

    /// Revokes a certificate of this authority, because its key is compromised.
    package func revoke(_ issued: Issued) async throws(LabError) {
        let stem = issued.certificate.dropLast(".pem".count)
        try await openssl([
            "ca", "-config", "\(stem).cnf", "-revoke", issued.certificate, "-crl_reason", "keyCompromise",
        ])
    }

    /// What openssl knows of all that was issued: the file behind lists and answers.
    package func database() throws(LabError) -> String {
        let path = "\(directory)/all.index"
        do {
            let names = try FileManager.default.contentsOfDirectory(atPath: directory)
            let lines = try names.filter { $0.hasSuffix(".index") && $0 != "all.index" }.map {
                try String(contentsOfFile: "\(directory)/\($0)", encoding: .utf8)
            }
            try lines.joined().write(toFile: path, atomically: false, encoding: .utf8)
            try "unique_subject = no\n".write(toFile: "\(path).attr", atomically: false, encoding: .utf8)
        } catch {
            throw LabError("writing \(path): \(error)")
        }
        return path
    }

    /// The certificate revocation list as it is now, in PEM.
    package func revocationList() async throws -> String {
        let configuration = """
            [ca]
            default_ca = lab
            [lab]
            database = \(try database())
            certificate = \(authority)
            private_key = \(directory)/ca.key
            default_md = sha256
            default_crl_days = 1

            """
        let path = "\(directory)/list"
        try configuration.write(toFile: "\(path).cnf", atomically: false, encoding: .utf8)
        try await openssl(["ca", "-config", "\(path).cnf", "-gencrl", "-out", "\(path).pem"])
        return "\(path).pem"
    }

    /// The command of an OCSP responder, but for the port or the certificate that it is asked for.
    /// - Parameter signer: whom the authority has named for it; `nil`: the authority itself.
    package func responder(signer: Issued? = nil) throws(LabError) -> [String] {
        [
            "openssl", "ocsp", "-index", try database(), "-CA", authority, "-rsigner", signer?.certificate ?? authority,
            "-rkey", signer?.key ?? "\(directory)/ca.key", "-ndays", "1",
        ]
    }

    /// An OCSP response on a certificate, in DER.
    package func response(on issued: Issued) async throws(LabError) -> String {
        let path = "\(issued.certificate.dropLast(".pem".count)).ocsp"
        try await Command.run(
            try responder() + ["-issuer", authority, "-cert", issued.certificate, "-respout", path, "-noverify"],
            timeout: .seconds(30)
        ).orThrow()
        return path
    }

    /// Issues a certificate to one side of a plan, if the plan wants certificates.
    package func credentials(for side: Side, of plan: TunnelPlan) async throws -> Credentials? {
        guard plan.authentication != .preSharedKey else { return nil }
        // Below the number for examples (RFC 5612).
        let filler = plan.certificateFiller[side].map {
            "1.3.6.1.4.1.32473.1 = ASN1:FORMAT:HEX,OCTETSTRING:" + String(repeating: "05", count: $0)
        }
        return Credentials(
            issued: try await issue(
                TunnelPlan.identity(side), plan.authentication, rsaKeyBits: plan.rsaKeyBits,
                extensions: filler.map { [$0] } ?? []),
            authority: authority)
    }

    /// The further certificates that a plan has for a side.
    package func alternatives(for side: Side, of plan: TunnelPlan) async throws -> [Issued] {
        var result: [Issued] = []
        for kind in plan.alternatives[side] ?? [] { result.append(try await issue(TunnelPlan.identity(side), kind)) }
        return result
    }

    /// YYYYMMDDHHMMSSZ.
    private static func time(_ seconds: Double) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let numbers = [parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
        return "\(parts.tm_year + 1900)" + numbers.map { ($0 < 10 ? "0" : "") + "\($0)" }.joined() + "Z"
    }
}
