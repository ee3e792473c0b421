import IPsecCrypto

/// Exchanges on the curves that libcrypto computes.
enum LibcryptoCurveVectors {
    /// RFC 7027, appendix A, and RFC 7748, section 6.2. The keys of the Brainpool curves are one less than printed, as
    /// the seed stands for seed mod (n - 1) + 1.
    static let published = [
        CurveKeyExchangeTests.Vector(
            method: .brainpoolP256r1,
            initiatorKey: """
                000000000000000081db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1c
                """,
            initiatorValue: """
                44106e913f92bc02a1705d9953a8414db95e1aaa49e81d9e85f929a8e3100be58ab4846f11caccb73ce49cbdd120f5a9
                00a69fd32c272223f789ef10eb089bdc
                """,
            responderKey: """
                000000000000000055e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd2
                """,
            responderValue: """
                8d2d688c6cf93e1160ad04cc4429117dc2c41825e1e9fca0addd34e6f1b39f7b990c57520812be512641e47034832106
                bc7d3e8dd0e4c7f1136d7006547cec6a
                """,
            secret: "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b"),
        CurveKeyExchangeTests.Vector(
            method: .brainpoolP384r1,
            initiatorKey: """
                00000000000000001e20f5e048a5886f1f157c74e91bde2b98c8b52d58e5003d57053fc4b0bd65d6f15eb5d1ee1610df
                870795143627d041
                """,
            initiatorValue: """
                68b665dd91c195800650cdd363c625f4e742e8134667b767b1b476793588f885ab698c852d4a6e77a252d6380fcaf068
                55bc91a39c9ec01dee36017b7d673a931236d2f1f5c83942d049e3fa20607493e0d038ff2fd30c2ab67d15c85f7faa59
                """,
            responderKey: """
                0000000000000000032640bc6003c59260f7250c3db58ce647f98e1260acce4acda3dd869f74e01f8ba5e0324309db6a
                9831497abac9666f
                """,
            responderValue: """
                4d44326f269a597a5b58bba565da5556ed7fd9a8a9eb76c25f46db69d19dc8ce6ad18e404b15738b2086df37e71d1eb4
                62d692136de56cbe93bf5fa3188ef58bc8a3a0ec6c1e151a21038a42e9185329b5b275903d192f8d4e1f32fe9cc78c48
                """,
            secret: """
                0bd9d3a7ea0b3d519d09d8e48d0785fb744a6b355e6304bc51c229fbbce239bbadf6403715c35d4fb2a5444f575d4f42
                """),
        CurveKeyExchangeTests.Vector(
            method: .brainpoolP512r1,
            initiatorKey: """
                000000000000000016302ff0dbbb5a8d733dab7141c1b45acbc8715939677f6a56850a38bd87bd59b09e80279609ff33
                3eb9d4c061231fb26f92eeb04982a5f1d1764cad57665421
                """,
            initiatorValue: """
                0a420517e406aac0acdce90fcd71487718d3b953efd7fbec5f7f27e28c6149999397e91e029e06457db2d3e640668b39
                2c2a7e737a7f0bf04436d11640fd09fd72e6882e8db28aad36237cd25d580db23783961c8dc52dfa2ec138ad472a0fce
                f3887cf62b623b2a87de5c588301ea3e5fc269b373b60724f5e82a6ad147fde7
                """,
            responderKey: """
                0000000000000000230e18e1bcc88a362fa54e4ea3902009292f7f8033624fd471b5d8ace49d12cfabbc19963dab8e2f
                1eba00bffb29e4d72d13f2224562f405cb80503666b25428
                """,
            responderValue: """
                9d45f66de5d67e2e6db6e93a59ce0bb48106097ff78a081de781cdb31fce8ccbaaea8dd4320c4119f1e9cd437a2eab37
                31fa9668ab268d871deda55a5473199f2fdc313095bcdd5fb3a91636f07a959c8e86b5636a1e930e8396049cb481961d
                365cc11453a06c719835475b12cb52fc3c383bce35e27ef194512b71876285fa
                """,
            secret: """
                a7927098655f1f9976fa50a9d566865dc530331846381c87256baf3226244b76d36403c024d7bbf0aa0803eaff405d3d
                24f11a9b5c0bef679fe1454b21c4cd1f
                """),
        CurveKeyExchangeTests.Vector(
            method: .curve448,
            initiatorKey: """
                9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d
                9ac2d8c0a598726b
                """,
            initiatorValue: """
                9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53
                177f80e532c41fa0
                """,
            responderKey: """
                1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0
                366f10b65173992d
                """,
            responderValue: """
                3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae
                07bdc1c67bf33609
                """,
            secret: """
                07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a
                449a5037514a879d
                """),
    ]

    /// A peer's value of Wycheproof (ecdh_brainpoolP256r1_test and its like, flag EdgeCaseSharedSecret).
    struct EdgeCase: Sendable {
        let method: KeyExchangeMethod
        let id: Int
        let seed, value, secret: String
    }

    static let edgeCases = [
        EdgeCase(
            method: .brainpoolP256r1, id: 3,
            seed: """
                000000000000000006546f19660be42b6455813d02dab822a1c55529e43179dd5cb77cd16b2c4cf3
                """,
            value: """
                1284e50ecda6c7c3a15ae79c318dec591da197fc32b7a046b168774013e54687156d96fe0765ea03404ecf5f6efc74b0
                792c05c11f9a683b97f5c7ca74f8a8c2
                """,
            secret: "0000000000000000000000000000000000000000000000000000000000000001"),
        EdgeCase(
            method: .brainpoolP256r1, id: 4,
            seed: """
                000000000000000006546f19660be42b6455813d02dab822a1c55529e43179dd5cb77cd16b2c4cf3
                """,
            value: """
                98577499d7a42f4dfe44c2757fd9932ec7e45a0d902e0bf1fe4ac09e705eb8e12d9b9a0092c9c92a661e24b2138b6a77
                8324c9db815eb05621c54cd4d4b2e887
                """,
            secret: "0000000000000000000000000000000000000000000000000000000000000002"),
        EdgeCase(
            method: .brainpoolP256r1, id: 5,
            seed: """
                000000000000000006546f19660be42b6455813d02dab822a1c55529e43179dd5cb77cd16b2c4cf3
                """,
            value: """
                5760aa78cfb0df84fcc2c442321a5c278fca245aa90a4fcb33ad8bbbe6e847df8b8f102d948a52b3c21f70067e106daf
                10626113b8ddc08e50fad4df13f90bed
                """,
            secret: "0000000000000000000000000000000000000000000000000000000000000003"),
        EdgeCase(
            method: .brainpoolP256r1, id: 6,
            seed: """
                000000000000000006546f19660be42b6455813d02dab822a1c55529e43179dd5cb77cd16b2c4cf3
                """,
            value: """
                63e92d05cfcde1179188bff8ba2043beff5a30a1a6b8ec1dfcd8273ce2c330540607392bdd311a313e3ae53196b14480
                b1967a235ebdbf1827165477884b5be2
                """,
            secret: "a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5376"),
        EdgeCase(
            method: .brainpoolP384r1, id: 3,
            seed: """
                00000000000000000a3315e6cdeb733e26d72d2a98e943727b637f98406755562b0531f1f92a8f4a66e6ace629249e0f
                61cad07b22ff62be
                """,
            value: """
                56b0e00539a304e1dcaef00d90e1e851002c5cbb2e7a0cdde34700f242d52d607cd48498fe7668eeffadcf2418ea898e
                57677fe6703911e5de7c45f3e03eb179e3248008eff9f5ad5860c74d58a45b291c23bf8d5be285ec6e9fd67ece9b6692
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001
                """),
        EdgeCase(
            method: .brainpoolP384r1, id: 4,
            seed: """
                00000000000000000a3315e6cdeb733e26d72d2a98e943727b637f98406755562b0531f1f92a8f4a66e6ace629249e0f
                61cad07b22ff62be
                """,
            value: """
                038c59d90915563eb3fcb7f8f0b9b4cfcd279a2591695b5a3c64e3a1bda0eaa78e8f060727858fb074f2acc98efa4823
                0e90a6199713cc07fc845d61744564cebfb1d157c39c4a01807bbf81a69caae69d6a9ef6c8547213ca98237f51406f90
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000003
                """),
        EdgeCase(
            method: .brainpoolP384r1, id: 5,
            seed: """
                00000000000000000a3315e6cdeb733e26d72d2a98e943727b637f98406755562b0531f1f92a8f4a66e6ace629249e0f
                61cad07b22ff62be
                """,
            value: """
                40603f7622260e70fd8b869191e9784a64f24a6ce061fccc99e27c0b6e4acf22cd26b92cd04257d16ccf9d70caa7062b
                11b8f84f496e0f937e3941f2a97d36a2fa4fe55b9aeec16b2f1582446e5a2acacbadf421db83ac096af808438c9192ef
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010004
                """),
        EdgeCase(
            method: .brainpoolP384r1, id: 6,
            seed: """
                00000000000000000a3315e6cdeb733e26d72d2a98e943727b637f98406755562b0531f1f92a8f4a66e6ace629249e0f
                61cad07b22ff62be
                """,
            value: """
                47f997b07de7a0e970b5fb832bbb763eccebaf5108252ae284909c2ed40daf4b126373061e1e201701dc71da53cd75db
                6b66f7bc87b6687f31c8ea4774ac4229362b43e5b02a2b47a43af5403f16afe0e97b57339fe02b4209e6c800384bbde5
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000100000000
                """),
        EdgeCase(
            method: .brainpoolP512r1, id: 3,
            seed: """
                0000000000000000842479c31f83056da807c6bff582540644ed6a3bbc4a5226cf3a21e918ef36e0616c8c6ad4bf13fa
                ca900dba60b6761cb07b0ddb01673ae31477e095cd211b4e
                """,
            value: """
                1c323510258b858d9a996fe644e2d116ca360726c51a54e0aa69e88ef816f20577349ae1f2f202ff40c499bdae4274bc
                fd502f736cf82f43acfca55649e9faaa88263cd161a1a6555ee0249363b537c8f2e2ee80943f4b162893fc9640d54a8e
                7b997ad202a9b723c3a08929d572076e3c85adec089da1507861758d47e41ec2
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                00000000000000000000000000000003
                """),
        EdgeCase(
            method: .brainpoolP512r1, id: 4,
            seed: """
                0000000000000000842479c31f83056da807c6bff582540644ed6a3bbc4a5226cf3a21e918ef36e0616c8c6ad4bf13fa
                ca900dba60b6761cb07b0ddb01673ae31477e095cd211b4e
                """,
            value: """
                273895ea597fb330f9ef29c61679d57b494aba7a22ef54f8edbac8a8b65ad6f91b44c2a8c5f862f42fadf68b44fc7a08
                6b12e8d4eb7a61d63f77108929f6abf42d69e73c49c1b4d8cba5fd200632391d7b33c686b2003581bc6568eae8d0d7b7
                fa6c69dc732494a5c16ea7605ff24bb6818a49caab161a4dd53876a646644f4d
                """,
            secret: """
                aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca703308717d4d9b009bc66842aecda12ae6a380e6
                2881ff2f2d82c68528aa6056583a48f2
                """),
        EdgeCase(
            method: .brainpoolP512r1, id: 5,
            seed: """
                0000000000000000842479c31f83056da807c6bff582540644ed6a3bbc4a5226cf3a21e918ef36e0616c8c6ad4bf13fa
                ca900dba60b6761cb07b0ddb01673ae31477e095cd211b4e
                """,
            value: """
                04f0c517000be4485b84900749970b069672a55abc7b41948bf5452cceb432e9bdacf237e1f5b8c0c511811c43454a97
                32bd64721035b5cf8f55f819c20b0cd5636e3403a39b710333d9691ffd589e371daf7a6b900e3d5d3cd1502cb180afe7
                a6dd4fb5283e9c35fd75e294bb39bf4bf18564f515156379eaa5f69a49b7528e
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                00000000000000000000000000010001
                """),
        EdgeCase(
            method: .brainpoolP512r1, id: 6,
            seed: """
                0000000000000000842479c31f83056da807c6bff582540644ed6a3bbc4a5226cf3a21e918ef36e0616c8c6ad4bf13fa
                ca900dba60b6761cb07b0ddb01673ae31477e095cd211b4e
                """,
            value: """
                97b5f6266e817f36f7bac55cec06eca7bc608f425d82f97f011dc448e8f568be4a7c172ed151cf9747d91f84b8c5881b
                72e37bcb3cf4a6c79865415bffd6cdee611f5689dbfff25967269c6ae2970dd373ee61a081346c0de8d9a2357f74bcd4
                f5113aaf886880e0de05884788ffcac810bfe85c5e1b2afecd40d94d5432ded9
                """,
            secret: """
                000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
                00000000000000000000000100000007
                """),
    ]

    /// Public values of small order on Curve448, of Wycheproof (x448_test, flag ZeroSharedSecret).
    static let smallOrderOnCurve448 = [
        """
        000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
        0000000000000000
        """,
        """
        010000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
        0000000000000000
        """,
        """
        fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffff
        ffffffffffffffff
        """,
        """
        fffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffff
        ffffffffffffffff
        """,
        """
        00000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffffffff
        ffffffffffffffff
        """,
    ]
}
