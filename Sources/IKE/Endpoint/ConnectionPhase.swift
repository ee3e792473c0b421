import Octets

/// What a configured connection is doing.
///
/// What is to pass carries the time at which it ends, whatever happens meanwhile: a phase in which a connection could be
/// stuck cannot be written down. The endpoint enters that time among its deadlines when the phase begins.
public enum ConnectionPhase: Hashable, Sendable {
    /// Not up, and nothing is to be done about it but by the peer or a person.
    case idle
    /// Waits for the first packet.
    case waiting
    /// The peer is being called; the attempt is given up at `until`.
    case connecting(until: Instant)
    case up
    /// The last attempt failed, or what it waits for is missing; the next one begins at `at`.
    case retrying(at: Instant)
    /// The last attempt failed and none follows, unless a packet, the peer or a person asks for one.
    case failed

    /// The phase in one of a few words.
    public var state: ConnectionStatus.State {
        switch self {
        case .idle: .idle
        case .waiting: .waiting
        case .connecting: .connecting
        case .up: .up
        case .retrying: .retrying
        case .failed: .failed
        }
    }

    /// When the phase ends at the latest; `nil` for those that may last.
    public var deadline: Instant? {
        switch self {
        case .connecting(let until): until
        case .retrying(let at): at
        case .idle, .waiting, .up, .failed: nil
        }
    }
}
