/// Which IKE SA has which child SA, by the SPIs in packets: what the data plane knows a child by.
struct ChildOwners {
    /// Inbound SPIs are ours and occur once; the SPIs that peers chose for what we send may coincide.
    private var owners: [UInt32: UInt64] = [:]
    private var inboundSPIs: [UInt32: [UInt32]] = [:]

    /// Enters a child, or moves it to another IKE SA.
    mutating func insert(_ child: ChildSA, of localSPI: UInt64) {
        if owners.updateValue(localSPI, forKey: child.inboundSPI) == nil {
            inboundSPIs[child.outboundSPI, default: []].append(child.inboundSPI)
        }
    }

    mutating func remove(_ child: ChildSA) {
        guard owners.removeValue(forKey: child.inboundSPI) != nil else { return }
        inboundSPIs[child.outboundSPI]?.removeAll { $0 == child.inboundSPI }
        if inboundSPIs[child.outboundSPI]?.isEmpty ?? false { inboundSPIs[child.outboundSPI] = nil }
    }

    /// Our SPI of the IKE SA whose child receives with `inboundSPI`.
    func owner(ofInbound inboundSPI: UInt32) -> UInt64? { owners[inboundSPI] }

    /// The inbound SPIs of the children that send with `outboundSPI`.
    func children(sendingWith outboundSPI: UInt32) -> [UInt32] { inboundSPIs[outboundSPI] ?? [] }
}
