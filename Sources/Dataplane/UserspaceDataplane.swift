/// A data plane in this process: a TUN device, UDP and raw sockets, and a thread for each direction.
public final class UserspaceDataplane: Sendable {
    public let configuration: Configuration

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }
}
