import Foundation
import Lab

enum ProcessTime {
    /// Processor seconds of a process so far, its own and the kernel's on its behalf.
    static func of(_ process: pid_t) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        // The name in parentheses may hold anything; utime and stime are the 12th and 13th fields after it.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw LabError("/proc/\(process)/stat cannot be read: \(text)")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
