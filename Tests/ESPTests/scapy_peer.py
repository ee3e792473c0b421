"""An independent codec of ESP: scapy seals and opens what the test asks for.

Reads a JSON list of requests from standard input and writes a JSON list of answers. In transport mode, these have whole
packets on both sides. Scapy takes the high 32 bits of an
extended sequence number into AEADs only; for separate codes the standard library and cryptography compute it here (RFC 4303,
section 2.2.1). What scapy lacks is written out here: AES-XCBC (RFC 3566), AES-GCM with short tags, AES-GMAC (RFC 4543) and
implicit IVs (RFC 8750).
"""

import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.cmac import CMAC

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

HASHES = {
    "HMAC-SHA1-96": (hashlib.sha1, 12),
    "SHA2-256-128": (hashlib.sha256, 16),
    "SHA2-384-192": (hashlib.sha384, 24),
    "SHA2-512-256": (hashlib.sha512, 32),
}


def outer_header(request):
    if request["outer"] == 4:
        return IP(src="192.0.2.1", dst="192.0.2.2")
    return IPv6(src="2001:db8:f::1", dst="2001:db8:f::2")


def high_bits(request):
    return b"" if request["sequenceHigh"] is None else struct.pack("!L", request["sequenceHigh"])


# Separate codes


def xcbc(key, octets):
    def ecb(octet):
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return encryptor.update(bytes([octet]) * 16)

    if octets and len(octets) % 16 == 0:
        mask = ecb(2)
    else:
        mask = ecb(3)
        octets += b"\x80"
        octets += bytes(-len(octets) % 16)
    last = bytes(a ^ b for a, b in zip(octets[-16:], mask))
    encryptor = Cipher(algorithms.AES(ecb(1)), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(octets[:-16] + last)[-16:]


def code_length(request):
    return HASHES[request["integrity"]][1] if request["integrity"] in HASHES else 12


def separate_code(request, esp):
    key = bytes.fromhex(request["integrityKey"])
    octets = esp + high_bits(request)
    if request["integrity"] == "AES-XCBC-96":
        code = xcbc(key, octets)
    elif request["integrity"] == "AES-CMAC-96":
        state = CMAC(algorithms.AES(key))
        state.update(octets)
        code = state.finalize()
    else:
        code = hmac.new(key, octets, HASHES[request["integrity"]][0]).digest()
    return code[: code_length(request)]


# AEADs that scapy lacks


def aead(request, nonce, associated, text, seal):
    key = bytes.fromhex(request["encryptionKey"])
    name, tag = request["encryption"], request["tag"]
    key = key[: -3 if name == "AES-CCM" else -4]
    if name == "AES-CCM" or name == "CHACHA20-POLY1305":
        cipher = AESCCM(key, tag_length=tag) if name == "AES-CCM" else ChaCha20Poly1305(key)
        return cipher.encrypt(nonce, text, associated) if seal else cipher.decrypt(nonce, text, associated)
    if name == "AES-GMAC":
        # The payload is associated data too, and stays as it is.
        body, code = (text, None) if seal else (text[:-tag], text[-tag:])
        iv = nonce[4:]
        mode = modes.GCM(nonce) if seal else modes.GCM(nonce, code)
        state = Cipher(algorithms.AES(key), mode)
        state = state.encryptor() if seal else state.decryptor()
        state.authenticate_additional_data(associated + iv + body)
        state.finalize()
        return body + state.tag if seal else body
    if seal:
        encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated)
        return encryptor.update(text) + encryptor.finalize() + encryptor.tag[:tag]
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, text[-tag:], min_tag_length=tag)).decryptor()
    decryptor.authenticate_additional_data(associated)
    return decryptor.update(text[:-tag]) + decryptor.finalize()


def by_hand(request):
    key = bytes.fromhex(request["encryptionKey"])
    salt = key[-3 if request["encryption"] == "AES-CCM" else -4 :]
    octets = bytes.fromhex(request["octets"])
    low = struct.pack("!L", request["sequence"])
    spi = struct.pack("!L", request["spi"])
    associated = spi + high_bits(request) + low
    if request["hasImplicitIV"]:
        sent, iv = b"", high_bits(request).rjust(4, b"\0") + low
    elif request["seal"]:
        sent = iv = bytes(range(8))
    else:
        sent = iv = octets[8:16]
    if request["seal"]:
        padding = -(len(octets) + 2) % 4
        version = 4 if octets[0] >> 4 == 4 else 41
        text = octets + bytes(range(1, padding + 1)) + bytes([padding, version])
        return spi + low + sent + aead(request, salt + iv, associated, text, True)
    if octets[:8] != spi + low:
        raise ValueError("SPI or sequence number")
    text = aead(request, salt + iv, associated, octets[8 + len(sent) :], False)
    padding = text[-2]
    if text[-2 - padding : -2] != bytes(range(1, padding + 1)):
        raise ValueError("padding")
    return text[: -2 - padding]


def answer(request):
    short = request["encryption"] == "AES-GCM" and request["tag"] != 16
    if request["hasImplicitIV"] or request["encryption"] == "AES-GMAC" or short:
        return by_hand(request)
    extended = request["sequenceHigh"] is not None
    separate = request["integrity"] is not None
    own_code = separate and (extended or request["integrity"] == "AES-XCBC-96")
    association = SecurityAssociation(
        ESP,
        spi=request["spi"],
        seq_num=request["sequence"],
        crypt_algo=request["encryption"],
        crypt_key=bytes.fromhex(request["encryptionKey"]) or None,
        crypt_icv_size=request["tag"] or None,
        auth_algo=request["integrity"] if separate and not own_code else None,
        auth_key=bytes.fromhex(request["integrityKey"]) if separate and not own_code else None,
        tunnel_header=None if request["transport"] else outer_header(request),
        esn_en=extended,
        esn=request["sequenceHigh"] or 0,
    )
    octets = bytes.fromhex(request["octets"])
    if request["transport"]:
        packet = IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)
        return bytes(association.encrypt(packet) if request["seal"] else association.decrypt(packet))
    if request["seal"]:
        inner = IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)
        esp = bytes(association.encrypt(inner)[ESP])
        return esp + separate_code(request, esp) if own_code else esp
    if own_code:
        length = code_length(request)
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
