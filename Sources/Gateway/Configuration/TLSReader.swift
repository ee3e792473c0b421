// RFC 9329 appendix A: what is said of TLS around TCP.
import IKE
import Octets
import TLS

/// Where TLS is answered, and with what.
public struct TLSListening: Sendable {
    public var ports: [UInt16]
    public var server: TLSServer
}

enum TLSReader {
    /// `ports` of one kind: one or a list, or `none`.
    static func ports(_ node: ConfigurationNode) -> [UInt16] {
        node.node.scalar?.string == "none"
            ? [] : node.elements.compactMap { $0.integer(in: 1...65535).map { UInt16($0) } }
    }

    /// Of the gateway that is called: `tls: { ports: [443], certificate: { file: PATH, key: PATH } }`.
    ///
    /// - Parameter plain: the ports on which there is none.
    static func listening(_ node: ConfigurationNode, plain: [UInt16]) -> TLSListening? {
        guard let mapping = node.mapping(TLSListeningKey.self),
            let certificate = mapping.required(.certificate, "{ file: PATH, key: PATH } for TLS")
        else { return nil }
        let ports = mapping[.ports].map(Self.ports) ?? TLSPolicy().ports
        check(mapping[.ports] ?? node, ports, plain: plain, "tcp-ports")
        guard let files = AuthenticationReader.files(certificate) else { return nil }
        do throws(TLSFailure) {
            return TLSListening(
                ports: ports, server: try TLSServer(certificates: files.certificates, key: files.key))
        } catch {
            certificate.error(error.reason)
            return nil
        }
    }

    /// Of the peer that calls: `tls: yes`, or `tls: { ports: [443], name: gw.example.org, authorities: ca.pem }`.
    ///
    /// - Parameter names: by which the peer is looked up.
    static func policy(_ node: ConfigurationNode, plain: [UInt16], names: [String]) -> TLSPolicy? {
        var policy = TLSPolicy()
        policy.name = names.count == 1 ? names.first : nil
        guard node.isMapping else {
            guard node.bool() == true else { return nil }
            check(node, policy.ports, plain: plain, "ports")
            return policy
        }
        guard let mapping = node.mapping(TLSKey.self) else { return nil }
        if let node = mapping[.ports] { policy.ports = ports(node) }
        check(mapping[.ports] ?? node, policy.ports, plain: plain, "ports")
        if let node = mapping[.name], let name = node.text(expected: "the name in the peer's certificate for TLS") {
            if let host = RemoteHost(name), host.name != nil {
                policy.name = name
            } else {
                node.error("\(quoted(name)) is no host name; expected for example gw.example.org")
            }
        }
        guard let node = mapping[.authorities] else { return policy }
        let texts = node.elements.compactMap { AuthenticationReader.pem($0) }
        policy.authorities = texts
        do throws(TLSFailure) {
            _ = try TLSClient(TLSClientSettings(name: policy.name, authorities: texts))
        } catch {
            node.error(error.reason)
        }
        if policy.name == nil, names.count > 1 {
            node.error("the peer has several names; expected \"name\" as well: the one in its certificate for TLS")
        }
        return policy
    }

    private static func check(_ node: ConfigurationNode, _ ports: [UInt16], plain: [UInt16], _ other: String) {
        if ports.isEmpty { node.error("there is no port for TLS; expected for example 443") }
        for port in ports where plain.contains(port) {
            node.error("port \(port) is one without TLS as well (\"\(other)\"); expected another")
        }
    }
}
