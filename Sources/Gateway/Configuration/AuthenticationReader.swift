import Credentials
import Foundation
import IKE
import Octets

enum AuthenticationWord: String, ConfigurationKey {
    case psk, certificate, anonymous
}

enum SecretEncodingWord: String, ConfigurationKey {
    case text, hex, base64
}

/// Reads secrets, certificates and authorities from the files that the configuration names.
enum AuthenticationReader {
    /// A pre-shared key from its file: `secret: { file: PATH, encoding: text }`.
    static func secret(_ node: ConfigurationNode) -> SecretOctets? {
        guard node.isMapping else {
            // The value may be the secret itself: it is not repeated.
            node.error("a secret is kept in a file of mode 0600 and not written here; expected { file: PATH }")
            return nil
        }
        guard let mapping = node.mapping(SecretKey.self),
            let file = mapping.required(.file, "the path of the file that holds the secret"),
            let name = file.text(expected: "the path of a file")
        else { return nil }
        let encoding = mapping[.encoding].map { $0.word(SecretEncodingWord.self, what: "encoding") } ?? .text
        guard let encoding else { return nil }
        switch ReferencedFile.readSecret(ReferencedFile.path(name, relativeTo: node.document.file)) {
        case .failure(let complaint):
            file.error(complaint.text)
            return nil
        case .success(let content):
            guard let secret = decode(content, encoding) else {
                file.error("the content of \(quoted(name, limit: 300)) is not \(encoding.rawValue)")
                return nil
            }
            guard !secret.isEmpty else {
                file.error("\(quoted(name, limit: 300)) is empty; write the secret into it")
                return nil
            }
            if secret.count < 16 {
                file.warning(
                    "the secret in \(quoted(name, limit: 300)) is short enough to be guessed; make one with `openssl rand -base64 32`"
                )
            }
            return secret
        }
    }

    /// The secret without the end of line that an editor adds.
    private static func decode(_ content: SecretOctets, _ encoding: SecretEncodingWord) -> SecretOctets? {
        let count = content.withUnsafeBytes { octets in
            var end = octets.count
            if end > 0, octets[end - 1] == UInt8(ascii: "\n") { end -= 1 }
            if end > 0, octets[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            return end
        }
        let line = content[0..<count]
        switch encoding {
        case .text: return line
        case .hex:
            let digits = line.unprotected.map { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
            let values = digits.compactMap { $0.map(UInt8.init) }
            return SecretOctets(stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] })
        case .base64: return Data(base64Encoded: Data(line.unprotected)).map { SecretOctets($0) }
        }
    }

    /// Our own certificate: `certificate: { file: PATH, key: PATH, intermediates: [PATH] }`.
    static func certificate(_ node: ConfigurationNode) -> CertificateIdentity? { files(node)?.identity }

    /// The same with the octets of its files in PEM form: the certificate and what leads to an authority, and the key.
    static func files(
        _ node: ConfigurationNode
    ) -> (identity: CertificateIdentity, certificates: String, key: SecretOctets)? {
        guard let mapping = node.mapping(CertificateKey.self) else { return nil }
        let file = mapping.required(.file, "the path of the certificate in PEM form")
        let key = mapping.required(.key, "the path of the certificate's private key in PEM form")
        guard let file, let key else { return nil }
        let certificate = pem(file)
        let keyPEM = pem(key, secret: true)
        var intermediates: [String] = []
        for element in mapping[.intermediates]?.elements ?? [] {
            guard let text = pem(element) else { return nil }
            intermediates.append(text)
        }
        guard let certificate, let keyPEM else { return nil }
        do {
            let identity = try CertificateIdentity(
                certificatePEM: certificate, intermediatesPEM: intermediates, keyPEM: keyPEM)
            return (
                identity, ([certificate] + intermediates).joined(separator: "\n"), SecretOctets(Array(keyPEM.utf8))
            )
        } catch {
            (error.code == .keyMismatch ? key : file).error(
                "\(quoted((error.code == .keyMismatch ? key : file).node.scalar?.string ?? "", limit: 300)): \(error.reason)"
            )
            return nil
        }
    }

    /// The authorities whose certificates are believed, each a path.
    static func authorities(_ nodes: [ConfigurationNode]) -> TrustAnchors? {
        var texts: [String] = []
        var failed = false
        for element in nodes {
            guard let text = pem(element) else {
                failed = true
                continue
            }
            do {
                _ = try TrustAnchors(pem: [text])
                texts.append(text)
            } catch {
                element.error("\(quoted(element.node.scalar?.string ?? "", limit: 300)): \(error.reason)")
                failed = true
            }
        }
        return failed ? nil : try? TrustAnchors(pem: texts)
    }

    static func pem(_ node: ConfigurationNode, secret: Bool = false) -> String? {
        guard let name = node.text(expected: "the path of a file") else { return nil }
        let path = ReferencedFile.path(name, relativeTo: node.document.file)
        let content = secret ? ReferencedFile.readSecret(path).map(\.unprotected) : ReferencedFile.read(path)
        switch content {
        case .failure(let complaint):
            node.error(complaint.text)
            return nil
        case .success(let octets):
            guard let text = String(validating: octets, as: UTF8.self), text.contains("-----BEGIN ") else {
                node.error("\(quoted(name, limit: 300)) is not in PEM form; convert it with `openssl`")
                return nil
            }
            return text
        }
    }
}
