import IKEMessage
import IPPacket
import Octets

// IKE_SA_INIT requests: from anybody, so that nothing is spent on them that they have not paid for.
extension Endpoint {
    /// Demands what a request owes, if it owes anything; what has paid is read whole and answered.
    func receiveInitRequest(_ header: IKEHeader, _ datagram: IKEDatagram) {
        let key = HalfOpenTable.Key(remote: datagram.remote, initiatorSPI: header.initiatorSPI)
        if let known = halfOpen.localSPI(key), let sa = sas[known] {
            sa.repeatInitResponse(to: datagram)
            return
        }
        guard header.initiatorSPI != 0 else { return context.counters.count(.malformed) }
        let load = AdmissionLoad(
            arrivals: arrivals.count(at: context.now), halfOpen: halfOpen.count,
            fromSource: halfOpen.count(fromSourceOf: datagram.remote.address),
            fromNetwork: halfOpen.count(fromNetworkOf: datagram.remote.address), configuration: context.configuration)
        if !load.isFree {
            guard let first = FirstMessage(header, datagram.octets) else { return context.counters.count(.malformed) }
            guard hasPaid(first, datagram, load) else { return }
        }
        guard !load.isFull else { return context.counters.count(.halfOpenLimit) }
        guard let message = parse(datagram, header) else { return }
        begin(message, datagram, key)
    }

    private func begin(_ message: Message, _ datagram: IKEDatagram, _ key: HalfOpenTable.Key) {
        let header = message.header
        let candidates = candidates(local: datagram.local.address, remote: datagram.remote.address)
        for owner in Extensions.all {
            let answer = owner.answer(initial: message, datagram, candidates: candidates, context: context)
            if let answer { return answerUnprotected(header, datagram, answer, id: 0) }
        }
        let answer =
            if let owner = Extensions.owner(ofInitialExchange: header.exchangeType) {
                owner.begin(initial: message, datagram, candidates: candidates, context: context)
            } else {
                IKESA.answerInit(message, datagram, candidates: candidates, context: context)
            }
        switch answer {
        case .begun(let sa):
            register(sa)
            halfOpen.insert(key, localSPI: sa.localSPI)
            settle(sa)
        case .stateless(let payloads):
            answerUnprotected(header, datagram, payloads, id: 0)
        }
    }

    /// Whether the request brings what is demanded of it under this load; if not, it is told, or nothing is said.
    private func hasPaid(_ message: FirstMessage, _ datagram: IKEDatagram, _ load: AdmissionLoad) -> Bool {
        let address = datagram.remote.address
        guard let mark = cookies.mark(in: message, from: address, context: context) else {
            demandCookie(message, datagram, Extensions.toll(of: message, under: load))
            return false
        }
        if mark != CookieJar.noMark {
            guard Extensions.all.contains(where: { $0.accepts(message, mark: mark) }) else { return hasShare() }
        } else if let toll = Extensions.toll(of: message, under: load) {
            // It had its cookie when there was less to do.
            demandCookie(message, datagram, toll)
            return false
        }
        return true
    }

    /// Who returns a cookie and nothing more than that, as most implementations do, gets a part of what there is.
    private func hasShare() -> Bool {
        if cookieShare.takes(at: context.now) { return true }
        context.counters.count(.cookieShare)
        return false
    }

    private func demandCookie(_ message: FirstMessage, _ datagram: IKEDatagram, _ toll: CookieToll?) {
        let header = message.header
        let cookie = cookies.bake(
            for: message, from: datagram.remote.address, mark: toll?.mark ?? CookieJar.noMark, context: context)
        var payloads: [Payload] = [.notify(NotifyPayload(type: .cookie, data: cookie))]
        if let toll { payloads.append(.notify(toll.notification)) }
        let answer = Message(
            header: IKEHeader(
                initiatorSPI: header.initiatorSPI, responderSPI: 0, exchangeType: header.exchangeType, flags: .response,
                messageID: 0),
            payloads: payloads
        ).serialized()
        // Nobody makes us send more than was sent to us.
        guard answer.count <= datagram.octets.count else { return context.counters.count(.answerWithheld) }
        context.counters.count(.cookieSent)
        context.emit(
            .send(
                IKEDatagram(
                    octets: answer, local: datagram.local, remote: datagram.remote,
                    nonESPMarker: datagram.nonESPMarker)))
    }

    /// The connections that fit two addresses, those that name the peer's address first.
    private func candidates(local: IPAddress, remote: IPAddress) -> [ConnectionConfiguration] {
        if candidateIndex == nil {
            candidateIndex = CandidateIndex(order.compactMap { connections[$0]?.configuration })
        }
        return candidateIndex?.candidates(local: local, remote: remote) ?? []
    }
}
