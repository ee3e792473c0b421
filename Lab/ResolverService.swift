import Foundation

/// A D-Bus of its own on which something stands in for systemd-resolved: it checks calls as that does, as far as types go, and
/// writes them down.
package final class ResolverService: Sendable {
    /// What a daemon needs to know of the bus.
    package var environment: [String: String] { ["DBUS_SYSTEM_BUS_ADDRESS": address] }

    private let address: String
    private let callFile: String
    private let service: ChildProcess

    /// Returns when calls are answered.
    package init(in namespace: Namespace, _ laboratory: Laboratory) async throws {
        let directory = try laboratory.makeDirectory("bus")
        address = "unix:path=\(directory)/socket"
        callFile = "\(directory)/calls"
        let configuration = "\(directory)/bus.conf"
        try Self.configuration(address).write(toFile: configuration, atomically: false, encoding: .utf8)
        let script = "\(directory)/resolved.py"
        try Self.script.write(toFile: script, atomically: false, encoding: .utf8)
        _ = try laboratory.start(
            ["dbus-daemon", "--nofork", "--config-file=\(configuration)"], in: namespace, logFile: "\(directory)/log")
        try await Self.wait(for: "the bus") { access("\(directory)/socket", F_OK) == 0 }
        service = try laboratory.start(
            ["/usr/bin/python3", script, callFile], in: namespace,
            environment: Command.environment.merging(["DBUS_SYSTEM_BUS_ADDRESS": address]) { $1 },
            logFile: "\(directory)/log")
        let file = callFile
        do {
            try await Self.wait(for: "the service") { access(file, F_OK) == 0 }
        } catch {
            throw LabError("\(error): \((try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? "")")
        }
    }

    private static func wait(for what: String, _ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < end else { throw LabError("\(what) does not come up") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Calls so far, one for each line: method, then arguments.
    package var calls: [String] {
        ((try? String(contentsOfFile: callFile, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }

    /// Ends the service; the bus stays.
    package func stop() async { await service.terminate(patience: .seconds(5)) }

    private static func configuration(_ address: String) -> String {
        """
        <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
         "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
        <busconfig>
          <type>system</type>
          <listen>\(address)</listen>
          <auth>EXTERNAL</auth>
          <policy context="default">
            <allow user="*"/>
            <allow own="*"/>
            <allow send_destination="*"/>
            <allow receive_sender="*"/>
          </policy>
        </busconfig>

        """
    }

    private static let script = """
        import ipaddress, sys
        import dbus, dbus.service
        from dbus.mainloop.glib import DBusGMainLoop
        from gi.repository import GLib

        NAME = "org.freedesktop.resolve1"
        MANAGER = NAME + ".Manager"

        class Manager(dbus.service.Object):
            def note(self, *words):
                with open(sys.argv[1], "a") as file:
                    file.write(" ".join(str(word) for word in words) + "\\n")

            @dbus.service.method(MANAGER, in_signature="ia(iayqs)")
            def SetLinkDNSEx(self, link, servers):
                texts = []
                for family, octets, port, name in servers:
                    address = ipaddress.ip_address(bytes(octets))
                    if (family == 2) != (address.version == 4):
                        raise dbus.DBusException("family", name=NAME + ".Wrong")
                    texts.append(f"{address}|{port}|{name}")
                self.note("SetLinkDNSEx", link > 0, *texts)

            @dbus.service.method(MANAGER, in_signature="ia(sb)")
            def SetLinkDomains(self, link, domains):
                self.note("SetLinkDomains", link > 0, *(f"{name}|{bool(only)}" for name, only in domains))

            @dbus.service.method(MANAGER, in_signature="ib")
            def SetLinkDefaultRoute(self, link, on):
                self.note("SetLinkDefaultRoute", link > 0, bool(on))

            @dbus.service.method(MANAGER, in_signature="is")
            def SetLinkDNSOverTLS(self, link, mode):
                self.note("SetLinkDNSOverTLS", link > 0, mode)

            @dbus.service.method(MANAGER, in_signature="i")
            def RevertLink(self, link):
                self.note("RevertLink", link > 0)

            @dbus.service.method(MANAGER)
            def FlushCaches(self):
                self.note("FlushCaches")

        DBusGMainLoop(set_as_default=True)
        bus = dbus.SystemBus()
        name = dbus.service.BusName(NAME, bus)
        Manager(bus, "/org/freedesktop/resolve1")
        open(sys.argv[1], "a").close()
        GLib.MainLoop().run()

        """
}
