import DequeModule
import IKE

/// Runs the endpoint's computations, not more at once than there are processors to spare.
actor JobPool {
    private var waiting: Deque<Job> = []
    private var running = 0
    private let limit: Int
    private let deliver: @Sendable (Job.ID, JobResult) async -> Void

    /// - Parameter deliver: where results go.
    init(limit: Int, deliver: @escaping @Sendable (Job.ID, JobResult) async -> Void) {
        self.limit = limit
        self.deliver = deliver
    }

    func submit(_ job: Job) {
        waiting.append(job)
        startWaiting()
    }

    private func startWaiting() {
        while running < limit, let job = waiting.popFirst() {
            running += 1
            Task.detached { [deliver] in
                let result = await job.run()
                await deliver(job.id, result)
                await self.finished()
            }
        }
    }

    private func finished() {
        running -= 1
        startWaiting()
    }
}
