import Foundation

/// The modern peers' root file system at a gateway, on the machine's own kernel: for what needs none of its own.
package final class Chroot: Quarters {
    package let directory: String
    private let root: String
    private let namespace: Namespace
    private let laboratory: Laboratory
    private let running = ProcessSlot()

    package init(at side: Side, of topology: Topology, files: PeerFiles) throws {
        laboratory = topology.laboratory
        namespace = topology.gateway(side)
        root = files.root
        directory = try laboratory.makeDirectory("chroot-\(side.rawValue)")
    }

    package var isRunning: Bool { running.get()?.isRunning ?? false }

    private static let environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]

    /// The root stays as it is: only `/run` and `/mnt` can be written to, and both end with the program.
    package func start(_ arguments: [String], log: String) async throws(LabError) {
        let mounts = """
            root=$1 directory=$2
            shift 2
            mount --bind "$root" "$root"
            mount -o remount,bind,ro "$root"
            mount --bind "$directory" "$root/mnt"
            mount -t tmpfs tmpfs "$root/run"
            mount -t proc proc "$root/proc"
            mount --rbind /sys "$root/sys"
            mount --rbind /dev "$root/dev"
            exec chroot "$root" "$@"
            """
        running.set(
            try laboratory.start(
                ["unshare", "--mount", "--propagation", "private", "sh", "-euc", mounts, "sh", root, directory]
                    + Self.environment + arguments,
                in: namespace, logFile: "\(directory)/\(log)"))
    }

    /// Runs a program beside the one that was started.
    package func run(_ arguments: [String], timeout: Duration) async throws(LabError) -> CommandResult {
        guard let process = running.get() else { throw LabError("nothing runs in \(directory)") }
        return try await Command.run(
            ["nsenter", "--target", "\(process.processID)", "--mount", "--net", "--", "chroot", root] + Self.environment
                + arguments, timeout: timeout)
    }

    package func killAtOnce() async {
        guard let process = running.get() else { return }
        process.signal(SIGKILL)
        _ = await process.wait()
    }
}
