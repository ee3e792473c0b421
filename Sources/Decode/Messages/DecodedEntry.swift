import ESP
import IKEMessage
import Octets

/// A message or packet that was found in a capture, taken apart.
package struct DecodedEntry: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case ike(DecodedIKE)
        case esp(DecodedESP)
        /// Octets where IKE or ESP was to be expected, but too few for a header; with what is wrong.
        case unreadable(String)
    }

    /// The number of the packet in the capture that completed it.
    package var frame: Int
    package var time: CaptureTime?
    package var carrier: Carrier
    package var source: Place
    package var destination: Place
    /// Octets of the message.
    package var length: Int
    /// Octets that the capture left out.
    package var missing: Int
    package var body: Body
}

/// What became of what is sealed in a message or packet.
package enum Protection: Hashable, Sendable {
    /// Nothing in it is sealed.
    case none
    /// No keys were given for it.
    case sealed
    /// Authentic, and opened with the keys from there.
    case opened(KeyTable.Origin)
    /// Keys were given, but it is not authentic under them.
    case notAuthentic(KeyTable.Origin)
    /// Keys were given that cannot be used here; with the reason.
    case unusable(String)

    /// One word, stable.
    package var name: String {
        switch self {
        case .none: "none"
        case .sealed: "sealed"
        case .opened: "opened"
        case .notAuthentic: "not authentic"
        case .unusable: "unusable keys"
        }
    }
}

package struct DecodedIKE: Hashable, Sendable {
    package var header: IKEHeader
    /// In clear, with the sealed one last.
    package var payloads: [PayloadDescription]
    package var protection: Protection
    /// What was sealed; of fragments, when the last one has come.
    package var inner: [PayloadDescription] = []
    /// How the headers of ``inner`` are written.
    package var format: PayloadFormat = .classic
    /// By how many octets that is shorter than with classic headers.
    package var octetsSaved = 0
    package var fragment: FragmentPosition?
    /// The first frame with the same octets.
    package var repeats: Int?
    package var faults: [String] = []

    package struct FragmentPosition: Hashable, Sendable {
        package var number: Int
        package var total: Int
        /// With this fragment the message is whole.
        package var completes = false
    }

    /// Another major version: named, and not looked into.
    package var isOtherVersion: Bool { header.majorVersion != 2 }
}

package struct DecodedESP: Hashable, Sendable {
    package var spi: UInt32
    package var sequence: UInt32
    /// The whole number, where packets turned out to carry one with a subspace (draft-ponchon-ipsecme-anti-replay-subspaces).
    package var divided: SubspaceNumber?
    package var protection: Protection
    /// The inner packet, in one line.
    package var inner: String?
    package var innerLength: Int?
    package var nextHeader: UInt8?
    package var faults: [String] = []
}
