import IKEMessage
import IPPacket
import Octets

// IKE_SA_INIT requests: from anybody, so that nothing is spent on them that they have not paid for.
extension Endpoint {
    func receiveInitRequest(_ message: Message, _ datagram: IKEDatagram) {
        let header = message.header
        let key = HalfOpenTable.Key(remote: datagram.remote, initiatorSPI: header.initiatorSPI)
        if let known = halfOpen.localSPI(key), let sa = sas[known] {
            sa.repeatInitResponse(to: datagram)
            return
        }
        guard header.initiatorSPI != 0 else { return }
        let configuration = context.configuration
        // An address has to show that it is there long before its share is used up, so that nobody uses it up in its name.
        let isFree =
            halfOpen.count < configuration.cookieThreshold
            && halfOpen.count(from: datagram.remote.address) < configuration.halfOpenLimitPerAddress / 4
        guard isFree || hasGoodCookie(message, datagram) else { return }
        guard halfOpen.count < configuration.halfOpenLimit,
            halfOpen.count(from: datagram.remote.address) < configuration.halfOpenLimitPerAddress
        else { return context.counters.count(.halfOpenLimit) }
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

    /// Whether the request brings the cookie it was given; if not, it is given one.
    private func hasGoodCookie(_ message: Message, _ datagram: IKEDatagram) -> Bool {
        guard let nonce = message.payloads.nonce else { return false }
        let spi = message.header.initiatorSPI
        if let cookie = message.payloads.notification(.cookie),
            cookies.accepts(
                cookie.data, nonce: nonce, address: datagram.remote.address, initiatorSPI: spi, context: context)
        {
            return true
        }
        context.counters.count(.cookieSent)
        let cookie = cookies.bake(
            nonce: nonce, address: datagram.remote.address, initiatorSPI: spi, context: context)
        let answer = Message(
            header: IKEHeader(
                initiatorSPI: spi, responderSPI: 0, exchangeType: message.header.exchangeType, flags: .response,
                messageID: 0),
            payloads: [.notify(NotifyPayload(type: .cookie, data: cookie))])
        context.emit(
            .send(
                IKEDatagram(
                    octets: answer.serialized(), local: datagram.local, remote: datagram.remote,
                    nonESPMarker: datagram.nonESPMarker)))
        return false
    }

    /// The connections that fit two addresses, those that name the peer's address first.
    private func candidates(local: IPAddress, remote: IPAddress) -> [ConnectionConfiguration] {
        let fitting = order.compactMap { connections[$0]?.configuration }.filter { configuration in
            configuration.localAddresses.isEmpty || configuration.localAddresses.contains(local)
        }
        return fitting.filter { $0.remoteAddresses.contains(remote) }
            + fitting.filter { $0.acceptsAnyRemoteAddress && !$0.remoteAddresses.contains(remote) }
    }
}
