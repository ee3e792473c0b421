import CLinux
import Dispatch
import Glibc
import IPPacket

/// Tells when links, addresses or routes of this host change (rtnetlink(7)).
package final class AddressMonitor {
    /// One element for any number of changes since the last was taken.
    package let changes: AsyncStream<Void>
    private let source: any DispatchSourceRead

    /// - Throws: ``DataplaneError`` if there is no netlink socket to be had.
    package init() throws(DataplaneError) {
        let descriptor = cygnet_open_netlink_monitor()
        guard descriptor >= 0 else { throw .system(-descriptor, "watch the addresses of this host") }
        let (changes, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.changes = changes
        source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "cygnet.addresses"))
        source.setEventHandler {
            // What the messages say is of no interest, nor is whether some did not fit: the state is looked at anew.
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while recv(descriptor, &buffer, buffer.count, 0) > 0 || errno == ENOBUFS || errno == EINTR {}
            continuation.yield()
        }
        source.setCancelHandler {
            close(descriptor)
            continuation.finish()
        }
        source.resume()
    }

    deinit { source.cancel() }

    /// Addresses of this host at which others can reach it: none of the loopback, of a single link, or of our own device.
    package static func addresses(without device: String) throws(DataplaneError) -> [IPAddress] {
        var socket = try NetlinkSocket()
        let own = Links.index(of: device)
        var result: [IPAddress] = []
        for entry in try Links.addresses(&socket)
        where entry.isGlobal && entry.index != own && !result.contains(entry.host) {
            result.append(entry.host)
        }
        return result
    }
}
