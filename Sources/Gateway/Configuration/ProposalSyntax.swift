import IKE
import IPsecCrypto

/// Proposals as users of other daemons write them: algorithms joined by hyphens, several of a kind being alternatives:
/// `aes256gcm16-prfsha256-x25519`, `aes256-aes128-sha256-modp3072`.
enum ProposalSyntax {
    private enum Algorithm {
        case encryption(EncryptionAlgorithm)
        case integrity(IntegrityAlgorithm)
        case prf(PRF)
        case keyExchange(KeyExchangeMethod)
        case sequenceNumbers(SequenceNumbers)
    }

    /// The words of this suite, the usual ones first; aliases are understood besides.
    private static let words: [(String, Algorithm)] = [
        ("aes256gcm16", .encryption(.aesGCM16(256))), ("aes192gcm16", .encryption(.aesGCM16(192))),
        ("aes128gcm16", .encryption(.aesGCM16(128))), ("chacha20poly1305", .encryption(.chaCha20Poly1305)),
        ("aes256", .encryption(.aesCBC(256))), ("aes192", .encryption(.aesCBC(192))),
        ("aes128", .encryption(.aesCBC(128))),
        ("sha256", .integrity(.hmacSHA2_256_128)), ("sha384", .integrity(.hmacSHA2_384_192)),
        ("sha512", .integrity(.hmacSHA2_512_256)),
        ("prfsha256", .prf(.hmacSHA2_256)), ("prfsha384", .prf(.hmacSHA2_384)), ("prfsha512", .prf(.hmacSHA2_512)),
        ("x25519", .keyExchange(.curve25519)), ("ecp256", .keyExchange(.ecp256)), ("ecp384", .keyExchange(.ecp384)),
        ("ecp521", .keyExchange(.ecp521)), ("modp2048", .keyExchange(.modp2048)),
        ("modp3072", .keyExchange(.modp3072)), ("modp4096", .keyExchange(.modp4096)),
        ("esn", .sequenceNumbers(.extended)), ("noesn", .sequenceNumbers(.sequential32)),
    ]

    static var allWords: [String] { words.map(\.0) }

    private static let aliases = [
        "aes256gcm": "aes256gcm16", "aes192gcm": "aes192gcm16", "aes128gcm": "aes128gcm16",
        "aes256gcm128": "aes256gcm16", "aes192gcm128": "aes192gcm16", "aes128gcm128": "aes128gcm16",
        "aes256cbc": "aes256", "aes192cbc": "aes192", "aes128cbc": "aes128", "aes": "aes128",
        "sha2_256": "sha256", "sha2_384": "sha384", "sha2_512": "sha512", "curve25519": "x25519",
        "chacha20-poly1305": "chacha20poly1305",
    ]

    private static let table = Dictionary(uniqueKeysWithValues: words)

    /// Algorithms that other daemons know and this one refuses.
    private static let refused: [String: String] = [
        "3des": "Triple DES is historic (RFC 9395): use aes256gcm16", "des": "DES is broken: use aes256gcm16",
        "md5": "HMAC-MD5 is historic (RFC 9395): use sha256", "sha1": "HMAC-SHA1 is not offered: use sha256",
        "sha": "HMAC-SHA1 is not offered: use sha256", "prfsha1": "HMAC-SHA1 is not offered: use prfsha256",
        "modp768": "MODP-768 is broken: use x25519", "modp1024": "MODP-1024 is too weak: use x25519",
        "modp1536": "MODP-1536 is too weak: use x25519",
    ]

    private struct Parts {
        var encryption: [EncryptionAlgorithm] = []
        var integrity: [IntegrityAlgorithm] = []
        var prf: [PRF] = []
        var keyExchange: [KeyExchangeMethod] = []
        var sequenceNumbers: [SequenceNumbers] = []
    }

    /// The algorithms of one proposal, each kind checked for what holds in every protocol.
    private static func parts(_ node: ConfigurationNode, allowed: (Algorithm) -> Bool) -> Parts? {
        guard let text = node.text(expected: "a proposal such as aes256gcm16-prfsha256-x25519") else { return nil }
        var parts = Parts()
        var failed = false
        let plain = text.lowercased().replacing("chacha20-poly1305", with: "chacha20poly1305")
        for word in plain.split(separator: "-", omittingEmptySubsequences: false).map(String.init) {
            let word = aliases[word] ?? word
            guard let algorithm = table[word], allowed(algorithm) else {
                if let reason = refused[word] {
                    node.error("\(quoted(word)): \(reason)")
                } else {
                    let expected = words.filter { allowed($0.1) }.map(\.0)
                    let what = table[word] == nil ? "algorithm" : "algorithm for this protocol"
                    node.error(NearestWord.complaint(about: word, what: what, expected: expected))
                }
                failed = true
                continue
            }
            switch algorithm {
            case .encryption(let value): parts.encryption.append(value)
            case .integrity(let value): parts.integrity.append(value)
            case .prf(let value): parts.prf.append(value)
            case .keyExchange(let value): parts.keyExchange.append(value)
            case .sequenceNumbers(let value): parts.sequenceNumbers.append(value)
            }
        }
        guard !failed else { return nil }
        guard let first = parts.encryption.first else {
            node.error("the proposal \(quoted(text)) names no encryption; expected one such as aes256gcm16")
            return nil
        }
        guard parts.encryption.allSatisfy({ $0.isAEAD == first.isAEAD }) else {
            node.error(
                "the proposal \(quoted(text)) mixes AEAD and other ciphers; write two proposals, one for each kind")
            return nil
        }
        return parts
    }

    static func ike(_ node: ConfigurationNode) -> IKEProposal? {
        guard
            var parts = parts(
                node,
                allowed: {
                    if case .sequenceNumbers = $0 { return false }
                    return true
                })
        else { return nil }
        let text = node.node.scalar?.string ?? ""
        let isAEAD = parts.encryption.allSatisfy(\.isAEAD)
        if parts.prf.isEmpty {
            // As other daemons read it: the hash named for integrity is the PRF's too.
            parts.prf = parts.integrity.map {
                switch $0 {
                case .hmacSHA1_96: .hmacSHA1
                case .aesXCBC_96: .aes128XCBC
                case .aesCMAC_96: .aes128CMAC
                case .hmacSHA2_256_128: .hmacSHA2_256
                case .hmacSHA2_384_192: .hmacSHA2_384
                case .hmacSHA2_512_256: .hmacSHA2_512
                }
            }
        }
        if isAEAD { parts.integrity = [] }
        if parts.prf.isEmpty {
            node.error(
                isAEAD
                    ? "the proposal \(quoted(text)) names no PRF; add one such as prfsha256"
                    : "the proposal \(quoted(text)) names no integrity algorithm; add one such as sha256")
            return nil
        }
        if !isAEAD, parts.integrity.isEmpty {
            node.error("the proposal \(quoted(text)) names no integrity algorithm; add one such as sha256")
            return nil
        }
        if parts.keyExchange.isEmpty {
            node.error("the proposal \(quoted(text)) names no key exchange; add one such as x25519")
            return nil
        }
        return IKEProposal(
            encryption: parts.encryption, integrity: parts.integrity, prf: parts.prf, keyExchange: parts.keyExchange,
            origin: node.origin)
    }

    static func esp(_ node: ConfigurationNode) -> ESPProposal? {
        guard
            let parts = parts(
                node,
                allowed: {
                    if case .prf = $0 { return false }
                    return true
                })
        else { return nil }
        let text = node.node.scalar?.string ?? ""
        let isAEAD = parts.encryption.allSatisfy(\.isAEAD)
        if isAEAD, let extra = parts.integrity.first {
            node.error(
                "the proposal \(quoted(text)) adds \(extra) to an AEAD cipher, which protects integrity itself; leave it out"
            )
            return nil
        }
        if !isAEAD, parts.integrity.isEmpty {
            node.error("the proposal \(quoted(text)) names no integrity algorithm; add one such as sha256")
            return nil
        }
        var proposal = ESPProposal(
            encryption: parts.encryption, integrity: parts.integrity, keyExchange: parts.keyExchange,
            origin: node.origin)
        if !parts.sequenceNumbers.isEmpty { proposal.sequenceNumbers = parts.sequenceNumbers }
        return proposal
    }

    /// A proposal, or a list of them in order of preference; the word `default` stands for the built-in ones.
    static func list<Proposal>(
        _ node: ConfigurationNode, defaults: [Proposal], read: (ConfigurationNode) -> Proposal?
    ) -> [Proposal]? {
        let elements = node.elements
        guard !elements.isEmpty else {
            node.error("the list of proposals is empty; leave the key out for the defaults")
            return nil
        }
        var result: [Proposal] = []
        var failed = false
        for element in elements {
            if element.node.scalar?.string == "default" {
                result += defaults
            } else if let proposal = read(element) {
                result.append(proposal)
            } else {
                failed = true
            }
        }
        return failed ? nil : result
    }
}
