/// A `TunnelPlan` in strongSwan's words (swanctl.conf(5)).
extension TunnelPlan {
    /// - Parameters:
    ///   - certificate: File names in the daemon's swanctl directory; `nil` for a pre-shared key.
    ///   - startsAtOnce: Whether the daemon initiates by itself.
    func strongSwanText(_ side: Side, certificate: String?, authority: String?) -> String {
        let sequenceNumbers = hasESN.map { $0 ? "-esn" : "-noesn" } ?? ""
        let espProposal = "\(self.espProposal)\(sequenceNumbers)"
        let children = zip(children(side), children(side.other)).map {
            childText($0.name, $0.traffic, $1.traffic, espProposal: espProposal, side)
        }.joined(separator: "\n")
        let (addressing, pools) = addressing(side)
        let method = authentication == .preSharedKey ? "psk" : "pubkey"
        return """
            connections {
                \(Self.connection) {
                    version = 2
                    mobike = \(isMobile ? "yes" : "no")
                    local_addrs = \(isMobile ? "%any" : "\(localAddress(side))")
                    remote_addrs = \(remoteAddress(side).map(\.description) ?? "%any")
                    proposals = \(ikeProposal)
                    rekey_time = \(ikeRekeySeconds[side] ?? 0)s
                    over_time = 60s
                    rand_time = 0s
                    reauth_time = 0s
                    dpd_delay = \(livenessSeconds[side] ?? 0)s
                    \(addressing)
                    encap = \(isUDPEncapsulated ? "yes" : "no")
                    \(peerLines.connection.joined(separator: "\n"))
                    local {
                        auth = \(method)
                        id = \(Self.identity(side))
                        \(certificate.map { "certs = \($0)" } ?? "")
                    }
                    remote {
                        auth = \(method)
                        id = \(Self.identity(side.other))
                        \(authority.map { "cacerts = \($0)" } ?? "")
                        \(peerLines.remote.joined(separator: "\n"))
                    }
                    children {
                        \(children)
                    }
                }
            }
            secrets {
                ike-lab {
                    id-left = \(Self.identity(.left))
                    id-right = \(Self.identity(.right))
                    secret = "\(preSharedKey)"
                }
            }
            \(pools)
            \(peerLines.other.joined(separator: "\n"))

            """
    }

    private func childText(
        _ name: String, _ near: [String], _ far: [String], espProposal: String, _ side: Side
    ) -> String {
        """
        \(name) {
            mode = \(isTransport ? "transport" : "tunnel")
            local_ts = \(isTransport || near.isEmpty ? "dynamic" : near.joined(separator: ", "))
            remote_ts = \(isTransport || far.isEmpty ? "dynamic" : far.joined(separator: ", "))
            esp_proposals = \(espProposal)
            rekey_time = \(childRekeySeconds[side] ?? 0)s
            life_time = 1h
            rand_time = 0s
            start_action = none
            dpd_action = clear
            close_action = none
            \(peerLines.child.joined(separator: "\n"))
        }
        """
    }

    /// What a connection says of inner addresses, and the section that it names.
    private func addressing(_ side: Side) -> (line: String, section: String) {
        guard !assigned.isEmpty else { return ("", "") }
        guard side == .right else {
            return ("vips = \(assigned.map { $0 == .v4 ? "0.0.0.0" : "::" }.joined(separator: ", "))", "")
        }
        let pools = assigned.map { family in
            """
            \(Self.poolName)-\(family) {
                addrs = \(Self.pool(family))
                dns = \(Self.dnsServer(family))
                25 = \(Self.domain)
            }
            """
        }
        return (
            "pools = \(assigned.map { "\(Self.poolName)-\($0)" }.joined(separator: ", "))",
            "pools {\n\(pools.joined(separator: "\n"))\n}"
        )
    }
}

/// The daemon's own settings (strongswan.conf(5)).
enum StrongSwanSettings {
    /// Only what the tests need: nothing else of the machine's configuration takes part. kernel-libipsec comes before
    /// kernel-netlink, which then serves routes and addresses only.
    private static let plugins =
        "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints sha1 sha2 hmac kdf aes gcm ccm ctr cmac xcbc chapoly "
        + "curve25519 counters kernel-libipsec kernel-netlink socket-default vici"

    static func text(socket: String, logFile: String) -> String {
        text(daemon: "charon-systemd", plugins: "load = \(plugins)", settings: "", socket: socket, logFile: logFile)
    }

    /// For a strongSwan of which all packaged plugins take part.
    static func modernText(hasKernelESP: Bool, lines: [String], socket: String, logFile: String) -> String {
        text(
            daemon: "charon", plugins: "load_modular = yes\n" + lines.joined(separator: "\n"),
            settings: """
                include /etc/strongswan.d/charon/*.conf
                kernel-libipsec {
                    load = \(hasKernelESP ? "no" : "yes")
                }
                bypass-lan {
                    load = no
                }
                """, socket: socket, logFile: logFile)
    }

    private static func text(daemon: String, plugins: String, settings: String, socket: String, logFile: String)
        -> String
    {
        """
        \(daemon) {
            \(plugins)
            retransmit_timeout = 1.0
            retransmit_base = 1.4
            retransmit_tries = 4
            plugins {
                \(settings)
                vici {
                    socket = unix://\(socket)
                }
            }
            filelog {
                lab {
                    path = \(logFile)
                    flush_line = yes
                    default = 1
                    ike = 2
                    knl = 1
                    esp = 1
                }
            }
            journal {
                default = -1
            }
            syslog {
                daemon {
                    default = -1
                }
                auth {
                    default = -1
                }
            }
        }
        swanctl {
            load = random openssl pem pkcs1 pkcs8 x509 pubkey sha1 sha2 curve25519
        }

        """
    }
}
