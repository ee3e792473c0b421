import Dataplane
import IKE
import IPPacket

/// Lets the endpoint's admission control decide about first messages on the thread that receives them.
struct AdmissionScreen: DatagramScreen {
    let admission: AdmissionControl
    let clock: GatewayClock

    func screen(_ message: inout [UInt8], from remote: SocketAddress) -> DatagramVerdict {
        switch admission.screen(&message, from: remote, at: clock.now) {
        case .known: .pass(.known)
        case .admitted: .pass(.admitted)
        case .unchecked: .pass(.unchecked)
        case .answered: .answer
        case .refused: .drop
        }
    }
}
