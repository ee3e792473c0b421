import IPsecCrypto

/// Makes the parts of an association that send, each in a subspace of its own.
///
/// All have one key, so that no two packets may have the same number. That rests on IDs being given out once: whoever sends has an
/// ``OutboundSA``, which nobody can copy, and the maker, which cannot be copied either, makes no second one with the same ID.
public struct SubspaceSenders: ~Copyable, Sendable {
    private let parameters: SAParameters
    private let count: Int
    private let counter: UInt64
    private let usage: SharedUsage
    private var next = 0

    /// - Parameters:
    ///   - parameters: with ``SAParameters/subspaces``.
    ///   - counter: the last number already used in each subspace, for an association that is taken over.
    public init(_ parameters: SAParameters, counter: UInt64 = 0) throws(CryptoError) {
        count = try parameters.checkedSubspaces()
        self.parameters = parameters
        self.counter = min(counter, SubspaceNumber.maximumCounter)
        usage = SharedUsage(parameters.lifetime)
    }

    /// The sender of the next subspace.
    ///
    /// - Throws: if keys and algorithms do not fit together, the SPI is below 256, or no ID is left.
    public mutating func make(provider: CipherProvider? = nil) throws(CryptoError) -> OutboundSA {
        guard next < count else {
            throw CryptoError(.unsupportedAlgorithm, "all \(count) sequence number subspaces have their senders")
        }
        let id = UInt16(truncatingIfNeeded: next)
        next += 1
        return try OutboundSA(
            parameters, numbering: Numbering(subspace: id, counter: counter), usage: UsageMeter(usage),
            provider: provider)
    }
}

/// Makes the parts of an association that receive, which share its subspaces: one part has those whose ID, divided by the number of
/// parts, leaves its own. So each window has one owner, and needs no lock.
public struct SubspaceReceivers: ~Copyable, Sendable {
    private let parameters: SAParameters
    private let count: Int
    private let parts: Int
    private let usage: SharedUsage
    private var next = 0

    /// - Parameters:
    ///   - parameters: with ``SAParameters/subspaces``.
    ///   - parts: how many; as many as there are subspaces at most.
    public init(_ parameters: SAParameters, parts: Int) throws(CryptoError) {
        count = try parameters.checkedSubspaces()
        self.parameters = parameters
        self.parts = min(max(parts, 1), count)
        usage = SharedUsage(parameters.lifetime)
    }

    /// The next part, which has the IDs that leave 0, then 1 and so on.
    ///
    /// - Throws: if keys and algorithms do not fit together, the SPI is below 256, or all parts are made.
    public mutating func make(provider: CipherProvider? = nil) throws(CryptoError) -> InboundSA {
        guard next < parts else {
            throw CryptoError(.unsupportedAlgorithm, "all \(parts) parts of the receiver are made")
        }
        let part = next
        next += 1
        return try InboundSA(
            parameters,
            subspaces: SubspaceWindows(count: count, part: part, of: parts, windowSize: parameters.replayWindow),
            usage: UsageMeter(usage), provider: provider)
    }
}

/// The numbers that a sender gives.
struct Numbering: Sendable {
    /// The last one used.
    var last: UInt64
    let end: UInt64
    /// Where a new association is asked for.
    let soft: UInt64
    let isExtended: Bool
    let subspace: UInt16?

    /// Those of RFC 4303.
    init(isExtended: Bool, last: UInt64) {
        self.last = last
        self.isExtended = isExtended
        end = isExtended ? .max : UInt64(UInt32.max)
        soft = isExtended ? OutboundSA.softExtendedSequence : OutboundSA.softSequence
        subspace = nil
    }

    /// Those of a subspace: whole numbers with the ID in front.
    init(subspace: UInt16, counter: UInt64) {
        last = SubspaceNumber(subspace: subspace, counter: counter).rawValue
        end = SubspaceNumber(subspace: subspace, counter: SubspaceNumber.maximumCounter).rawValue
        soft = SubspaceNumber(subspace: subspace, counter: SubspaceNumber.softCounter).rawValue
        isExtended = true
        self.subspace = subspace
    }
}

extension SAParameters {
    /// How many subspaces there are.
    func checkedSubspaces() throws(CryptoError) -> Int {
        guard let subspaces, (1...1 << 16).contains(subspaces), extendedSequenceNumbers else {
            throw CryptoError(
                .unsupportedAlgorithm, "subspaces, 1 to 65536, divide extended sequence numbers and no others")
        }
        return subspaces
    }

    /// That there are none: their parts have makers of their own.
    func checkNoSubspaces() throws(CryptoError) {
        guard subspaces == nil else {
            throw CryptoError(.unsupportedAlgorithm, "an association with subspaces is made in parts")
        }
    }
}
