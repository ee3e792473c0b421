import IKEMessage
import IPPacket
import Octets

/// All IKE SAs of a host: a machine without sockets, clock or threads.
///
/// Datagrams, the data plane's reports, results of computations and the time go in; after each call ``nextOutput()`` is
/// called until it returns `nil`, its outputs are executed in order, and ``handleTimeout(at:)`` is due at ``nextDeadline``.
///
/// An endpoint is used by one thread at a time.
public final class Endpoint {
    let context: EndpointContext
    var sas: [UInt64: IKESA] = [:]
    var connections: [String: ConnectionRecord] = [:]
    /// Configured order, which decides where several connections fit.
    var order: [String] = []
    /// Made when it is first needed, and anew after the connections or their addresses have changed.
    var candidateIndex: CandidateIndex?
    var deadlines = DeadlineQueue<DeadlineOwner>()
    /// Nobody is to begin now because a turn is free: it is being seen to already, or is to be later.
    var isGivingTurns = false
    /// What has to be paid for by who would begin an SA. The thread that receives datagrams may ask it too.
    public let admission: AdmissionControl
    /// Answers to what belongs to no SA, and apart from them those that an honest initiator may need to connect at all.
    var errorAnswers = RateLimit(perSecond: 50)
    var initialAnswers = RateLimit(perSecond: 500)

    enum DeadlineOwner: Hashable {
        case sa(UInt64)
        case connection(String)
    }

    /// - Parameter random: the source of SPIs, nonces, IVs and private keys. A good one, except in a simulation.
    public init(configuration: EndpointConfiguration, random: any RandomNumberGenerator) {
        context = EndpointContext(configuration: configuration, random: random)
        admission = AdmissionControl(
            AdmissionLimits(configuration), cookieSecret: context.randomOctets(CookieJar.secretLength))
    }

    // MARK: The five calls

    /// Takes in an IKE message, just as it arrived.
    ///
    /// - Parameter isAdmitted: whether ``admission`` has been asked already and has said so.
    public func receive(_ datagram: IKEDatagram, isAdmitted: Bool = false, at now: Instant) {
        context.now = now
        guard let header = header(of: datagram) else { return settle(nil) }
        if header.exchangeType.beginsSA, !header.flags.contains(.response) {
            if header.responderSPI == 0, header.messageID == 0, header.flags.contains(.initiator) {
                receiveInitRequest(header, datagram, isAdmitted: isAdmitted)
            } else {
                context.counters.count(.malformed)
            }
            return settle(nil)
        }
        guard let message = parse(datagram, header) else { return settle(nil) }
        let localSPI = header.flags.contains(.initiator) ? header.responderSPI : header.initiatorSPI
        guard let sa = sas[localSPI] else {
            unknownSA(header, datagram)
            return settle(nil)
        }
        if datagram.stream != nil, let connection = sa.connection, !Extensions.take(datagram, for: connection) {
            context.counters.count(.unexpected)
            return settle(nil)
        }
        if header.exchangeType == .ikeSAInit {
            sa.receiveInitResponse(message, datagram)
        } else if let owner = Extensions.owner(ofInitialExchange: header.exchangeType), !sa.isEstablished {
            owner.receive(initialResponse: message, datagram, of: sa)
        } else if sa.remoteSPI == (header.flags.contains(.initiator) ? header.initiatorSPI : header.responderSPI) {
            sa.receive(message, datagram)
        } else {
            context.counters.count(.unknownSPI)
        }
        settle(sa)
    }

    /// Does what is due.
    public func handleTimeout(at now: Instant) {
        context.now = now
        while let job = context.jobs.overdue(at: now) {
            complete(
                job, with: JobResult(.failure("it has not ended within \(context.configuration.computationLimit)")),
                at: now)
        }
        while let owner = deadlines.popDue(at: now) {
            switch owner {
            case .sa(let spi):
                guard let sa = sas[spi] else { continue }
                if let due = sa.nextDeadline, due <= now { sa.handleTimeout() }
                settle(sa)
            case .connection(let name):
                handleTimeout(ofConnection: name)
                settle(nil)
            }
        }
    }

    /// Takes in the result of a computation that an output asked for.
    public func complete(_ job: Job.ID, with result: JobResult, at now: Instant) {
        context.now = now
        guard let owner = context.jobs.end(job), let sa = sas[owner] else { return }
        sa.complete(job, result)
        settle(sa)
    }

    /// The next thing to do; `nil` when everything is done.
    public func nextOutput() -> Output? { context.popOutput() }

    /// When ``handleTimeout(at:)`` is due; `nil`: never, as things are.
    public var nextDeadline: Instant? {
        guard let job = context.jobs.deadline else { return deadlines.next }
        return deadlines.next.map { min($0, job) } ?? job
    }

    /// Tells what the wall clock, as it goes now, would have read at ``Instant/origin``, as time since 1970: it may have been
    /// set since. Certificates and tickets are judged by it; no timer follows it.
    public func setUnixTime(atOrigin time: Duration) { context.configuration.unixTimeAtOrigin = time }

    /// Takes another secret to seal tickets with (RFC 5723): whoever comes by it some day opens the tickets of its time, and no others.
    ///
    /// - Parameters:
    ///   - current: seals and opens; `nil`: no tickets are given.
    ///   - former: only opens, for as long as tickets are good that were sealed with it.
    public func setTicketSecrets(_ current: SecretOctets?, former: SecretOctets?) {
        context.configuration.ticketSecret = current
        context.configuration.formerTicketSecret = former
    }

    // MARK: Demultiplexing

    /// The header of a message of version 2 that has the length it says.
    private func header(of datagram: IKEDatagram) -> IKEHeader? {
        var reader = OctetReader(datagram.octets)
        guard let header = try? IKEHeader(parsing: &reader) else {
            context.counters.count(.malformed)
            return nil
        }
        guard header.majorVersion == 2 else {
            // IKEv1 is historic (RFC 9395): nothing here speaks it, and an answer in another version helps nobody.
            context.counters.count(header.majorVersion == 1 ? .ikev1 : .badVersion)
            if header.majorVersion > 2, !header.flags.contains(.response) {
                answerUnprotected(
                    header, datagram, [.notify(NotifyPayload(type: .invalidMajorVersion))], id: header.messageID)
            }
            return nil
        }
        guard Int(header.length) == datagram.octets.count else {
            context.counters.count(.malformed)
            return nil
        }
        return header
    }

    /// Reads the whole message.
    func parse(_ datagram: IKEDatagram, _ header: IKEHeader) -> Message? {
        do {
            return try Message(
                parsing: datagram.octets, understanding: header.exchangeType.beginsSA ? [.puzzleSolution] : [])
        } catch {
            context.counters.count(.malformed)
            // Nothing is known of the sender: only a request that would begin an SA gets an answer.
            if header.exchangeType.beginsSA, !header.flags.contains(.response), header.responderSPI == 0 {
                var answer = NotifyPayload(type: .invalidSyntax)
                if case .unsupportedCriticalPayload(let type) = error.code {
                    answer = NotifyPayload(type: .unsupportedCriticalPayload, data: [type.rawValue])
                }
                answerUnprotected(header, datagram, [.notify(answer)], id: 0)
            }
            return nil
        }
    }

    /// An answer that leaves no state behind, within a rate and never longer than it must be.
    func answerUnprotected(
        _ header: IKEHeader, _ datagram: IKEDatagram, _ payloads: [Payload], id: UInt32
    ) {
        let isInitial = header.exchangeType.beginsSA && header.responderSPI == 0
        guard isInitial ? initialAnswers.allows(at: context.now) : errorAnswers.allows(at: context.now) else {
            context.counters.count(.answerWithheld)
            return
        }
        var flags: IKEHeader.Flags = .response
        if !header.flags.contains(.initiator) { flags.insert(.initiator) }
        let answer = Message(
            header: IKEHeader(
                initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI,
                exchangeType: header.exchangeType, flags: flags, messageID: id),
            payloads: payloads
        ).serialized()
        // Who forges first messages makes us send no more than was sent. The others are few a second, and an answer with
        // tokens (RFC 6290) is longer than the liveness check it answers.
        guard !isInitial || answer.count <= datagram.octets.count else {
            return context.counters.count(.answerWithheld)
        }
        context.emit(.send(datagram.answer(answer)))
    }

    private func unknownSA(_ header: IKEHeader, _ datagram: IKEDatagram) {
        context.counters.count(.unknownSPI)
        guard !header.flags.contains(.response) else { return }
        let added = Extensions.all.flatMap { $0.payloads(forUnknownSA: header, context: context) }
        answerUnprotected(
            header, datagram, [.notify(NotifyPayload(type: .invalidIKESPI))] + added, id: header.messageID)
    }

    // MARK: After each call

    /// Handles what SAs have told, enters their deadlines, and lets those begin whose turn it is.
    func settle(_ touched: IKESA?) {
        var touched = touched.map { [$0] } ?? []
        while !context.signals.isEmpty {
            let signals = context.signals
            context.signals = []
            for signal in signals { touched += handle(signal) }
        }
        for sa in touched {
            // What was refused counts until it is forgotten: to be refused is not to be free of limits.
            if sa.isEstablished { admission.remove(localSPI: sa.localSPI) }
            let isThere = sas[sa.localSPI] === sa
            if isThere, let deadline = sa.nextDeadline { deadlines.insert(.sa(sa.localSPI), at: deadline) }
            context.turns.update(sa.localSPI, holds: isThere && sa.holdsTurn)
        }
        for stream in context.streams.takeUnused() { context.emit(.closeStream(stream)) }
        giveTurns()
    }

    func register(_ sa: IKESA) {
        sas[sa.localSPI] = sa
        admission.begin(sa.localSPI)
        context.streams.move(sa.localSPI, from: nil, to: sa.path.stream)
    }
}
