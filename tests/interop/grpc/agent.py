"""Two agencies' agents a second time, from proto/README.md, the .proto files and the public
specifications alone.

Here: gRPC over mutual TLS, DSSE, envelopes, handover receipts, RFC 6962, C2SP signed-note,
tlog-checkpoint and tlog-proof, the directory log, evidence chains. From PyPI: `grpcio` and `protobuf`
for the wire, `cryptography` for Ed25519 and SHA-256's users. Sealed parts come from
tests/interop/seal/age_pq.py, which was written the same way. Not here: a store, retries, an inbox.

    agent.py NETWORK SENDER RECIPIENT WORK

NETWORK is the network's network.toml, SENDER and RECIPIENT are agents' folders whose agencies have an
agreement, WORK is where receipts are written as files.
"""

import base64
import hashlib
import os
import sys
import time
import tomllib
import urllib.parse
from pathlib import Path

import grpc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import age_pq
from referral.v1 import agreement_pb2, directory_pb2, envelope_pb2, evidence_pb2, service_pb2
from referral.v1 import service_pb2_grpc as services
from referral.v1 import signed_pb2

ENVELOPE = "application/vnd.referral.envelope.v1+protobuf"
RECEIPT = "application/vnd.referral.receipt.v1+protobuf"
AGREEMENT = "application/vnd.referral.agreement.v1+protobuf"
DIRECTORY_ENTRY = "application/vnd.referral.directory-entry.v1+protobuf"
DAY_MS = 24 * 60 * 60 * 1000

passed = 0


class Failed(Exception):
    """What should hold and does not."""


def check(what, holds):
    global passed
    if not holds:
        raise Failed(what)
    passed += 1


def sha256(*runs):
    return hashlib.sha256(b"".join(runs)).digest()


# DSSE (rules 8 to 11).


def pae(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def key_id(public):
    return sha256(public)[:16].hex()


def sign(kind, message, key):
    payload = message if isinstance(message, bytes) else message.SerializeToString(deterministic=True)
    public = key.public_key().public_bytes_raw()
    signature = signed_pb2.Signature(sig=key.sign(pae(kind, payload)), key_id=key_id(public))
    return signed_pb2.SignedObject(payload=payload, payload_type=kind, signatures=[signature])


def object_digest(signed):
    return sha256(pae(signed.payload_type, signed.payload))


def signers(signed, keys):
    """The ids of the keys that signed, once each; every signature must verify."""
    ids = []
    for signature in signed.signatures:
        public = Ed25519PublicKey.from_public_bytes(keys[signature.key_id])
        public.verify(signature.sig, pae(signed.payload_type, signed.payload))
        ids.append(signature.key_id)
    check("a signature", ids and len(set(ids)) == len(ids))
    return ids


# Notes, checkpoints, trees (rules 27 to 30; C2SP and RFC 6962).


class Verifier:
    def __init__(self, vkey):
        self.name, self.key_hash, encoded = vkey.split("+", 2)
        key = base64.b64decode(encoded, validate=True)
        check("a key of type Ed25519", key[0] == 1 and len(key) == 33)
        check("the key's hash", sha256(self.name.encode(), b"\n", key)[:4].hex() == self.key_hash)
        self.key = Ed25519PublicKey.from_public_bytes(key[1:])

    def open(self, note):
        """Origin, size and root of a checkpoint that this key signed."""
        text, _, signatures = note.partition("\n\n")
        text += "\n"
        verified = False
        for line in signatures.splitlines():
            dash, name, encoded = line.split(" ")
            blob = base64.b64decode(encoded, validate=True)
            check("a signature line", dash == "\u2014")
            if name == self.name and blob[:4].hex() == self.key_hash:
                self.key.verify(blob[4:], text.encode())
                verified = True
        check("the log's own signature", verified)
        origin, size, root, end = text.split("\n")
        check("three lines, and the log's own name", end == "" and origin == self.name)
        return int(size), base64.b64decode(root, validate=True)


def leaf_hash(leaf):
    return sha256(b"\x00", leaf)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


def tree_root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(tree_root(hashes[:half]), tree_root(hashes[half:]))


def root_from_path(index, size, leaf, path):
    """RFC 9162, 2.1.3.2: the root that an inclusion path leads to."""
    last, root = size - 1, leaf
    for sibling in path:
        check("the path is no longer than the tree is high", last > 0)
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while index & 1 == 0 and index > 0:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    check("the path is as long as the tree is high", last == 0)
    return root


# Evidence (rules 24 to 26, 30).


def commitment(record, salt):
    return sha256(b"referral/evidence/v1\x00", salt, record)


def verify_receipt(receipt, log):
    """The record of a receipt, once it is proven."""
    record = evidence_pb2.EvidenceRecord.FromString(receipt.record)
    check("a salt of 32 bytes", len(receipt.salt) == 32)
    check("a path of whole hashes", len(receipt.path) % 32 == 0)
    path = [receipt.path[at : at + 32] for at in range(0, len(receipt.path), 32)]
    size, root = log.open(receipt.checkpoint)
    leaf = leaf_hash(b"\x01" + commitment(receipt.record, receipt.salt))
    check("the record stands in the log", root_from_path(record.index, size, leaf, path) == root)
    return record


def to_file(receipt):
    """The receipt as a tlog-proof."""
    record = evidence_pb2.EvidenceRecord.FromString(receipt.record)
    path = [receipt.path[at : at + 32] for at in range(0, len(receipt.path), 32)]
    lines = ["c2sp.org/tlog-proof@v1"]
    lines.append("extra " + base64.b64encode(receipt.salt + receipt.record).decode())
    lines.append(f"index {record.index}")
    lines += [base64.b64encode(one).decode() for one in path]
    return "\n".join(lines) + "\n\n" + receipt.checkpoint


# An agency.


def connect(network, folder):
    """TLS 1.3 with an agency's certificate. Only a gateway's certificate carries a host's name, so the name
    alone tells it from an agency."""
    credentials = grpc.ssl_channel_credentials(
        network["root"].encode(),
        (folder / "keys/tls.key").read_bytes(),
        (folder / "tls/chain.pem").read_bytes(),
    )
    return grpc.secure_channel(urllib.parse.urlsplit(network["gateway"]).netloc, credentials)


class Agency:
    def __init__(self, network, folder):
        folder = Path(folder)
        self.id = tomllib.loads((folder / "agent.toml").read_text())["agency"]
        seed = (folder / "keys/signing.key").read_text().split(" ")[1]
        self.key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
        self.public = self.key.public_key().public_bytes_raw()
        self.sealing = age_pq.read_key(folder / "keys/sealing.key")
        self.channel = connect(network, folder)
        self.push = services.PushStub(self.channel)
        self.receive = services.ReceiveStub(self.channel)
        self.log = services.LogStub(self.channel)
        self.directory = services.DirectoryStub(self.channel)
        self.evidence = services.EvidenceStub(self.channel)


class Directory:
    """The directory log, replicated whole (rules 28, 33 to 35): keys, agreements."""

    def __init__(self, agency, log):
        note = agency.log.GetCheckpoint(service_pb2.GetCheckpointRequest(log=service_pb2.LOG_NAME_DIRECTORY))
        self.size, root = log.open(note.checkpoint)
        leaves = []
        for answer in agency.directory.GetRecords(service_pb2.GetRecordsRequest(from_index=0)):
            check("records in their order", answer.index == len(leaves))
            leaves.append(answer.record)
            if len(leaves) == self.size:
                break
        check("the directory log's root", tree_root([leaf_hash(leaf) for leaf in leaves]) == root)
        self.keys, self.sealing, self.agreements = {}, {}, {}
        for leaf in leaves:
            self.take(directory_pb2.DirectoryRecord.FromString(leaf))

    def take(self, record):
        if record.HasField("agreement"):
            self.agreements[record.agreement.agreement] = record.agreement
        if not record.HasField("change"):
            return
        signed = record.change
        change = directory_pb2.DirectoryChange.FromString(signed.payload)
        check("a directory entry", signed.payload_type == DIRECTORY_ENTRY)
        kind = change.WhichOneof("change")
        if kind == "genesis":
            for administrator in change.genesis.administrators:
                self.keys[key_id(administrator.public_key)] = administrator.public_key
        elif kind == "admit_agency":
            admitted = change.admit_agency
            self.keys[key_id(admitted.signing_key)] = admitted.signing_key
            check("the new key signs for itself", key_id(admitted.signing_key) in signers(signed, self.keys))
            return
        signers(signed, self.keys)
        if kind == "publish_key" and change.publish_key.purpose == directory_pb2.KEY_PURPOSE_SEALING:
            self.sealing.setdefault(change.publish_key.agency, []).append(change.publish_key.public_key)

    def agreement(self, *parties):
        """The digest of an agreement in force between these."""
        for digest, entry in self.agreements.items():
            if entry.in_force and sorted(entry.parties) == sorted(parties):
                return digest
        raise Failed("no agreement")


def uuid7(now_ms):
    random = bytearray(os.urandom(10))
    random[0] = 0x70 | random[0] & 0x0F
    random[2] = 0x80 | random[2] & 0x3F
    return now_ms.to_bytes(6, "big") + bytes(random)


def seal(content, header, part_id, part_class, recipients):
    file_key = os.urandom(16)
    stanzas = b"".join(age_pq.stanza(file_key, recipient) for recipient in recipients)
    envelope = header.envelope_id.hex()
    plaintext = age_pq.frame(content, envelope, getattr(header, "from"), header.to, part_id, part_class)
    return age_pq.age_encrypt(file_key, stanzas, plaintext)


def unseal(part, header, me):
    listed = next(one for one in header.parts if one.part_id == part.part_id)
    check("the part's digest", sha256(part.ciphertext) == listed.sha256)
    check("the part's length", len(part.ciphertext) == listed.length_bytes)
    plaintext = age_pq.age_decrypt(part.ciphertext, me.sealing)
    envelope, sender = header.envelope_id.hex(), getattr(header, "from")
    return age_pq.unframe(plaintext, envelope, sender, me.id, part.part_id, listed.__getattribute__("class"))


def envelope_of(header, contents, directory, key):
    """An envelope of a header and its parts: (class, release, content)."""
    recipients = directory.sealing[header.to]
    parts = []
    for part_id, (part_class, release, content) in enumerate(contents, 1):
        ciphertext = seal(content, header, part_id, part_class, recipients)
        listed = envelope_pb2.Part(
            part_id=part_id,
            sha256=sha256(ciphertext),
            length_bytes=len(ciphertext),
            storage=envelope_pb2.STORAGE_INLINE,
            release=release,
            key_ids=[key_id(recipient) for recipient in recipients],
            **{"class": part_class},
        )
        header.parts.append(listed)
        parts.append(envelope_pb2.InlinePart(part_id=part_id, ciphertext=ciphertext))
    return envelope_pb2.Envelope(signed=sign(ENVELOPE, header, key), parts=parts)


def opening(sender, recipient, directory, clause, agreement):
    now = time.time_ns() // 1_000_000
    id = uuid7(now)
    fields = dict(
        version=1,
        envelope_id=id,
        referral=envelope_pb2.ReferralRef(opened_by=sender.id, referral_id=id),
        attempt=1,
        sequence=1,
        kind=envelope_pb2.KIND_REFERRAL,
        act=envelope_pb2.ACT_SUBMIT,
        to=recipient.id,
        category=clause.categories[0],
        service=clause.services[0],
        urgency=clause.urgencies[0],
        jurisdiction=clause.jurisdictions[0],
        identity_allowed=True,
        addressing=envelope_pb2.ADDRESSING_BY_NAME,
        directory_size=directory.size,
        agreement=agreement,
        created_at_ms=now,
        expires_at_ms=now + 14 * DAY_MS,
    )
    return envelope_pb2.Header(**fields, **{"from": sender.id})


def answering(opening, sender, act, previous, in_reply_to):
    """The header of an act of the recipient's: the same referral, the other way round."""
    now = time.time_ns() // 1_000_000
    header = envelope_pb2.Header()
    header.CopyFrom(opening)
    del header.parts[:]
    header.envelope_id = uuid7(now)
    header.act = act
    header.to = getattr(opening, "from")
    setattr(header, "from", sender.id)
    header.sequence = previous[0] + 1 if previous else 1
    header.previous = previous[1] if previous else b""
    header.in_reply_to = in_reply_to
    header.created_at_ms, header.expires_at_ms = now, now + 30 * DAY_MS
    return header


def refusal(call):
    """The refusal with which a call must end."""
    try:
        call()
    except grpc.RpcError as error:
        for name, value in error.trailing_metadata():
            if name == "referral-refusal-bin":
                return service_pb2.RefusalAnswer.FromString(value)
        raise Failed(f"no refusal: {error.code()} {error.details()}") from error
    raise Failed("it was not refused")


def delivered_to(agency, envelope):
    """What waits for an agency of an envelope."""
    for delivered in agency.receive.Fetch(service_pb2.FetchRequest(count_max=100)).deliveries:
        if object_digest(delivered.envelope.signed) == envelope:
            return delivered
    raise Failed("it does not wait")


def take(delivered, me, directory, log, event):
    """Checks a delivery as rule 21 wants it; gives its header, its contents, and what to sign."""
    signed = delivered.envelope.signed
    check("an envelope of one signature", signed.payload_type == ENVELOPE and len(signed.signatures) == 1)
    signers(signed, directory.keys)
    header = envelope_pb2.Header.FromString(signed.payload)
    check("it is for me", header.to == me.id)
    if delivered.HasField("receipt"):
        record = verify_receipt(delivered.receipt, log)
        check("the delivery's own record", record.event == event)
        check("of this envelope", record.envelope == object_digest(signed))
    contents = [unseal(part, header, me) for part in delivered.envelope.parts]
    handover = envelope_pb2.Handover(
        envelope=object_digest(signed),
        result=envelope_pb2.HANDOVER_RESULT_RECEIVED,
        part_digests=[sha256(part.ciphertext) for part in delivered.envelope.parts],
    )
    return header, contents, handover


def hand_over(agency, handover, log):
    receipt = envelope_pb2.HandoverReceipt(version=1, recipient=agency.id, handovers=[handover])
    signed = sign(RECEIPT, receipt, agency.key)
    answers = agency.receive.Acknowledge(service_pb2.AcknowledgeRequest(receipt=signed)).answers
    check("one answer", len(answers) == 1 and answers[0].envelope == handover.envelope)
    check("a receipt of the handover", answers[0].HasField("receipt"))
    record = verify_receipt(answers[0].receipt, log)
    check("ContentHandover", record.event == evidence_pb2.EVENT_CONTENT_HANDOVER)
    check("it rests on what was signed", record.object == object_digest(signed))
    check("every digest", list(record.part_digests) == list(handover.part_digests))
    return answers[0].receipt


def pushed(agency, envelope, log, event):
    answer = agency.push.PushOne(envelope)
    check("a receipt", answer.HasField("receipt"))
    record = verify_receipt(answer.receipt, log)
    check("SubmissionAcceptance", record.event == event)
    check("of what was pushed", record.envelope == object_digest(envelope.signed))
    check("by whom it was pushed", record.sender == agency.id)
    return answer.receipt


def timeline(agency, referral, log):
    """Rule 25: a party's own records hang together without a gap."""
    mine, chain = [], {}
    for bundle in agency.evidence.GetTimeline(service_pb2.GetTimelineRequest(referral=referral)):
        record = verify_receipt(bundle.receipt, log)
        for signed in map(signed_pb2.SignedObject.FromString, bundle.objects):
            check("the object is named", object_digest(signed) in (record.envelope, record.object))
        link = next(link for link in record.parties if link.party == agency.id)
        chain[link.count] = (link.previous, commitment(bundle.receipt.record, bundle.receipt.salt))
        mine.append(record)
    for count, (previous, _) in chain.items():
        if count - 1 in chain:
            check("the record before it", previous == chain[count - 1][1])
    check("in the log's order", [record.index for record in mine] == sorted(record.index for record in mine))
    return mine


def main(network_path, sender_folder, recipient_folder, work):
    network = tomllib.loads(Path(network_path).read_text())
    evidence_log, directory_log = Verifier(network["evidence_log"]), Verifier(network["directory_log"])
    sender, recipient = Agency(network, sender_folder), Agency(network, recipient_folder)
    directory = Directory(sender, directory_log)
    check("the sender's key is in the directory", key_id(sender.public) in directory.keys)
    check("the recipient's sealing key too", age_pq.xwing_public(recipient.sealing) in directory.sealing[recipient.id])

    # The agreement, which its parties alone can read.
    digest = directory.agreement(sender.id, recipient.id)
    signed = sender.directory.GetAgreement(service_pb2.GetAgreementRequest(agreement=digest)).signed
    check("the agreement's digest", signed.payload_type == AGREEMENT and object_digest(signed) == digest)
    signers(signed, directory.keys)
    agreement = agreement_pb2.Agreement.FromString(signed.payload)
    clause = next(one for one in agreement.clauses if getattr(one, "from") == sender.id and one.to == recipient.id)

    # A referral: pushed, pushed again, and never otherwise.
    summary = '{"summary": {"need": "an invented case"}}'.encode()
    identity = '{"identity": {"persons": [{"name": {"given": "مثال"}}]}}'.encode()
    header = opening(sender, recipient, directory, clause, digest)
    contents = [
        (envelope_pb2.PART_CLASS_SUMMARY, envelope_pb2.RELEASE_AT_ONCE, summary),
        (envelope_pb2.PART_CLASS_IDENTITY, envelope_pb2.RELEASE_ON_ACCEPTANCE, identity),
    ]
    envelope = envelope_of(header, contents, directory, sender.key)
    accepted = evidence_pb2.EVENT_SUBMISSION_ACCEPTANCE
    receipt = pushed(sender, envelope, evidence_log, accepted)
    again = pushed(sender, envelope, evidence_log, accepted)
    check("the same receipt, byte for byte", again == receipt)
    other = envelope_pb2.Header.FromString(envelope.signed.payload)
    other.urgency = clause.urgencies[-1] if clause.urgencies[-1] != header.urgency else clause.urgencies[0]
    changed = envelope_pb2.Envelope(signed=sign(ENVELOPE, other, sender.key), parts=envelope.parts)
    refused = refusal(lambda: sender.push.PushOne(changed))
    check("another content under its id", (refused.code, refused.field) == ("ENVELOPE_ID_TAKEN", "urgency"))
    check("a refusal's evidence", verify_receipt(refused.receipt, evidence_log).refusal == refused.number)
    forged = envelope_pb2.Envelope()
    forged.CopyFrom(envelope)
    forged.signed.signatures[0].sig = bytes(64)
    check("a signature that is none", refusal(lambda: sender.push.PushOne(forged)).code == "MALFORMED")
    loose = envelope_pb2.Envelope(signed=sign(ENVELOPE, envelope.signed.payload + b"\xf2\x3f\x01x", sender.key))
    check("an unknown field", refusal(lambda: sender.push.PushOne(loose)).code == "MALFORMED")

    # The recipient fetches it, reads the summary and signs for it; the identity waits.
    named = object_digest(envelope.signed)
    delivered = delivered_to(recipient, named)
    consigned = evidence_pb2.EVENT_CONTENT_CONSIGNMENT
    came, opened, handover = take(delivered, recipient, directory, evidence_log, consigned)
    check("the header, byte for byte", came == header and opened == [summary])
    handed = hand_over(recipient, handover, evidence_log)
    previous = None
    for act in (envelope_pb2.ACT_SEE, envelope_pb2.ACT_ACCEPT):
        answer = answering(header, recipient, act, previous, named)
        answer = envelope_of(answer, [], directory, recipient.key)
        pushed(recipient, answer, evidence_log, accepted)
        previous = ((previous or (0,))[0] + 1, object_digest(answer.signed))
    released = delivered_to(recipient, named)
    event = evidence_pb2.EVENT_DISCLOSURE_RELEASED
    _, opened, handover = take(released, recipient, directory, evidence_log, event)
    check("the identity, once it is accepted", opened == [identity])
    hand_over(recipient, handover, evidence_log)

    # Both see what happened, and each its own chain.
    events = [record.event for record in timeline(sender, header.referral, evidence_log)]
    for wanted in (accepted, consigned, evidence_pb2.EVENT_CONTENT_HANDOVER, event):
        check("the timeline is whole", wanted in events)
    check("the recipient's too", len(timeline(recipient, header.referral, evidence_log)) >= 4)

    # Nothing that was changed verifies.
    for spoil in ("record", "salt", "path"):
        spoilt = evidence_pb2.Receipt()
        spoilt.CopyFrom(handed)
        value = bytearray(getattr(spoilt, spoil))
        value[-1] ^= 1
        setattr(spoilt, spoil, bytes(value))
        try:
            verify_receipt(spoilt, evidence_log)
        except (Failed, InvalidSignature, ValueError):
            continue
        raise Failed(f"a receipt with another {spoil} verifies")
    for name, one in (("accepted", receipt), ("handed-over", handed)):
        (Path(work) / f"{name}.tlog-proof").write_text(to_file(one))
    print(f"{passed} checks passed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f"grpc interop: {failed}")
