import CLinux
import Glibc
import IPPacket

// How connections end.
extension StreamThread {
    private static let closingTime: Int64 = 5_000

    /// Gives a connection so long; one whose peer is a stranger has no more than strangers have.
    mutating func set(_ connection: StreamConnection, deadline milliseconds: Int64?) {
        connection.deadline = milliseconds.map { min(now + $0, connection.strangerUntil) }
        if milliseconds == nil {
            timed.remove(connection.stream.rawValue)
        } else {
            timed.insert(connection.stream.rawValue)
        }
    }

    mutating func expire() {
        for key in timed {
            guard let connection = connections[key], let deadline = connection.deadline, deadline <= now else {
                continue
            }
            switch connection.phase {
            case .connecting: end(connection, "it is not answered")
            case .securing:
                if !connection.isTrusted { statistics.expired &+= 1 }
                end(
                    connection,
                    "TLS is not agreed upon in time\(connection.isTrusted ? ": its port may be one without" : "")")
            case .open:
                if !connection.isTrusted { statistics.expired &+= 1 }
                end(connection, "the peer has not proved in time who it is")
            case .closing: remove(connection)
            }
        }
    }

    /// Ends a connection that somebody may still count on, and tells of it.
    mutating func end(_ connection: StreamConnection, _ reason: String) {
        guard connections[connection.stream.rawValue] != nil else { return }
        let isNews = connection.phase != .closing
        remove(connection)
        guard isNews else { return }
        if connection.isTrusted {
            events.emit(.streamLost(connection.stream, reason: reason))
        } else if !connection.wasTrusted, refusals.allows(at: now * 1_000_000) {
            events.emit(.streamRefused(from: connection.remote, port: connection.local.port, reason: reason))
        }
    }

    mutating func remove(_ connection: StreamConnection) {
        guard connections.removeValue(forKey: connection.stream.rawValue) != nil else { return }
        timed.remove(connection.stream.rawValue)
        if !connection.isTrusted { forgetStranger(connection) }
        statistics.open -= 1
        connection.sayLast()
        close(connection.descriptor)
    }

    /// Nobody uses a connection any more: ours is closed, the peer may close its own.
    mutating func finish(_ connection: StreamConnection) {
        guard connection.phase != .connecting else { return remove(connection) }
        connection.isProved = false
        if connection.stream.isAccepted {
            // Whatever it may begin now has to be proved again; and there is time for our last words.
            if connection.isTrusted {
                connection.isTrusted = false
                connection.wasTrusted = true
                countStranger(connection)
            }
        } else {
            connection.phase = .closing
            touched.insert(connection.stream.rawValue)
        }
        set(connection, deadline: Self.closingTime)
    }
}
