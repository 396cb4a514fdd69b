"""Sealed parts a second time, from agent/seal/README.md and the public specifications alone.

Here: X-Wing (draft-connolly-cfrg-xwing-kem), HPKE base mode (RFC 9180), the age v1 container
(c2sp.org/age), and our head and padding. From PyPI `cryptography`: ML-KEM-768, X25519,
ChaCha20-Poly1305, HKDF. Not here: speed, streaming, and keys that protect something.

    age_pq.py seal    CONTENT SEALED ENVELOPE FROM TO[,TO...] PART CLASS RECIPIENT...
    age_pq.py open    SEALED CONTENT ENVELOPE FROM ME PART CLASS KEY
    age_pq.py frame   CONTENT PLAINTEXT ENVELOPE FROM TO[,TO...] PART CLASS
    age_pq.py unframe PLAINTEXT CONTENT ENVELOPE FROM ME PART CLASS
    age_pq.py keygen  KEY RECIPIENT
    age_pq.py spoil   HOW SEALED RECIPIENT     an authentic file that must be refused
"""

import base64
import hashlib
import hmac
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

STANZA_TYPE = b"mlkem768x25519"
HPKE_INFO = b"age-encryption.org/mlkem768x25519"
HPKE_SUITE = b"HPKE" + bytes.fromhex("647a00010003")
XWING_LABEL = b"\\.//^\\"
CHUNK = 64 * 1024


class Refused(Exception):
    """Why a file was not opened."""


def require(kept, rule):
    if not kept:
        raise Refused(rule)


# X-Wing: ML-KEM-768 and X25519 in one.


def xwing_expand(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    return ml_kem, x25519


def xwing_public(seed):
    ml_kem, x25519 = xwing_expand(seed)
    return ml_kem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def xwing_combine(ml_kem_secret, x25519_secret, share, public):
    return hashlib.sha3_256(ml_kem_secret + x25519_secret + share + public + XWING_LABEL).digest()


def xwing_encapsulate(recipient):
    ml_kem_secret, ciphertext = MLKEM768PublicKey.from_public_bytes(recipient[:1184]).encapsulate()
    public = recipient[1184:]
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    x25519_secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    return xwing_combine(ml_kem_secret, x25519_secret, share, public), ciphertext + share


def xwing_decapsulate(seed, encapsulated):
    ml_kem, x25519 = xwing_expand(seed)
    share = encapsulated[1088:]
    try:  # a share of low order gives a secret of zeros, which the library refuses
        x25519_secret = x25519.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError as error:
        raise Refused("X25519 share of low order") from error
    public = x25519.public_key().public_bytes_raw()
    return xwing_combine(ml_kem.decapsulate(encapsulated[:1088]), x25519_secret, share, public)


# HPKE base mode, one message (RFC 9180, sections 4 and 5.1).


def labeled_extract(salt, label, ikm):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + HPKE_SUITE + label + ikm, "sha256")


def labeled_expand(prk, label, info, length):
    # One block of HKDF-Expand is enough for what we derive.
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + HPKE_SUITE + label + info
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:length]


def hpke_cipher(shared_secret):
    psk_id = labeled_extract(b"", b"psk_id_hash", b"")
    info = labeled_extract(b"", b"info_hash", HPKE_INFO)
    context = b"\x00" + psk_id + info
    secret = labeled_extract(shared_secret, b"secret", b"")
    key = labeled_expand(secret, b"key", context, 32)
    return ChaCha20Poly1305(key), labeled_expand(secret, b"base_nonce", context, 12)


# The age v1 container.


def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def unb64(text, length, rule):
    data = base64.b64decode(text + b"=" * (-len(text) % 4))
    require(len(data) == length and b64(data) == text, rule)
    return data


def hkdf(file_key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(file_key)


def stanza(file_key, recipient):
    shared_secret, encapsulated = xwing_encapsulate(recipient)
    cipher, nonce = hpke_cipher(shared_secret)
    body = cipher.encrypt(nonce, file_key, b"")
    return b"-> " + STANZA_TYPE + b" " + b64(encapsulated) + b"\n" + b64(body) + b"\n"


def unwrap(line, body, seed):
    arguments = line.split(b" ")
    require(arguments[:2] == [b"->", STANZA_TYPE], "recipient of another type")
    require(len(arguments) == 3, "stanza")
    shared_secret = xwing_decapsulate(seed, unb64(arguments[2], 1120, "stanza"))
    cipher, nonce = hpke_cipher(shared_secret)
    try:
        return cipher.decrypt(nonce, unb64(body, 32, "stanza"), b"")
    except Exception:  # InvalidTag: for somebody else
        return None


def end_header(file_key, stanzas):
    covered = b"age-encryption.org/v1\n" + stanzas + b"---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), covered, "sha256")
    return covered + b" " + b64(mac) + b"\n"


def chunk_nonce(number, last):
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def age_encrypt(file_key, stanzas, plaintext):
    nonce = os.urandom(16)
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    out = [end_header(file_key, stanzas), nonce]
    for start in range(0, len(plaintext), CHUNK):
        last = start + CHUNK >= len(plaintext)
        chunk = plaintext[start : start + CHUNK]
        out.append(cipher.encrypt(chunk_nonce(start // CHUNK, last), chunk, b""))
    return b"".join(out)


def age_decrypt(sealed, seed):
    lines = sealed[: 1 << 20].split(b"\n")
    require(lines[0] == b"age-encryption.org/v1", "not an age v1 file")
    end = next((i for i, line in enumerate(lines) if line.startswith(b"---")), None)
    require(end is not None and end % 2 == 1 and end > 1, "header")
    stanzas = [(lines[i], lines[i + 1]) for i in range(1, end, 2)]
    keys = [key for key in (unwrap(*stanza, seed) for stanza in stanzas) if key]
    require(keys, "no key fits")
    text = b"".join(a + b"\n" + b + b"\n" for a, b in stanzas)
    header = end_header(keys[0], text)
    require(hmac.compare_digest(sealed[: len(header)], header), "header MAC")
    return decrypt_payload(keys[0], sealed[len(header) :])


def decrypt_payload(file_key, payload):
    require(len(payload) > 32, "truncated")
    cipher = ChaCha20Poly1305(hkdf(file_key, payload[:16], b"payload"))
    chunks, step = payload[16:], CHUNK + 16
    out = []
    for start in range(0, len(chunks), step):
        last = start + step >= len(chunks)
        chunk = chunks[start : start + step]
        out.append(cipher.decrypt(chunk_nonce(start // step, last), chunk, b""))
    return b"".join(out)


# Bech32 without a length limit.

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_checksum(hrp, fields):
    state = 1
    for field in [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp] + fields:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ field
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= term if top >> bit & 1 else 0
    return state


def bech32_encode(hrp, data):
    spare = -len(data) * 8 % 5
    number = int.from_bytes(data, "big") << spare
    count = (len(data) * 8 + spare) // 5
    fields = [number >> 5 * i & 31 for i in reversed(range(count))]
    residue = bech32_checksum(hrp, fields + [0] * 6) ^ 1
    fields += [residue >> 5 * i & 31 for i in reversed(range(6))]
    return hrp + "1" + "".join(BECH32[field] for field in fields)


def bech32_decode(hrp, text, length):
    require(text.startswith(hrp + "1"), "key of another kind")
    number = 0
    for character in text[len(hrp) + 1 : -6]:
        number = number << 5 | BECH32.index(character)
    data = (number >> -length * 8 % 5).to_bytes(length, "big")
    require(bech32_encode(hrp, data) == text, "key text")
    return data


def read_key(path):
    return bech32_decode("age-secret-key-pq-", Path(path).read_text().strip().lower(), 32)


def read_recipient(path):
    return bech32_decode("age1pq", Path(path).read_text().strip(), 1216)


# Our plaintext: length of the head, head, content, zeros up to a Padmé length.


def padme(length):
    length = max(length, 512)
    exponent = length.bit_length() - 1
    mask = (1 << exponent - exponent.bit_length()) - 1
    return length + mask & ~mask


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def fields(data):
    """The fields of a protobuf message as (number, value)."""

    def number():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while data:
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, data = data[:value], data[value:]
        yield tag >> 3, value


def frame(content, envelope, sender, to, part, kind):
    head = field(1, 1) + field(2, bytes.fromhex(envelope)) + field(3, sender.encode())
    head += b"".join(field(4, agency.encode()) for agency in sorted(to.split(",")))
    head += field(5, int(part)) + field(6, int(kind)) + field(7, len(content))
    head += field(8, b"application/octet-stream")
    framed = len(head).to_bytes(4, "big") + head + content
    return framed.ljust(padme(len(framed)), b"\0")


def unframe(plaintext, envelope, sender, me, part, kind):
    length = int.from_bytes(plaintext[:4], "big")
    head = list(fields(plaintext[4 : 4 + length]))
    single = dict(head)
    require(single[1] == 1, "version")
    require(single[2] == bytes.fromhex(envelope), "another envelope")
    require(single[3] == sender.encode(), "another sender")
    require((4, me.encode()) in head, "not for me")
    require(single.get(5, 0) == int(part) and single.get(6, 0) == int(kind), "another part")
    start = 4 + length
    end = start + single.get(7, 0)
    require(len(plaintext) == padme(end), "length")
    require(not any(plaintext[end:]), "padding")
    return plaintext[start:end]


def spoil(how, recipient):
    """A file with a valid MAC that every careful opener of ours refuses."""
    file_key = os.urandom(16)
    plaintext = frame(b"spoilt", "019f" + "0" * 28, "shelter.example", "clinic.example", "2", "1")
    stanzas = stanza(file_key, recipient)
    if how == "grease":
        stanzas += b"-> x-grease q\n" + b64(os.urandom(8)) + b"\n"
    elif how == "x25519":
        stanzas += b"-> X25519 " + b64(os.urandom(32)) + b"\n" + b64(os.urandom(32)) + b"\n"
    elif how == "low-order":
        low = b64(os.urandom(1088) + bytes(32))
        stanzas += b"-> " + STANZA_TYPE + b" " + low + b"\n" + b64(os.urandom(32)) + b"\n"
    elif how == "padding":
        plaintext = plaintext[:-1] + b"\1"
    elif how == "length":
        plaintext += bytes(32)
    elif how != "nothing":
        raise Refused("unknown way to spoil")
    return age_encrypt(file_key, stanzas, plaintext)


def main(verb, one, other, *rest):
    if verb == "seal":
        file_key = os.urandom(16)
        stanzas = b"".join(stanza(file_key, read_recipient(path)) for path in rest[5:])
        plaintext = frame(Path(one).read_bytes(), *rest[:5])
        Path(other).write_bytes(age_encrypt(file_key, stanzas, plaintext))
    elif verb == "open":
        plaintext = age_decrypt(Path(one).read_bytes(), read_key(rest[5]))
        Path(other).write_bytes(unframe(plaintext, *rest[:5]))
    elif verb == "frame":
        Path(other).write_bytes(frame(Path(one).read_bytes(), *rest))
    elif verb == "unframe":
        Path(other).write_bytes(unframe(Path(one).read_bytes(), *rest))
    elif verb == "keygen":
        seed = os.urandom(32)
        Path(one).write_text(bech32_encode("age-secret-key-pq-", seed).upper())
        Path(other).write_text(bech32_encode("age1pq", xwing_public(seed)))
    elif verb == "spoil":
        Path(other).write_bytes(spoil(one, read_recipient(rest[0])))
    else:
        raise Refused("unknown verb")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refusal:
        sys.exit(f"age_pq: {refusal}")
