"""An independent security gateway on a raw socket of IP protocol 50: answers the pings that reach it through ESP.

Takes one JSON object as its argument: both associations, the outer addresses, the sequence numbers to answer with, and
whether they are extended. Prints a line when it listens. Ends when all sequence numbers are used, or after the deadline.
"""

import json
import socket
import sys
import time

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import ICMP, IP
from scapy.layers.ipsec import ESP, SecurityAssociation

setup = json.loads(sys.argv[1])


def association(sa, sequence):
    return SecurityAssociation(
        ESP,
        spi=sa["spi"],
        seq_num=sequence & 0xFFFFFFFF,
        crypt_algo=setup["encryption"],
        crypt_key=bytes.fromhex(sa["encryptionKey"]),
        auth_algo=setup["integrity"],
        auth_key=bytes.fromhex(sa["integrityKey"]) if setup["integrity"] else None,
        tunnel_header=IP(src=setup["local"], dst=setup["remote"]),
        esn_en=setup["extended"],
        esn=sequence >> 32 if setup["extended"] else 0,
    )


raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ESP)
raw.bind((setup["local"], 0))
raw.settimeout(0.5)
incoming = association(setup["inbound"], 0)
deadline = time.monotonic() + 20
sequences = list(setup["sequences"])
print("listening", flush=True)
answered = 0
while sequences and time.monotonic() < deadline:
    try:
        octets, _ = raw.recvfrom(65535)
    except TimeoutError:
        continue
    inner = incoming.decrypt(IP(octets))
    if ICMP not in inner or inner[ICMP].type != 8:
        continue
    reply = IP(src=inner.dst, dst=inner.src, ttl=64) / ICMP(type=0, id=inner[ICMP].id, seq=inner[ICMP].seq)
    reply /= bytes(inner[ICMP].payload)
    outgoing = association(setup["outbound"], sequences.pop(0))
    esp = outgoing.encrypt(IP(bytes(reply)))[ESP]
    raw.sendto(bytes(esp), (setup["remote"], 0))
    answered += 1
print(answered, flush=True)
