import Octets
import Testing

struct InstantTests {
    @Test("Adding a duration moves by so many nanoseconds")
    func adding() {
        #expect((Instant.origin + .milliseconds(1500)).nanoseconds == 1_500_000_000)
        #expect(Instant(nanoseconds: 5_000) - Instant(nanoseconds: 2_000) == .microseconds(3))
    }

    @Test("Time ends instead of wrapping")
    func saturation() {
        #expect(Instant(nanoseconds: .max) + .seconds(1) == Instant(nanoseconds: .max))
        #expect(Instant(nanoseconds: .min) + .seconds(-1) == Instant(nanoseconds: .min))
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
    }
}
