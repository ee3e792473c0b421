import IKE

/// Results of jobs whose libraries draw randomness of their own, kept so that a second run of a seed has the same.
public final class JobRecording {
    private var results: [Int: JobResult] = [:]

    public init() {}

    func result(of number: Int, _ compute: () async -> JobResult) async -> JobResult {
        if let known = results[number] { return known }
        let result = await compute()
        results[number] = result
        return result
    }
}
