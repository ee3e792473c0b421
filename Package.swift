// swift-tools-version: 6.1
import PackageDescription

// Every target is compiled in the Swift 6 language mode, which the tools version implies.

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "cygnet",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "IKEMessage", targets: ["IKEMessage"]),
        .library(name: "IKE", targets: ["IKE"]),
        .library(name: "ESP", targets: ["ESP"]),
        .executable(name: "cygnet", targets: ["cygnet"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLibSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CIPsecMB"),

        .target(name: "Octets"),
        .target(name: "CChecksum"),
        .target(name: "IPPacket", dependencies: ["Octets", "CChecksum"]),
        .target(name: "IKEMessage", dependencies: ["Octets"]),
        .target(name: "IPsecCrypto", dependencies: ["Octets", "COpenSSL", "CIPsecMB", crypto, cryptoExtras, asn1]),
        .target(name: "IPsecPolicy", dependencies: ["IPPacket"]),
        .target(name: "Credentials", dependencies: ["IPPacket", "IPsecCrypto", crypto, cryptoExtras, x509, asn1]),
        .target(name: "IKE", dependencies: ["IKEMessage", "IPsecCrypto", "IPsecPolicy", "Credentials", deque]),
        .target(name: "ESP", dependencies: ["IPPacket", "IPsecCrypto", "IPsecPolicy"]),
        .target(
            name: "Decode",
            dependencies: ["IKE", "IKEMessage", "ESP", "IPsecCrypto", "IPsecPolicy", "IPPacket", "Credentials"]),
        .target(name: "TLS", dependencies: ["Octets", "CLibSSL"]),
        .target(name: "Dataplane", dependencies: ["ESP", "TLS", "CLinux", deque]),
        .target(
            name: "Gateway",
            dependencies: [
                "IKE", "IKEMessage", "Dataplane", "TLS", log, deque,
                .product(name: "Yams", package: "Yams"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        .target(
            name: "Lab", dependencies: ["IPPacket", "CLinux"], path: "Lab",
            exclude: ["install-packages", "isolated", "peers"]),
        .executableTarget(
            name: "cygnet",
            dependencies: [
                "Gateway", "Decode", "Lab", "IKEMessage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .target(name: "AllocationCount", path: "Benchmarks/AllocationCount"),
        .target(name: "BareCipher", dependencies: ["CIPsecMB"], path: "Benchmarks/BareCipher"),
        .target(name: "FloodSender", path: "Benchmarks/FloodSender"),
        .target(name: "PacketLoad", path: "Benchmarks/PacketLoad"),
        .executableTarget(
            name: "cygnet-bench",
            dependencies: [
                "IKE", "ESP", "Lab", "AllocationCount", "BareCipher", "FloodSender", "PacketLoad",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/cygnet-bench"),

        .target(name: "Simulation", dependencies: ["IKE", "ESP"], path: "Tests/Simulation"),
        .target(name: "TestPrograms", dependencies: ["Lab"], path: "Tests/TestPrograms"),
        .target(
            name: "CertificateFixtures", dependencies: ["IPsecCrypto", crypto, cryptoExtras, x509, asn1],
            path: "Tests/CertificateFixtures"),
        .target(
            name: "FuzzTargets",
            dependencies: ["Gateway", "Dataplane", "Decode", "ESP", "Simulation", "CertificateFixtures", x509],
            path: "Fuzz/Targets"),
        .target(
            name: "FailingLibcrypto", dependencies: ["COpenSSL"], path: "Tests/LibcryptoFailures/FailingLibcrypto"),
        .executableTarget(
            name: "cygnet-libcrypto-failures", dependencies: ["FailingLibcrypto", "ESP", "Simulation"],
            path: "Tests/LibcryptoFailures/Runs"),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets"]),
        .executableTarget(
            name: "cygnet-soak",
            dependencies: ["Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/Soak"),
        .testTarget(name: "OctetsTests", dependencies: ["Octets"]),
        .testTarget(name: "IPPacketTests", dependencies: ["IPPacket"]),
        .testTarget(name: "IKEMessageTests", dependencies: ["IKEMessage"]),
        .testTarget(name: "IPsecCryptoTests", dependencies: ["IPsecCrypto", "TestPrograms", crypto, cryptoExtras]),
        .testTarget(
            name: "TLSTests", dependencies: ["TLS", "Octets", "CertificateFixtures", crypto, cryptoExtras, x509]),
        .testTarget(name: "IPsecPolicyTests", dependencies: ["IPsecPolicy"]),
        .testTarget(
            name: "CredentialsTests",
            dependencies: ["Credentials", "CertificateFixtures", crypto, cryptoExtras, x509, asn1]),
        .testTarget(name: "IKETests", dependencies: ["IKE", "Simulation", "CertificateFixtures"]),
        .testTarget(name: "SimulationTests", dependencies: ["IKE", "Simulation"]),
        .testTarget(name: "ESPTests", dependencies: ["ESP", "TestPrograms"], resources: [.copy("scapy_peer.py")]),
        .testTarget(
            name: "DataplaneTests", dependencies: ["Dataplane", "TLS", "CertificateFixtures", "TestPrograms", x509],
            resources: [.copy("scapy_gateway.py")]),
        .testTarget(name: "DecodeTests", dependencies: ["Decode", "IKE", "ESP"]),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "IKEMessage", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            resources: [.copy("Fixtures")]),
        .testTarget(name: "InteropTests", dependencies: ["Lab", "Gateway", "Decode"]),
        .testTarget(name: "GuestTests", dependencies: ["Lab"]),
    ]
)

// Only what `make fuzz` builds is linked with libFuzzer.
if Context.environment["CYGNET_FUZZ"] != nil {
    package.targets.append(.executableTarget(name: "cygnet-fuzz", dependencies: ["FuzzTargets"], path: "Fuzz/Driver"))
}

// To optimize the largest test targets takes longer than it saves: what they call is optimized.
let large = ["IKETests", "GatewayTests", "DataplaneTests", "DecodeTests", "InteropTests", "GuestTests"]
for target in package.targets where large.contains(target.name) {
    target.swiftSettings = [.unsafeFlags(["-Onone"])]
}
