/// Notify message type (RFC 7296 section 3.10.1): errors below 16384, status types from there on.
public struct NotifyType: RegisteredNumber {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// An error type, known or not. An unknown error in a response means that the request failed (RFC 7296 section 3.10.1).
    public var isError: Bool { rawValue < 16384 }

    public var isPrivateUse: Bool { (8192...16383).contains(rawValue) || rawValue >= 40960 }
}

// Errors.
extension NotifyType {
    public static let unsupportedCriticalPayload = Self(rawValue: 1)
    public static let invalidIKESPI = Self(rawValue: 4)
    public static let invalidMajorVersion = Self(rawValue: 5)
    public static let invalidSyntax = Self(rawValue: 7)
    public static let invalidMessageID = Self(rawValue: 9)
    public static let invalidSPI = Self(rawValue: 11)
    public static let noProposalChosen = Self(rawValue: 14)
    public static let invalidKEPayload = Self(rawValue: 17)
    public static let authenticationFailed = Self(rawValue: 24)
    public static let singlePairRequired = Self(rawValue: 34)
    public static let noAdditionalSAs = Self(rawValue: 35)
    public static let internalAddressFailure = Self(rawValue: 36)
    public static let failedCPRequired = Self(rawValue: 37)
    public static let tsUnacceptable = Self(rawValue: 38)
    public static let invalidSelectors = Self(rawValue: 39)
    public static let unacceptableAddresses = Self(rawValue: 40)
    public static let unexpectedNATDetected = Self(rawValue: 41)
    public static let useAssignedHoA = Self(rawValue: 42)
    public static let temporaryFailure = Self(rawValue: 43)
    public static let childSANotFound = Self(rawValue: 44)
    public static let invalidGroupID = Self(rawValue: 45)
    public static let authorizationFailed = Self(rawValue: 46)
    public static let stateNotFound = Self(rawValue: 47)
    public static let tsMaxQueue = Self(rawValue: 48)
    public static let registrationFailed = Self(rawValue: 49)
}

// Status types.
extension NotifyType {
    public static let initialContact = Self(rawValue: 16384)
    public static let setWindowSize = Self(rawValue: 16385)
    public static let additionalTSPossible = Self(rawValue: 16386)
    public static let ipcompSupported = Self(rawValue: 16387)
    public static let natDetectionSourceIP = Self(rawValue: 16388)
    public static let natDetectionDestinationIP = Self(rawValue: 16389)
    public static let cookie = Self(rawValue: 16390)
    public static let useTransportMode = Self(rawValue: 16391)
    public static let httpCertLookupSupported = Self(rawValue: 16392)
    public static let rekeySA = Self(rawValue: 16393)
    public static let espTFCPaddingNotSupported = Self(rawValue: 16394)
    public static let nonFirstFragmentsAlso = Self(rawValue: 16395)
    public static let mobikeSupported = Self(rawValue: 16396)
    public static let additionalIP4Address = Self(rawValue: 16397)
    public static let additionalIP6Address = Self(rawValue: 16398)
    public static let noAdditionalAddresses = Self(rawValue: 16399)
    public static let updateSAAddresses = Self(rawValue: 16400)
    public static let cookie2 = Self(rawValue: 16401)
    public static let noNATsAllowed = Self(rawValue: 16402)
    public static let authLifetime = Self(rawValue: 16403)
    public static let multipleAuthSupported = Self(rawValue: 16404)
    public static let anotherAuthFollows = Self(rawValue: 16405)
    public static let redirectSupported = Self(rawValue: 16406)
    public static let redirect = Self(rawValue: 16407)
    public static let redirectedFrom = Self(rawValue: 16408)
    public static let ticketLTOpaque = Self(rawValue: 16409)
    public static let ticketRequest = Self(rawValue: 16410)
    public static let ticketAck = Self(rawValue: 16411)
    public static let ticketNack = Self(rawValue: 16412)
    public static let ticketOpaque = Self(rawValue: 16413)
    public static let linkID = Self(rawValue: 16414)
    public static let useWESPMode = Self(rawValue: 16415)
    public static let rohcSupported = Self(rawValue: 16416)
    public static let eapOnlyAuthentication = Self(rawValue: 16417)
    public static let childlessIKEv2Supported = Self(rawValue: 16418)
    public static let quickCrashDetection = Self(rawValue: 16419)
    public static let ikev2MessageIDSyncSupported = Self(rawValue: 16420)
    public static let ipsecReplayCounterSyncSupported = Self(rawValue: 16421)
    public static let ikev2MessageIDSync = Self(rawValue: 16422)
    public static let ipsecReplayCounterSync = Self(rawValue: 16423)
    public static let securePasswordMethods = Self(rawValue: 16424)
    public static let pskPersist = Self(rawValue: 16425)
    public static let pskConfirm = Self(rawValue: 16426)
    public static let erxSupported = Self(rawValue: 16427)
    public static let ifomCapability = Self(rawValue: 16428)
    public static let groupSender = Self(rawValue: 16429)
    public static let ikev2FragmentationSupported = Self(rawValue: 16430)
    public static let signatureHashAlgorithms = Self(rawValue: 16431)
    public static let cloneIKESASupported = Self(rawValue: 16432)
    public static let cloneIKESA = Self(rawValue: 16433)
    public static let puzzle = Self(rawValue: 16434)
    public static let usePPK = Self(rawValue: 16435)
    public static let ppkIdentity = Self(rawValue: 16436)
    public static let noPPKAuth = Self(rawValue: 16437)
    public static let intermediateExchangeSupported = Self(rawValue: 16438)
    public static let ip4Allowed = Self(rawValue: 16439)
    public static let ip6Allowed = Self(rawValue: 16440)
    public static let additionalKeyExchange = Self(rawValue: 16441)
    public static let useAGGFRAG = Self(rawValue: 16442)
    public static let supportedAuthMethods = Self(rawValue: 16443)
    public static let saResourceInfo = Self(rawValue: 16444)
    public static let usePPKInt = Self(rawValue: 16445)
    public static let ppkIdentityKey = Self(rawValue: 16446)
    public static let ikeSAInitFullTranscriptAuth = Self(rawValue: 16447)
}

extension NotifyType {
    public static let names: [Self: String] = [
        .unsupportedCriticalPayload: "UNSUPPORTED_CRITICAL_PAYLOAD",
        .invalidIKESPI: "INVALID_IKE_SPI",
        .invalidMajorVersion: "INVALID_MAJOR_VERSION",
        .invalidSyntax: "INVALID_SYNTAX",
        .invalidMessageID: "INVALID_MESSAGE_ID",
        .invalidSPI: "INVALID_SPI",
        .noProposalChosen: "NO_PROPOSAL_CHOSEN",
        .invalidKEPayload: "INVALID_KE_PAYLOAD",
        .authenticationFailed: "AUTHENTICATION_FAILED",
        .singlePairRequired: "SINGLE_PAIR_REQUIRED",
        .noAdditionalSAs: "NO_ADDITIONAL_SAS",
        .internalAddressFailure: "INTERNAL_ADDRESS_FAILURE",
        .failedCPRequired: "FAILED_CP_REQUIRED",
        .tsUnacceptable: "TS_UNACCEPTABLE",
        .invalidSelectors: "INVALID_SELECTORS",
        .unacceptableAddresses: "UNACCEPTABLE_ADDRESSES",
        .unexpectedNATDetected: "UNEXPECTED_NAT_DETECTED",
        .useAssignedHoA: "USE_ASSIGNED_HoA",
        .temporaryFailure: "TEMPORARY_FAILURE",
        .childSANotFound: "CHILD_SA_NOT_FOUND",
        .invalidGroupID: "INVALID_GROUP_ID",
        .authorizationFailed: "AUTHORIZATION_FAILED",
        .stateNotFound: "STATE_NOT_FOUND",
        .tsMaxQueue: "TS_MAX_QUEUE",
        .registrationFailed: "REGISTRATION_FAILED",

        .initialContact: "INITIAL_CONTACT",
        .setWindowSize: "SET_WINDOW_SIZE",
        .additionalTSPossible: "ADDITIONAL_TS_POSSIBLE",
        .ipcompSupported: "IPCOMP_SUPPORTED",
        .natDetectionSourceIP: "NAT_DETECTION_SOURCE_IP",
        .natDetectionDestinationIP: "NAT_DETECTION_DESTINATION_IP",
        .cookie: "COOKIE",
        .useTransportMode: "USE_TRANSPORT_MODE",
        .httpCertLookupSupported: "HTTP_CERT_LOOKUP_SUPPORTED",
        .rekeySA: "REKEY_SA",
        .espTFCPaddingNotSupported: "ESP_TFC_PADDING_NOT_SUPPORTED",
        .nonFirstFragmentsAlso: "NON_FIRST_FRAGMENTS_ALSO",
        .mobikeSupported: "MOBIKE_SUPPORTED",
        .additionalIP4Address: "ADDITIONAL_IP4_ADDRESS",
        .additionalIP6Address: "ADDITIONAL_IP6_ADDRESS",
        .noAdditionalAddresses: "NO_ADDITIONAL_ADDRESSES",
        .updateSAAddresses: "UPDATE_SA_ADDRESSES",
        .cookie2: "COOKIE2",
        .noNATsAllowed: "NO_NATS_ALLOWED",
        .authLifetime: "AUTH_LIFETIME",
        .multipleAuthSupported: "MULTIPLE_AUTH_SUPPORTED",
        .anotherAuthFollows: "ANOTHER_AUTH_FOLLOWS",
        .redirectSupported: "REDIRECT_SUPPORTED",
        .redirect: "REDIRECT",
        .redirectedFrom: "REDIRECTED_FROM",
        .ticketLTOpaque: "TICKET_LT_OPAQUE",
        .ticketRequest: "TICKET_REQUEST",
        .ticketAck: "TICKET_ACK",
        .ticketNack: "TICKET_NACK",
        .ticketOpaque: "TICKET_OPAQUE",
        .linkID: "LINK_ID",
        .useWESPMode: "USE_WESP_MODE",
        .rohcSupported: "ROHC_SUPPORTED",
        .eapOnlyAuthentication: "EAP_ONLY_AUTHENTICATION",
        .childlessIKEv2Supported: "CHILDLESS_IKEV2_SUPPORTED",
        .quickCrashDetection: "QUICK_CRASH_DETECTION",
        .ikev2MessageIDSyncSupported: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        .ipsecReplayCounterSyncSupported: "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
        .ikev2MessageIDSync: "IKEV2_MESSAGE_ID_SYNC",
        .ipsecReplayCounterSync: "IPSEC_REPLAY_COUNTER_SYNC",
        .securePasswordMethods: "SECURE_PASSWORD_METHODS",
        .pskPersist: "PSK_PERSIST",
        .pskConfirm: "PSK_CONFIRM",
        .erxSupported: "ERX_SUPPORTED",
        .ifomCapability: "IFOM_CAPABILITY",
        .groupSender: "GROUP_SENDER",
        .ikev2FragmentationSupported: "IKEV2_FRAGMENTATION_SUPPORTED",
        .signatureHashAlgorithms: "SIGNATURE_HASH_ALGORITHMS",
        .cloneIKESASupported: "CLONE_IKE_SA_SUPPORTED",
        .cloneIKESA: "CLONE_IKE_SA",
        .puzzle: "PUZZLE",
        .usePPK: "USE_PPK",
        .ppkIdentity: "PPK_IDENTITY",
        .noPPKAuth: "NO_PPK_AUTH",
        .intermediateExchangeSupported: "INTERMEDIATE_EXCHANGE_SUPPORTED",
        .ip4Allowed: "IP4_ALLOWED",
        .ip6Allowed: "IP6_ALLOWED",
        .additionalKeyExchange: "ADDITIONAL_KEY_EXCHANGE",
        .useAGGFRAG: "USE_AGGFRAG",
        .supportedAuthMethods: "SUPPORTED_AUTH_METHODS",
        .saResourceInfo: "SA_RESOURCE_INFO",
        .usePPKInt: "USE_PPK_INT",
        .ppkIdentityKey: "PPK_IDENTITY_KEY",
        .ikeSAInitFullTranscriptAuth: "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH",
    ]
}
