import Lab
import Testing

extension Interoperability {
    @Suite("Cygnet and strongSwan", .serialized)
    struct Matrix {
        @Test("agree on keys and carry packets", .timeLimit(.minutes(1)), arguments: MatrixRow.all)
        func row(_ row: MatrixRow) async throws {
            // Whatever throws below, the row stands in the table.
            var entry = MatrixRecord.Entry()
            let outcome: Result<MatrixRecord.Entry, any Error>
            do {
                outcome = .success(try await meet(row))
            } catch {
                outcome = .failure(error)
            }
            if case .success(let met) = outcome { entry = met }
            MatrixRecord.shared.note(row, entry)
            _ = try outcome.get()
            #expect(entry.passed)
        }

        private func meet(_ row: MatrixRow) async throws -> MatrixRecord.Entry {
            let plan = row.plan
            let found = Box(MatrixRecord.Entry())
            try await Encounter.run(plan, cygnetAt: row.role == .initiator ? .left : .right) { encounter in
                var entry = MatrixRecord.Entry()
                try await encounter.initiate()
                let ping = try await encounter.ping()
                #expect(ping.lost == 0)

                let theirs = try #require(try await encounter.strongSwan.securityAssociations().first)
                let theirChild = try #require(theirs.children.first)
                #expect(theirs.state == "ESTABLISHED")
                #expect(theirs.keyExchange == plan.keyExchange.strongSwanReport)
                #expect(theirs.protection == plan.encryption.strongSwanReport)
                #expect(theirChild.protection == plan.encryption.strongSwanReport)
                entry.strongSwan = "\(theirChild.protection) \(theirs.keyExchange)"

                let ours = try #require(try await encounter.cygnet.status().connection)
                let ourIKESA = try #require(ours.securityAssociations.first)
                let ourChildSA = try #require(ours.children.first?.securityAssociations.first)
                let ikeSuite = try #require(ourIKESA.suite)
                #expect(ours.isUp)
                #expect(ourIKESA.isInitiator == (row.role == .initiator))
                #expect(plan.encryption.isNamed(in: ikeSuite), "\(ikeSuite)")
                #expect(plan.keyExchange.isNamed(in: ikeSuite), "\(ikeSuite)")
                #expect(plan.encryption.isNamed(in: ourChildSA.suite), "\(ourChildSA.suite)")
                entry.cygnet = "\(ourChildSA.suite), \(ikeSuite)"

                #expect(ourChildSA.packetsIn >= 10 && ourChildSA.packetsOut >= 10)
                #expect(theirChild.packetsIn >= 10 && theirChild.packetsOut >= 10)
                #expect(ourChildSA.drops.values.allSatisfy { $0 == 0 }, "\(ourChildSA.drops)")
                entry.packets =
                    "\(ourChildSA.packetsIn) in \(ourChildSA.packetsOut) out / \(theirChild.packetsIn) in \(theirChild.packetsOut) out"

                let summary = try await encounter.capture.stop(protected: TunnelPlan.protectedNetworks)
                #expect(summary.isOnlyProtected, "\(summary.description) \(summary.suspects)")
                #expect(summary.count(.ike) >= 4 && summary.esp >= 20, "\(summary.description)")

                entry.passed =
                    ping.lost == 0 && ours.isUp && summary.isOnlyProtected
                    && theirChild.protection == plan.encryption.strongSwanReport
                    && plan.encryption.isNamed(in: ourChildSA.suite) && plan.keyExchange.isNamed(in: ikeSuite)
                    && min(ourChildSA.packetsIn, ourChildSA.packetsOut, theirChild.packetsIn, theirChild.packetsOut)
                        >= 10
                found.set(entry)
            }
            return found.get()
        }
    }
}
