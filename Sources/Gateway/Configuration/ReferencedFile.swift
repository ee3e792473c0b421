import Foundation
import Octets

/// A file the configuration refers to: its owner, mode and content looked at through one descriptor, so that what was
/// checked is what is read.
package enum ReferencedFile {
    package struct Complaint: Error { package let text: String }

    /// Larger files are refused: nothing the configuration refers to comes near this.
    private static let sizeLimit = 4 << 20

    /// Path of a file named in the file `base`; relative names are relative to that file's directory.
    static func path(_ name: String, relativeTo base: String) -> String {
        guard !name.hasPrefix("/"), let slash = base.lastIndex(of: "/") else { return name }
        return base[...slash] + name
    }

    /// Reads a public file, such as a certificate.
    static func read(_ path: String) -> Result<[UInt8], Complaint> { open(path, secret: false) }

    /// Reads a file that no one but its owner may read: a pre-shared key or a private key.
    static func readSecret(_ path: String) -> Result<SecretOctets, Complaint> {
        open(path, secret: true).map { SecretOctets($0) }
    }

    private static func open(_ path: String, secret: Bool) -> Result<[UInt8], Complaint> {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            return .failure(Complaint(text: "cannot read \(quoted(path, limit: 300)): \(reason(errno))"))
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return .failure(Complaint(text: "\(quoted(path, limit: 300)) is not a file"))
        }
        if secret {
            if let complaint = permissionComplaint(path, status) { return .failure(complaint) }
        }
        guard status.st_size <= sizeLimit else {
            return .failure(Complaint(text: "\(quoted(path, limit: 300)) is larger than 4 MiB"))
        }
        var content = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < content.count {
            let count = content.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + filled }, $0.count - filled, filled)
            }
            guard count > 0 else { break }
            filled += count
        }
        return .success(Array(content.prefix(filled)))
    }

    private static func permissionComplaint(_ path: String, _ status: stat) -> Complaint? {
        let mode = status.st_mode & 0o777
        if mode & 0o077 != 0 {
            let who =
                mode & 0o007 != 0 ? "others than its owner" : mode & 0o040 != 0 ? "its group" : "others than its owner"
            return Complaint(
                text:
                    "\(quoted(path, limit: 300)) can be used by \(who) (mode 0\(String(mode, radix: 8))); expected 0600: run `chmod 600 \(path)`"
            )
        }
        if status.st_uid != geteuid(), status.st_uid != 0 {
            return Complaint(
                text: "\(quoted(path, limit: 300)) belongs to user \(status.st_uid); expected user \(geteuid()) or root"
            )
        }
        return nil
    }

    static func reason(_ number: Int32) -> String {
        switch number {
        case ENOENT: "there is no such file"
        case EACCES: "permission denied"
        case EISDIR: "it is a directory"
        default: String(cString: strerror(number)).lowercased()
        }
    }
}
