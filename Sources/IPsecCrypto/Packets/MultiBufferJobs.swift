import CIPsecMB
import COpenSSL
import Octets

/// Keys of jobs of ipsec-mb, wiped when they go.
struct MultiBufferKeys: ~Copyable, Sendable {
    private nonisolated(unsafe) let keys: OpaquePointer

    /// - Parameter codeKey: `nil` for a cipher with a code of its own.
    init(_ kind: cygnet_mb_kind, key: SecretOctets, codeKey: SecretOctets?) throws(CryptoError) {
        let keys = key.withUnsafeBytes { key in
            (codeKey ?? SecretOctets([])).withUnsafeBytes { codeKey in
                cygnet_mb_keys_make(
                    kind, key.bindMemory(to: UInt8.self).baseAddress, key.count,
                    codeKey.bindMemory(to: UInt8.self).baseAddress, codeKey.count)
            }
        }
        guard let keys else { throw CryptoError(.libraryFailure, "ipsec-mb gives no such cipher") }
        self.keys = keys
    }

    deinit { cygnet_mb_keys_free(keys) }

    @inline(__always)
    func run(_ thread: borrowing MultiBufferThread, count: Int) {
        cygnet_mb_run(keys, thread.state, UInt32(truncatingIfNeeded: count))
    }
}

/// The jobs of the calling thread, with scratch memory for each.
struct MultiBufferThread: ~Copyable {
    /// Jobs at once.
    static let capacity = Int(CYGNET_MB_JOBS)

    let state: UnsafePointer<cygnet_mb_thread>
    let jobs: UnsafeMutablePointer<cygnet_mb_job>
    private let scratch: UnsafeMutablePointer<UInt8>

    init?() {
        guard let state = cygnet_mb_this_thread(), let jobs = state.pointee.jobs, let scratch = state.pointee.scratch
        else { return nil }
        self.state = state
        self.jobs = jobs
        self.scratch = scratch
    }

    // The scratch memory of a job.
    static let nonce = 0
    static let associatedData = 16
    static let computedTag = 32
    static let receivedTag = 96

    @inline(__always)
    func scratch(_ job: Int) -> UnsafeMutablePointer<UInt8> { scratch + job * Int(CYGNET_MB_JOB_SCRATCH) }
}

extension UnsafeMutableBufferPointer<CipherPacket> {
    /// Calls `body` with parts that a thread has enough jobs for. A thread without memory for jobs fails all packets.
    @inline(__always)
    func inParts(_ body: (borrowing MultiBufferThread, UnsafeMutableBufferPointer<CipherPacket>) -> Void) {
        guard let thread = MultiBufferThread() else {
            for index in indices { self[index].isGood = false }
            return
        }
        var start = 0
        while start < count {
            let end = Swift.min(start + MultiBufferThread.capacity, count)
            body(thread, UnsafeMutableBufferPointer(rebasing: self[start..<end]))
            start = end
        }
    }
}

extension IntegrityAlgorithm {
    /// Packets from which on jobs are faster than libcrypto, as measured at 64 and 1400 octets: a job alone takes as long as all
    /// that could be done beside it, and libcrypto uses the processor's instructions for SHA-1 and SHA-256.
    var fewestJobs: Int {
        switch self {
        case .hmacSHA1_96: 4
        case .hmacSHA2_256_128: 6
        case .hmacSHA2_384_192, .hmacSHA2_512_256, .aesXCBC_96, .aesCMAC_96: 2
        }
    }
}

extension ESPLayout {
    /// ipsec-mb counts the octets of most jobs with 16 bits. An IPv4 packet holds no more than this.
    private static let maximumCount = 0xffff - 20

    /// What `count` octets leave beside `overhead` for a job to encrypt; `nil` if they cannot be a packet.
    @inline(__always)
    static func jobLength(_ count: Int, without overhead: Int) -> Int? {
        guard count > overhead, count <= maximumCount else { return nil }
        return count - overhead
    }
}
