// Cases of Project Wycheproof; see the other table.

enum WycheproofECDSA {
    /// ecdsa_secp256r1_sha256_test: encodings of the signature.
    static let p256Key = """
        3059301306072a8648ce3d020106082a8648ce3d030107034200042927b10512bae3eddcfe467828128bad2903269919 \
        f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9685001558d1a974e7341513e
        """

    static let p256: [WycheproofCase] = [
        WycheproofCase(
            id: 5, comment: "signature malleability", message: "313233343030", isValid: true,
            signature: """
                304402202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e1802204cd60b855d442f5b3c7b \
                11eb6c4e0ae7525fe710fab9aa7c77a67f79e6fadd76
                """),
        WycheproofCase(
            id: 6, comment: "Legacy: ASN encoding of s misses leading 0", message: "313233343030", isValid: false,
            signature: """
                304402202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e180220b329f479a2bbd0a5c384 \
                ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 7, comment: "valid", message: "313233343030", isValid: true,
            signature: """
                304502202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 8, comment: "length of sequence [r, s] uses long form encoding", message: "313233343030",
            isValid: false,
            signature: """
                30814502202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5 \
                c384ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 9, comment: "length of sequence [r, s] contains a leading 0", message: "313233343030", isValid: false,
            signature: """
                3082004502202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0 \
                a5c384ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 10, comment: "length of sequence [r, s] uses 70 instead of 69", message: "313233343030", isValid: false,
            signature: """
                304602202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 23, comment: "appending 0's to sequence [r, s]", message: "313233343030", isValid: false,
            signature: """
                304702202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db0000
                """),
        WycheproofCase(
            id: 26, comment: "appending null value to sequence [r, s]", message: "313233343030", isValid: false,
            signature: """
                304702202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db0500
                """),
        WycheproofCase(
            id: 48, comment: "indefinite length", message: "313233343030", isValid: false,
            signature: """
                308002202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db0000
                """),
        WycheproofCase(
            id: 56, comment: "append zero", message: "313233343030", isValid: false,
            signature: """
                304802202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db020100
                """),
        WycheproofCase(
            id: 61, comment: "truncated sequence: removed last 1 elements", message: "313233343030", isValid: false,
            signature: "302202202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18"),
        WycheproofCase(
            id: 62, comment: "repeating element in sequence", message: "313233343030", isValid: false,
            signature: """
                306802202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db022100b329f479a2bbd0a5c384ee1493b1f5186a87139cac5d \
                f4087c134b49156847db
                """),
        WycheproofCase(
            id: 69, comment: "length of r uses 33 instead of 32", message: "313233343030", isValid: false,
            signature: """
                304502212ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 95, comment: "changing tag value of r", message: "313233343030", isValid: false,
            signature: """
                304500202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 102, comment: "modifying first byte of r", message: "313233343030", isValid: false,
            signature: """
                3045022029a3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 107, comment: "leading ff in r", message: "313233343030", isValid: false,
            signature: """
                30460221ff2ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022100b329f479a2bbd0a5 \
                c384ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
        WycheproofCase(
            id: 109, comment: "replacing r with zero", message: "313233343030", isValid: false,
            signature: "3026020100022100b329f479a2bbd0a5c384ee1493b1f5186a87139cac5df4087c134b49156847db"),
        WycheproofCase(
            id: 117, comment: "length of s uses 32 instead of 33", message: "313233343030", isValid: false,
            signature: """
                304502202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18022000b329f479a2bbd0a5c3 \
                84ee1493b1f5186a87139cac5df4087c134b49156847db
                """),
    ]

    /// ecdsa_secp521r1_sha512_test: encodings of the signature.
    static let p521Key = """
        30819b301006072a8648ce3d020106052b810400230381860004005c6457ec088d532f482093965ae53ccd07e556ed59 \
        e2af945cd8c7a95c1c644f8a56a8a8a3cd77392ddd861e8a924dac99c69069093bd52a52fa6c56004a074508007878d6 \
        d42e4b4dd1e9c0696cb3e19f63033c3db4e60d473259b3ebe079aaf0a986ee6177f8217a78c68b813f7e149a4e56fd95 \
        62c07fed3d895942d7d101cb83f6
        """

    static let p521: [WycheproofCase] = [
        WycheproofCase(
            id: 5, comment: "signature malleability", message: "313233343030", isValid: true,
            signature: """
                30818702414e4223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f6 \
                6fda48351de7bbfd515720b0ec5cd736f9b73bdf8645024201d74a2f6d95be8d4cb64f02d16d6b785a1246b4ebd206dc \
                596818bb953253245f5a27a24a1aae1e218fdccd8cd7d4990b666d4bf4902b84fdad123f941fe906d948
                """),
        WycheproofCase(
            id: 6, comment: "valid", message: "313233343030", isValid: true,
            signature: """
                30818602414e4223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f6 \
                6fda48351de7bbfd515720b0ec5cd736f9b73bdf8645024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a6 \
                97e7446acdacdba0a029e43d69111174dba2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
        WycheproofCase(
            id: 54, comment: "append zero", message: "313233343030", isValid: false,
            signature: """
                30818902414e4223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f6 \
                6fda48351de7bbfd515720b0ec5cd736f9b73bdf8645024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a6 \
                97e7446acdacdba0a029e43d69111174dba2fe747122709a69ce69d5285e174a01a93022fea8318ac1020100
                """),
        WycheproofCase(
            id: 101, comment: "modifying last byte of r", message: "313233343030", isValid: false,
            signature: """
                30818602414e4223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f6 \
                6fda48351de7bbfd515720b0ec5cd736f9b73bdf86c5024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a6 \
                97e7446acdacdba0a029e43d69111174dba2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
        WycheproofCase(
            id: 102, comment: "truncated r", message: "313233343030", isValid: false,
            signature: """
                30818502404e4223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f6 \
                6fda48351de7bbfd515720b0ec5cd736f9b73bdf86024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a697 \
                e7446acdacdba0a029e43d69111174dba2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
        WycheproofCase(
            id: 103, comment: "truncated r", message: "313233343030", isValid: false,
            signature: """
                30818502404223ee43e8cb89de3b1339ffc279e582f82c7ab0f71bbde43dbe374ac75ffbef29acdf8e70750b9a04f66f \
                da48351de7bbfd515720b0ec5cd736f9b73bdf8645024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a697 \
                e7446acdacdba0a029e43d69111174dba2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
        WycheproofCase(
            id: 106, comment: "replaced r by infinity", message: "313233343030", isValid: false,
            signature: """
                3046090180024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a697e7446acdacdba0a029e43d69111174db \
                a2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
        WycheproofCase(
            id: 107, comment: "replacing r with zero", message: "313233343030", isValid: false,
            signature: """
                3046020100024128b5d0926a4172b349b0fd2e929487a5edb94b142df923a697e7446acdacdba0a029e43d69111174db \
                a2fe747122709a69ce69d5285e174a01a93022fea8318ac1
                """),
    ]

    /// ecdsa_secp384r1_sha512_test: a hash longer than the curve.
    static let p384Key = """
        3076301006072a8648ce3d020106052b810400220362000429bdb76d5fa741bfd70233cb3a66cc7d44beb3b0663d92a8 \
        136650478bcefb61ef182e155a54345a5e8e5e88f064e5bc9a525ab7f764dad3dae1468c2b419f3b62b9ba917d5e8c4f \
        b1ec47404a3fc76474b2713081be9db4c00e043ada9fc4a3
        """

    static let p384: [WycheproofCase] = [
        WycheproofCase(
            id: 1, comment: "pseudorandom signature", message: "", isValid: true,
            signature: """
                306402302290c886bbad8f53089583d543a269a727665626d6b94a3796324c62d08988f66f6011e845811a03589e92ab \
                e1f17faf023066e2cb4380997f4e7f85022541adb22d24d1196be68a3db888b03eb3d2d40b0d9a3a6a00a1a4782ee0a0 \
                0e8410ba2d86
                """),
        WycheproofCase(
            id: 2, comment: "pseudorandom signature", message: "4d7367", isValid: true,
            signature: """
                30650231008071d8cf9df9efef696ebafc59f74db90c1f1ecf5ccde18858de22fe4d7df2a25cb3001695d706dfd7984b \
                39df65a0f4023027291e6339c2a7fed7a174bb97ffe41d8cfdc20c1260c6ec85d7259f0cc7781bf2ae7a6e6fb4c08e0d \
                75b7381bb7d9b8
                """),
        WycheproofCase(
            id: 3, comment: "pseudorandom signature", message: "313233343030", isValid: true,
            signature: """
                30650230470014ccd7a1a5e5333d301c8ea528ac3b07b01944af30cec60f4bad94db108509e45ba381818b5bdfaf9daf \
                0d372301023100e3d49d6a05a755aa871d7cb96fffb79fed7625f83f69498ba07c0d65166a67107c9a17ae6e1028e244 \
                377a44096217b2
                """),
    ]
}
