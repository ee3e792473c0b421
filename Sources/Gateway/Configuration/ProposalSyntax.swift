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

    private static func aes(
        _ suffix: String, _ algorithm: (Int) -> EncryptionAlgorithm
    ) -> [(String, Algorithm)] {
        [256, 192, 128].map { ("aes\($0)\(suffix)", .encryption(algorithm($0))) }
    }

    /// The words to name to somebody who has used an unknown one.
    private static let usualWords: [(String, Algorithm)] =
        aes("gcm16", EncryptionAlgorithm.aesGCM16) + [("chacha20poly1305", .encryption(.chaCha20Poly1305))]
        + aes("", EncryptionAlgorithm.aesCBC) + [
            ("sha256", .integrity(.hmacSHA2_256_128)), ("sha384", .integrity(.hmacSHA2_384_192)),
            ("sha512", .integrity(.hmacSHA2_512_256)),
            ("prfsha256", .prf(.hmacSHA2_256)), ("prfsha384", .prf(.hmacSHA2_384)),
            ("prfsha512", .prf(.hmacSHA2_512)),
            ("x25519", .keyExchange(.curve25519)), ("ecp256", .keyExchange(.ecp256)),
            ("ecp384", .keyExchange(.ecp384)), ("ecp521", .keyExchange(.ecp521)),
            ("modp2048", .keyExchange(.modp2048)), ("modp3072", .keyExchange(.modp3072)),
            ("modp4096", .keyExchange(.modp4096)),
            ("esn", .sequenceNumbers(.extended)), ("noesn", .sequenceNumbers(.sequential32)),
        ]

    private static let otherWords: [(String, Algorithm)] =
        aes("gcm12", EncryptionAlgorithm.aesGCM12) + aes("gcm8", EncryptionAlgorithm.aesGCM8)
        + aes("ccm16", EncryptionAlgorithm.aesCCM16) + aes("ccm12", EncryptionAlgorithm.aesCCM12)
        + aes("ccm8", EncryptionAlgorithm.aesCCM8) + aes("ctr", EncryptionAlgorithm.aesCTR)
        + aes("gcm16iiv", EncryptionAlgorithm.aesGCM16ImplicitIV)
        + aes("ccm8iiv", EncryptionAlgorithm.aesCCM8ImplicitIV) + [
            ("chacha20poly1305iiv", .encryption(.chaCha20Poly1305ImplicitIV)), ("null", .encryption(.null)),
        ] + aes("gmac", EncryptionAlgorithm.nullWithGMAC) + [
            ("sha1", .integrity(.hmacSHA1_96)), ("aesxcbc", .integrity(.aesXCBC_96)),
            ("aescmac", .integrity(.aesCMAC_96)),
            ("prfsha1", .prf(.hmacSHA1)), ("prfaesxcbc", .prf(.aes128XCBC)), ("prfaescmac", .prf(.aes128CMAC)),
            ("x448", .keyExchange(.curve448)), ("modp6144", .keyExchange(.modp6144)),
            ("modp8192", .keyExchange(.modp8192)), ("ecp256bp", .keyExchange(.brainpoolP256r1)),
            ("ecp384bp", .keyExchange(.brainpoolP384r1)), ("ecp512bp", .keyExchange(.brainpoolP512r1)),
            ("mlkem768", .keyExchange(.mlKEM768)), ("mlkem1024", .keyExchange(.mlKEM1024)),
        ]

    private static let words = usualWords + otherWords

    static var allWords: [String] { words.map(\.0) }

    /// What else is understood, beside ``words``.
    private static let aliases: [String: String] = {
        var aliases = [
            "aes": "aes128", "sha": "sha1", "sha2_256": "sha256", "sha2_384": "sha384", "sha2_512": "sha512",
            "curve25519": "x25519", "curve448": "x448", "brainpoolp256r1": "ecp256bp", "brainpoolp384r1": "ecp384bp",
            "brainpoolp512r1": "ecp512bp", "chacha20-poly1305": "chacha20poly1305",
        ]
        for bits in [128, 192, 256] {
            aliases["aes\(bits)cbc"] = "aes\(bits)"
            for mode in ["gcm", "ccm"] {
                aliases["aes\(bits)\(mode)"] = "aes\(bits)\(mode)16"
                // Other daemons also count the tag in bits.
                for octets in [8, 12, 16] { aliases["aes\(bits)\(mode)\(octets * 8)"] = "aes\(bits)\(mode)\(octets)" }
            }
        }
        return aliases
    }()

    private static let table = Dictionary(uniqueKeysWithValues: words)

    /// The words for a number of a registry.
    static func words(for registry: AlgorithmRequirement.Registry, _ number: UInt16) -> [String] {
        words.compactMap { word, algorithm in
            switch algorithm {
            case .encryption(let value): registry == .encryption && value.transformID == number ? word : nil
            case .integrity(let value): registry == .integrity && value.rawValue == number ? word : nil
            case .prf(let value): registry == .prf && value.rawValue == number ? word : nil
            case .keyExchange(let value): registry == .keyExchange && value.rawValue == number ? word : nil
            case .sequenceNumbers: nil
            }
        }
    }

    /// Algorithms that other daemons have words for and this one does not implement, by their numbers.
    private static let foreign: [String: (AlgorithmRequirement.Registry, UInt16)] = [
        "des": (.encryption, 2), "3des": (.encryption, 3), "rc5": (.encryption, 4), "idea": (.encryption, 5),
        "cast": (.encryption, 6), "cast128": (.encryption, 6), "blowfish": (.encryption, 7),
        "blowfish128": (.encryption, 7), "blowfish192": (.encryption, 7), "blowfish256": (.encryption, 7),
        "3idea": (.encryption, 8), "camellia": (.encryption, 23), "camellia128": (.encryption, 23),
        "camellia192": (.encryption, 23), "camellia256": (.encryption, 23),
        "md5": (.integrity, 1), "md5_96": (.integrity, 1), "md5_128": (.integrity, 6), "sha1_160": (.integrity, 7),
        "prfmd5": (.prf, 1), "prftiger": (.prf, 3), "modp768": (.keyExchange, 1), "modp1024": (.keyExchange, 2),
        "modp1536": (.keyExchange, 5), "modp1024s160": (.keyExchange, 22), "modp2048s224": (.keyExchange, 23),
        "modp2048s256": (.keyExchange, 24), "ecp192": (.keyExchange, 25), "ecp224": (.keyExchange, 26),
        "ecp224bp": (.keyExchange, 27), "mlkem512": (.keyExchange, 35),
    ]

    private static func substitute(_ registry: AlgorithmRequirement.Registry) -> String {
        switch registry {
        case .encryption: "aes256gcm16"
        case .prf: "prfsha256"
        case .integrity, .signatureHash: "sha256"
        case .keyExchange, .authentication: "x25519"
        }
    }

    /// Why a word that names an algorithm cannot stand here, and what can; `nil` for a word that names none.
    private static func objection(to word: String, _ use: AlgorithmRequirement.Use) -> String? {
        if let (registry, number) = foreign[word] {
            guard let requirement = AlgorithmRequirement.find(registry, number) else { return nil }
            let reason =
                requirement.refusal(for: registry == .keyExchange ? .ike : use)
                ?? "\(requirement.name) is not implemented"
            return "\(reason); use \(substitute(registry))"
        }
        guard use == .ike, case .encryption(let encryption) = table[word] else { return nil }
        if let refusal = AlgorithmRequirement.find(.encryption, encryption.transformID)?.refusal(for: .ike) {
            return "\(refusal) in IKE; use aes256gcm16"
        }
        if encryption.hasImplicitIV { return "an implicit IV is for ESP alone (RFC 8750); use aes256gcm16" }
        return "\(encryption) is for ESP alone (RFC 4543); use aes256gcm16"
    }

    private static func allows(_ algorithm: Algorithm, in use: AlgorithmRequirement.Use) -> Bool {
        switch (algorithm, use) {
        case (.encryption(let encryption), .ike): encryption.protectsIKE
        case (.sequenceNumbers, .ike), (.prf, .esp): false
        default: true
        }
    }

    private struct Parts {
        var encryption: [EncryptionAlgorithm] = []
        var integrity: [IntegrityAlgorithm] = []
        var prf: [PRF] = []
        var keyExchange: [KeyExchangeMethod] = []
        var additional: [AdditionalKeyExchange] = []
        var sequenceNumbers: [SequenceNumbers] = []
    }

    /// The algorithms of one proposal, each kind checked for what holds in every protocol.
    private static func parts(_ node: ConfigurationNode, for use: AlgorithmRequirement.Use) -> Parts? {
        guard let text = node.text(expected: "a proposal such as aes256gcm16-prfsha256-x25519") else { return nil }
        var parts = Parts()
        var failed = false
        let plain = text.lowercased().replacing("chacha20-poly1305", with: "chacha20poly1305")
        for word in plain.split(separator: "-", omittingEmptySubsequences: false).map(String.init) {
            if let number = additionalNumber(word) {
                if !add(word, as: number, to: &parts, node) { failed = true }
                continue
            }
            let word = aliases[word] ?? word
            guard let algorithm = table[word], allows(algorithm, in: use) else {
                if let objection = objection(to: word, use) {
                    node.error("\(quoted(word)): \(objection)")
                } else {
                    func permitted(_ words: [(String, Algorithm)]) -> [String] {
                        words.filter { allows($0.1, in: use) }.map(\.0)
                    }
                    let what = table[word] == nil ? "algorithm" : "algorithm for this protocol"
                    node.error(
                        NearestWord.complaint(
                            about: word, what: what, expected: permitted(usualWords),
                            others: (permitted(otherWords), "cygnet algorithms")))
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
        parts.additional.sort { $0.number < $1.number }
        if let method = parts.keyExchange.first(where: \.isEncapsulation) {
            node.error(
                "\(method) is too large for a message that cannot be fragmented, and goes beside another; write for example x25519-ke1_mlkem768"
            )
            return nil
        }
        guard parts.additional.isEmpty || !parts.keyExchange.isEmpty else {
            node.error("the proposal \(quoted(text)) names no first key exchange; add one such as x25519")
            return nil
        }
        guard let first = parts.encryption.first else {
            node.error("the proposal \(quoted(text)) names no encryption; expected one such as aes256gcm16")
            return nil
        }
        guard parts.encryption.allSatisfy({ $0.isAEAD == first.isAEAD }) else {
            node.error(
                "the proposal \(quoted(text)) mixes AEAD and other ciphers; write two proposals, one for each kind")
            return nil
        }
        // The peer would choose whether anything is encrypted.
        guard parts.encryption.allSatisfy({ $0.leavesPayloadReadable == first.leavesPayloadReadable }) else {
            node.error(
                "the proposal \(quoted(text)) offers encryption and none as alternatives; write two proposals, or one of the two"
            )
            return nil
        }
        return parts
    }

    /// The number in a word such as `ke1_mlkem768`.
    private static func additionalNumber(_ word: String) -> Int? {
        guard word.hasPrefix("ke"), word.dropFirst(3).hasPrefix("_") else { return nil }
        return word.dropFirst(2).first?.wholeNumberValue
    }

    /// - Returns: whether the word stands for something.
    private static func add(_ word: String, as number: Int, to parts: inout Parts, _ node: ConfigurationNode) -> Bool {
        guard (1...7).contains(number) else {
            node.error("\(quoted(word)): additional key exchanges are numbered from ke1_ to ke7_")
            return false
        }
        let name = String(word.dropFirst(4))
        let place =
            parts.additional.firstIndex { $0.number == number }
            ?? {
                parts.additional.append(AdditionalKeyExchange(number: number, methods: []))
                return parts.additional.count - 1
            }()
        if name == "none" {
            parts.additional[place].isOptional = true
            return true
        }
        guard case .keyExchange(let method)? = table[aliases[name] ?? name] else {
            if let objection = name == "mlkem512"
                ? "none of the libraries here has it; use ke1_mlkem768" : objection(to: name, .ike)
            {
                node.error("\(quoted(word)): \(objection)")
                return false
            }
            let methods = words.filter { if case .keyExchange = $0.1 { true } else { false } }.map(\.0)
            node.error(
                "\(quoted(word)): \(quoted(name)) is no key exchange known here; expected none or one of "
                    + methods.joined(separator: ", "))
            return false
        }
        parts.additional[place].methods.append(method)
        return true
    }

    static func ike(_ node: ConfigurationNode) -> IKEProposal? {
        guard var parts = parts(node, for: .ike) else { return nil }
        let text = node.node.scalar?.string ?? ""
        let isAEAD = parts.encryption.allSatisfy(\.isAEAD)
        if isAEAD, !parts.prf.isEmpty, let extra = parts.integrity.first {
            node.error(
                "the proposal \(quoted(text)) adds \(extra) to an AEAD cipher, which protects integrity itself; leave it out, as the PRF is named besides"
            )
            return nil
        }
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
            additional: parts.additional, origin: node.origin)
    }

    static func esp(_ node: ConfigurationNode) -> ESPProposal? {
        guard let parts = parts(node, for: .esp) else { return nil }
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
            additional: parts.additional, origin: node.origin)
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
