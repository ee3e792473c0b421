/// Which IKE SA has which child SA, by the SPIs in packets: what the data plane knows a child by.
struct ChildOwners {
    /// By inbound SPI, which is ours and occurs once; the SPIs that peers chose for what we send may coincide.
    private var owners: [UInt32: UInt64] = [:]

    var count: Int { owners.count }

    /// Enters a child, or moves it to another IKE SA.
    mutating func insert(_ child: ChildSA, of localSPI: UInt64) { owners[child.inboundSPI] = localSPI }

    mutating func remove(_ child: ChildSA) { owners[child.inboundSPI] = nil }

    /// Our SPI of the IKE SA whose child receives with `inboundSPI`.
    func owner(ofInbound inboundSPI: UInt32) -> UInt64? { owners[inboundSPI] }
}
