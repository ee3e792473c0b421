import IPPacket
import Lab
import Testing

/// One row of the interoperability matrix.
struct MatrixRow: Sendable, Hashable, CustomTestStringConvertible {
    enum Role: String, Sendable, CaseIterable { case initiator, responder }
    enum Families: String, Sendable, CaseIterable {
        case v4 = "IPv4"
        case v6 = "IPv6"
        case v6in4 = "IPv6 in IPv4"
        case v4in6 = "IPv4 in IPv6"
    }
    enum Path: String, Sendable, CaseIterable { case direct, nat = "NAT" }

    /// Cygnet's role.
    let role: Role
    let authentication: AuthenticationChoice
    let encryption: EncryptionChoice
    let keyExchange: KeyExchangeChoice
    let families: Families
    let path: Path

    private init(
        _ role: Role, _ authentication: AuthenticationChoice, _ encryption: EncryptionChoice,
        _ keyExchange: KeyExchangeChoice,
        _ families: Families, _ path: Path
    ) {
        self.role = role
        self.authentication = authentication
        self.encryption = encryption
        self.keyExchange = keyExchange
        self.families = families
        self.path = path
    }

    var values: [String] {
        [
            role.rawValue, authentication.rawValue, encryption.rawValue, keyExchange.rawValue, families.rawValue,
            path.rawValue,
        ]
    }

    var testDescription: String { values.joined(separator: ", ") }

    var plan: TunnelPlan {
        var plan = TunnelPlan()
        plan.authentication = authentication
        plan.encryption = encryption
        plan.keyExchange = keyExchange
        plan.inner = families == .v6 || families == .v6in4 ? .v6 : .v4
        plan.outer = families == .v6 || families == .v4in6 ? .v6 : .v4
        plan.isNATed = path == .nat
        return plan
    }

    /// The plainest combination in both roles, then rows chosen so that every two values of different columns meet.
    static let all: [MatrixRow] = [
        MatrixRow(.initiator, .preSharedKey, .aes256gcm16, .x25519, .v4, .direct),
        MatrixRow(.responder, .preSharedKey, .aes256gcm16, .x25519, .v4, .direct),
        MatrixRow(.initiator, .preSharedKey, .chacha20poly1305, .ecp384, .v4in6, .nat),
        MatrixRow(.initiator, .rsa, .aes256gcm16, .modp3072, .v6in4, .nat),
        MatrixRow(.initiator, .ecdsa, .aes256gcm16, .ecp384, .v4, .nat),
        MatrixRow(.initiator, .ecdsa, .aes256sha256, .x25519, .v4in6, .direct),
        MatrixRow(.initiator, .ecdsa, .aes256sha256, .modp3072, .v6, .direct),
        MatrixRow(.initiator, .ed25519, .aes256sha256, .modp3072, .v6, .nat),
        MatrixRow(.responder, .preSharedKey, .aes256gcm16, .ecp384, .v6, .direct),
        MatrixRow(.responder, .preSharedKey, .aes256gcm16, .modp3072, .v4, .direct),
        MatrixRow(.responder, .preSharedKey, .aes256sha256, .x25519, .v6in4, .nat),
        MatrixRow(.responder, .rsa, .aes256gcm16, .x25519, .v4in6, .direct),
        MatrixRow(.responder, .rsa, .chacha20poly1305, .x25519, .v6, .direct),
        MatrixRow(.responder, .rsa, .aes256sha256, .ecp384, .v4, .direct),
        MatrixRow(.responder, .ecdsa, .chacha20poly1305, .modp3072, .v6in4, .direct),
        MatrixRow(.responder, .ed25519, .aes256gcm16, .modp3072, .v4in6, .direct),
        MatrixRow(.responder, .ed25519, .chacha20poly1305, .x25519, .v4, .nat),
        MatrixRow(.responder, .ed25519, .chacha20poly1305, .ecp384, .v6in4, .nat),
    ]

    /// Every value of every column.
    static let columns: [[String]] = [
        Role.allCases.map(\.rawValue), AuthenticationChoice.allCases.map(\.rawValue),
        [EncryptionChoice.aes256gcm16, .chacha20poly1305, .aes256sha256].map(\.rawValue),
        KeyExchangeChoice.allCases.map(\.rawValue), Families.allCases.map(\.rawValue), Path.allCases.map(\.rawValue),
    ]
}

@Suite("The interoperability matrix")
struct MatrixCoverage {
    @Test("every two values of different columns meet in some row")
    func pairwise() {
        let columns = MatrixRow.columns
        var missing: [String] = []
        for first in columns.indices {
            for second in columns.indices where second > first {
                for left in columns[first] {
                    for right in columns[second] {
                        let isMet = MatrixRow.all.contains { $0.values[first] == left && $0.values[second] == right }
                        if !isMet { missing.append("\(left) with \(right)") }
                    }
                }
            }
        }
        #expect(missing.isEmpty)
    }

    @Test("no row stands twice")
    func distinct() {
        #expect(Set(MatrixRow.all).count == MatrixRow.all.count)
    }
}
