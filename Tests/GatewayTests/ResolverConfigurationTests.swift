import Gateway
import IKE
import IKEMessage
import Testing

struct ResolverConfigurationTests {
    private func connections() throws -> [ConnectionConfiguration] {
        let fixtures = try FixtureDirectory()
        let reading = GatewayConfiguration.read(path: "\(fixtures.path)/dns.yaml")
        #expect(reading.diagnostics.isEmpty)
        return try #require(reading.configuration).connections.map(\.configuration)
    }

    @Test("A pool's encrypted resolvers are read whole, in the order of their priority, and know domains by themselves")
    func pool() throws {
        let pool = try #require(try connections().first?.addressPools.first)
        #expect(
            pool.encryptedResolvers.map(\.summary) == [
                "dns.example.org at 10.1.0.53 fd00:1::53, alpn=dot, SHA2-256 "
                    + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "dns2.example.org at 10.1.0.54, alpn=h2,dot port=8443 dohpath=/dns-query{?dns}",
            ])
        #expect(pool.encryptedResolvers.map(\.priority) == [2, 9])
        #expect(pool.domains.map(\.name) == ["corp.example"] && pool.dnsServers.isEmpty)
    }

    @Test("What becomes of a peer's resolvers is read from the connection, and what it leaves out from the defaults")
    func policy() throws {
        let all = try connections()
        let client = try #require(all.first { $0.name == "client" }?.resolvers)
        #expect(client.use == .resolved && client.domains == ["corp.example", "."])
        #expect(client.digestHashes == nil && client.trustAnchors.isEmpty)
        let other = try #require(all.first { $0.name == "other" }?.resolvers)
        #expect(other.use == .show && other.domains == ["corp.example", "."])
        #expect(other.trustAnchors == ["corp.example"])
        #expect(other.digestHashes == [.sha2_512, .sha2_256])
    }

    @Test("Without a word about it, resolvers are shown and nothing may be set")
    func byDefault() {
        #expect(ResolverPolicy().use == .show && ResolverPolicy().domains.isEmpty)
    }
}
