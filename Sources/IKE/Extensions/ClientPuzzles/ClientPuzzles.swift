// RFC 8019, Protecting IKEv2 Implementations from DDoS Attacks: puzzles in IKE_SA_INIT.
// Notification PUZZLE (16434), payload PS (54).
import IKEMessage
import IPsecCrypto
import Octets

/// Puzzles: under heavy load an initiator pays for its IKE_SA_INIT with work of its own (RFC 8019 section 7.1).
///
/// The puzzle comes with a cookie, which is also what has to be worked on, and both its PRF and its difficulty stand in the
/// cookie: the responder keeps nothing. Who cannot solve puzzles returns the cookie alone and gets a share of what there is.
/// There is no puzzle in IKE_AUTH (section 7.2): with keys of the curves the responder has less work there than checking asks
/// for, and its half-open SAs are bounded and rationed already. Sessions are resumed without one (section 4.6), as a ticket
/// costs next to nothing to check and nobody can invent it.
enum ClientPuzzles: IKEExtension {
    /// The PRFs of puzzles of ours, best liked first; the initiator must have offered it (RFC 8019 section 7.1.1.2).
    private static let prfs: [PRF] = [.hmacSHA2_256, .hmacSHA2_512, .hmacSHA2_384, .hmacSHA1]
    /// What is asked for at least.
    private static let easiest = 10
    /// Octets of a PUZZLE notification's data: PRF, two octets, and difficulty, one.
    private static let dataLength = 3

    // MARK: Responder

    static func toll(of request: FirstMessage, under load: AdmissionLoad) -> CookieToll? {
        let hardest = min(load.limits.puzzleDifficulty, Puzzle.hardest)
        guard hardest > 0, request.header.exchangeType == .ikeSAInit,
            let fraction = pressure(load), let prf = offeredPRF(request)
        else { return nil }
        let least = min(easiest, hardest)
        let difficulty = UInt8(clamping: least + Int(fraction * Double(hardest - least)))
        return CookieToll(
            mark: [UInt8(truncatingIfNeeded: prf.rawValue), difficulty],
            notification: NotifyPayload(type: .puzzle, data: prf.rawValue.bigEndianOctets + [difficulty]))
    }

    /// From 0, where puzzles begin, to 1, where there is no room left; `nil` below.
    private static func pressure(_ load: AdmissionLoad) -> Double? {
        let limits = load.limits
        let isCrowded = load.fromNetwork >= limits.puzzleThresholdPerNetwork
        guard load.halfOpen >= limits.puzzleThreshold else { return isCrowded ? 0 : nil }
        let room = limits.halfOpen - limits.puzzleThreshold
        return room > 0 ? min(1, Double(load.halfOpen - limits.puzzleThreshold) / Double(room)) : 1
    }

    /// The best PRF among those offered, found without reading anything else: a proposal has a header of 8 octets and an SPI, a
    /// transform one of 8 and attributes (RFC 7296 sections 3.3.1 and 3.3.2).
    private static func offeredPRF(_ request: FirstMessage) -> PRF? {
        guard let body = request.securityAssociation else { return nil }
        let octets = request.octets
        var best = prfs.endIndex
        var proposal = body.lowerBound
        while body.upperBound - proposal >= 8 {
            let length = Int(octets[proposal + 2]) << 8 | Int(octets[proposal + 3])
            let end = proposal + length
            guard length >= 8, end <= body.upperBound else { break }
            var transform = proposal + 8 + Int(octets[proposal + 6])
            while end - transform >= 8 {
                let size = Int(octets[transform + 2]) << 8 | Int(octets[transform + 3])
                guard size >= 8 else { break }
                let id = UInt16(octets[transform + 6]) << 8 | UInt16(octets[transform + 7])
                if octets[transform + 4] == TransformType.pseudorandomFunction.rawValue,
                    let index = prfs.firstIndex(where: { $0.rawValue == id })
                {
                    best = min(best, index)
                }
                transform += size
            }
            proposal = end
        }
        return best < prfs.endIndex ? prfs[best] : nil
    }

    static func accepts(_ request: FirstMessage, mark: [UInt8]) -> Bool {
        guard mark.count == 2, let prf = PRF(rawValue: UInt16(mark[0])), let cookie = request.cookie,
            let solution = request.puzzleSolution
        else { return false }
        let puzzle = Puzzle(prf: prf, difficulty: Int(mark[1]), octets: Array(request.octets[cookie]))
        return puzzle.isSolved(by: request.octets[solution])
    }

    // MARK: Initiator

    static func work(forCookieIn response: [Payload], of sa: IKESA) -> Job.Work? {
        guard let notification = response.notification(.puzzle), let cookie = response.notification(.cookie),
            notification.data.count == dataLength
        else { return nil }
        let number = UInt16(notification.data[0]) << 8 | UInt16(notification.data[1])
        let difficulty = Int(notification.data[2])
        // Nothing protects the demand: no more is done for it than for the worst of days.
        guard let prf = PRF(rawValue: number), difficulty <= Puzzle.hardest else {
            sa.tell(
                .received,
                "a puzzle of difficulty \(difficulty) with \(transformName(.pseudorandomFunction, number, keyLength: nil)), which is not solved: the cookie goes back alone"
            )
            return nil
        }
        sa.tell(.received, "a puzzle of difficulty \(difficulty) with \(prf)")
        return .solve(Puzzle(prf: prf, difficulty: difficulty, octets: cookie.data))
    }

    static func payloads(besideCookie result: JobResult, of sa: IKESA) -> [Payload] {
        guard case .solution(let solution?) = result.value else {
            sa.tell(.note, "the puzzle was not solved within its limit: the cookie goes back alone")
            return []
        }
        return [.unknown(RawPayload(type: .puzzleSolution, body: solution))]
    }
}
