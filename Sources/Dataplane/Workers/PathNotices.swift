import IPPacket
import Synchronization

/// What the error queues say of the path to a peer.
struct PathNotice {
    let remote: IPAddress
    let mtu: Int
    /// The SPI of the packet quoted; `nil` if our own link refused it, which needs no proof.
    let spi: UInt32?
}

/// What inbound workers tell an outbound one of paths.
final class PathNotices: Sendable {
    /// Emptied by the outbound worker.
    let ring: CommandRing<PathNotice>
    private let pushing = Mutex<Void>(())

    init(wakeup: Wakeup) { ring = CommandRing(capacity: 64, wakeup: wakeup) }

    /// Tells one; where there is no room, the next packet that is too big brings another.
    func push(_ notice: PathNotice) { pushing.withLock { _ in _ = ring.push(notice) } }
}
