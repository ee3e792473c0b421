import Testing

// Cases of Project Wycheproof; see the other tables.

enum WycheproofEd448 {
    struct Case: Sendable, CustomTestStringConvertible {
        let id: Int
        let comment, key, message, signature: String
        let isValid: Bool
        var testDescription: String { "\(id): \(comment)" }
    }

    /// ed448_test: two of each kind.
    static let cases: [Case] = [
        Case(
            id: 1, comment: "Valid",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "",
            signature: """
                cf7953007666e12f73af9ec92e3e018da5ee5a8d5b17f5100a354c58f1d5f4bb37ab835c52f72374c72d612689149cf6
                d36a70db6dc5a6c400b597348e0e31e51e65bb144e63c892a367b4c055c036aa6cd7e728cdd2a098963bda863903e6dd
                025b5a5d891209f4e28537694804e50b0800
                """,
            isValid: true),
        Case(
            id: 2, comment: "Valid",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "78",
            signature: """
                c56e94d5c9ca860c244f33db556bf6b3cec38b024b77604a35d6a07211b1316b9a027133c374b86f72665cc45ce01583
                a2e0f2775c6172da801acef168717cab1196cddfb149359dfef589756257cc2d6b02fc516d8d41b4adaa3f11428f4141
                0ef0dc3c1b008d3d052173d4389508ed0100
                """,
            isValid: true),
        Case(
            id: 10, comment: "special values for r and s",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "3f",
            signature: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                000000000000000000000000000000000000
                """,
            isValid: false),
        Case(
            id: 11, comment: "special values for r and s",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "3f",
            signature: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                000000000000000000010000000000000000000000000000000000000000000000000000000000000000000000000000
                000000000000000000000000000000000000
                """,
            isValid: false),
        Case(
            id: 30, comment: "empty signature",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: "",
            isValid: false),
        Case(
            id: 31, comment: "s missing",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: """
                5d053ff5b71f6ec3284525d35d77933178c8e19879886d08eccc6c7d27e9e5b5e02537dbc4d4723506e8d171fc173385
                7573dd02d18f48f280
                """,
            isValid: false),
        Case(
            id: 33, comment: "signature too long",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: """
                5d053ff5b71f6ec3284525d35d77933178c8e19879886d08eccc6c7d27e9e5b5e02537dbc4d4723506e8d171fc173385
                7573dd02d18f48f28031d67d699a188a9ca46b4eabe2107aef237ca609cb462e24c91d25d286402b6ef7862b78a38695
                0246ff38d6d2f458136d12e3c97fdd9826002020
                """,
            isValid: false),
        Case(
            id: 34, comment: "include pk in signature",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: """
                5d053ff5b71f6ec3284525d35d77933178c8e19879886d08eccc6c7d27e9e5b5e02537dbc4d4723506e8d171fc173385
                7573dd02d18f48f28031d67d699a188a9ca46b4eabe2107aef237ca609cb462e24c91d25d286402b6ef7862b78a38695
                0246ff38d6d2f458136d12e3c97fdd982600419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691c
                ee039511df0cddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            isValid: false),
        Case(
            id: 38, comment: "removing 0 byte from signature",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "5465737430",
            signature: """
                dbd6384516ab6b0eb2d609414564ec217383b66040dfb0676128251ae24c1d7c179c21a9ee307dc13f8fe6550bc40187
                f093da85617bcf5d009d3ee8b798ad978b6e683bc4e911940ea82ea0b7e95dc24fe0b29e44663211892c2aaa3451379d
                22c289b94378f11fb700f1689d4a00d73e
                """,
            isValid: false),
        Case(
            id: 39, comment: "removing 0 byte from signature",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "546573743535",
            signature: """
                ce2b2fff0bf445a36813cf2a76e0cc5619a4f16ee53f0fe3cd46fc0414db7248b32fbda54bbb37e708d6238076ea12bf
                850b964b044520bb80fbaf0e1d1ed3bcab261462df5e7f2de73ac9cbae26dfa29015039acf90575961fc9b91b9ca276d
                ae7d5fa805bd202c5579a0f4c66e801400
                """,
            isValid: false),
        Case(
            id: 42,
            comment:
                "modified bit 0 in R. Accepted only by verifiers that ignore this bit when comparing R to the recovered R.",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "313233343030",
            signature: """
                5cb94c53101f521f6c1f43b60ea4d7e06fbd49c2e8afaf4fcc289e645e0880a87b8e55858df4cf2291a7303ffda446b8
                2a117b4dd408cff280afc33a525116cc12e0d1c3a1fde6de518a6544f360d0fe18d5be7770b057a2bf792db4b7648fa8
                4a6eaecae909e33fa59c5dfe4804ba262300
                """,
            isValid: false),
        Case(
            id: 43,
            comment:
                "modified bit 1 in R. Accepted only by verifiers that ignore this bit when comparing R to the recovered R.",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "313233343030",
            signature: """
                5fb94c53101f521f6c1f43b60ea4d7e06fbd49c2e8afaf4fcc289e645e0880a87b8e55858df4cf2291a7303ffda446b8
                2a117b4dd408cff280f91386c3e9dd9e7c9af7ca6bbef8b7a44ae3d68eeade449d7dfbb31de8419eb943e2ecbcdd06df
                5227e82b9ded519a56e70f0a1c0fc17b0600
                """,
            isValid: false),
        Case(
            id: 70,
            comment:
                "the encoded s was replaced by s + L. The scalar is unchanged mod L. Accepted only by verifiers that fail to enforce s < L. See RFC 8032, Section 5.2.7.",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: """
                5d053ff5b71f6ec3284525d35d77933178c8e19879886d08eccc6c7d27e9e5b5e02537dbc4d4723506e8d171fc173385
                7573dd02d18f48f280241bd6142ddb02c0f9fa133955d3e610b4b27cb814227de8b241ef4e86402b6ef7862b78a38695
                0246ff38d6d2f458136d12e3c97fdd986600
                """,
            isValid: false),
        Case(
            id: 71,
            comment:
                "the encoded s was replaced by s + 2L. The scalar is unchanged mod L. Accepted only by verifiers that fail to enforce s < L. See RFC 8032, Section 5.2.7.",
            key: """
                3043300506032b6571033a00419610a534af127f583b04818cdb7f0ff300b025f2e01682bcae33fd691cee039511df0c
                ddc690ee978426e8b38e50ce5af7dcfba50f704c00
                """,
            message: "54657374",
            signature: """
                5d053ff5b71f6ec3284525d35d77933178c8e19879886d08eccc6c7d27e9e5b5e02537dbc4d4723506e8d171fc173385
                7573dd02d18f48f28017602ec0bf9d7be34e8ad9c6c795533244e952675efdcbac9c65b9cb85402b6ef7862b78a38695
                0246ff38d6d2f458136d12e3c97fdd98a600
                """,
            isValid: false),
        Case(
            id: 78, comment: "RFC 8032",
            key: """
                3043300506032b6571033a005fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf12476
                9b46c7061bd6783df1e50f6cd1fa1abeafe8256180
                """,
            message: "",
            signature: """
                533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d78
                28c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db
                b61149f05a7363268c71d95808ff2e652600
                """,
            isValid: true),
        Case(
            id: 79, comment: "RFC 8032: 1 octet",
            key: """
                3043300506032b6571033a0043ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb
                00742802b8438ea4cb82169c235160627b4c3a9480
                """,
            message: "03",
            signature: """
                26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633
                fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f
                f3348ab21aa4adafd1d234441cf807c03a00
                """,
            isValid: true),
        Case(
            id: 80, comment: "RFC 8032: 1 octet with context",
            key: """
                3043300506032b6571033a0043ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb
                00742802b8438ea4cb82169c235160627b4c3a9480
                """,
            message: "03",
            signature: """
                d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2151f7647f11d8ca2ae279fb842d60721
                7fce6e042f6815ea000c85741de5c8da1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d
                5428407e85dcbc98a49155c13764e66c3c00
                """,
            isValid: false),
    ]
}
