import ESP
import IPsecCrypto
import IPsecPolicy

/// What one worker has of an association.
///
/// Without subspaces an association has one part, which belongs to the worker that its inbound SPI tells, its owner. With sequence number
/// subspaces (draft-ponchon-ipsecme-anti-replay-subspaces) each worker has a part, counted from the owner on, as far as there are
/// subspaces: the k-th sends in subspace k, and receives those whose IDs leave k.
struct AssociationPart<Entry: ~Copyable> {
    let worker: Int
    let entry: UnsafeMutablePointer<Entry>
}

extension AssociationPart where Entry == InboundEntry {
    /// - Parameters:
    ///   - owner: the worker of the inbound SPI.
    ///   - workers: how many there are.
    static func make(
        _ sa: SAParameters, policy: UInt32, owner: Int, workers: Int, provider: CipherProvider?
    ) throws(DataplaneError) -> [AssociationPart] {
        guard let subspaces = sa.subspaces else {
            let only: InboundSA
            do { only = try InboundSA(sa, provider: provider) } catch { throw invalid("inbound", sa, error) }
            return [AssociationPart(owner, InboundEntry(only, sa, policy: policy, parts: 1))]
        }
        let count = min(workers, subspaces)
        var parts: [AssociationPart] = []
        do {
            var receivers = try SubspaceReceivers(sa, parts: count)
            for index in 0..<count {
                let entry = InboundEntry(
                    try receivers.make(provider: provider), sa, policy: policy, parts: count)
                parts.append(AssociationPart((owner + index) % workers, entry))
            }
        } catch {
            for part in parts { release(part.entry) }
            throw invalid("inbound", sa, error)
        }
        return parts
    }
}

extension AssociationPart where Entry == OutboundEntry {
    /// - Parameters:
    ///   - pair: our SPI of the pair.
    ///   - owner: the worker of that.
    ///   - socket: by which a worker sends.
    static func make(
        _ sa: SAParameters, pair: UInt32, policy: UInt32, owner: Int, workers: Int, outerMTU: Int,
        provider: CipherProvider?, socket: (Int) throws(DataplaneError) -> Int32
    ) throws(DataplaneError) -> [AssociationPart] {
        guard let subspaces = sa.subspaces else {
            let socket = try socket(owner)
            let only: OutboundSA
            do { only = try OutboundSA(sa, provider: provider) } catch { throw invalid("outbound", sa, error) }
            return [
                AssociationPart(
                    owner, OutboundEntry(only, sa, pair: pair, policy: policy, socket: socket, outerMTU: outerMTU))
            ]
        }
        var parts: [AssociationPart] = []
        do {
            var senders = try SubspaceSenders(sa)
            for index in 0..<min(workers, subspaces) {
                let worker = (owner + index) % workers
                let entry = OutboundEntry(
                    try senders.make(provider: provider), sa, pair: pair, policy: policy, socket: try socket(worker),
                    outerMTU: outerMTU)
                parts.append(AssociationPart(worker, entry))
            }
        } catch {
            for part in parts { release(part.entry) }
            throw (error as? DataplaneError) ?? invalid("outbound", sa, error)
        }
        return parts
    }
}

extension AssociationPart where Entry: ~Copyable {
    fileprivate init(_ worker: Int, _ entry: consuming Entry) {
        self.worker = worker
        self.entry = .allocate(capacity: 1)
        self.entry.initialize(to: entry)
    }
}

private func invalid(_ direction: String, _ sa: SAParameters, _ error: any Error) -> DataplaneError {
    DataplaneError(.invalid, "\(direction) SPI \(sa.spi.spiText): \(error)")
}

/// Frees what nobody uses any more.
func release<Entry: ~Copyable>(_ entry: UnsafeMutablePointer<Entry>) {
    entry.deinitialize(count: 1)
    entry.deallocate()
}

extension SACountersReport {
    /// Reports of the parts of an association as one, in the place of the first.
    static func joined(_ reports: [SACountersReport]) -> [SACountersReport] {
        struct Key: Hashable {
            let spi: UInt32
            let direction: TrafficDirection
        }
        var joined: [SACountersReport] = []
        var places: [Key: Int] = [:]
        for report in reports {
            guard let index = places[Key(spi: report.inboundSPI, direction: report.direction)] else {
                places[Key(spi: report.inboundSPI, direction: report.direction)] = joined.count
                joined.append(report)
                continue
            }
            joined[index].counters += report.counters
            joined[index].subspaces = (joined[index].subspaces + report.subspaces).sorted { $0.id < $1.id }
        }
        return joined
    }
}
