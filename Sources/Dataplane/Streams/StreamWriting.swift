import CLinux
import Glibc
import IPPacket

// What goes.
extension StreamThread {
    /// Packets that are taken from an outbound worker before what came is looked at.
    private static let batchSize = 256

    /// Sends a message of IKE; a connection that is gone loses it, as networks do, and IKE hears of that by itself.
    mutating func send(_ message: [UInt8], by stream: StreamID) {
        guard let connection = connections[stream.rawValue] else { return }
        statistics.messagesOut &+= 1
        guard connection.write(message: message) else {
            if connection.phase == .open { end(connection, "the peer reads no more") }
            return
        }
        touched.insert(stream.rawValue)
    }

    mutating func takeSealed() {
        var isMore = false
        for way in ways.outbound {
            let taken = way.drain(atMost: Self.batchSize) { record in
                guard let start = record.baseAddress else { return }
                let packet = UnsafeRawBufferPointer(rebasing: record[SealedForStream.offset...])
                guard let connection = connections[start.load(as: UInt64.self)] else {
                    statistics.packetsWithoutStream &+= 1
                    return
                }
                guard connection.write(packet: packet) else {
                    statistics.packetsDropped &+= 1
                    return
                }
                statistics.packetsOut &+= 1
                touched.insert(connection.stream.rawValue)
            }
            if taken == Self.batchSize { isMore = true }
        }
        // Nobody else would say so.
        if isMore { control.wakeup.signal() }
    }

    mutating func flush() {
        for key in touched {
            guard let connection = connections[key], connection.phase != .connecting else { continue }
            do throws(StreamFault) {
                statistics.octetsOut &+= UInt64(try connection.flush())
            } catch {
                end(connection, "\(error.reason)\(connection.hint)")
                continue
            }
            // What is sent arrives before the end, and the peer answers with its own (RFC 9329 section 6.1).
            if connection.backlog == 0, connection.phase == .closing { shutdown(connection.descriptor, Int32(SHUT_WR)) }
            let awaitsRoom = connection.backlog > 0
            if awaitsRoom != connection.awaitsRoom {
                connection.awaitsRoom = awaitsRoom
                _ = cygnet_watch(watch, connection.descriptor, key, 0, awaitsRoom ? 1 : 0)
            }
        }
        touched.removeAll(keepingCapacity: true)
    }
}

/// What stands before a sealed packet on its way to the thread: the number of its connection.
enum SealedForStream {
    static let offset = 16
}
