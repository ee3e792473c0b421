import IKEMessage
import IPPacket
import Octets
import Synchronization

/// What an endpoint lets through of messages that nobody has authenticated.
///
/// The endpoint asks it, and so may the thread that receives datagrams, before the endpoint hears of them: under a flood a
/// forged request then costs one scan, one HMAC and no wait for anything else. It is the one part of an endpoint that two
/// threads may use at once.
public final class AdmissionControl: Sendable {
    /// What becomes of a datagram.
    public enum Verdict: Hashable, Sendable {
        /// Its SPI is that of an IKE SA: it goes before all others.
        case known
        /// It begins an IKE SA, and nothing is to be demanded of it any more.
        case admitted
        /// It has to be looked at by the endpoint.
        case unchecked
        /// An answer stands in its place.
        case answered
        /// Nobody answers it.
        case refused
    }

    /// The same, with the answer.
    enum Decision {
        case known
        case admitted
        case answered([UInt8])
        case refused
    }

    private let state: Mutex<State>

    init(_ limits: AdmissionLimits, cookieSecret: [UInt8]) {
        state = Mutex(State(limits, cookieSecret: cookieSecret))
    }

    /// Looks at an IKE message as it arrived, without the non-ESP marker, and does not wait: what is being changed at this
    /// moment by the endpoint's thread makes it ``Verdict/unchecked``.
    ///
    /// - Parameter octets: an answer, which is never longer than the message, takes the message's place.
    public func screen(_ octets: inout [UInt8], from remote: SocketAddress, at now: Instant) -> Verdict {
        var reader = OctetReader(octets)
        guard let header = try? IKEHeader(parsing: &reader), header.majorVersion == 2 else { return .unchecked }
        let flags = header.flags
        let decision = state.withLockIfAvailable { state -> Decision? in
            guard header.exchangeType.beginsSA, !flags.contains(.response) else {
                let localSPI = flags.contains(.initiator) ? header.responderSPI : header.initiatorSPI
                return state.localSPIs.contains(localSPI) ? .known : nil
            }
            guard flags.contains(.initiator), header.responderSPI == 0, header.messageID == 0,
                Int(header.length) == octets.count
            else { return nil }
            // The endpoint repeats its answer.
            let key = HalfOpenTable.Key(remote: remote, initiatorSPI: header.initiatorSPI)
            if state.halfOpen.localSPI(key) != nil { return .admitted }
            return state.decide(header, octets, from: remote, isProved: false, at: now)
        }
        switch decision {
        case .known??: return .known
        case .admitted??: return .admitted
        case .refused??: return .refused
        case .answered(let answer)??:
            octets.removeAll(keepingCapacity: true)
            octets.append(contentsOf: answer)
            return .answered
        case .some(nil), nil: return .unchecked
        }
    }

    /// Decides on a request that would begin an IKE SA.
    ///
    /// - Parameter isProved: it came by TCP, so that its source is no forgery: a cookie alone would prove nothing more (RFC 9329
    ///   section 6.3).
    func decide(
        _ header: IKEHeader, _ octets: [UInt8], from remote: SocketAddress, isProved: Bool = false, at now: Instant
    ) -> Decision {
        state.withLock { $0.decide(header, octets, from: remote, isProved: isProved, at: now) }
    }

    /// Whether there is room for one more half-open SA of this peer's; if not, that is counted.
    func hasRoom(for remote: SocketAddress, at now: Instant) -> Bool {
        state.withLock { state in
            let isFull = state.load(of: remote, arrivals: 0, at: now).isFull
            if isFull { state.counters.count(.halfOpenLimit) }
            return !isFull
        }
    }

    // MARK: What the endpoint tells

    var halfOpenCount: Int { state.withLock { $0.halfOpen.count } }
    var counters: MessageCounters { state.withLock { $0.counters } }

    func localSPI(_ key: HalfOpenTable.Key) -> UInt64? { state.withLock { $0.halfOpen.localSPI(key) } }
    func insert(_ key: HalfOpenTable.Key, localSPI: UInt64) {
        state.withLock { $0.halfOpen.insert(key, localSPI: localSPI) }
    }

    /// Forgets of half-open SAs one that is established.
    func remove(localSPI: UInt64) { state.withLock { $0.halfOpen.remove(localSPI: localSPI) } }

    /// Counts a first message that was refused without anything being begun.
    func refused(_ address: IPAddress, at now: Instant) { state.withLock { $0.refusals.insert(address, at: now) } }

    func begin(_ localSPI: UInt64) { state.withLock { _ = $0.localSPIs.insert(localSPI) } }
    func end(_ localSPI: UInt64) {
        state.withLock { state in
            state.localSPIs.remove(localSPI)
            state.halfOpen.remove(localSPI: localSPI)
        }
    }
}

extension AdmissionControl {
    fileprivate struct State {
        let limits: AdmissionLimits
        var halfOpen = HalfOpenTable()
        var refusals = RefusalTable()
        var counters = MessageCounters()
        /// Of all IKE SAs.
        var localSPIs: Set<UInt64> = []
        private var cookies: CookieJar
        private var arrivals = ArrivalRate()
        /// What initiators get that return a cookie and do not solve the puzzle that came with it: a quarter of all there is.
        private var cookieShare: TokenBucket

        init(_ limits: AdmissionLimits, cookieSecret: [UInt8]) {
            self.limits = limits
            cookies = CookieJar(secret: cookieSecret)
            let share = limits.halfOpen / 4
            cookieShare = TokenBucket(
                perSecond: Double(share) / max(1, limits.halfOpenTimeout.inSeconds), burst: max(1, share / 4))
        }

        func load(of remote: SocketAddress, arrivals: Int, at now: Instant) -> AdmissionLoad {
            AdmissionLoad(
                arrivals: arrivals, halfOpen: halfOpen.count,
                fromSource: halfOpen.count(fromSourceOf: remote.address)
                    + refusals.count(fromSourceOf: remote.address, at: now),
                fromNetwork: halfOpen.count(fromNetworkOf: remote.address), limits: limits)
        }

        mutating func decide(
            _ header: IKEHeader, _ octets: [UInt8], from remote: SocketAddress, isProved: Bool, at now: Instant
        ) -> Decision {
            guard header.initiatorSPI != 0 else { return refuse(.malformed) }
            let load = load(of: remote, arrivals: arrivals.count(at: now), at: now)
            if !load.isFree {
                guard let first = FirstMessage(header, octets) else { return refuse(.malformed) }
                guard let mark = cookies.mark(in: first, from: remote.address, at: now) else {
                    let toll = Extensions.toll(of: first, under: load)
                    guard isProved, toll == nil else { return demandCookie(first, remote, toll, now) }
                    return load.isFull ? refuse(.halfOpenLimit) : .admitted
                }
                if mark != CookieJar.noMark {
                    let isPaid = Extensions.all.contains { $0.accepts(first, mark: mark) }
                    guard isPaid || cookieShare.takes(at: now) else { return refuse(.cookieShare) }
                } else if let toll = Extensions.toll(of: first, under: load) {
                    // It had its cookie when there was less to do.
                    return demandCookie(first, remote, toll, now)
                }
            }
            return load.isFull ? refuse(.halfOpenLimit) : .admitted
        }

        private mutating func refuse(_ reason: MessageCounters.Reason) -> Decision {
            counters.count(reason)
            return .refused
        }

        private mutating func demandCookie(
            _ message: FirstMessage, _ remote: SocketAddress, _ toll: CookieToll?, _ now: Instant
        ) -> Decision {
            let cookie = cookies.bake(
                for: message, from: remote.address, mark: toll?.mark ?? CookieJar.noMark, at: now)
            let answer = message.answer(cookie: cookie, beside: toll?.notification)
            // Nobody makes us send more than was sent to us.
            guard answer.count <= message.octets.count else { return refuse(.answerWithheld) }
            counters.count(.cookieSent)
            return .answered(answer)
        }
    }
}
