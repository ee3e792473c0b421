"""An independent codec of ESP in tunnel mode: scapy seals and opens what the test asks for.

Reads a JSON list of requests from standard input and writes a JSON list of answers. Scapy takes the high 32 bits of an
extended sequence number into AEADs only; for HMAC the standard library computes the code here (RFC 4303, section 2.2.1).
"""

import hashlib
import hmac
import json
import struct
import sys

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

HASHES = {"SHA2-256-128": hashlib.sha256, "SHA2-384-192": hashlib.sha384, "SHA2-512-256": hashlib.sha512}


def outer_header(request):
    if request["outer"] == 4:
        return IP(src="192.0.2.1", dst="192.0.2.2")
    return IPv6(src="2001:db8:f::1", dst="2001:db8:f::2")


def separate_code(request, esp):
    digest = HASHES[request["integrity"]]
    octets = esp + struct.pack("!L", request["sequenceHigh"])
    code = hmac.new(bytes.fromhex(request["integrityKey"]), octets, digest).digest()
    return code[: len(code) // 2]


def answer(request):
    extended = request["sequenceHigh"] is not None
    separate = request["integrity"] is not None
    by_hand = extended and separate
    association = SecurityAssociation(
        ESP,
        spi=request["spi"],
        seq_num=request["sequence"],
        crypt_algo=request["encryption"],
        crypt_key=bytes.fromhex(request["encryptionKey"]),
        auth_algo=request["integrity"] if separate and not by_hand else None,
        auth_key=bytes.fromhex(request["integrityKey"]) if separate and not by_hand else None,
        tunnel_header=outer_header(request),
        esn_en=extended,
        esn=request["sequenceHigh"] or 0,
    )
    octets = bytes.fromhex(request["octets"])
    if request["seal"]:
        inner = IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)
        esp = bytes(association.encrypt(inner)[ESP])
        return esp + separate_code(request, esp) if by_hand else esp
    if by_hand:
        length = HASHES[request["integrity"]]().digest_size // 2
        octets, code = octets[:-length], octets[-length:]
        if separate_code(request, octets) != code:
            raise ValueError("integrity check value")
    outer = outer_header(request)
    if request["outer"] == 4:
        outer.proto = 50
    else:
        outer.nh = 50
    return bytes(association.decrypt(outer.__class__(bytes(outer / octets))))


def guarded(request):
    try:
        return {"octets": answer(request).hex()}
    except Exception as error:
        return {"error": repr(error)}


json.dump([guarded(request) for request in json.load(sys.stdin)], sys.stdout)
