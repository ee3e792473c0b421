import Glibc
import Octets

/// The directory with what must outlive the daemon.
package struct StateDirectory {
    let path: String

    package init(path: String) { self.path = path }

    /// What a secret is for; the name of its file.
    enum Purpose: String {
        /// Crash detection tokens (RFC 6290): those made before a crash must be known after it.
        case crashDetection = "crash-detection"
        /// Tickets (RFC 5723), which are to be good after a restart.
        case tickets
    }

    private static let secretLength = 32

    /// What tickets are sealed with, and what they were sealed with before.
    package struct TicketSecrets: Sendable {
        package let current: SecretOctets
        package let former: SecretOctets?
    }

    /// The secrets of tickets. One seals for a lifetime of tickets and opens for one more; then it is deleted, so that whoever reads the
    /// directory later opens nothing of what was recorded before.
    ///
    /// - Parameters:
    ///   - lifetime: seconds.
    ///   - now: seconds since 1970.
    package func ticketSecrets(
        lifetime: Int64, at now: Int64
    ) -> Result<TicketSecrets, ReferencedFile.Complaint> {
        let file = file(Purpose.tickets.rawValue), old = self.file("former-\(Purpose.tickets.rawValue)")
        var about = stat()
        if lstat(file, &about) == 0 {
            let age = now - Int64(about.st_mtim.tv_sec)
            // A clock that was set back says nothing: as if it had just ended.
            if age < 0 || age >= lifetime {
                let isOfUse = age < 2 * lifetime
                guard isOfUse ? rename(file, old) == 0 : unlink(file) == 0 else {
                    return .failure(.init(text: "cannot put away \(file): \(ReferencedFile.reason(errno))"))
                }
                if !isOfUse { unlink(old) }
            }
        }
        let former: SecretOctets? =
            if case .success(let secret) = ReferencedFile.readSecret(old), secret.count == Self.secretLength {
                secret
            } else {
                nil
            }
        return secret(for: .tickets).map { TicketSecrets(current: $0, former: former) }
    }

    private func file(_ name: String) -> String { "\(path)/\(name).secret" }

    /// A secret that is drawn unless it is there.
    func secret(for purpose: Purpose) -> Result<SecretOctets, ReferencedFile.Complaint> {
        let file = file(purpose.rawValue)
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

extension GatewayConfiguration {
    /// Seconds for which tickets are good at most, but a minute at least: so often there is another secret for them.
    var ticketSecretLifetime: Int64 {
        let lifetimes = connections.filter(\.configuration.resumption).map {
            $0.configuration.timing.ticketLifetime.components.seconds
        }
        return max(60, lifetimes.max() ?? 3600)
    }
}
