import Dataplane
import IPPacket
import Logging

// This host's own addresses and routes, which change when it is carried about or has several links.
extension Daemon {
    /// Changes come in swarms, so that some more are waited for.
    private static let settling: Duration = .milliseconds(100)
    /// A router whose routes change all the time is not looked at more often.
    private static let rest: Duration = .milliseconds(400)

    /// Lets the endpoint know of changes as long as the daemon runs.
    func followAddresses() async {
        let monitor: AddressMonitor
        do throws(DataplaneError) {
            monitor = try AddressMonitor()
        } catch {
            return warn("\(error.reason): tunnels do not follow when they change")
        }
        for await _ in monitor.changes {
            do {
                try await Task.sleep(for: Self.settling)
                takeAddresses()
                drain()
                try await Task.sleep(for: Self.rest)
            } catch { return }
        }
    }

    /// Tells the endpoint what addresses there are.
    func takeAddresses() {
        do throws(DataplaneError) {
            endpoint.updateOwnAddresses(
                try AddressMonitor.addresses(without: configuration.daemon.device), at: clock.now)
        } catch {
            warn(error.reason)
        }
    }
}
