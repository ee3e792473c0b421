import Credentials
import Foundation
import Lab

/// Certificates for two gateways: a root, an intermediate authority below it and two leaves, all ECDSA P-256.
struct CertificateChain {
    let anchors: TrustAnchors
    private let intermediate: String
    private let leaves: [String: (certificate: String, key: String)]

    /// Has them made by the openssl command.
    init(identities: [String]) async throws {
        var template = Array("/tmp/cygnet-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LabError("no directory can be made in /tmp") }
        let directory = template.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        defer { try? FileManager.default.removeItem(atPath: directory) }

        let newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        func openssl(_ arguments: String) async throws {
            try await Command.run(["openssl"] + arguments.split(separator: " ").map(String.init)).orThrow()
        }
        func path(_ name: String) -> String { "\(directory)/\(name)" }
        func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
        func issue(_ name: String, by authority: String, _ extensions: String) async throws {
            try extensions.write(toFile: path("\(name).ext"), atomically: false, encoding: .utf8)
            try await openssl(
                "req -new \(newKey) -subj /CN=\(name) -keyout \(path(name)).key -out \(path(name)).csr")
            try await openssl(
                """
                x509 -req -sha256 -days 2 -in \(path(name)).csr -CA \(path(authority)).pem \
                -CAkey \(path(authority)).key -CAcreateserial -extfile \(path(name)).ext -out \(path(name)).pem
                """)
        }

        try await openssl(
            """
            req -x509 -new \(newKey) -sha256 -days 2 -subj /CN=root -addext basicConstraints=critical,CA:TRUE \
            -addext keyUsage=critical,keyCertSign -keyout \(path("root")).key -out \(path("root")).pem
            """)
        let identifiers = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        try await issue(
            "intermediate", by: "root",
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n" + identifiers)
        var leaves: [String: (certificate: String, key: String)] = [:]
        for identity in identities {
            try await issue(
                identity, by: "intermediate",
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=DNS:\(identity)\n"
                    + identifiers)
            leaves[identity] = (try text("\(identity).pem"), try text("\(identity).key"))
        }
        anchors = try TrustAnchors(pem: [try text("root.pem")])
        intermediate = try text("intermediate.pem")
        self.leaves = leaves
    }

    func identity(_ name: String) throws -> CertificateIdentity {
        guard let leaf = leaves[name] else { throw LabError("no certificate was made for \(name)") }
        return try CertificateIdentity(
            certificatePEM: leaf.certificate, intermediatesPEM: [intermediate], keyPEM: leaf.key)
    }
}
