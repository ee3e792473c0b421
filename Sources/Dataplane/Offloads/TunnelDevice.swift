import CLinux
import Glibc

/// The TUN device: where packets from the inside come from and go to.
struct TunnelDevice: Sendable {
    /// One for each worker, with a queue of its own. A flow whose packets are written to a queue is read from the same: the kernel
    /// sees to that.
    let descriptors: [Int32]
    /// Whether each packet has a ``VirtioNetHeader`` in front.
    let hasHeader: Bool
    let leavesChecksums: Bool
    let joinsTCP: Bool
    let joinsUDP: Bool

    /// A kernel that gives a device one queue only makes one worker of all that are wanted.
    ///
    /// - Throws: what `open` and TUNSETIFF say.
    init(_ configuration: UserspaceDataplane.Configuration) throws(DataplaneError) {
        let wanted = UInt32(CYGNET_TUN_CHECKSUM | CYGNET_TUN_TCP | CYGNET_TUN_UDP)
        var granted = configuration.offloads.contains(.device) ? wanted : 0
        var queues = UInt32(min(max(configuration.workers, 1), Team.maximumCount))
        var descriptors = [Int32](repeating: -1, count: Int(queues))
        let result = cygnet_open_tun(configuration.deviceName, &granted, &descriptors, &queues)
        guard result >= 0 else {
            throw .system(
                -result, "make the TUN device \(configuration.deviceName)",
                ifInUse: "another daemon has it; stop that one, or set daemon.device to another name")
        }
        self.descriptors = Array(descriptors.prefix(Int(queues)))
        hasHeader = granted != 0
        leavesChecksums = granted & UInt32(CYGNET_TUN_CHECKSUM) != 0
        joinsTCP = granted & UInt32(CYGNET_TUN_TCP) != 0
        joinsUDP = granted & UInt32(CYGNET_TUN_UDP) != 0
    }

    func close() {
        for descriptor in descriptors { _ = Glibc.close(descriptor) }
    }

    /// - Parameter isWanted: by the configuration.
    func reports(isWanted: Bool) -> [OffloadReport] {
        let reason = isWanted ? "this kernel has it not" : "by configuration"
        return [
            OffloadReport(
                name: "device tso", isOn: joinsTCP,
                detail: joinsTCP ? "TCP up to 64 KiB" : "\(reason): packet by packet"),
            OffloadReport(
                name: "device uso", isOn: joinsUDP,
                detail: joinsUDP ? "UDP up to 64 KiB" : "\(reason): packet by packet"),
            OffloadReport(
                name: "device checksum", isOn: leavesChecksums,
                detail: leavesChecksums ? "completed here" : "\(reason): the kernel completes them"),
        ]
    }
}
