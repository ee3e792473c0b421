import Credentials
import Testing

struct IdentityPatternTests {
    private func pattern(_ text: String) throws -> IdentityPattern { try IdentityPattern(configured: text) }

    @Test(
        "A pattern matches what it stands for",
        arguments: [
            ("*.example.org", "gw.example.org"), ("*.example.org", "a.b.Example.ORG"),
            ("*@example.org", "alice@EXAMPLE.org"),
            ("C=CH, O=Example, CN=*", "C=CH, O=example, CN=alice"),
            ("O=Example, OU=*, CN=*", "O=Example, OU=Sales, CN=bob"),
        ])
    func matching(pattern text: String, identity: String) throws {
        #expect(try pattern(text).matches(Identity(configured: identity)))
    }

    @Test(
        "A pattern matches nothing else",
        arguments: [
            ("*.example.org", "example.org"), ("*.example.org", "evil-example.org"),
            ("*.example.org", "gw@x.example.org"),
            ("*@example.org", "alice@sub.example.org"), ("*@example.org", "alice@example.org.evil"),
            ("*@example.org", "example.org"), ("C=CH, O=Example, CN=*", "C=CH, O=Other, CN=alice"),
            ("O=Example, CN=*", "O=Example, OU=Sales, CN=alice"), ("O=Example, CN=*", "CN=alice, O=Example"),
        ])
    func mismatching(pattern text: String, identity: String) throws {
        #expect(try !pattern(text).matches(Identity(configured: identity)))
    }

    @Test(
        "An asterisk in another place is refused",
        arguments: [
            "*", "*.", "*@", "gw*.example.org", "a.*.example.org", "*@*.example.org", "**.example", "CN=gw*, O=Example",
        ])
    func refusal(text: String) {
        #expect(throws: CredentialError.self) { try IdentityPattern(configured: text) }
    }
}
