import Foundation
import IPPacket
import Lab
import Testing

extension GuestRow {
    private static let port = 8888

    /// OCSP responses that go along with certificates (RFC 4806). Cygnet cannot fetch any: no certificate says where.
    static let statuses: [GuestRow] = [Role.initiator, .responder].flatMap { role in
        [
            GuestRow(
                "OCSP response from the peer", .strongSwanInUserSpace, role, cygnetLines: ["revocation: require"],
                plan: {
                    $0.authentication = .ecdsa
                    // strongSwan asks the responder itself, whatever the certificate says.
                    let router = Topology.routerAddress(role == .initiator ? .right : .left, .v4)
                    let uris = "ocsp_uris = http://\(router):\(port)/"
                    $0.peerLines.other = ["authorities {", "lab {", "cacert = ca.pem", uris, "}", "}"]
                }
            ) { meeting in
                await meeting.expectRefusal()
                try await meeting.startResponder(port: port)
                // The capture is not looked at: what strongSwan fetches goes over the same links.
                try await meeting.initiate()
                let ping = try await meeting.ping()
                meeting.expect(ping.lost == 0, "\(ping.lost) of \(ping.sent) are lost")
            },
            GuestRow(
                "OCSP response for the peer", .strongSwanInUserSpace, role,
                plan: {
                    $0.authentication = .ecdsa
                    $0.peerLines.connection = ["ocsp = both"]
                    $0.peerLines.remote = ["revocation = strict"]
                }
            ) { meeting in
                await meeting.expectRefusal()
                try await meeting.giveCygnetResponse()
                try await meeting.carryPackets()
            },
        ]
    }
}

extension Meeting {
    /// Without a response the tunnel does not come up.
    fileprivate func expectRefusal() async {
        do {
            try await bringUp()
            expect(false, "it is up without an OCSP response")
        } catch {
            // As it should be.
        }
    }

    /// Starts openssl's responder at the router.
    fileprivate func startResponder(port: Int) async throws {
        let log = "\(laboratory.directory)/responder.log"
        _ = try laboratory.start(try pki.responder() + ["-port", "\(port)"], in: topology.router, logFile: log)
        try await wait(for: "the responder") {
            try String(contentsOfFile: log, encoding: .utf8).contains("waiting for OCSP")
        }
    }

    /// Has Cygnet read a response on its certificate.
    fileprivate func giveCygnetResponse() async throws {
        let issued = try #require(credentials.cygnet?.issued)
        let file = try await pki.response(on: issued)
        let text = cygnet.configurationText.replacingOccurrences(
            of: "daemon: { ", with: "daemon: { revocation: { files: \(file) }, ")
        try text.write(toFile: cygnet.configurationFile, atomically: false, encoding: .utf8)
        try await cygnet.control("reload").orThrow()
    }
}
