import Foundation
import TestPrograms
import Testing

/// What comes of it when libcrypto fails: a program of its own, `cygnet-libcrypto-failures`, is linked so that it can make it.
@Suite("Failures of libcrypto", .serialized) struct LibraryFailureTests {
    /// Functions that cannot fail: they free, wipe, compare, or fill in what the caller has.
    private static let reliable: Set<String> = [
        "BN_CTX_free", "BN_MONT_CTX_free", "BN_clear_free", "BN_cmp", "BN_free", "BN_set_flags", "BN_value_one",
        "EC_GROUP_free", "EC_POINT_clear_free", "EC_POINT_free", "EVP_CIPHER_CTX_free", "EVP_MAC_CTX_free",
        "EVP_MAC_free",
        "EVP_MD_CTX_free", "EVP_PKEY_CTX_free", "EVP_PKEY_free", "OPENSSL_cleanse", "OSSL_PARAM_construct_end",
        "OSSL_PARAM_construct_utf8_string",
    ]

    /// What TLS alone calls. A call that fails ends one TCP connection there, and nothing else; none is made to fail here.
    private static let namesOfTLS = ["SSL_", "TLS_", "BIO_", "ERR_", "PEM_", "X509"]

    private struct Outcome {
        let isSuccess: Bool
        let output: String
    }

    private static func run(_ command: [String]) throws -> Outcome {
        // The trace of a trap is long to make, and its first line says all.
        let (isSuccess, output) = try TestProgram.run(command, environment: ["SWIFT_BACKTRACE": "enable=no"])
        return Outcome(isSuccess: isSuccess, output: output)
    }

    /// This program, which uses libcrypto as it is.
    private static let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    private static let failing = tests.deletingLastPathComponent().appending(path: "cygnet-libcrypto-failures").path

    private static let functions: [String] = {
        let outcome = try? run([failing, "list"])
        return outcome?.output.split(separator: "\n").map { String($0) } ?? []
    }()

    @Test("Every function of libcrypto that is called here, but for those of TLS, is made to fail, or cannot")
    func complete() throws {
        let symbols = try Self.run(["nm", "--dynamic", "--undefined-only", Self.tests.path])
        try #require(symbols.isSuccess, "\(symbols.output)")
        // For example `U EVP_CipherUpdate@OPENSSL_3.0.0`.
        let called = symbols.output.split(whereSeparator: \.isWhitespace).compactMap { word -> String? in
            let parts = word.split(separator: "@")
            guard parts.count == 2, parts[1].hasPrefix("OPENSSL"),
                !Self.namesOfTLS.contains(where: { parts[0].hasPrefix($0) })
            else { return nil }
            return String(parts[0])
        }
        #expect(!called.isEmpty)
        #expect(Set(called).subtracting(Self.reliable) == Set(Self.functions))
        #expect(Self.reliable.isSubset(of: called))
    }

    @Test(
        "Whichever call of a function fails, and however, only an error comes of it, and later everything works again",
        arguments: functions)
    func failing(function: String) throws {
        let outcome = try Self.run([Self.failing, function])
        #expect(outcome.isSuccess, "\(outcome.output.prefix(2000))")
    }
}
