import CLinux
import Glibc
import IPPacket
import TLS

// Connections that peers open.
extension StreamThread {
    /// Marks keys of listeners.
    static let listenerKey: UInt64 = 1 << 62

    mutating func listen(_ ports: StreamPorts) {
        server = ports.server
        let wanted = ports.plain.map { ($0, false) } + ports.secured.map { ($0, true) }
        func isWanted(_ listener: Listener) -> Bool {
            wanted.contains { $0 == (listener.port, listener.isSecured) }
        }
        for listener in listeners where !isWanted(listener) {
            for descriptor in listener.descriptors { close(descriptor) }
        }
        listeners.removeAll { !isWanted($0) }
        for (port, isSecured) in wanted where !listeners.contains(where: { $0.port == port }) {
            listeners.append(Listener(port: port, isSecured: isSecured, descriptors: listen(port)))
        }
    }

    private func listen(_ port: UInt16) -> [Int32] {
        let isEverywhere = configuration.listenAddresses.isEmpty
        let addresses =
            isEverywhere ? IPFamily.allCases.map { IPAddress.unspecified($0) } : configuration.listenAddresses
        var descriptors: [Int32] = []
        for address in addresses {
            let descriptor = cygnet_listen_stream(
                address.family.rawValue, address.octets, port, configuration.firewallMark)
            let result =
                descriptor < 0
                ? descriptor : cygnet_watch(watch, descriptor, Self.listenerKey | UInt64(descriptor), 1, 0)
            if result == 0 {
                descriptors.append(descriptor)
            } else if result != -EAFNOSUPPORT || !isEverywhere {
                let fault = StreamFault(errno: -result)
                events.emit(
                    .warning(
                        "no TCP connections are taken on \(SocketAddress(address, port: port)): \(fault.reason)"))
                if descriptor >= 0 { close(descriptor) }
            }
        }
        return descriptors
    }

    mutating func accept(_ socket: Int32) {
        let isSecured = listeners.first { $0.descriptors.contains(socket) }?.isSecured ?? false
        for _ in 0..<Self.readyCount {
            var ends = cygnet_stream_ends()
            let descriptor = cygnet_accept_stream(socket, &ends)
            guard descriptor >= 0 else {
                if descriptor == -EAGAIN { return }
                guard [-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS].contains(descriptor) else { continue }
                // Whoever waits there does so for ever; not so often that nothing else is done.
                usleep(10_000)
                return
            }
            if !take(descriptor, ends, isSecured: isSecured) { close(descriptor) }
        }
    }

    /// - Returns: whether there is a connection now.
    private mutating func take(_ descriptor: Int32, _ ends: cygnet_stream_ends, isSecured: Bool) -> Bool {
        let source = Self.source(of: ends.remoteAddress.address)
        guard strangers[source, default: 0] < configuration.streamLimits.strangersPerSource,
            strangerCount < configuration.streamLimits.strangers || endSilentStranger()
        else {
            statistics.refused &+= 1
            return false
        }
        let stream = StreamID(rawValue: nextAccepted)
        let session: TLSSession?
        do throws(StreamFault) {
            session = isSecured ? try answeringSession() : nil
            let watched = cygnet_watch(watch, descriptor, stream.rawValue, 1, 0)
            guard watched == 0 else { throw StreamFault(errno: -watched) }
        } catch {
            statistics.refused &+= 1
            if refusals.allows(at: now * 1_000_000) {
                events.emit(
                    .streamRefused(from: ends.remoteAddress, port: ends.localAddress.port, reason: error.reason))
            }
            return false
        }
        nextAccepted += 1
        let connection = StreamConnection(
            stream, descriptor: descriptor, local: ends.localAddress, remote: ends.remoteAddress,
            phase: isSecured ? .securing : .open, session: session)
        connections[stream.rawValue] = connection
        statistics.accepted &+= 1
        statistics.open += 1
        countStranger(connection)
        set(connection, deadline: configuration.streamLimits.firstMessage)
        return true
    }

    private func answeringSession() throws(StreamFault) -> TLSSession {
        guard let server else { throw StreamFault("there is nothing to answer TLS with") }
        do throws(TLSFailure) {
            return try TLSSession(server)
        } catch {
            throw StreamFault(error.reason)
        }
    }

    // MARK: Strangers

    /// An IPv4 address, or the 64 bits of an IPv6 address that belong to one customer.
    static func source(of address: IPAddress) -> IPAddress {
        address.family == .v4 ? address : IPAddress(v6: (address.value >> 64) << 64)
    }

    mutating func trust(_ connection: StreamConnection) {
        connection.isProved = true
        guard !connection.isTrusted else { return }
        connection.isTrusted = true
        forgetStranger(connection)
        set(connection, deadline: nil)
    }

    /// Makes room for another stranger: who holds a place and says nothing does not keep out a peer that has lost its connection.
    ///
    /// - Returns: whether there was one.
    private mutating func endSilentStranger() -> Bool {
        var oldest: StreamConnection?
        for connection in connections.values
        where !connection.isTrusted && !connection.wasTrusted && connection.messages == 0 {
            if connection.stream.rawValue < oldest?.stream.rawValue ?? .max { oldest = connection }
        }
        guard let oldest else { return false }
        statistics.expired &+= 1
        end(oldest, "others want its place, and it says nothing")
        return true
    }

    mutating func countStranger(_ connection: StreamConnection) {
        strangers[Self.source(of: connection.remote.address), default: 0] += 1
        strangerCount += 1
        let limits = configuration.streamLimits
        connection.strangerUntil = now + limits.firstMessage + limits.proof
        connection.messages = 0
    }

    mutating func forgetStranger(_ connection: StreamConnection) {
        let source = Self.source(of: connection.remote.address)
        let left = (strangers[source] ?? 1) - 1
        strangers[source] = left > 0 ? left : nil
        strangerCount -= 1
        connection.strangerUntil = .max
    }
}

extension cygnet_stream_ends {
    private static func address(_ octets: UnsafeRawBufferPointer, _ family: UInt8) -> IPAddress {
        family == IPFamily.v4.rawValue
            ? IPAddress(v4: UInt32(bigEndian: octets.loadUnaligned(as: UInt32.self)))
            : IPAddress(v6: UInt128(bigEndian: octets.loadUnaligned(as: UInt128.self)))
    }

    var localAddress: SocketAddress {
        SocketAddress(withUnsafeBytes(of: local) { Self.address($0, family) }, port: local_port)
    }

    var remoteAddress: SocketAddress {
        SocketAddress(withUnsafeBytes(of: remote) { Self.address($0, family) }, port: remote_port)
    }
}
