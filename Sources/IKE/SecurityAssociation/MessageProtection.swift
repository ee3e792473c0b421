import IKEMessage
import IPsecCrypto
import Octets

/// Payloads that came under the IKE SA's protection: made only by opening an SK payload or a set of SKF payloads, so that
/// nothing else can be taken for authentic (RFC 7296 section 3.14).
struct Authenticated {
    let header: IKEHeader
    let payloads: [Payload]
    /// Where the message, or its last fragment, came from and arrived; the octets are the sealed ones.
    let datagram: IKEDatagram
    /// Of IKE_INTERMEDIATE: what ``IntermediateTranscript`` takes in.
    var transcript: [UInt8] = []
}

/// Seals and opens the messages of one IKE SA.
struct MessageProtection {
    private let sending: MessageCipher
    private let receiving: MessageCipher
    private var reassembly: [Bool: FragmentReassembly] = [:]
    /// Of the first fragment of a request, or response, that is not whole yet: the octets up to its IV.
    private var firstPrefixes: [Bool: [UInt8]] = [:]
    private var ivCounter: UInt64 = 0

    init(keys: IKEKeys, isInitiator: Bool) throws(CryptoError) {
        sending = try keys.cipher(ofInitiator: isInitiator)
        receiving = try keys.cipher(ofInitiator: !isInitiator)
        counts = keys.suite.encryption.acceptsCounterAsIV
    }

    /// Counter modes need an IV that is used once, CBC one that cannot be foretold.
    private let counts: Bool

    private mutating func nextIV(_ context: EndpointContext) -> [UInt8] {
        guard counts else { return context.randomOctets(sending.ivLength) }
        ivCounter += 1
        return ivCounter.bigEndianOctets
    }

    /// The message in one datagram, or in fragments if it is longer than `limit` octets (`nil`: there are no fragments).
    ///
    /// - Parameters:
    ///   - longest: what can be sent in one piece, in octets.
    ///   - contents: how the payloads are written, and how much the peer takes.
    /// - Throws: `limitExceeded` if it is longer than can be written or sent.
    mutating func seal(
        _ header: IKEHeader, _ payloads: [Payload], fragmentLimit limit: Int?, longest: Int,
        contents: ProtectedContents, context: EndpointContext
    ) throws(CryptoError) -> [[UInt8]] {
        let chain: (first: PayloadType, octets: [UInt8])
        do throws(MessageError) {
            chain = try Payload.serializeChain(payloads, format: contents.format)
        } catch {
            throw CryptoError(.limitExceeded, "\(error)")
        }
        if let most = contents.sentLimit, chain.octets.count > most {
            throw CryptoError(.limitExceeded, "it has \(chain.octets.count) octets, and the peer takes at most \(most)")
        }
        let whole = IKEHeader.octetCount + 4 + sending.sealedLength(of: chain.octets.count)
        guard let limit, whole > limit else {
            guard whole <= longest else {
                throw CryptoError(
                    .limitExceeded,
                    "it has \(whole) octets, which fit in no datagram, and fragments are not agreed on")
            }
            return [try sealOne(header, chain.first, chain.octets[...], fragment: nil, context)]
        }
        return try sealFragments(header, chain.first, chain.octets, limit: limit, context)
    }

    private mutating func sealOne(
        _ header: IKEHeader, _ first: PayloadType, _ octets: ArraySlice<UInt8>, fragment: (UInt16, UInt16)?,
        _ context: EndpointContext
    ) throws(CryptoError) -> [UInt8] {
        let prefix = Message.encryptedPrefix(
            header: header, leading: [], type: fragment == nil ? .encrypted : .encryptedFragment, innerFirst: first,
            fragment: fragment, bodyLength: sending.sealedLength(of: octets.count))
        return prefix + (try sending.seal(Array(octets), after: prefix, iv: nextIV(context)))
    }

    private mutating func sealFragments(
        _ header: IKEHeader, _ first: PayloadType, _ octets: [UInt8], limit: Int, _ context: EndpointContext
    ) throws(CryptoError) -> [[UInt8]] {
        // The largest plaintext whose sealed form still fits; block padding makes it easier to search than to compute.
        var size = max(64, limit - IKEHeader.octetCount - 8)
        while size > 64, IKEHeader.octetCount + 8 + sending.sealedLength(of: size) > limit { size -= 1 }
        let total = (octets.count + size - 1) / size
        guard total <= Int(UInt16.max) else {
            throw CryptoError(.limitExceeded, "a message of \(octets.count) octets does not fit in 65535 fragments")
        }
        var datagrams: [[UInt8]] = []
        for number in 1...total {
            let part = octets[(number - 1) * size..<min(number * size, octets.count)]
            datagrams.append(
                try sealOne(
                    header, number == 1 ? first : .none, part, fragment: (UInt16(number), UInt16(total)), context))
        }
        return datagrams
    }

    /// What became of a protected message.
    enum Opened {
        case message(Authenticated)
        /// An authentic fragment; others are missing.
        case fragment
    }

    /// Opens a parsed message whose last payload is SK or SKF.
    ///
    /// - Parameter contents: how the payloads are written, and how much is put together.
    /// - Throws: ``MessageError`` if the contents are malformed although authentic, `CryptoError` if they are not authentic.
    mutating func open(
        _ message: Message, _ datagram: IKEDatagram, at now: Instant, contents: ProtectedContents
    ) throws -> Opened {
        let octets = datagram.octets
        switch message.payloads.last {
        case .encrypted(let payload):
            let plaintext = try receiving.open(payload.body, after: Array(octets[..<payload.offset]))
            let payloads = try Payload.parseChain(
                first: payload.innerFirst, plaintext, offset: payload.offset + receiving.ivLength,
                format: contents.format)
            return .message(
                Authenticated(
                    header: message.header, payloads: payloads, datagram: datagram,
                    transcript: transcript(of: message, Array(octets[..<payload.offset]), plaintext, contents)))
        case .encryptedFragment(let fragment):
            let plaintext = try receiving.open(fragment.body, after: Array(octets[..<fragment.offset]))
            // What stands before a fragment is kept with it, and nothing that anybody puts there is long.
            guard fragment.offset <= Self.prefixLimit else {
                throw FragmentReassembly.error("\(fragment.offset) octets before the fragment")
            }
            let isResponse = message.header.flags.contains(.response)
            // Taken out, so that what has come is not copied with each fragment.
            var assembly = reassembly.removeValue(forKey: isResponse) ?? FragmentReassembly()
            let whole = try assembly.add(
                plaintext, number: fragment.number, total: fragment.total, first: fragment.innerFirst,
                messageID: message.header.messageID, at: now, octetLimit: contents.receivedLimit)
            reassembly[isResponse] = whole == nil ? assembly : nil
            if fragment.number == 1 { firstPrefixes[isResponse] = Array(octets[..<fragment.offset]) }
            guard let whole else { return .fragment }
            let prefix = firstPrefixes.removeValue(forKey: isResponse) ?? []
            // What says to be of another exchange than the first fragment is not of its message.
            guard prefix.count > IKEHeader.octetCount, prefix[18] == message.header.exchangeType.rawValue else {
                return .fragment
            }
            let payloads = try Payload.parseChain(
                first: whole.first, whole.octets, offset: 0, format: contents.format)
            return .message(
                Authenticated(
                    header: message.header, payloads: payloads, datagram: datagram,
                    transcript: transcript(of: message, prefix, whole.octets, contents)))
        default:
            // Unprotected, so no more authentic than a forged tag: it must have no effect at all.
            throw CryptoError(.authenticationFailed, "a \(message.header.exchangeType) message must end with SK or SKF")
        }
    }

    /// Octets of a message before what is encrypted of its first fragment.
    private static let prefixLimit = 1024

    private func transcript(
        of message: Message, _ prefix: [UInt8], _ plaintext: [UInt8], _ contents: ProtectedContents
    ) -> [UInt8] {
        message.header.exchangeType == .ikeIntermediate
            ? IntermediateTranscript.octets(prefix: prefix, plaintext: plaintext, format: contents.format) : []
    }

    /// Octets that are kept of messages that are not whole yet.
    var pendingOctetCount: Int { reassembly.values.reduce(0) { $0 + $1.octetCount } }

    /// Forgets the fragments of messages that are not whole yet.
    mutating func dropFragments() {
        reassembly = [:]
        firstPrefixes = [:]
    }

    /// Whether a repeated request is authentic and asks for its answer again: of fragments, only the first does
    /// (RFC 7383 section 2.6.1).
    func asksAgain(_ message: Message, octets: [UInt8]) -> Bool {
        switch message.payloads.last {
        case .encrypted(let payload):
            (try? receiving.open(payload.body, after: Array(octets[..<payload.offset]))) != nil
        case .encryptedFragment(let fragment) where fragment.number == 1:
            (try? receiving.open(fragment.body, after: Array(octets[..<fragment.offset]))) != nil
        default: false
        }
    }
}
