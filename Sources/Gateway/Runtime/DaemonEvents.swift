import IKE
import Logging
import Octets

// What the endpoint reports: logged, remembered for explanations, and told to those who wait for it.
extension Daemon {
    func follow(_ event: IKEEvent) {
        switch event {
        case .ikeEstablished(let connection, let sa):
            logger.info("ike-established", metadata: metadata(connection, sa))
        case .ikeRekeyed(let connection, let sa):
            logger.info("ike-rekeyed", metadata: metadata(connection, sa))
        case .ikeClosed(let connection, let localSPI, let reason):
            logger.info(
                "ike-closed",
                metadata: ["connection": "\(connection)", "spi": "\(hexadecimal(localSPI))", "reason": "\(reason)"])
        case .childEstablished(let connection, let child):
            logger.info("child-established", metadata: metadata(connection, child))
            waiters.established(connection: connection, child: child.name)
        case .childRekeyed(let connection, let old, let child):
            logger.info(
                "child-rekeyed", metadata: metadata(connection, child).merging(["old": "\(hex(old))"]) { $1 })
        case .childClosed(let connection, let child, let spi, let reason):
            logger.info(
                "child-closed",
                metadata: [
                    "connection": "\(connection)", "child": "\(child)", "in": "\(hex(spi))", "reason": "\(reason)",
                ])
        case .failed(let connection, let refusal, let nextAttempt):
            failed(connection, refusal, pause: nextAttempt.map { max(Duration.zero, $0 - clock.now) })
        case .callerRefused(let connection, _, let refusal): failed(connection, refusal, pause: nil)
        case .configurationReceived(let connection, let assigned):
            logger.info(
                "configuration-received", metadata: ["connection": "\(connection)", "given": "\(assigned.summary)"])
        case .connectionChanged, .peerMoved: break
        case .negotiated(let connection, let narrative):
            history.add(narrative, connection: connection)
        case .peerDead(let connection):
            logger.warning("peer-dead", metadata: ["connection": "\(connection)"])
        case .warning(let connection, let text):
            var fields: Logger.Metadata = ["text": "\(text)"]
            if let connection { fields["connection"] = "\(connection)" }
            logger.warning("ike-warning", metadata: fields)
        case .keys(let keys): keyLog?.add(keys)
        }
    }

    private func failed(_ connection: String?, _ refusal: Refusal, pause: Duration?) {
        var fields: Logger.Metadata = ["cause": "\(refusal.cause.rawValue)", "reason": "\(refusal.reason)"]
        if let connection { fields["connection"] = "\(connection)" }
        if let origin = refusal.origins.first { fields["at"] = "\(origin)" }
        if let pause { fields["retry"] = "\(pause.wholeNanoseconds / 1_000_000)ms" }
        logger.warning("negotiation-failed", metadata: fields)
        if let connection { waiters.failed(connection: connection, refusal) }
    }

    private func metadata(_ connection: String, _ sa: IKESAStatus) -> Logger.Metadata {
        [
            "connection": "\(connection)", "local": "\(sa.local)", "remote": "\(sa.remote)",
            "peer": "\(sa.remoteIdentity)", "suite": "\(sa.suite)", "spi": "\(hexadecimal(sa.localSPI))",
        ]
    }

    private func metadata(_ connection: String, _ child: ChildSAStatus) -> Logger.Metadata {
        [
            "connection": "\(connection)", "child": "\(child.name)", "suite": "\(child.suite)",
            "in": "\(hex(child.inboundSPI))", "out": "\(hex(child.outboundSPI))", "local": "\(child.localSelectors)",
            "remote": "\(child.remoteSelectors)",
        ]
    }

    func hexadecimal(_ spi: UInt64) -> String { spi.bigEndianOctets.hexadecimal }
}
