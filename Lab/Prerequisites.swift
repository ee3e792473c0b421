import Foundation

/// What a scenario needs of the machine, and what to say when it is not there.
package enum Prerequisites {
    /// Debian's package for each program.
    private static let packages: [(program: String, package: String)] = [
        ("ip", "iproute2"), ("nft", "nftables"), ("ping", "iputils-ping"), ("openssl", "openssl"), ("socat", "socat"),
        ("gnutls-cli", "gnutls-bin"),
        ("unshare", "util-linux"), ("nsenter", "util-linux"),
        ("charon-systemd", "charon-systemd"), ("swanctl", "strongswan-swanctl"),
        ("tshark", "tshark"), ("iperf3", "iperf3"), ("python3", "python3"),
        ("dbus-daemon", "dbus-daemon"), ("busctl", "systemd"),
    ]

    /// The programs `cygnet demo` runs.
    package static let demo = ["ip", "nft", "ping", "unshare", "nsenter"]
    /// The programs the interoperability tests run; strongSwan's plugins come with `Lab/install-packages`.
    package static let interoperability = demo + ["openssl", "charon-systemd", "swanctl"]

    package static func missing(of programs: [String]) -> [String] {
        programs.filter { Program.locate($0) == nil }
    }

    /// One sentence with the one command that repairs it.
    package static func advice(missing programs: [String]) -> String {
        var names: [String] = []
        for program in programs {
            let name = packages.first { $0.program == program }?.package ?? program
            if !names.contains(name) { names.append(name) }
        }
        return "\(programs.joined(separator: ", ")) \(programs.count == 1 ? "is" : "are") not installed; run: "
            + "apt-get install -y --no-install-recommends \(names.joined(separator: " "))"
    }
}
