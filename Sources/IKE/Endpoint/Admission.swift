import IKEMessage
import IPPacket
import Octets

// IKE_SA_INIT requests: from anybody, so that nothing is spent on them that they have not paid for.
extension Endpoint {
    /// Octets of a first message: several times what the longest public value, cookie and list of proposals need.
    private static let firstMessageLimit = 16 * 1024

    /// Demands what a request owes, if it owes anything; what has paid is read whole and answered.
    func receiveInitRequest(_ header: IKEHeader, _ datagram: IKEDatagram, isAdmitted: Bool) {
        // It is kept until its sender has proved who it is.
        guard datagram.octets.count <= Self.firstMessageLimit else { return context.counters.count(.malformed) }
        let key = HalfOpenTable.Key(remote: datagram.remote, initiatorSPI: header.initiatorSPI)
        if let known = admission.localSPI(key), let sa = sas[known] {
            sa.repeatInitResponse(to: datagram)
            return
        }
        // A connection is for one IKE SA, and for what replaces that by a rekey (RFC 9329 section 6.1).
        if let stream = datagram.stream,
            context.streams.users(of: stream).contains(where: { sas[$0]?.isEstablished ?? false })
        {
            return context.counters.count(.unexpected)
        }
        if isAdmitted {
            // Others may have come between.
            guard admission.hasRoom(for: datagram.remote, at: context.now) else { return }
        } else {
            // Whoever has a TCP connection is where it says it is.
            switch admission.decide(
                header, datagram.octets, from: datagram.remote, isProved: datagram.stream != nil, at: context.now)
            {
            case .admitted, .known: break
            case .refused: return
            case .answered(let octets):
                return context.emit(.send(datagram.answer(octets)))
            }
        }
        guard let message = parse(datagram, header) else { return }
        begin(message, datagram, key)
    }

    private func begin(_ message: Message, _ datagram: IKEDatagram, _ key: HalfOpenTable.Key) {
        let header = message.header
        var candidates = candidates(local: datagram.local.address, remote: datagram.remote.address)
        if datagram.stream != nil { candidates.removeAll { !Extensions.take(datagram, for: $0) } }
        for owner in Extensions.all {
            let answer = owner.answer(initial: message, datagram, candidates: candidates, context: context)
            if let answer { return answerUnprotected(header, datagram, answer, id: 0) }
        }
        let answer =
            if let owner = Extensions.owner(ofInitialExchange: header.exchangeType) {
                owner.begin(initial: message, datagram, candidates: candidates, context: context)
            } else {
                IKESA.answerInit(
                    message, datagram, candidates: candidates,
                    representatives: datagram.stream == nil
                        ? candidateIndex?.representatives(
                            local: datagram.local.address, remote: datagram.remote.address) ?? []
                        : CandidateIndex.representatives(of: candidates),
                    context: context)
            }
        switch answer {
        case .begun(let sa):
            register(sa)
            admission.insert(key, localSPI: sa.localSPI)
            settle(sa)
        case .stateless(let payloads):
            // It has cost work, and leaves nothing that counts.
            if payloads.notification(.noProposalChosen) != nil {
                admission.refused(datagram.remote.address, at: context.now)
            }
            answerUnprotected(header, datagram, payloads, id: 0)
        }
    }

    /// The connections that fit two addresses, those that name the peer's address first.
    private func candidates(local: IPAddress, remote: IPAddress) -> [ConnectionConfiguration] {
        if candidateIndex == nil {
            candidateIndex = CandidateIndex(order.compactMap { connections[$0]?.configuration })
        }
        return candidateIndex?.candidates(local: local, remote: remote) ?? []
    }
}
