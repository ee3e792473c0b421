import Gateway
import Testing

@Suite("Values in a configuration")
struct SyntaxTests {
    @Test(
        "Times are numbers with units, added up",
        arguments: [
            ("500ms", 500), ("30s", 30_000), ("10 minutes", 600_000), ("1h30m", 5_400_000), ("1d", 86_400_000),
            ("0", 0),
            ("1 h 30 m", 5_400_000),
        ])
    func times(text: String, milliseconds: Int64) throws {
        #expect(try MeasureSyntax.parse(text, units: MeasureSyntax.times).get() == milliseconds)
    }

    @Test(
        "What is not a time is refused",
        arguments: ["", "30", "10 minuets", "-5s", "s", "1.5h", "99999999999999999999s", "9223372036854775807d", "3s4"])
    func noTimes(text: String) {
        #expect(throws: MeasureSyntax.Complaint.self) {
            try MeasureSyntax.parse(text, units: MeasureSyntax.times).get()
        }
    }

    @Test(
        "Sizes have decimal and binary units",
        arguments: [("10GB", 10_000_000_000), ("512 MiB", 536_870_912), ("1B", 1), ("2KiB", 2048)])
    func sizes(text: String, octets: Int64) throws {
        #expect(try MeasureSyntax.parse(text, units: MeasureSyntax.sizes).get() == octets)
    }

    @Test(
        "Selectors are read as they are printed",
        arguments: [
            "10.1.0.0/16", "10.1.0.7", "10.1.0.1-10.1.0.9", "2001:db8::/32", "::/0 icmpv6", "10.1.0.7 tcp/443",
            "10.1.0.0/16 udp/5000-5010", "10.1.0.7 tcp/opaque", "192.0.2.0/24 99",
        ])
    func selectors(text: String) throws {
        #expect(try SelectorSyntax.parse(text).get().description == text)
    }

    @Test(
        "What is not a selector is refused",
        arguments: [
            "", "10.1.0.1/16", "10.1.0.0/33", "10.1.0.9-10.1.0.1", "10.1.0.1-2001:db8::1", "10.1.0.0/16 tpc",
            "10.1.0.0/16 any/80",
            "10.1.0.0/16 tcp/70000", "10.1.0.0/16 tcp/90-80", "10.1.0.0/16 tcp/", "10.1.0.0/16 tcp/1 x", "/", "-",
        ])
    func noSelectors(text: String) {
        #expect(throws: SelectorSyntax.Complaint.self) { try SelectorSyntax.parse(text).get() }
    }

    @Test(
        "The nearest word is found, if one is near",
        arguments: [("adress", "address"), ("subents", "subnets"), ("ID", "id"), ("colour", nil)])
    func nearest(word: String, expected: String?) {
        #expect(NearestWord.suggestion(for: word, among: ["address", "id", "subnets", "auth"]) == expected)
    }
}
