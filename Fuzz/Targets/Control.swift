import Foundation
import Gateway

extension FuzzTarget {
    /// Requests on the control socket.
    static let control = FuzzTarget(
        name: "control", longest: 512,
        seeds: {
            [
                #"{"command":"status"}"#, #"{"command":"up","connection":"site","child":"net","seconds":2.5}"#,
                #"{"command":"log","level":"debug"}"#,
            ].map { Array($0.utf8) }
        }
    ) { octets in
        guard let request = try? JSONDecoder().decode(ControlRequest.self, from: Data(octets)) else { return }
        let again = try JSONDecoder().decode(ControlRequest.self, from: try JSONEncoder().encode(request))
        try expect(again == request, "written and read again it is another request")
    }
}
