import IPsecCrypto
import Octets

/// An ESP packet that an RFC or a draft prints: the keys, what stands before the ciphertext, and both texts.
struct PacketVector: Sendable {
    let name: String
    let encryption: EncryptionAlgorithm
    /// The key, then the salt.
    let key: String
    /// SPI, then sequence number: 4 octets of it, or 8 when it is extended.
    let associated: String
    let iv: String
    /// The payload with padding, Pad Length and Next Header.
    let plaintext: String
    let ciphertext: String
    /// Empty where the document protects no integrity.
    let icv: String

    var isExtended: Bool { octets(associated).count == 12 }
    var sequenceHigh: UInt32 {
        isExtended ? octets(associated)[4..<8].reduce(0) { $0 << 8 | UInt32($1) } : 0
    }
    /// SPI and the 4 octets of the sequence number that are sent.
    var header: [UInt8] { octets(associated).prefix(4) + octets(associated).suffix(4) }
    /// The packet as it is sent.
    var packet: [UInt8] { header + octets(iv) + octets(ciphertext) + octets(icv) }
    var opened: [UInt8] { octets(plaintext) }

    private static func gcm(
        _ name: String, _ bits: Int, _ key: String, _ associated: String, _ iv: String, _ plaintext: String,
        _ ciphertext: String, _ icv: String
    ) -> PacketVector {
        PacketVector(
            name: name, encryption: .aesGCM16(bits), key: key, associated: associated, iv: iv, plaintext: plaintext,
            ciphertext: ciphertext, icv: icv)
    }

    /// RFC 7634, appendix A: ChaCha20-Poly1305 in ESP.
    static let rfc7634 = PacketVector(
        name: "RFC 7634, appendix A", encryption: .chaCha20Poly1305,
        key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3",
        associated: "01020304 00000005", iv: "1011121314151617",
        plaintext: """
            45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213
            1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204
            """,
        ciphertext: """
            24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f7
            2aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0
            """,
        icv: "76aaa8266b7fb0f7b11b369907e1ad43")

    /// draft-mcgrew-gcm-test-01, section 4: the AES-GCM packets, without and with extended sequence numbers.
    static let mcgrew = [
        gcm(
            "draft-mcgrew-gcm-test-01, case 1", 128,
            "4c80cdefbb5d10da906ac73c3613a634 2e443b68", "00004321 8765432100000000", "4956ed7e3b244cfe",
            """
            45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f75
            6470037369700963796265726369747902646b000021000101020201
            """,
            """
            fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1
            f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732
            """,
            "459018148f6cbe722fd04796562dfdb4"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 2", 128,
            "feffe9928665731c6d6a8f9467308308 cafebabe", "0000a5f8 0000000a", "facedbaddecaf888",
            """
            4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100000100000000000003736970
            0963796265726369747902646b00000100010001
            """,
            """
            deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0e
            ec416642cfbb85a5b47e48a4ec3b9ba95d918bd1
            """,
            "83b70d3aa8bc6ee4c309e9d85a41ad4a"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 3", 256,
            "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344",
            "4a2cbfe3 00000002", "0102030405060708",
            """
            4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b4
            0101040201020201
            """,
            """
            ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f054565
            9f14e99def842d8e
            """,
            "b335f4eecfdbf831824b4c4915956c96"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 4", 128,
            "00000000000000000000000000000000 00000000", "00000000 00000001", "0000000000000000",
            """
            4500003c99c500008001cb7a40679318010101010800075c020044006162636465666768696a6b6c6d6e6f70
            7172737475767761626364656667686901020201
            """,
            """
            4688daf2f973a392732909c331d56d60f694abaa414b5e7ff5fdcdfff5e9a284456476492719ffb64de7d9dc
            a1e1d894bc3bd57873ed4d181d19d4d5c8c18af3
            """,
            "f821d496eeb096e98ad2b69e4799c71d"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 5", 128,
            "3de09874b388e6491988d0c3607eae1f 57690e43", "42f67e3f 1010101010101010", "4e280000a2fca1a3",
            """
            4500003c99c300008001cb7c40679318010101010800085c020043006162636465666768696a6b6c6d6e6f70
            7172737475767761626364656667686901020201
            """,
            """
            fba2caa4853cf9f0f22cb10d86dd83b0fec75691cf1a04b00d1138ec9c35791765acbd8701ad79845bf9fe3f
            ba487bc91755e6662b4c8d0d1f5e22739530320a
            """,
            "e0d731cc978ecafaeae88f00e80d6e48"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 6", 128,
            "3de09874b388e6491988d0c3607eae1f 57690e43", "42f67e3f 1010101010101010", "4e280000a2fca1a3",
            "4500001c42a200008001441f406793b6e00000020a00f5ff01020201",
            "fba2ca845e5df9f0f22c3e6e86dd831e1fc65792cd1af9130e1379ed",
            "369f071f35e034be95f112e4e7d05d35"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 7", 192,
            "feffe9928665731c6d6a8f9467308308feffe9928665731c cafebabe",
            "0000a5f8 0000000a", "facedbaddecaf888",
            """
            45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001
            """,
            """
            a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc77
            """,
            "95457b9652037f5318027b5b4cd7a636"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 8", 128,
            "abbccddef00112233445566778899aab decaf888", "00000100 0000000000000001", "cafedebaceface74",
            """
            4500004933ba00007f119106c3fb1d10c2b1d326c02831ce0035dd7b800302d500004e20001e8c18d75b81dc
            91baa0476b91b924b280389d92c963bac046ec959b6266c04722b14923010101
            """,
            """
            18a6fd42f72cbf4ab2a2ea901f73d814e3e7f243d95412e1c349c1d2fbec168f9190feebaf2cb01984e65863
            965d7472b79da345e0e780191f0d2f0e0f496c226f2127b27db35724e7845d68
            """,
            "651f57e65f354f75ff17015769623436"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 9", 256,
            "abbccddef00112233445566778899aababbccddef00112233445566778899aab 73616c74",
            "17405e67 156f3126dd0db99b", "616e640169766563",
            """
            45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb71260250101f646d540001
            """,
            """
            f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57ff4d3a31ce673119e
            """,
            "451626c2415771e3b7eebca614c89b35"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 10", 128,
            "3de09874b388e6491988d0c3607eae1f 57690e43", "42f67e3f 1010101010101010", "4e280000a2fca1a3",
            """
            45000049333e00007f119182c3fb1d10c2b1d326c02831ce0035cb458003025b000001e0001e8c18d65759d5
            2284a0352c71475c8880391c764d6e5ee0496b325ae270c03899493915010101
            """,
            """
            fba2cad12fc1f9f00d3cebf305410db83d7784b607323d220f24b0a97d54182800cadb0f68d99ef0e0c0c89a
            e9bea8884e52d65bc1afd0740f742444747b5b39ab533163aad4550ee5160975
            """,
            "cdb608c5769189609763b8e18caa81e2"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 11", 256,
            "abbccddef00112233445566778899aababbccddef00112233445566778899aab 73616c74",
            "17405e67 156f3126dd0db99b", "616e640169766563",
            """
            636973636f0172756c657301746865016e6574776501646566696e6501746865746563686e6f6c6f67696573
            017468617477696c6c01646566696e65746f6d6f72726f7701020201
            """,
            """
            d4b7ed86a1777f2ea13d6973d324c69e7b43f826fb56831226508bebd2dceb18d0a6df10e5487df074113e14
            c641024e3e6773d91a62ee429b043a10e3efe6b012a49363412364f8
            """,
            "c0cac587f249e56b11e24f30e44ccc76"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 12", 128,
            "7d773d00c144c525ac619d18c84a3f47 d9664267", "335467ae ffffffff", "43457e9182443bc6",
            "01020201",
            "437f866b",
            "cb3f699fe9b0822bac961c4504bef270"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 13", 128,
            "abbccddef00112233445566778899aab decaf888", "00000100 0000000000000001", "cafedebaceface74",
            "746f016265016f72016e6f7401746f0162650001",
            "29c9fc69a197d038ccdd14e2ddfcaa0543332164",
            "412503524303ed3c6c5f283843af8c3e"),
        gcm(
            "draft-mcgrew-gcm-test-01, case 14", 256,
            "6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961 7475726e",
            "796b6963 ffffffffffffffff", "333021696765746d",
            """
            45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f70
            7172737401020201
            """,
            """
            f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae68a32b42458f
            b57dbe821dcc63b9
            """,
            "d0937ba2945f669368661a329fb4c053"),
    ]

    /// RFC 3602, section 4, cases 5 to 8: AES-CBC without integrity protection.
    static let rfc3602 = [
        PacketVector(
            name: "RFC 3602, case 5", encryption: .aesCBC(128), key: "90d382b410eeba7ad938c46cec1a82bf",
            associated: "00004321 00000001", iv: "e96e8c08ab465763fd098d45dd3ff893",
            plaintext: """
                08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
                2425262728292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01
                """,
            ciphertext: """
                f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a
                8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6
                """,
            icv: ""),
        PacketVector(
            name: "RFC 3602, case 6", encryption: .aesCBC(128), key: "90d382b410eeba7ad938c46cec1a82bf",
            associated: "00004321 00000008", iv: "69d08df7d203329db093fc4924e5bd80",
            plaintext: "0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
            ciphertext: "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
            icv: ""),
        PacketVector(
            name: "RFC 3602, case 7", encryption: .aesCBC(128), key: "0123456789abcdef0123456789abcdef",
            associated: "00008765 00000002", iv: "f4e765244f6407adf13dc1380f673f37",
            plaintext: """
                45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f
                101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020304
                05060708090a0a04
                """,
            ciphertext: """
                773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b
                859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5
                a100b842f1c22f0d
                """,
            icv: ""),
        PacketVector(
            name: "RFC 3602, case 8", encryption: .aesCBC(128), key: "0123456789abcdef0123456789abcdef",
            associated: "00008765 00000005", iv: "85d47224b5f3dd5d2101d4ea8dffab22",
            plaintext: """
                45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffff
                ffffffffffffffffffffffffffffffffffffffffffffffff0102030405060708090a0a04
                """,
            ciphertext: """
                15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c
                07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892
                """,
            icv: ""),
    ]

    /// Those that protect integrity themselves.
    static let combined = [rfc7634] + mcgrew
}
