import IPsecCrypto

/// RFC 3686, section 6: AES in counter mode.
enum CounterModeVectors {
    struct Vector: Sendable {
        /// The number of the test there.
        let number: Int
        let bits: Int
        /// The key, then the nonce.
        let key, iv, plaintext, ciphertext: String
    }

    static let rfc3686 = [
        Vector(
            number: 1, bits: 128,
            key: "ae6852f8121067cc4bf7a5765577f39e00000030",
            iv: "0000000000000000",
            plaintext: "53696e676c6520626c6f636b206d7367",
            ciphertext: "e4095d4fb7a7b3792d6175a3261311b8"),
        Vector(
            number: 2, bits: 128,
            key: "7e24067817fae0d743d6ce1f32539163006cb6db",
            iv: "c0543b59da48d90b",
            plaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            ciphertext: "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28"),
        Vector(
            number: 3, bits: 128,
            key: "7691be035e5020a8ac6e618529f9a0dc00e0017b",
            iv: "27777f3f4a1786f0",
            plaintext: """
                000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
                """,
            ciphertext: """
                c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f
                """),
        Vector(
            number: 4, bits: 192,
            key: "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb7851500000048",
            iv: "36733c147d6d93cb",
            plaintext: "53696e676c6520626c6f636b206d7367",
            ciphertext: "4b55384fe259c9c84e7935a003cbe928"),
        Vector(
            number: 5, bits: 192,
            key: "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a0096b03b",
            iv: "020c6eadc2cb500d",
            plaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            ciphertext: "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00"),
        Vector(
            number: 6, bits: 192,
            key: "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe0007bdfd",
            iv: "5cbd60278dcc0912",
            plaintext: """
                000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
                """,
            ciphertext: """
                96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935
                """),
        Vector(
            number: 7, bits: 256,
            key: """
                776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c10400000060
                """,
            iv: "db5672c97aa8f0b2",
            plaintext: "53696e676c6520626c6f636b206d7367",
            ciphertext: "145ad01dbf824ec7560863dc71e3e0c0"),
        Vector(
            number: 8, bits: 256,
            key: """
                f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a2388400faac24
                """,
            iv: "c1585ef15a43d875",
            plaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            ciphertext: "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c"),
        Vector(
            number: 9, bits: 256,
            key: """
                ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d001cc5b7
                """,
            iv: "51a51d70a1c11148",
            plaintext: """
                000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
                """,
            ciphertext: """
                eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8
                """),
    ]
}

/// AES-CCM with nonces of 11 octets, which RFC 4309 uses: of the NIST CAVP files, and of Wycheproof (aes_ccm_test).
enum CCMVectors {
    struct Vector: Sendable {
        let name: String
        let encryption: EncryptionAlgorithm
        /// The key, then the salt.
        let key, iv, associated: String
        /// Ciphertext and tag.
        let sealed: String
    }

    static let all = [
        Vector(
            name: "CAVP 1", encryption: .aesCCM16(128),
            key: "83ac5466c2ebe5052e01d1fc5d82662e96ac59",
            iv: "3007a1e2a2c75524", associated: "",
            sealed: """
                ab6fe1691d1999a892a0c46f7ee28bb170bb8ca64c6e978a572bbe5d98a6b132da24ead9a13998fda4bed9f21a6d22a8
                """),
        Vector(
            name: "CAVP 2", encryption: .aesCCM16(128),
            key: "1e2c7e01419aefc00d58966e5ca24bd34fa319",
            iv: "d3015ad830601556", associated: "dae6289c452dfd635eda4cb6e6fcf9b70c56cbe4e0057ae10a630978bc2c55de",
            sealed: """
                8a1e11f0026be219fc70c46d8eb799abc54ba2acd3f348ff3bb5ce53efdebb02a986156c13feda0a22b8293dd8399a23
                """),
        Vector(
            name: "CAVP 4", encryption: .aesCCM16(192),
            key: "56df5c8f263f0e42ef7ad3cefc846062cab440af5fc9c901d63c8c",
            iv: "8684b6cdef092e94", associated: "0265783ce9213091b1b9da769a786d95f28832a3f250cb4ce300736984698779",
            sealed: """
                39df7c3c5a29b9625d51c216d8bd069f9b6a0970c15183c266881d4f9adae01ec7791158e56b20407aea46428be46fe1
                """),
        Vector(
            name: "CAVP 5", encryption: .aesCCM8(256),
            key: """
                e08d997160d7971abd0199d58adf713ad3df244b5e3d4b4e307ab9d8530a5e2b1e2991
                """,
            iv: "ad8ec1530acf2dbe", associated: "19b61f57c4f3f08b782b9402290f42276b75cb9834087e79e43e490d848b2287",
            sealed: """
                19b86133452b43966f51d020307d9bc6263df8c96516a89ff0621734f21e8d754e13ccc0c32a542d
                """),
        Vector(
            name: "CAVP 6", encryption: .aesCCM12(256),
            key: """
                7cc8183b8d99e07c4541b8bd5ca7c2328ab80259a4fea92c09759a9b3c9b2739f9d94e
                """,
            iv: "63b53d9d43f61e50", associated: "57f56b8b575c3d3b1302010c834c96358ed639cf7d149b94b03936e68f57e013",
            sealed: """
                b0885a33aae5c71d8523c7c62ff41e3dcc63442507784f9e96b888ebbc481f0639af39acd84a80397b728af7
                """),
        Vector(
            name: "CAVP 7", encryption: .aesCCM16(256),
            key: """
                abd0e9330726e5838c7695d4b6dcf346f98fade3021383773fb0f1a1a1220f2b24a78b
                """,
            iv: "07cbcc0ee633bff5", associated: "d4db301d03fefd5f87d48cb6b6f17a5dab90658d8eca4d4f160c40904bc73673",
            sealed: """
                836f408772cfc113efbb8021046c5809071bfcdfc03f5bc7e079a86e717c3fcf5cdab233e513e20d74d1efb50f3ab5f8
                """),
        Vector(
            name: "CAVP 11", encryption: .aesCCM8(192),
            key: "585da096651a04d796e5c568aa9535e029a0ba9e4878d1baee4983",
            iv: "e9a9ffe957bafd9e", associated: "44a62c05e9e143b1587cf25c6d390a64a4f01305d177996711c4c6db00563661",
            sealed: """
                fbe55d34bee5e8e75aef2fbf1f7fd4b266ca611e967a61b31c164552ba049c9fb1d240bc527c6fb1
                """),
        Vector(
            name: "Wycheproof 261", encryption: .aesCCM16(128),
            key: "acab31483d9de4ad77f4e63fe41b57ae5c0939",
            iv: "e71bae1a9de167d4", associated: "",
            sealed: "0c506843ba7bd2dc4578e6bb83fd0c8dc275373037635bae294f99c8e46964b3"),
        Vector(
            name: "Wycheproof 262", encryption: .aesCCM16(128),
            key: "82841ef7fbae35546525fbbebf4718fbb5cd81",
            iv: "8f73a36ed025b6cf", associated: "44f48c2a20456358",
            sealed: "b287c637a7554362c80d6b24d50ddfb33967277da0f856f8f0ad49282894d2bb"),
        Vector(
            name: "Wycheproof 297", encryption: .aesCCM16(192),
            key: "2c2f7e8bb75ba931a711eca4d319e19ad89767248fee536021a104",
            iv: "56470d083ca7bd7c", associated: "",
            sealed: "186b50f0edf7b523021384f5d8c090498db01236b715a76432fcb02cff2f6ba6"),
        Vector(
            name: "Wycheproof 298", encryption: .aesCCM16(192),
            key: "0a3bf0a926fb14a3b716bfa021a208da0330e57bed36828aa0ba36",
            iv: "edc43d935ee94213", associated: "3fcd93ccb8e97956",
            sealed: "27d1e353233755a2fe28231637739c46b9b74765ed3d53031bf3c7349e74340e"),
        Vector(
            name: "Wycheproof 333", encryption: .aesCCM16(256),
            key: """
                aacb1336d6ee4d96a9a12e5b8f25f04800d4aaba55f379218d64edb3460fe215994c19
                """,
            iv: "1e7a29c0efc1eb4d", associated: "",
            sealed: "5aa31aa5eb103655b78c4f7bcf08c91764e41d31eb0df80adcee328f081c4aeb"),
        Vector(
            name: "Wycheproof 334", encryption: .aesCCM16(256),
            key: """
                60d6841e9e6218a2c8605a7794e74fb215dcf3a70a0015d497ed16564f2a83a04c93f5
                """,
            iv: "91af92f16596554e", associated: "7cb0eb9aa21fe859",
            sealed: "0c266113544d7a901ce721e1ead6d8f98a149eaa05c8722b2663c345a6a5418c"),
    ]

    /// Those of Wycheproof whose associated data can be SPI and sequence number, as packets.
    static let packets = [
        PacketVector(
            name: "Wycheproof 262", encryption: .aesCCM16(128),
            key: "82841ef7fbae35546525fbbebf4718fbb5cd81",
            associated: "44f48c2a20456358", iv: "8f73a36ed025b6cf",
            plaintext: "8c2c823bb39941b1c6b75bbc82f05ba4",
            ciphertext: "b287c637a7554362c80d6b24d50ddfb3",
            icv: "3967277da0f856f8f0ad49282894d2bb"),
        PacketVector(
            name: "Wycheproof 264", encryption: .aesCCM16(128),
            key: "1d286e525ec2864d9ea6e7adfbdc49701ad448",
            associated: "1db0eaaaa1e2c848", iv: "79f1947abd503dce",
            plaintext: "7b40e6c987692d0202cb6f44b423c267dd",
            ciphertext: "84f91f9d35b998598e50feb34dcaa0d260",
            icv: "ae4e38cc4b730944bc459df85a536f4e"),
        PacketVector(
            name: "Wycheproof 298", encryption: .aesCCM16(192),
            key: "0a3bf0a926fb14a3b716bfa021a208da0330e57bed36828aa0ba36",
            associated: "3fcd93ccb8e97956", iv: "edc43d935ee94213",
            plaintext: "9ab6c109c8069d054ccbb5c33c6e70d0",
            ciphertext: "27d1e353233755a2fe28231637739c46",
            icv: "b9b74765ed3d53031bf3c7349e74340e"),
        PacketVector(
            name: "Wycheproof 300", encryption: .aesCCM16(192),
            key: "ffe5d2ad71d432d6cd5f1072ec2acb7d7cde9c5c615d0eb9ea2198",
            associated: "f93db4f4aec8afe8", iv: "307402a106ea4293",
            plaintext: "c9db4d10d42340ac736271edf9f6581ce8",
            ciphertext: "bd960c7f60392e8d0afb28ba16ea63afd3",
            icv: "f2ca88d549dff207d979756d13e865d9"),
        PacketVector(
            name: "Wycheproof 334", encryption: .aesCCM16(256),
            key: """
                60d6841e9e6218a2c8605a7794e74fb215dcf3a70a0015d497ed16564f2a83a04c93f5
                """,
            associated: "7cb0eb9aa21fe859", iv: "91af92f16596554e",
            plaintext: "c0d1e635586b0ef835c01479a32175a3",
            ciphertext: "0c266113544d7a901ce721e1ead6d8f9",
            icv: "8a149eaa05c8722b2663c345a6a5418c"),
        PacketVector(
            name: "Wycheproof 336", encryption: .aesCCM16(256),
            key: """
                b3a06e00100ffc42dbdd5317f43d2b48f8c11e4bd6e9e3edab58e9944c559278f3d24b
                """,
            associated: "0242b5e804a79188", iv: "362bf12b84b8a66a",
            plaintext: "03b03b45f6f320b99d8158ff8b00f0ad92",
            ciphertext: "d127fd42b2ca4beca9f9ac86b63a1622ef",
            icv: "8a499aab9e8f4096da603c6ccfb9ac4a"),
    ]
}
