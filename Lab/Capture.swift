import Foundation
import IPPacket
import Synchronization

/// What a capture proves: how many frames of each class there were.
package struct CaptureSummary: Sendable {
    package let file: String
    package internal(set) var frames: [FrameClass: Int] = [:]
    package internal(set) var octets: [FrameClass: Int] = [:]
    /// The SPIs of the ESP packets, of both directions.
    package internal(set) var espSPIs: Set<UInt32> = []
    /// The initiators' SPIs of the IKE messages: one for each IKE SA.
    package internal(set) var ikeSPIs: Set<UInt64> = []
    /// ESP packets by the address they came from.
    package internal(set) var espSources: [IPAddress: Int] = [:]
    /// Encrypted fragments of IKE messages (RFC 7383) by the address they came from.
    package internal(set) var ikeFragmentSources: [IPAddress: Int] = [:]
    /// Octets of the longest IP packet with IKE in it.
    package internal(set) var longestIKE = 0
    /// Frames the kernel could not keep: with any, the capture proves nothing.
    package internal(set) var missed = 0
    /// The first few frames that should not be there, in hexadecimal.
    package internal(set) var suspects: [String] = []

    package func count(_ kind: FrameClass) -> Int { frames[kind] ?? 0 }
    package var esp: Int { count(.esp) + count(.espInUDP) }

    /// Whether IKE, ESP and what a link needs for itself are all there was.
    package var isOnlyProtected: Bool { missed == 0 && frames.keys.allSatisfy(\.isProtected) }

    package var description: String {
        let counts = FrameClass.allCases.filter { count($0) > 0 }.map { "\(count($0)) \($0)" }
        return counts.joined(separator: ", ") + (missed == 0 ? "" : ", \(missed) missed")
    }
}

/// Records every frame that comes into a namespace, by a packet socket of our own, to a file that Wireshark reads.
package final class Capture: Sendable {
    package let file: String
    private let stopping = Atomic<Bool>(false)
    private struct Ending {
        var missed: Int?
        var waiter: CheckedContinuation<Int, Never>?
    }
    private let ending = Mutex(Ending())

    /// Returns when frames are being recorded.
    package init(in namespace: Namespace, file: String) async throws {
        self.file = file
        let socket = try await namespace.inside { try PacketSocket() }
        do {
            var writer = try PcapWriter(path: file)
            writer.flush()
        } catch {
            close(socket.descriptor)
            throw error
        }
        Thread.detachNewThread { [self] in record(socket) }
    }

    private func record(_ socket: PacketSocket) {
        var missed = 0
        defer {
            close(socket.descriptor)
            let waiter = ending.withLock { ending in
                ending.missed = missed
                return ending.waiter
            }
            waiter?.resume(returning: missed)
        }
        guard var writer = try? PcapWriter(path: file) else { return missed = Int.max }
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        var idle = 0
        // After `stop`, what is already in the socket is still fetched.
        while !stopping.load(ordering: .acquiring) || idle < 2 {
            guard let count = socket.receive(into: &buffer, waiting: 20) else {
                idle += 1
                continue
            }
            idle = 0
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            writer.write(buffer[..<min(count, buffer.count)], originalLength: count, time: now)
        }
        writer.flush()
        missed = socket.dropped()
    }

    /// Ends the recording and sorts what was recorded.
    package func stop(protected: [IPPrefix]) async throws -> CaptureSummary {
        stopping.store(true, ordering: .releasing)
        let missed = await withCheckedContinuation { continuation in
            let missed = ending.withLock { ending in
                if ending.missed == nil { ending.waiter = continuation }
                return ending.missed
            }
            if let missed { continuation.resume(returning: missed) }
        }
        var summary = CaptureSummary(file: file)
        summary.missed = missed
        var classifier = FrameClassifier(protected: protected)
        for frame in try PcapReader.frames(at: file) {
            let kind = classifier.classify(frame.octets)
            summary.frames[kind, default: 0] += 1
            summary.octets[kind, default: 0] += frame.originalLength
            if kind == .ike { summary.longestIKE = max(summary.longestIKE, frame.originalLength - 14) }
            if !kind.isProtected && summary.suspects.count < 5 {
                summary.suspects.append("\(kind): " + frame.octets.prefix(96).map(Self.hexadecimal).joined())
            }
        }
        summary.espSPIs = classifier.espSPIs
        summary.ikeSPIs = classifier.ikeSPIs
        summary.espSources = classifier.espSources
        summary.ikeFragmentSources = classifier.ikeFragmentSources
        return summary
    }

    private static func hexadecimal(_ octet: UInt8) -> String {
        (octet < 16 ? "0" : "") + String(octet, radix: 16)
    }
}
