import Credentials
import Glibc
import IKE

/// How the daemon learns whether peers' certificates are revoked.
public struct RevocationSettings: Sendable {
    /// Files with CRLs and OCSP responses, and directories of such.
    public var paths: [String] = []
    /// What they hold.
    public var documents: [StatusDocument] = []
    /// Whether what certificates point to is fetched.
    public var fetches = true
    /// Whether it may be fetched from addresses that are not public.
    public var allowsPrivateAddresses = false
    /// How long a fetch may take.
    public var timeout: Duration = .seconds(5)

    public init() {}

    init(_ mapping: ConfigurationMapping<RevocationKey>?) {
        self.init()
        guard let mapping else { return }
        if let fetch = mapping[.fetch]?.bool() { fetches = fetch }
        if let allowed = mapping[.privateAddresses]?.bool() { allowsPrivateAddresses = allowed }
        // Two in turn must end before a peer that waits for our answer gives up.
        if let time = mapping[.timeout]?.duration(in: .milliseconds(100)...(.seconds(10))) { timeout = time }
        for node in mapping[.files]?.elements ?? [] {
            guard let name = node.text(expected: "the path of a file or directory") else { continue }
            let path = ReferencedFile.path(name, relativeTo: node.document.file)
            paths.append(path)
            let reading = RevocationFiles.read(path)
            documents += reading.documents
            if let error = reading.error { node.error(error) }
            for warning in reading.warnings { node.warning(warning) }
        }
    }
}

/// Files with CRLs, in DER or PEM, and OCSP responses, in DER.
enum RevocationFiles {
    struct Reading {
        var documents: [StatusDocument] = []
        /// The path itself cannot be used.
        var error: String?
        /// Files of a directory that cannot.
        var warnings: [String] = []
    }

    /// Files of one directory that are read at most.
    private static let limit = 256

    /// - Parameter path: a file, or a directory whose files are read but for those that begin with a dot.
    static func read(_ path: String) -> Reading {
        var reading = Reading()
        guard let names = names(in: path) else {
            do throws(ReferencedFile.Complaint) {
                reading.documents = [try document(path)]
            } catch {
                reading.error = error.text
            }
            return reading
        }
        if names.count > limit {
            reading.warnings.append(
                "\(quoted(path, limit: 300)) holds \(names.count) files; the first \(limit) are read")
        }
        for name in names.prefix(limit) {
            do throws(ReferencedFile.Complaint) {
                reading.documents.append(try document("\(path)/\(name)"))
            } catch {
                reading.warnings.append(error.text)
            }
        }
        return reading
    }

    private static func document(_ path: String) throws(ReferencedFile.Complaint) -> StatusDocument {
        let octets = try ReferencedFile.read(path).get()
        do throws(CredentialError) {
            return try StatusDocument(octets)
        } catch {
            throw ReferencedFile.Complaint(
                text: "\(quoted(path, limit: 300)) is neither a CRL nor an OCSP response: \(error.reason)")
        }
    }

    /// The names in a directory, in order; `nil` if it is none.
    private static func names(in path: String) -> [String]? {
        // To ask an entry for its name copies as much as the longest name has, which may be more than is there.
        guard let place = MemoryLayout<dirent>.offset(of: \.d_name), let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = String(cString: (UnsafeRawPointer(entry) + place).assumingMemoryBound(to: CChar.self))
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}

extension Daemon {
    func giveStatusDocuments() {
        let settings = configuration.daemon.revocation
        endpoint.updateStatusDocuments(settings.documents, fetches: settings.fetches)
    }

    /// Lists are replaced from time to time by somebody else, who need not tell. What cannot be read stays as it was.
    func rereadStatusFiles() {
        let paths = configuration.daemon.revocation.paths
        guard !paths.isEmpty else { return }
        var documents: [StatusDocument] = []
        for path in paths {
            let reading = RevocationFiles.read(path)
            for complaint in reading.warnings { warn(complaint) }
            if let error = reading.error { return warn("\(error); what was read before stays in use") }
            documents += reading.documents
        }
        configuration.daemon.revocation.documents = documents
        giveStatusDocuments()
    }
}
