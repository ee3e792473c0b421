import IPsecCrypto

/// Key exchanges in the MODP groups computed by plain integer arithmetic.
///
/// RFC 3526 prints no exchange, so these come from the following program for Python 3, which builds the primes from the
/// digits of pi as RFC 3526 defines them. The initiator's exponent is the octets 1, 2, 3 and so on, the responder's
/// 101, 102, 103 and so on.
///
/// ```python
/// def pi_floor(bits):
///     guard = 64; one = 1 << (bits + guard)
///     def arctan_inverse(x):
///         total = term = one // x; n, sign = 3, -1
///         while term:
///             term //= x * x; total += sign * (term // n); sign = -sign; n += 2
///         return total
///     return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> guard
/// for size, shift, add, octets in (2048, 1918, 124476, 40), (3072, 2942, 1690314, 53), (4096, 3966, 240904, 60):
///     p = 2**size - 2**(size - 64) - 1 + 2**64 * (pi_floor(shift) + add)
///     i = int.from_bytes(range(1, octets + 1), "big")
///     r = int.from_bytes(range(101, octets + 101), "big")
///     for value in p, pow(2, i, p), pow(2, r, p), pow(2, i * r, p):
///         print(f"{value:0{size // 4}x}")
/// ```
struct ModularGroupVector: Sendable {
    let method: KeyExchangeMethod
    let prime: String
    let initiator: String
    let responder: String
    let secret: String

    static let all = [
        ModularGroupVector(
            method: .modp2048,
            prime: """
                ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd
                ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed
                ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f
                83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b
                e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510
                15728e5a8aacaa68ffffffffffffffff
                """,
            initiator: """
                f0cdbd67b9f7aa420ec897f258819be9496e9a0a5726c89df16dd7f451c98e45fb7738b946ffcc3743438f668c562d06
                c65d330de82a1078bf6f9292fdc86bec74ac0c26640704012785c1611d3c4f3ec28877eff3f5b11ce33a905b731dafca
                c4daf7e440d201db0ec4888a4e080572c92c1db2886612a28b6ab995987c8767b6a3f577e277713abefe80b9948bd5b7
                1b931d19185d503acf998c6e4b1cdaa3bc6b1ba20c71e6aceab8bdbf477c4706bea69f095f7687f47e93f99695fe582c
                7cab8d33f0267dbf4aab867f3a7f7a7f626e520129cd0fa3c7dc290f59217de17293bef38ae9b3bd3829226a08f611a9
                077a9acf31a954332f5a54d6eb7d524b
                """,
            responder: """
                ba2d59905467eb008748eed3e6f6ecc6c2f085c69d6feaf108daf3deb4962f3b71ebd9aab5e534b082032f6a06835492
                38a628410f08eb9f4a4581fbd8f8d58f1d8852070112217b5e333a565711aa30d882b44c150b43c5971d4e3c66a09a44
                1eb79db2d6a73036055875c27d9d260b391d8d8f0362428c40477bf6842bae0803997e87544fbf123befc7997d643341
                0760da373b499961dbfa73ddd0b6ff7f0cd8cf534e72952a38f116151cc3ddfb9b408b76ea1a87ccc4a4c542c4c73ea1
                160a97523d30d6f479fa64bcc9cd4ee5fb0cd006125ac1835353a69b97a2f02a3f99afbb1a0409c07448ce2afcc6d96e
                815e3fe4cac8ded119f90fb2fe0c558c
                """,
            secret: """
                922114f0280f30bbda7bc06e18471381eed6a433e871b745df5c9957a10c6f69ab95de5525cc5bd21c8d134284d735e1
                48b21d952184abc4274e7f7e969b0d9fd16f51725fc7e9ccbacdd7a3e26741280d01ff6c77986060f7160581d8cf275c
                3ca6f94f108a2b99d7eb023fddf9990bd4e9e6fc704805e81d42972f71de2c67b5c41ff6d1f7735066c08145d5e82972
                d29b9ef0abf5d00226a02b48d66d393fa228d20720e22a3af22746781525f1c525d4202d32c748d56937290a42d6aff9
                63eb735e7c5c0cbf466c0ca6e1241cf3f9bd8bdcef948bacc16376a518280a59a9f7eea514b12dbb33cb15f8218c8f08
                e4796ea5900fb6628a7e316850f48823
                """),
        ModularGroupVector(
            method: .modp3072,
            prime: """
                ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd
                ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed
                ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f
                83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b
                e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510
                15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7
                abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c
                bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff
                """,
            initiator: """
                6fa956f149271568d05346c10e947e4285407b0480df4aea32c5eda19e847ee8d138fd05b1260790e68fb9e4188632ee
                5dc8607e6f28581c1875a40efcdc8aa8e860d12a525c899f752ec0f27a1eae3f1e0b1b852bc61054b11c9d1c3904d83f
                b16c4f48268a82c5a0860dda825bf488029f1aa97d43fa037be7585004e51e62dd488a0d9beff636189a7cf3705f31ec
                f26282e07387b165dc39d6a2d3685b096bf38a3eb239c578bdb7f3c573ce4528c058e0e4ef81592ee28cdcba7f532753
                fefd1e64f342c42f2633637fd8a1a7f69ba85fedc138ee3ee30c0ebd779dcd5e12578da863eeb939cbe1df0539b06412
                059ae2ad2286d2352f459631c2781198379f84ddd23c52d59fa8b16b6c82b3e339181613c786d7d4b9ca38a2c4105f9a
                6728383a63eb162c8f8d2ac88b994155d3bc463a53235233f84ea9c068f15c9782cc5c366d4ccc03d4a1f1f0cb42e8cc
                803ca184894e1234bd01e7686c2b34a47eeacad24803ae35a4b62d50052bbfdcaf0ebda87780a38d719d75f9b273dd64
                """,
            responder: """
                7158809ce569f9c1c0c7162c75aaa7b47ed4881851e6403f579557dfebe64af600abeffb2028732266c55dc9a7471fea
                77bb274e1ec2a6daa27f1bd95b7fcefaacfc1281aee7540be16fc683e466ec1a10649c112950e96b87cefe8da4e217c1
                d1aca773ecbf3ddd7b58c155facbac841c829e3c4a756e95e8a8d81e925c7ee88c6a41cdbd57bc7d5b0683f83e54b03c
                4acaa54a0b4d4007b3a85e4217fe0912c63f4d933e5b6169c257c9e7aaf80438b9b574b4bb16d1ce294f15153e819369
                1cd164db5bf46cf92b644428d55ba5c523e1713835e71e248a27676282e43ecf1ac1b6038f3bf44ce4cfbad51dcc3799
                115637f633fcfa638721c1f9a79d1c42c0d7bb585ba30b78706ae20d20f70464381a3b6de05b40f81ef80e5ae63d3790
                3de8652da41d909804be6e763d5e6ea98f34db3cac1e7a9fc5c20f5e444074c106e531bc379f2f9056f96eb508a2e2a8
                d77e83cb1e56d1cab6286b06cfec45ce047de48298022d8d2c0c269da0e3a60882076631c44155724f91ec922fc7f485
                """,
            secret: """
                5ba675dcab0b89319a82fd2d9a7ddde7fdbd20b87bc98ffc8b7f101dc157fa0f319076724aa4fe24aed0363e20a12c18
                1094e6f37091cc1eb322666d63830325b934eaa9edbb27d843124665bc0cc00e7ca63562590f33b19664b95fb9cfb893
                64819c4568a2510aebdbe2027f2f2c1718899b6377dfe1370a2aab3690212d9a9b9a3c676334b95f0d9349fd30b08d24
                e93fa6dbb243c9a92bb58e9bf774a01872be59853312eff11fa3e99e65e7518974789f729fc8636f1bc00ad562312c6b
                e71eb3a891bf939831825401b57ccb35ee1a1be54eff3c601cb350a17024b93838eb6d0dd132567097c721b84bc2861a
                e92c62c3ea68c5e787a31720a4db424a8ec9c53806a5c93302c3f8f4581e2433bb665f189982e54cccaf9862b7da0f50
                134bde4e28177c84bee3cfaf920952598081eebd84385e0e73fcf2084fd36dd465787bf8918abbbf875d8a7b53937eb6
                555c00e6a77e32fe5913f255b50b813f752b3ec22a9eb44a885345eafeedebf0f7d9b3cca2b98c11bb4f0e9d5427299f
                """),
        ModularGroupVector(
            method: .modp4096,
            prime: """
                ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd
                ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed
                ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f
                83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b
                e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510
                15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7
                abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c
                bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7
                88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6
                287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9
                93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff
                """,
            initiator: """
                f37b2abe681f7ac18e1d40c89ae3d72618b67d97c7ebc106de0aea79c791921d99cc12cca41da77dfe8e82bfd218916e
                8a876935843f3fd2f12b0a55be0f3fd8eecf1cc7f9b6de4a28f12a32afc70755ab6a0a95df554eb1cb8573ca879b9f5e
                ef184437aaeded784fcfc9a003b0c34abb4ab5761ad473e2f466279b2ef9f072a4c70ee867c9e7c0e5380ce37e0c6988
                06d6855325266c8f8392d8d2d6cdedaa4c49383b1afa0f019451a23c6a5cfaf1da198aeefdba77c35958beb546b7627e
                85ed6c57b9b758c589ee49ed9ba83edd1c315aa95a40f1f266d9014ac7caf49fb77b66c2f23360ff2a16feb66d5ded11
                0cd7f11ed919c9a354f81da160d20bee53a1f117ca0cbffe7137a03f8d0bd904ccf59478d98db4cfd7245e9c75511bac
                076bc5707764bd599eb9079e69721570ca6817094082a532e0538a0adfce278ff15d5e6de15c4efb2dbe19c89de3a390
                ed19981fceb291a1123b50d87d416c7ae9f7776cb0ae1f7b7924f352005a2308cbc85af64a2a0ad4f5d2874958ddedd1
                8043b8cb91d06b44ac23b00f245817b80a0ef7165efccf914f2859ff8eda4a3d91b94d39b7c2e53581700abada83eb83
                ccb5814942bd1bb07c908bdf1ecd80dc640af1e30a987067cc2ede91b139b858f16ba7dc4f28a0607352fb9cd364b869
                84e714353cc4ba23432835a6b8645a2c66081ddf84cb5df643d91281d80f8ae2
                """,
            responder: """
                d1295c093b234e94b3baeb9d544b99672f03d9ec831675a74193a756134cedf8bfde43c2bec16a41ccf901f80c7b9857
                b29934f8cbf7eed2d5f371966547f1b64e1fd6eb9fa468774eff046f6ae224a4194948b8b7515818df5a9ee66bddde0c
                29f55782a834fcf4db55e32375c820295075b5a8aa2a772082459332c858c55461f11f15e658f23024f65ae5206f20c8
                237f2ef94b33fa3f40e838a420df9a9098708eeb2b1072a6d5167a9eace1e79530caa68ec9b718ed14a0e16a9902b0e1
                ae1865f3386cc4b25a00000a866c387b9322251b2fa4627cd6cb58947579d6c307f90b66ff6cb974c0251b510b78abb2
                7b3607d842b8b01457cbb14921913cb758a4799d868edcd956248dc3304a1387853a0e8ba88289330a0a19c4fa4cf037
                657513150637f8a020d3392fb46998f4565a1c75384df3744c916672756304e21dd44a1033aea859a71b13fb8eef4ffe
                7af8b108f506a13928961ae71cfdd58c44c64c9796b93f7263f367d5a4c9a0d19acc98865cf700fcf8f8d682867544bb
                7e6a740d695a00d69a6fe8d94b854ac971336856e0efbe61933dc0269ee343e59afd1644f7b5a40109ee85ab84e693e4
                c45f57f53dabce3bdbbb24095d8c4e4c57f3065bb30314ab7a63900914aa6fb5825818d7a6b322c54003c04a8ad42cc1
                47fd32011d7963106949cac2a7cfd047e573d2a34f54555628b1cce53a676cb3
                """,
            secret: """
                d507b4a72846a75bec95b89c19769acbbff1573ec9d423dbf2b30e75a1ed5841573fff1c102038feb092c3b1003c355b
                7f951ac5875ea7e079920a3ff50fb50b51e1324942ae193ad1fc6b1c4cb23c37c4905b8a1da4df65ee2a790d4a8a24be
                a8e00922430cfa366c1e4f00f19defefddf98a530009717486b82616c663856731aa267f33a13edb1cc07443bcdf99f9
                39c64a923e71cb8e8905f37dfb4a85732ab457ff8114bdb448d00a1ff5204897c915c172a65e7b13ac553690ff637553
                86c98916e0a8c420bd7ddd114261767095331552fc0eec7a0a92387fe0c0d240e9c7637bdcf88ccea5eb1071765bc8b4
                3335cf8c73e24f5e70fe7d115b35407839adfc56353d360543238440efe0395e5669ea16d123bf025af8c251975d02c4
                db771ca59f4acd6495f596fba9516c6656438dea8a9e69af6c9fe8040cdbf6933f0803219f2cb0697ac93f6c8d408e22
                205b245115881f9586b151193d83857f5ba65dff5046bbcde0f6852e485dcb9838f365df3f790f7cd10705dd1c9ffd47
                46ec9f509c9295a6de6512dab085033c2a4a7d94d4b1d5c12bfe61521ed2e15a0643989b6039ac28b8c984ae11f66a58
                277c71c9ac8819cd6aaf91b9803a57e4ef7c1e132d07cf1e82f5f763c878ad0c1c96f2221446a6d253e3a85551ab592e
                6780710212aaa495c1f7eb4a219401ede3aedfadcbea7ef48815576c2633eca2
                """),
    ]
}
