import Glibc
import Octets

/// The directory with what must outlive the daemon.
struct StateDirectory {
    let path: String

    /// What a secret is for; the name of its file.
    enum Purpose: String {
        /// Crash detection tokens (RFC 6290): those made before a crash must be known after it.
        case crashDetection = "crash-detection"
        /// Tickets (RFC 5723), which are to be good after a restart.
        case tickets
    }

    private static let secretLength = 32

    /// A secret that is drawn once and kept.
    func secret(for purpose: Purpose) -> Result<SecretOctets, ReferencedFile.Complaint> {
        let file = "\(path)/\(purpose.rawValue).secret"
        if case .success(let secret) = ReferencedFile.readSecret(file), secret.count == Self.secretLength {
            return .success(secret)
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            return .failure(.init(text: "cannot make the directory \(path): \(ReferencedFile.reason(errno))"))
        }
        var generator = SystemRandomNumberGenerator()
        let secret = SecretOctets((0..<Self.secretLength).map { _ in UInt8.random(in: 0...255, using: &generator) })
        // Written elsewhere and put in place whole, so that a crash in between leaves no half of it.
        let new = "\(file).new"
        unlink(new)
        let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            return .failure(.init(text: "cannot write \(new): \(ReferencedFile.reason(errno))"))
        }
        defer { close(descriptor) }
        let written = secret.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == secret.count, fsync(descriptor) == 0, rename(new, file) == 0 else {
            return .failure(.init(text: "cannot write \(file): \(ReferencedFile.reason(errno))"))
        }
        return .success(secret)
    }
}
