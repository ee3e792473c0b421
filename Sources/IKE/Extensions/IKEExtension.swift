import IKEMessage
import IPPacket
import IPsecPolicy
import Octets

/// A document beyond RFC 7296: the few places at which it can touch an IKE SA.
///
/// A conforming type has no instances. What it keeps of an SA is its ``State``, in the SA's ``IKESA/slots``; what it keeps
/// of the whole endpoint is its ``Shared``, in ``EndpointContext/shared``. Every requirement has a default that does nothing.
/// The core calls all of ``Extensions/all`` in order.
protocol IKEExtension: SendableMetatype {
    /// What the extension keeps of one IKE SA.
    associatedtype State = Void
    /// What it keeps of the whole endpoint.
    associatedtype Shared = Void

    // MARK: Messages

    /// Payloads for a message that is about to be sent.
    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload]

    /// Looks at the payloads of a message. From IKE_AUTH on they are authentic, and the peer has proved its identity.
    ///
    /// - Throws: why the message cannot be accepted. In IKE_AUTH that keeps the first child from being made, not the SA.
    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal)

    /// What stands before the IKE_SA_INIT message in the octets over which its sender's AUTH payload is computed (RFC 7296
    /// section 2.15).
    ///
    /// - Parameter received: the other IKE_SA_INIT message, which the sender has received.
    /// - Throws: why the authentication comes to nothing.
    static func signedOctets(beforeMessageWith received: [UInt8], of sa: IKESA) throws(Refusal) -> [UInt8]

    /// How the contents of the SA's protected messages are written, and how much there may be of them; `nil`: as usual.
    static func contents(of sa: IKESA) -> ProtectedContents?

    /// As a responder: whether the connection that IKE_AUTH has chosen may be used with what IKE_SA_INIT has agreed on.
    ///
    /// - Throws: why the SA comes to nothing.
    static func admit(_ sa: IKESA, to connection: ConnectionConfiguration) throws(Refusal)

    // MARK: IKE_INTERMEDIATE

    /// Whether the extension may have use for IKE_INTERMEDIATE (RFC 9242), which is announced then. As a responder, after it has
    /// received the IKE_SA_INIT request.
    static func usesIntermediate(_ sa: IKESA) -> Bool

    /// As an initiator: whether one more such exchange is needed, when those of additional key exchanges are over.
    static func needsIntermediate(_ sa: IKESA) -> Bool

    /// Payloads for a message of IKE_INTERMEDIATE that is about to be sent.
    static func payloads(for message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> [Payload]

    /// Looks at the payloads of such a message. The peer has not yet proved who it is; IKE_AUTH proves what was said here too.
    ///
    /// - Throws: why the SA comes to nothing.
    static func receive(_ payloads: [Payload], in message: IntermediateMessage, of sa: IKESA) throws(Refusal)

    /// The keys after such an exchange, whose key exchange has had its part in them; `nil` to leave them as they are.
    ///
    /// - Parameter message: the exchange's response.
    static func mixed(into keys: IKEKeys, after message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> IKEKeys?

    // MARK: Children

    /// As an initiator: whether IKE_AUTH brings no child SA.
    static func omitsFirstChild(of sa: IKESA) throws(Refusal) -> Bool

    /// Gives a configured child the form it has for this SA and this peer, for example selectors that were assigned.
    static func adapt(_ child: inout ChildConfiguration, of sa: IKESA)

    /// Puts the peer's selectors, of its offer or answer, into the form in which they are compared with a configured child's.
    static func translate(
        _ selectors: inout SelectorPair, of child: ChildConfiguration, by payloads: [Payload], of sa: IKESA
    )

    /// As a responder: whether what the peer offers can be meant for a configured child, apart from addresses. Where it
    /// cannot, other children are tried. The SA may have no connection yet.
    ///
    /// - Throws: why not.
    static func admit(_ offer: [Payload], to child: ChildConfiguration, of sa: IKESA) throws(Refusal)

    /// As a responder: how well a configured child fits what the peer offers, compared with others that do; the sum over all
    /// extensions decides.
    static func rank(_ child: ChildConfiguration, for offer: [Payload], of sa: IKESA) -> Int

    /// Selectors that go beside those of addresses into TSi and TSr of our offer of a child.
    static func selectors(offering child: ChildConfiguration, of sa: IKESA) -> OtherSelectors

    /// Selectors that go beside those of addresses into TSi and TSr of our acceptance of a child.
    static func selectors(accepting child: SelectedChild, of sa: IKESA) -> OtherSelectors

    /// Payloads beside our offer of a child.
    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload]

    /// Looks at what the peer sent beside its offer, or answer, of a child, and settles what it says in `terms`.
    ///
    /// - Parameter isOffer: the peer offers; otherwise it answers.
    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal)

    /// Puts what was agreed into the configuration that a child SA keeps, so that its rekeys ask for the same.
    static func keep(_ terms: ChildTerms, in child: inout ChildConfiguration)

    /// As an initiator: what to ask for in place of a child of which the peer has refused the selectors. It must ask for less
    /// each time.
    static func alternative(to child: ChildConfiguration) -> ChildConfiguration?

    /// As a responder: what goes into IKE_AUTH in place of the first child, which is then not made.
    static func payloadsInPlaceOfChild(of sa: IKESA) -> [Payload]?

    /// As an initiator: looks at the peer's IKE_AUTH response before anything of it is taken. `children`: what was asked for.
    ///
    /// - Returns: whether the SA comes to nothing, and the extension sees to what does.
    static func divert(authenticated answer: [Payload], children: [ChildConfiguration], of sa: IKESA) -> Bool

    /// Whether a planned child is still wanted; `nil` if the extension has no part in it.
    static func isWanted(_ child: ChildConfiguration, of sa: IKESA) -> Bool?

    /// As an initiator: a child that was to replace none has come to nothing.
    ///
    /// - Returns: whether that is no failure of the connection's, and the extension sees to what follows.
    static func failed(_ child: ChildConfiguration, _ refusal: Refusal, isTemporary: Bool, of sa: IKESA) -> Bool

    /// What is chosen from where the peer offers a child, instead of these proposals or before them.
    static func preferred(
        _ proposals: [ESPProposal], of child: ChildConfiguration, for offer: [Payload], of sa: IKESA
    ) -> [ESPProposal]

    /// How many more children than usual the peer may have.
    static func childrenBeyondUsual(of sa: IKESA) -> Int

    /// A worker of the data plane has packets for a child and sends them through another worker's.
    static func lacks(worker: Int, beside child: ChildSA, of sa: IKESA)

    /// Payloads beside our acceptance of a child.
    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload]

    /// A child is there from now on; packets may come through it.
    static func added(_ child: ChildSA, to sa: IKESA)

    /// A child is gone. It may have come from another IKE SA, by a rekey.
    static func removed(_ child: ChildSA, from sa: IKESA)

    // MARK: Rekeys in another form

    /// As an initiator: what asks for a rekey in place of SA, and of TSi and TSr for a child; `nil` for the regular form.
    ///
    /// The new SA then inherits all of the old one but keys and SPIs: a child what is in its ``ChildSA/terms`` and
    /// ``ChildSA/configuration``. Payloads beside an offer are of no use, and are not asked for.
    ///
    /// - Parameter spi: ours of the new SA.
    static func payloads(rekeying old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload]?

    /// Whether a CREATE_CHILD_SA message, a request or an answer, is a rekey in this form. Without REKEY_SA such a request is for the
    /// IKE SA.
    static func isRekey(_ payloads: [Payload], of sa: IKESA) -> Bool

    /// Reads the peer's request for a rekey of a child in this form, or its answer to ours.
    ///
    /// - Throws: why it cannot be followed.
    /// - Returns: what the new child has: the old one's, with the peer's new SPI.
    static func terms(
        fromRekey payloads: [Payload], of child: ChildSA, isRequest: Bool, of sa: IKESA
    ) throws(Refusal) -> ChildTerms

    /// The same for a rekey of the IKE SA, whose algorithms stay.
    ///
    /// - Returns: the peer's new SPI.
    static func spi(fromIKERekey payloads: [Payload], isRequest: Bool, of sa: IKESA) throws(Refusal) -> UInt64

    /// As a responder: what accepts a rekey in this form, in the same places.
    static func payloads(acceptingRekeyOf old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload]

    /// As an initiator: a rekey in this form has come to nothing, and that for good.
    ///
    /// - Parameter answer: what the peer answered, if it was the peer.
    /// - Returns: whether the regular form follows at once.
    static func rekeyFailed(of old: RekeyedSA, answer: NotifyType?, of sa: IKESA) -> Bool

    // MARK: INFORMATIONAL exchanges

    /// Begins an exchange that the extension has asked for with ``Established/Task/notice(_:)``.
    ///
    /// - Returns: the payloads of the request; `nil` if there is no need for it any more.
    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]?

    /// The peer's answer to such a request.
    static func finish(_ notice: ExtensionNotice, with answer: Authenticated, of sa: IKESA)

    /// The peer's INFORMATIONAL request.
    ///
    /// - Returns: what goes into the answer because of it.
    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload]

    // MARK: Other ways to begin

    /// An exchange that begins an SA in place of IKE_SA_INIT.
    static var initialExchange: ExchangeType? { get }

    /// Begins an SA of ours in another way than by IKE_SA_INIT; `nil` where that is not possible now.
    static func initiate(
        _ connection: ConnectionConfiguration, children: [ChildConfiguration], path: Path, localSPI: UInt64,
        context: EndpointContext
    ) -> IKESA?

    /// Answers a request of ``initialExchange`` that has passed cookies and limits.
    static func begin(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> IKESA.InitAnswer

    /// A response of ``initialExchange``, which nothing protects.
    static func receive(initialResponse message: Message, _ datagram: IKEDatagram, of sa: IKESA)

    // MARK: Cookies

    /// What a request that would begin an SA has to do beside returning a cookie. It is called for every such datagram of a
    /// flood, so it must cost no more than making the cookie.
    static func toll(of request: FirstMessage, under load: AdmissionLoad) -> CookieToll?

    /// Whether a request, whose cookie is good, has done what the extension demanded with this mark.
    static func accepts(_ request: FirstMessage, mark: [UInt8]) -> Bool

    /// As an initiator: what must be computed before the cookie in a response is returned.
    static func work(forCookieIn response: [Payload], of sa: IKESA) -> Job.Work?

    /// As an initiator: the payloads that go between the cookie and the rest of the request.
    static func payloads(besideCookie result: JobResult, of sa: IKESA) -> [Payload]

    // MARK: What nothing protects

    /// An answer to an IKE_SA_INIT request that is given in place of beginning an SA, and leaves no state behind.
    ///
    /// - Parameter candidates: the connections whose addresses fit.
    static func answer(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> [Payload]?

    /// An IKE_SA_INIT response that has neither an SA payload nor a demand of RFC 7296's.
    ///
    /// - Returns: whether it is dealt with.
    static func divert(initial response: Message, of sa: IKESA) -> Bool

    /// The addresses of a name that was to be looked up; none if it has none.
    static func resolved(_ name: String, _ addresses: [IPAddress], context: EndpointContext)

    /// Payloads beside the INVALID_IKE_SPI that answers a message of no SA here.
    static func payloads(forUnknownSA header: IKEHeader, context: EndpointContext) -> [Payload]

    /// A message with the SPIs of an SA that should have been protected and is not: anybody may have sent it.
    static func receive(unprotected message: Message, of sa: IKESA)

    // MARK: Ways

    /// Whether IKE moves to the NAT traversal port although no NAT has been seen, if the peer supports that.
    static func prefersNATPort(of sa: IKESA) -> Bool

    /// The way of a request of ours that has been sent `attempt` times; `nil` for the SA's own.
    static func wayOfRequest(attempt: Int, of sa: IKESA) -> Path?

    /// A request of ours has had no answer to any of its repetitions.
    ///
    /// - Returns: whether it is to be repeated once more from the beginning, as there is another way to try.
    static func findOtherWay(for sa: IKESA) -> Bool

    /// How often a request is repeated at most before ``findOtherWay(for:)`` is asked; `nil`: as configured.
    static func patience(of sa: IKESA) -> Int?

    /// The way of a call, other than by UDP to the IKE port. What it needs is being opened for the SA that is to come.
    static func wayOfCall(
        _ connection: ConnectionConfiguration, to remote: IPAddress, from local: IPAddress, localSPI: UInt64,
        context: EndpointContext
    ) -> Path?

    /// Whether a connection may be used in the way that a message, by TCP, has come.
    static func takes(_ datagram: IKEDatagram, for connection: ConnectionConfiguration) -> Bool

    /// A TCP connection that was asked for is open.
    static func opened(_ stream: StreamID, local: SocketAddress, of sa: IKESA)

    /// A TCP connection that the SA uses, or waits for, is gone.
    static func lost(_ stream: StreamID, _ reason: String, of sa: IKESA)

    /// A new and authentic message came by another way than the SA's.
    ///
    /// - Returns: whether the extension sees to it; otherwise a peer behind a NAT is followed (RFC 7296 section 2.23).
    static func follow(_ datagram: IKEDatagram, isResponse: Bool, of sa: IKESA) -> Bool

    /// Authentic ESP of a peer behind a NAT came from another address or port, or came by another TCP connection than IKE's.
    ///
    /// - Returns: whether the extension sees to it; otherwise a peer behind a NAT is followed.
    static func follow(espFrom remote: SocketAddress, by stream: StreamID?, of sa: IKESA) -> Bool

    /// The data plane tells of the way that authentic packets of a child took.
    static func sighted(_ arrivals: ArrivalSummary, of sa: IKESA)

    /// This host's addresses or routes have changed. Called for established SAs.
    static func addressesChanged(of sa: IKESA)

    /// What goes into a request that only asks whether the peer lives.
    static func payloads(askingForLifeOf sa: IKESA) -> [Payload]

    /// The answer to such a request.
    static func receive(signOfLife answer: Authenticated, of sa: IKESA)

    // MARK: Life

    /// Both sides are authenticated, and what IKE_AUTH said has been received.
    static func established(_ sa: IKESA)

    /// `new` replaces `old` by a rekey. The slot's content goes along before this is called.
    static func replaced(_ old: IKESA, by new: IKESA)

    /// The SA ends, established or not, and is not replaced.
    static func ended(_ sa: IKESA)

    /// When ``handleTimeout(of:)`` is due for an SA.
    static func deadline(of sa: IKESA) -> Instant?

    /// Does what is due at the context's time; also called when nothing is.
    static func handleTimeout(of sa: IKESA)

    /// Adds what a person may want to see.
    static func describe(_ status: inout IKESAStatus, of sa: IKESA)
}

extension IKEExtension {
    static func payloads(for stage: MessageStage, of sa: IKESA) -> [Payload] { [] }
    static func receive(_ payloads: [Payload], at stage: MessageStage, of sa: IKESA) throws(Refusal) {}
    static func signedOctets(beforeMessageWith received: [UInt8], of sa: IKESA) throws(Refusal) -> [UInt8] { [] }
    static func contents(of sa: IKESA) -> ProtectedContents? { nil }
    static func admit(_ sa: IKESA, to connection: ConnectionConfiguration) throws(Refusal) {}
    static func usesIntermediate(_ sa: IKESA) -> Bool { false }
    static func needsIntermediate(_ sa: IKESA) -> Bool { false }
    static func payloads(for message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> [Payload] { [] }
    static func receive(_ payloads: [Payload], in message: IntermediateMessage, of sa: IKESA) throws(Refusal) {}
    static func mixed(into keys: IKEKeys, after message: IntermediateMessage, of sa: IKESA) throws(Refusal) -> IKEKeys?
    {
        nil
    }
    static func omitsFirstChild(of sa: IKESA) throws(Refusal) -> Bool { false }
    static func adapt(_ child: inout ChildConfiguration, of sa: IKESA) {}
    static func translate(
        _ selectors: inout SelectorPair, of child: ChildConfiguration, by payloads: [Payload], of sa: IKESA
    ) {}
    static func admit(_ offer: [Payload], to child: ChildConfiguration, of sa: IKESA) throws(Refusal) {}
    static func rank(_ child: ChildConfiguration, for offer: [Payload], of sa: IKESA) -> Int { 0 }
    static func selectors(offering child: ChildConfiguration, of sa: IKESA) -> OtherSelectors { OtherSelectors() }
    static func selectors(accepting child: SelectedChild, of sa: IKESA) -> OtherSelectors { OtherSelectors() }
    static func payloads(offering child: ChildConfiguration, of sa: IKESA) -> [Payload] { [] }
    static func keep(_ terms: ChildTerms, in child: inout ChildConfiguration) {}
    static func alternative(to child: ChildConfiguration) -> ChildConfiguration? { nil }
    static func settle(
        _ terms: inout ChildTerms, of child: ChildConfiguration, by payloads: [Payload], isOffer: Bool, of sa: IKESA
    ) throws(Refusal) {}
    static func payloadsInPlaceOfChild(of sa: IKESA) -> [Payload]? { nil }
    static func divert(authenticated answer: [Payload], children: [ChildConfiguration], of sa: IKESA) -> Bool { false }
    static func resolved(_ name: String, _ addresses: [IPAddress], context: EndpointContext) {}
    static func isWanted(_ child: ChildConfiguration, of sa: IKESA) -> Bool? { nil }
    static func failed(_ child: ChildConfiguration, _ refusal: Refusal, isTemporary: Bool, of sa: IKESA) -> Bool {
        false
    }
    static func preferred(
        _ proposals: [ESPProposal], of child: ChildConfiguration, for offer: [Payload], of sa: IKESA
    ) -> [ESPProposal] { proposals }
    static func childrenBeyondUsual(of sa: IKESA) -> Int { 0 }
    static func lacks(worker: Int, beside child: ChildSA, of sa: IKESA) {}
    static func payloads(accepting child: SelectedChild, of sa: IKESA) -> [Payload] { [] }
    static func added(_ child: ChildSA, to sa: IKESA) {}
    static func removed(_ child: ChildSA, from sa: IKESA) {}
    static func payloads(rekeying old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload]? { nil }
    static func isRekey(_ payloads: [Payload], of sa: IKESA) -> Bool { false }
    static func terms(
        fromRekey payloads: [Payload], of child: ChildSA, isRequest: Bool, of sa: IKESA
    ) throws(Refusal) -> ChildTerms { throw RekeyForm.unknown }
    static func spi(fromIKERekey payloads: [Payload], isRequest: Bool, of sa: IKESA) throws(Refusal) -> UInt64 {
        throw RekeyForm.unknown
    }
    static func payloads(acceptingRekeyOf old: RekeyedSA, spi: [UInt8], of sa: IKESA) -> [Payload] { [] }
    static func rekeyFailed(of old: RekeyedSA, answer: NotifyType?, of sa: IKESA) -> Bool { false }
    static func begin(_ notice: ExtensionNotice, of sa: IKESA) -> [Payload]? { nil }
    static func finish(_ notice: ExtensionNotice, with answer: Authenticated, of sa: IKESA) {}
    static func answer(_ request: Authenticated, of sa: IKESA) -> [Payload] { [] }
    static var initialExchange: ExchangeType? { nil }
    static func initiate(
        _ connection: ConnectionConfiguration, children: [ChildConfiguration], path: Path, localSPI: UInt64,
        context: EndpointContext
    ) -> IKESA? { nil }
    static func begin(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> IKESA.InitAnswer { .stateless([.notify(NotifyPayload(type: .invalidSyntax))]) }
    static func receive(initialResponse message: Message, _ datagram: IKEDatagram, of sa: IKESA) {}
    static func answer(
        initial request: Message, _ datagram: IKEDatagram, candidates: [ConnectionConfiguration],
        context: EndpointContext
    ) -> [Payload]? { nil }
    static func toll(of request: FirstMessage, under load: AdmissionLoad) -> CookieToll? { nil }
    static func accepts(_ request: FirstMessage, mark: [UInt8]) -> Bool { false }
    static func work(forCookieIn response: [Payload], of sa: IKESA) -> Job.Work? { nil }
    static func payloads(besideCookie result: JobResult, of sa: IKESA) -> [Payload] { [] }
    static func divert(initial response: Message, of sa: IKESA) -> Bool { false }
    static func payloads(forUnknownSA header: IKEHeader, context: EndpointContext) -> [Payload] { [] }
    static func receive(unprotected message: Message, of sa: IKESA) {}
    static func prefersNATPort(of sa: IKESA) -> Bool { false }
    static func wayOfRequest(attempt: Int, of sa: IKESA) -> Path? { nil }
    static func findOtherWay(for sa: IKESA) -> Bool { false }
    static func follow(_ datagram: IKEDatagram, isResponse: Bool, of sa: IKESA) -> Bool { false }
    static func follow(espFrom remote: SocketAddress, by stream: StreamID?, of sa: IKESA) -> Bool { false }
    static func patience(of sa: IKESA) -> Int? { nil }
    static func wayOfCall(
        _ connection: ConnectionConfiguration, to remote: IPAddress, from local: IPAddress, localSPI: UInt64,
        context: EndpointContext
    ) -> Path? { nil }
    static func takes(_ datagram: IKEDatagram, for connection: ConnectionConfiguration) -> Bool { true }
    static func opened(_ stream: StreamID, local: SocketAddress, of sa: IKESA) {}
    static func lost(_ stream: StreamID, _ reason: String, of sa: IKESA) {}
    static func sighted(_ arrivals: ArrivalSummary, of sa: IKESA) {}
    static func addressesChanged(of sa: IKESA) {}
    static func payloads(askingForLifeOf sa: IKESA) -> [Payload] { [] }
    static func receive(signOfLife answer: Authenticated, of sa: IKESA) {}
    static func established(_ sa: IKESA) {}
    static func replaced(_ old: IKESA, by new: IKESA) {}
    static func ended(_ sa: IKESA) {}
    static func deadline(of sa: IKESA) -> Instant? { nil }
    static func handleTimeout(of sa: IKESA) {}
    static func describe(_ status: inout IKESAStatus, of sa: IKESA) {}
}

/// A message that extensions may add to and look at. What they do in CREATE_CHILD_SA and INFORMATIONAL has hooks of its own.
enum MessageStage {
    /// IKE_SA_INIT, which nothing protects: what is received may be forged until IKE_AUTH has proved it.
    case initRequest, initResponse
    case authRequest, authResponse
}

/// A message of IKE_INTERMEDIATE that extensions may add to and look at.
struct IntermediateMessage {
    let isRequest: Bool
    /// Whether its exchange is the last one of additional key exchanges, or comes after those.
    let isLast: Bool
    /// The nonces of IKE_SA_INIT.
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
}

/// What a rekey replaces.
enum RekeyedSA {
    case ike
    case child(ChildSA)
}

/// The form of a rekey whose new SA inherits everything from the old one.
struct RekeyForm {
    let owner: any IKEExtension.Type
    /// The old SA as it was when the rekey began.
    let old: RekeyedSA
    /// What stands in a request of ours in place of SA, TSi and TSr.
    var payloads: [Payload] = []

    static let unknown = Refusal(.noProposal, "nothing is known of this form of a rekey", notify: .noProposalChosen)
}

/// An INFORMATIONAL exchange of ours that an extension wants.
struct ExtensionNotice {
    let owner: any IKEExtension.Type
    /// What it is about, in the owner's own numbers.
    let subject: Int

    init<Subject: RawRepresentable<Int>>(_ owner: any IKEExtension.Type, _ subject: Subject) {
        self.owner = owner
        self.subject = subject.rawValue
    }
}

/// What extensions keep of one IKE SA, each its own.
struct ExtensionSlots {
    /// Few of them are used by any one SA, so that a search is quick and an SA without extensions pays nothing.
    private var contents: [(owner: ObjectIdentifier, state: Any)] = []

    subscript<Extension: IKEExtension>(_ owner: Extension.Type) -> Extension.State? {
        get {
            contents.first { $0.owner == ObjectIdentifier(owner) }?.state as? Extension.State
        }
        set {
            contents.removeAll { $0.owner == ObjectIdentifier(owner) }
            if let newValue { contents.append((ObjectIdentifier(owner), newValue)) }
        }
    }

    /// The same, with what stands there at first if nothing does.
    subscript<Extension: IKEExtension>(
        _ owner: Extension.Type, default initial: @autoclosure () -> Extension.State
    ) -> Extension.State {
        get { self[owner] ?? initial() }
        set { self[owner] = newValue }
    }
}

/// What extensions keep of the endpoint, each its own.
struct SharedExtensionSlots {
    private var contents: [ObjectIdentifier: Any] = [:]

    subscript<Extension: IKEExtension>(_ owner: Extension.Type) -> Extension.Shared? {
        get { contents[ObjectIdentifier(owner)] as? Extension.Shared }
        set { contents[ObjectIdentifier(owner)] = newValue }
    }
}
