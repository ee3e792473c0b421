import Gateway
import Glibc
import Octets
import Testing

@Suite("What outlives the daemon")
struct StateDirectoryTests {
    @Test("Secrets of tickets take turns: one seals, the one before opens, and older ones are gone")
    func ticketSecrets() throws {
        let directory = try FixtureDirectory()
        let state = StateDirectory(path: directory.path + "/state")
        let now = Int64(time(nil)) + 1
        let first = try state.ticketSecrets(lifetime: 3600, at: now).get()
        #expect(first.former == nil)
        let same = try state.ticketSecrets(lifetime: 3600, at: now + 3000).get()
        #expect(same.current == first.current && same.former == nil)
        let second = try state.ticketSecrets(lifetime: 3600, at: now + 3600).get()
        #expect(second.current != first.current && second.former == first.current)
        // After a restart it is as before.
        let again = try state.ticketSecrets(lifetime: 3600, at: now + 10).get()
        #expect(again.current == second.current && again.former == first.current)
        let third = try state.ticketSecrets(lifetime: 3600, at: now + 3600).get()
        #expect(third.former == second.current)
        // What nothing can need any more is not kept.
        let last = try state.ticketSecrets(lifetime: 3600, at: now + 7200).get()
        #expect(last.current != third.current && last.former == nil)
    }
}
