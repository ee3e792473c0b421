import Dataplane
import ESP
import IKE
import Octets

extension Daemon {
    /// Everything there is to see at this moment.
    func status() async -> GatewayStatus {
        // By the pair's SPI of ours.
        let counters = Dictionary(grouping: await dataplane.counters(), by: \.inboundSPI)
        let statistics = await dataplane.statistics()
        let now = clock.now
        var status = GatewayStatus(
            version: GatewayVersion.current, uptime: seconds(now - startedAt), configuration: options.configurationPath,
            logLevel: threshold.level.rawValue)
        status.savesKeysTo = keyLog?.directory
        status.warnings = warnings
        status.dataplane = report(statistics)
        status.dataplane.readAt = UInt64((now - startedAt).wholeNanoseconds / 1_000_000)
        let ignored = endpoint.messageCounters
        for reason in MessageCounters.Reason.allCases where ignored[reason] > 0 {
            status.ignoredMessages[reason.rawValue] = ignored[reason]
        }
        let states = Dictionary(endpoint.status().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        status.connections = configuration.connections.compactMap { connection in
            states[connection.name].map { report(connection, $0, counters, now) }
        }
        return status
    }

    private func report(_ statistics: DataplaneStatistics) -> TrafficReport {
        var report = TrafficReport()
        for pair in statistics.workers {
            report.packetsIn += pair.inbound.packetsOut
            report.packetsOut += pair.outbound.packetsOut
        }
        report.drops = statistics.drops
        report.eventsDropped = statistics.eventsDropped
        let workers = statistics.workers.enumerated().flatMap { index, pair in
            let number = statistics.workers.count > 1 ? " \(index)" : ""
            return [("in\(number)", pair.inbound), ("out\(number)", pair.outbound)]
        }
        report.workers = workers.map { name, worker in
            WorkerReport(
                name: name, reads: worker.reads, writes: worker.writes, packetsIn: worker.packetsIn,
                packetsOut: worker.packetsOut, octetsIn: worker.octetsIn, octetsOut: worker.octetsOut,
                handedOver: worker.handedOver,
                processorTime: UInt64(clamping: worker.processorTime / 1000))
        }
        report.queues = statistics.queues.map { QueueReport(name: $0.name, waiting: $0.waiting, dropped: $0.dropped) }
        report.offloads = statistics.offloads.map {
            OffloadStateReport(name: $0.name, isOn: $0.isOn, detail: $0.detail)
        }
        report.streams = StreamsReport(statistics.streams)
        report.ciphers = statistics.cipherProviders.map(\.rawValue)
        return report
    }

    private func report(
        _ connection: GatewayConnection, _ state: ConnectionStatus, _ counters: [UInt32: [SACountersReport]],
        _ now: Instant
    ) -> ConnectionReport {
        let configured = connection.configuration
        let children = configured.children.map { child in
            let live = state.children.filter { $0.name == child.name }
            return ChildReport(
                name: child.name, isWanted: (child.start ?? configured.start) == .boot, isUp: !live.isEmpty,
                isTakenDown: state.isHeldDown || state.heldDownChildren.contains(child.name),
                localSelectors: child.localSelectors.map(\.description),
                remoteSelectors: child.remoteSelectors.map(\.description),
                securityLabels: child.securityLabels.map(\.description), dscp: child.classes?.values.values,
                securityAssociations: live.map { report($0, of: connection.name, counters, now) })
        }
        return ConnectionReport(
            name: connection.name, isWanted: configured.start == .boot || children.contains(where: \.isWanted),
            isUp: children.contains(where: \.isUp)
                && children.allSatisfy { $0.isUp || !$0.isWanted },
            state: state.state.rawValue, reason: state.reason, since: seconds(now - state.since),
            nextAttemptIn: state.nextAttempt.map { max(0, seconds($0 - now)) },
            lastError: state.refusal?.description, isTakenDown: state.isHeldDown,
            localIdentity: configured.localIdentity.description,
            remoteIdentity: configured.wantedPeer,
            remoteHosts: connection.hosts.map(\.description),
            securityAssociations: state.ikeSAs.map { report($0, of: connection.name, now) }, children: children,
            resolvers: resolverReport(of: connection.name))
    }

    private func report(_ sa: IKESAStatus, of connection: String, _ now: Instant) -> IKESAReport {
        IKESAReport(
            initiatorSPI: hexadecimal(sa.isInitiator ? sa.localSPI : sa.remoteSPI),
            responderSPI: hexadecimal(sa.isInitiator ? sa.remoteSPI : sa.localSPI), isInitiator: sa.isInitiator,
            local: sa.local, remote: sa.remote, localIdentity: sa.localIdentity, remoteIdentity: sa.remoteIdentity,
            suite: sa.suite.description, isBehindNAT: sa.isBehindNAT, isPeerBehindNAT: sa.isPeerBehindNAT,
            transport: transport(of: sa, connection),
            downgradePrevention: sa.preventsDowngrade ? true : nil,
            optimizedRekey: sa.optimizedRekey ? true : nil, mtuNotification: sa.notifiesLinkMTU ? true : nil,
            outerLimit: sa.outerLimit, extendedPayloads: sa.extendedPayloads, age: seconds(now - sa.establishedAt),
            rekeyIn: sa.rekeyAt.map { max(0, seconds($0 - now)) },
            instance: sa.instance.map { InstanceName(connection, $0).description },
            assignedToUs: sa.assignedToUs.map(report), assignedToPeer: sa.assignedToPeer.map(report))
    }

    private func transport(of sa: IKESAStatus, _ name: String) -> String {
        guard sa.isOverTCP, let port = sa.streamPort else { return "udp" }
        let secured =
            sa.isStreamOurs
            ? configuration.connections.first { $0.name == name }?.configuration.tcp.tls?.ports
            : configuration.daemon.tls?.ports
        return secured?.contains(port) == true ? "tls" : "tcp"
    }

    private func report(_ assigned: AssignedConfiguration) -> AssignmentReport {
        AssignmentReport(
            addresses: assigned.addresses.map(\.description), dnsServers: assigned.dnsServers.map(\.description),
            domains: assigned.domains.map(\.name), subnets: assigned.subnets.map(\.description),
            encryptedResolvers: assigned.encryptedResolvers.map { resolver in
                EncryptedResolverReport(
                    priority: Int(resolver.priority), name: resolver.name,
                    addresses: resolver.addresses.map(\.description), parameters: resolver.parameters.description,
                    digests: resolver.digests.map(\.description))
            })
    }

    /// The addresses of all pools that peers have, or had last.
    func leases() -> [LeaseReport] {
        let now = clock.now
        return endpoint.leases().map {
            LeaseReport(
                pool: $0.pool, address: $0.address.description, identity: $0.identity,
                state: $0.isOnline ? "online" : "offline", since: seconds(now - $0.since))
        }
    }

    private func report(
        _ child: ChildSAStatus, of connection: String, _ counters: [UInt32: [SACountersReport]], _ now: Instant
    ) -> ChildSAReport {
        var report = ChildSAReport(
            inboundSPI: hex(child.inboundSPI), outboundSPI: hex(child.outboundSPI), state: child.state,
            suite: child.suite.description,
            encapsulation: child.isInTCP ? "tcp" : child.isEncapsulatedInUDP ? "udp" : "esp",
            mode: child.mode.name, localSelectors: child.localSelectors, remoteSelectors: child.remoteSelectors,
            securityLabel: child.securityLabel?.description, dscp: child.dscp?.values,
            dscpSent: child.sentDSCP?.values, dscpOfPeer: child.peerDSCP?.values, distinctions: child.distinctions,
            age: seconds(now - child.establishedAt), rekeyIn: child.rekeyAt.map { max(0, seconds($0 - now)) },
            instance: child.instance.map { InstanceName(connection, $0).description })
        report.subspaces = child.subspaces.map { SubspacesReport(countIn: $0.inbound, countOut: $0.outbound) }
        report.resource = child.place.map { place in
            ResourceReport(
                group: place.group, worker: child.worker, isFallback: place.isFallback,
                identifier: place.identifier.isEmpty ? nil : place.identifier.hexadecimal,
                identifierOfPeer: place.peerIdentifier.isEmpty ? nil : place.peerIdentifier.hexadecimal)
        }
        for entry in counters[child.inboundSPI] ?? [] {
            switch entry.direction {
            case .inbound:
                report.packetsIn = entry.counters.packets
                report.octetsIn = entry.counters.octets
                report.subspaces?.received = entry.subspaces.map(SubspacesReport.Use.init)
            case .outbound:
                report.packetsOut = entry.counters.packets
                report.octetsOut = entry.counters.octets
                report.subspaces?.sent = entry.subspaces.map(SubspacesReport.Use.init)
            }
            for (reason, packets) in entry.counters.allDrops { report.drops[reason.description, default: 0] += packets }
        }
        return report
    }

    private func seconds(_ duration: Duration) -> Int { Int(duration.wholeNanoseconds / 1_000_000_000) }
}

extension SubspacesReport.Use {
    fileprivate init(_ report: SubspaceReport) {
        self.init(id: report.id, packets: report.packets, highest: report.highest, replays: report.replays)
    }
}

extension StreamsReport {
    fileprivate init(_ statistics: DataplaneStatistics.Streams) {
        self.init()
        open = statistics.open
        accepted = statistics.accepted
        opened = statistics.opened
        refused = statistics.refused
        expired = statistics.expired
        malformed = statistics.malformed
        secured = statistics.secured
        resumed = statistics.resumed
        unsecured = statistics.unsecured
        packetsIn = statistics.packetsIn
        packetsOut = statistics.packetsOut
        octetsIn = statistics.octetsIn
        octetsOut = statistics.octetsOut
    }
}
