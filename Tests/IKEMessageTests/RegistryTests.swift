import IKEMessage
import Testing

@Suite struct RegistryTests {
    /// Names as IANA has them, by number; every other number must have none.
    private func check<Number: RegisteredNumber>(_ type: Number.Type, _ expected: [Number.RawValue: String]) {
        for (number, name) in expected {
            #expect(Number(rawValue: number).description == name)
            #expect(Number(rawValue: number).rawValue == number)
        }
        #expect(Set(Number.names.keys.map(\.rawValue)) == Set(expected.keys))
        #expect(Set(Number.names.values).count == Number.names.count)
    }

    @Test("exchange types")
    func exchangeTypes() {
        check(
            ExchangeType.self,
            [
                34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL", 38: "IKE_SESSION_RESUME",
                39: "GSA_AUTH", 40: "GSA_REGISTRATION", 41: "GSA_REKEY", 42: "GSA_INBAND_REKEY", 43: "IKE_INTERMEDIATE",
                44: "IKE_FOLLOWUP_KE",
            ])
    }

    @Test("payload types")
    func payloadTypes() {
        check(
            PayloadType.self,
            [
                0: "NONE", 33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce",
                41: "Notify", 42: "Delete", 43: "Vendor ID", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP",
                49: "GSPM", 50: "IDg", 51: "GSA", 52: "KD", 53: "SKF", 54: "PS",
            ])
    }

    @Test("notify error types")
    func notifyErrors() {
        let expected: [UInt16: String] = [
            1: "UNSUPPORTED_CRITICAL_PAYLOAD", 4: "INVALID_IKE_SPI", 5: "INVALID_MAJOR_VERSION", 7: "INVALID_SYNTAX",
            9: "INVALID_MESSAGE_ID", 11: "INVALID_SPI", 14: "NO_PROPOSAL_CHOSEN", 17: "INVALID_KE_PAYLOAD",
            24: "AUTHENTICATION_FAILED", 34: "SINGLE_PAIR_REQUIRED", 35: "NO_ADDITIONAL_SAS",
            36: "INTERNAL_ADDRESS_FAILURE", 37: "FAILED_CP_REQUIRED", 38: "TS_UNACCEPTABLE", 39: "INVALID_SELECTORS",
            40: "UNACCEPTABLE_ADDRESSES", 41: "UNEXPECTED_NAT_DETECTED", 42: "USE_ASSIGNED_HoA",
            43: "TEMPORARY_FAILURE", 44: "CHILD_SA_NOT_FOUND", 45: "INVALID_GROUP_ID", 46: "AUTHORIZATION_FAILED",
            47: "STATE_NOT_FOUND", 48: "TS_MAX_QUEUE", 49: "REGISTRATION_FAILED",
        ]
        let errors = NotifyType.names.filter { $0.key.isError }
        #expect(Dictionary(uniqueKeysWithValues: errors.map { ($0.key.rawValue, $0.value) }) == expected)
    }

    @Test("notify status types run without a gap from 16384 to 16447")
    func notifyStatus() {
        let expected = [
            "INITIAL_CONTACT", "SET_WINDOW_SIZE", "ADDITIONAL_TS_POSSIBLE", "IPCOMP_SUPPORTED",
            "NAT_DETECTION_SOURCE_IP", "NAT_DETECTION_DESTINATION_IP", "COOKIE", "USE_TRANSPORT_MODE",
            "HTTP_CERT_LOOKUP_SUPPORTED", "REKEY_SA", "ESP_TFC_PADDING_NOT_SUPPORTED", "NON_FIRST_FRAGMENTS_ALSO",
            "MOBIKE_SUPPORTED", "ADDITIONAL_IP4_ADDRESS", "ADDITIONAL_IP6_ADDRESS", "NO_ADDITIONAL_ADDRESSES",
            "UPDATE_SA_ADDRESSES", "COOKIE2", "NO_NATS_ALLOWED", "AUTH_LIFETIME", "MULTIPLE_AUTH_SUPPORTED",
            "ANOTHER_AUTH_FOLLOWS", "REDIRECT_SUPPORTED", "REDIRECT", "REDIRECTED_FROM", "TICKET_LT_OPAQUE",
            "TICKET_REQUEST", "TICKET_ACK", "TICKET_NACK", "TICKET_OPAQUE", "LINK_ID", "USE_WESP_MODE",
            "ROHC_SUPPORTED", "EAP_ONLY_AUTHENTICATION", "CHILDLESS_IKEV2_SUPPORTED", "QUICK_CRASH_DETECTION",
            "IKEV2_MESSAGE_ID_SYNC_SUPPORTED", "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED", "IKEV2_MESSAGE_ID_SYNC",
            "IPSEC_REPLAY_COUNTER_SYNC", "SECURE_PASSWORD_METHODS", "PSK_PERSIST", "PSK_CONFIRM", "ERX_SUPPORTED",
            "IFOM_CAPABILITY", "GROUP_SENDER", "IKEV2_FRAGMENTATION_SUPPORTED", "SIGNATURE_HASH_ALGORITHMS",
            "CLONE_IKE_SA_SUPPORTED", "CLONE_IKE_SA", "PUZZLE", "USE_PPK", "PPK_IDENTITY", "NO_PPK_AUTH",
            "INTERMEDIATE_EXCHANGE_SUPPORTED", "IP4_ALLOWED", "IP6_ALLOWED", "ADDITIONAL_KEY_EXCHANGE", "USE_AGGFRAG",
            "SUPPORTED_AUTH_METHODS", "SA_RESOURCE_INFO", "USE_PPK_INT", "PPK_IDENTITY_KEY",
            "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH",
        ]
        let status = NotifyType.names.filter { !$0.key.isError }
        #expect(status.count == expected.count)
        #expect((0..<expected.count).map { NotifyType(rawValue: UInt16(16384 + $0)).description } == expected)
    }

    @Test("transform types")
    func transformTypes() {
        check(
            TransformType.self,
            [
                1: "ENCR", 2: "PRF", 3: "INTEG", 4: "KE", 5: "Sequence Numbers", 6: "ADDKE1", 7: "ADDKE2", 8: "ADDKE3",
                9: "ADDKE4", 10: "ADDKE5", 11: "ADDKE6", 12: "ADDKE7", 13: "KWA", 14: "GCAUTH",
            ])
        #expect((0...255).filter { TransformType(rawValue: $0).isKeyExchange } == [4, 6, 7, 8, 9, 10, 11, 12])
    }

    @Test("protocol IDs, configuration types, traffic selector types, EAP codes")
    func smallRegistries() {
        check(
            ProtocolID.self,
            [0: "NONE", 1: "IKE", 2: "AH", 3: "ESP", 4: "FC_ESP_HEADER", 5: "FC_CT_AUTHENTICATION", 6: "GIKE_UPDATE"])
        check(ConfigurationType.self, [1: "CFG_REQUEST", 2: "CFG_REPLY", 3: "CFG_SET", 4: "CFG_ACK"])
        check(
            TrafficSelectorType.self,
            [7: "TS_IPV4_ADDR_RANGE", 8: "TS_IPV6_ADDR_RANGE", 9: "TS_FC_ADDR_RANGE", 10: "TS_SECLABEL"])
        check(EAPCode.self, [1: "Request", 2: "Response", 3: "Success", 4: "Failure"])
        check(TransformAttributeType.self, [14: "Key Length", 18: "Signature Algorithm Identifier"])
    }

    @Test("authentication methods and hash algorithms")
    func authentication() {
        #expect(Set(AuthenticationMethod.names.keys.map(\.rawValue)) == [1, 2, 3, 9, 10, 11, 12, 13, 14])
        #expect(
            [.rsaDigitalSignature, .sharedKey, .ecdsaP256, .ecdsaP384, .ecdsaP521, .null, .digitalSignature].map(
                \AuthenticationMethod.rawValue) == [1, 2, 9, 10, 11, 13, 14])
        check(
            HashAlgorithmID.self,
            [
                1: "SHA1", 2: "SHA2-256", 3: "SHA2-384", 4: "SHA2-512", 5: "Identity", 6: "STREEBOG_256",
                7: "STREEBOG_512",
            ])
    }

    @Test("identification types and certificate encodings")
    func identification() {
        check(
            IdentificationType.self,
            [
                1: "ID_IPV4_ADDR", 2: "ID_FQDN", 3: "ID_RFC822_ADDR", 5: "ID_IPV6_ADDR", 9: "ID_DER_ASN1_DN",
                10: "ID_DER_ASN1_GN", 11: "ID_KEY_ID", 12: "ID_FC_NAME", 13: "ID_NULL",
            ])
        #expect(
            Set(CertificateEncoding.names.keys.map(\.rawValue)) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
        #expect(CertificateEncoding.x509Signature.rawValue == 4)
        #expect(CertificateEncoding.ocspContent.rawValue == 14)
        #expect(CertificateEncoding.rawPublicKey.rawValue == 15)
    }

    @Test("configuration attributes")
    func configurationAttributes() {
        check(
            ConfigurationAttributeType.self,
            [
                1: "INTERNAL_IP4_ADDRESS", 2: "INTERNAL_IP4_NETMASK", 3: "INTERNAL_IP4_DNS", 4: "INTERNAL_IP4_NBNS",
                6: "INTERNAL_IP4_DHCP", 7: "APPLICATION_VERSION", 8: "INTERNAL_IP6_ADDRESS", 10: "INTERNAL_IP6_DNS",
                12: "INTERNAL_IP6_DHCP", 13: "INTERNAL_IP4_SUBNET", 14: "SUPPORTED_ATTRIBUTES",
                15: "INTERNAL_IP6_SUBNET", 16: "MIP6_HOME_PREFIX", 17: "INTERNAL_IP6_LINK", 18: "INTERNAL_IP6_PREFIX",
                19: "HOME_AGENT_ADDRESS", 20: "P_CSCF_IP4_ADDRESS", 21: "P_CSCF_IP6_ADDRESS", 22: "FTT_KAT",
                23: "EXTERNAL_SOURCE_IP4_NAT_INFO", 24: "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
                25: "INTERNAL_DNS_DOMAIN", 26: "INTERNAL_DNSSEC_TA", 27: "ENCDNS_IP4", 28: "ENCDNS_IP6",
                29: "ENCDNS_DIGEST_INFO",
            ])
    }

    @Test(
        "transforms are named with their key length",
        arguments: [
            (.encryption, 20, 256, "ENCR_AES_GCM_16_256"), (.encryption, 12, 128, "ENCR_AES_CBC_128"),
            (.encryption, 28, nil, "ENCR_CHACHA20_POLY1305"), (.encryption, 11, nil, "ENCR_NULL"),
            (.pseudorandomFunction, 5, nil, "PRF_HMAC_SHA2_256"), (.integrity, 0, nil, "NONE"),
            (.integrity, 12, nil, "AUTH_HMAC_SHA2_256_128"), (.keyExchange, 31, nil, "CURVE25519"),
            (.keyExchange, 19, nil, "ECP_256"), (.keyExchange, 15, nil, "MODP_3072"),
            (.additionalKeyExchange1, 36, nil, "ML_KEM_768"), (.additionalKeyExchange7, 0, nil, "NONE"),
            (.sequenceNumbers, 1, nil, "Partially Transmitted 64-bit Sequential Numbers"),
            (.keyWrap, 1, nil, "KW_5649_128"), (.groupControllerAuthentication, 2, nil, "Digital Signature"),
            (.encryption, 99, 128, "ENCR_UNKNOWN(99)_128"), (.keyExchange, 1024, nil, "KE_PRIVATE(1024)"),
            (.additionalKeyExchange2, 1023, nil, "ADDKE2_UNKNOWN(1023)"),
            (.init(rawValue: 77), 1, nil, "UNKNOWN(77)_UNKNOWN(1)"),
        ] as [(TransformType, UInt16, UInt16?, String)])
    func transforms(type: TransformType, id: UInt16, keyLength: UInt16?, name: String) {
        #expect(transformName(type, id, keyLength: keyLength) == name)
    }

    @Test("the numbers of transform IDs with a name are IANA's")
    func transformIDs() {
        let named = transformNames.mapValues { Set($0.keys) }
        #expect(named[.encryption] == Set(1...9).union(11...16).union(18...21).union(23...35))
        #expect(named[.pseudorandomFunction] == Set(1...9))
        #expect(named[.integrity] == Set(0...14))
        #expect(named[.keyExchange] == Set([0, 1, 2, 5]).union(14...37))
        #expect(named[.sequenceNumbers] == [0, 1, 2])
        for names in transformNames.values { #expect(Set(names.values).count == names.count) }
    }

    @Test("a key length counts only in its two-octet form")
    func keyLength() {
        #expect(Transform(type: .encryption, id: 12, keyLength: 192).keyLength == 192)
        #expect(Transform(type: .encryption, id: 12).keyLength == nil)
        let long = Transform(
            type: .encryption, id: 12, attributes: [.init(type: .keyLength, value: .variable([0, 192]))])
        #expect(long.keyLength == nil)
        #expect(!long.hasOnlyKeyLength)
    }

    @Test("a transform with attributes besides one key length is told apart (RFC 7296 section 3.3.6)")
    func hasOnlyKeyLength() {
        let length = TransformAttribute(type: .keyLength, value: .short(128))
        let other = TransformAttribute(type: .init(rawValue: 15), value: .short(128))
        func transform(_ attributes: [TransformAttribute]) -> Transform {
            Transform(type: .encryption, id: 12, attributes: attributes)
        }
        #expect(transform([]).hasOnlyKeyLength)
        #expect(transform([length]).hasOnlyKeyLength)
        #expect(!transform([length, other]).hasOnlyKeyLength)
        #expect(!transform([other]).hasOnlyKeyLength)
        #expect(!transform([length, length]).hasOnlyKeyLength)
    }

    @Test("numbers without a name show themselves, private ones as such")
    func unnamed() {
        #expect(NotifyType(rawValue: 40961).description == "PRIVATE(40961)")
        #expect(NotifyType(rawValue: 8192).description == "PRIVATE(8192)")
        #expect(NotifyType(rawValue: 8191).description == "UNKNOWN(8191)")
        #expect(NotifyType(rawValue: 16448).description == "UNKNOWN(16448)")
        #expect(NotifyType(rawValue: 40959).description == "UNKNOWN(40959)")
        #expect(ExchangeType(rawValue: 2).description == "UNKNOWN(2)")
        #expect(ExchangeType(rawValue: 240).description == "PRIVATE(240)")
        #expect(PayloadType(rawValue: 127).description == "UNKNOWN(127)")
        #expect(PayloadType(rawValue: 128).description == "PRIVATE(128)")
        #expect(HashAlgorithmID(rawValue: 1024).description == "PRIVATE(1024)")
        #expect(ConfigurationAttributeType(rawValue: 16384).description == "PRIVATE(16384)")
    }

    @Test("every number of a one-octet registry has a description")
    func descriptions() {
        for number in 0...255 as ClosedRange<UInt8> {
            #expect(!ExchangeType(rawValue: number).description.isEmpty)
            #expect(!PayloadType(rawValue: number).description.isEmpty)
            #expect(!TransformType(rawValue: number).description.isEmpty)
            #expect(!ProtocolID(rawValue: number).description.isEmpty)
            #expect(!AuthenticationMethod(rawValue: number).description.isEmpty)
            #expect(!IdentificationType(rawValue: number).description.isEmpty)
            #expect(!CertificateEncoding(rawValue: number).description.isEmpty)
            #expect(!TrafficSelectorType(rawValue: number).description.isEmpty)
            #expect(!ConfigurationType(rawValue: number).description.isEmpty)
            #expect(!EAPCode(rawValue: number).description.isEmpty)
        }
    }

    @Test("errors end at 16383")
    func errors() {
        #expect(NotifyType(rawValue: 16383).isError)
        #expect(!NotifyType(rawValue: 16384).isError)
        #expect(NotifyType(rawValue: 0).isError)
    }
}
