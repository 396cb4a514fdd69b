"""An agency's own system in Python, over its agent's local API on TCP: it sends a referral, the other agency's
system finds it in its inbox, reads and answers it, and both verify receipts offline, by the public formats alone.

    local.py NETWORK SENDER RECIPIENT

NETWORK is the network's network.toml; SENDER and RECIPIENT are agents' folders whose settings have `[local_api]`,
and whose agents run. The whole of a client is `connect`: an address and a token.
"""

import base64
import hashlib
import json
import sys
import time
import tomllib
import uuid
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from agent import Failed, Verifier, check, commitment, leaf_hash, root_from_path
from referral.local.v1 import local_pb2
from referral.local.v1 import local_pb2_grpc as services
from referral.v1 import envelope_pb2, evidence_pb2

PATIENCE_S = 60


class Token(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Puts the token into every call."""

    def __init__(self, token):
        self.header = ("authorization", f"Bearer {token}")

    def _with(self, details):
        metadata = list(details.metadata or []) + [self.header]
        return details._replace(metadata=metadata) if hasattr(details, "_replace") else details

    def intercept_unary_unary(self, proceed, details, request):
        return proceed(self._with(details), request)

    def intercept_unary_stream(self, proceed, details, request):
        return proceed(self._with(details), request)

    def intercept_stream_unary(self, proceed, details, requests):
        return proceed(self._with(details), requests)

    def intercept_stream_stream(self, proceed, details, requests):
        return proceed(self._with(details), requests)


def connect(folder):
    """A channel to the agent of a folder."""
    folder = Path(folder)
    address = tomllib.loads((folder / "agent.toml").read_text())["local_api"]["listen"]
    token = (folder / "keys" / "local.token").read_text().strip()
    return grpc.intercept_channel(grpc.insecure_channel(address), Token(token)), address


def verify(text, log):
    """The record of a receipt's file (C2SP tlog-proof), once it is proven."""
    proof, checkpoint = text.split("\n\n", 1)
    kind, extra, index, *path = proof.split("\n")
    check("a tlog-proof", kind == "c2sp.org/tlog-proof@v1")
    extra = base64.b64decode(extra.removeprefix("extra "), validate=True)
    salt, encoded = extra[:32], extra[32:]
    record = evidence_pb2.EvidenceRecord.FromString(encoded)
    check("its own index", index == f"index {record.index}")
    size, root = log.open(checkpoint)
    leaf = leaf_hash(b"\x01" + commitment(encoded, salt))
    path = [base64.b64decode(one, validate=True) for one in path]
    check("the record stands in the log", root_from_path(record.index, size, leaf, path) == root)
    return record


def document(recipient):
    return {
        "to": recipient,
        "category": "trafficking",
        "service": "shelter",
        "urgency": "urgent",
        "jurisdiction": "AE",
        "consent": {
            "basis": "informed_consent_adult",
            "identity_allowed": True,
            "agencies": [recipient],
            "given_on": "2026-01-20",
        },
        "summary": {
            "need": "مأوى آمن لامرأة",
            "safe_contact": {
                "who": "the case worker",
                "when": "mornings",
                "language": "ar",
                "never": ["sms"],
                "phone_is_shared": False,
            },
        },
        "identity": {"persons": [{"role": "client", "name": {"given": "مثال"}}]},
    }


def send(agent, recipient):
    """Sends it twice under one key: it goes once."""
    key = str(uuid.uuid4())
    text = json.dumps(document(recipient)).encode()
    answers = [agent.Send(local_pb2.SendRequest(document=text, idempotency_key=key)) for _ in range(2)]
    for answer in answers:
        if answer.WhichOneof("answer") != "queued":
            raise Failed(f"not sent: {answer}")
    check("once under one key", answers[0].queued.referral == answers[1].queued.referral)
    flawed = agent.Send(local_pb2.SendRequest(document=b'{"to": "nobody"}'))
    check("flaws by their places, in both languages", all(f.text_en and f.text_ar for f in flawed.flaws.flaws))
    return answers[0].queued.referral


def streamed(request, files):
    """A request and its files, piece by piece: what a program does whose files are large, or nowhere on a disk."""
    yield local_pb2.StreamedRequest(send=request)
    for pieces in files:
        yield from (local_pb2.StreamedRequest(chunk=piece) for piece in pieces)
        yield local_pb2.StreamedRequest(end_of_file=True)


def send_file(agent, recipient, pieces, digest):
    """Sends a file as it is made; once under its key, and not at all when the stream breaks off."""
    request = local_pb2.SendRequest(
        document=json.dumps(document(recipient)).encode(),
        files=[local_pb2.File(name="scan.pdf", without_identity=True)],
        idempotency_key=str(uuid.uuid4()),
    )
    broken = [local_pb2.StreamedRequest(send=request), local_pb2.StreamedRequest(chunk=b"half of it")]
    code = refused(lambda: agent.SendStreamed(iter(broken)))
    check("half a file is not sent", code == grpc.StatusCode.INVALID_ARGUMENT)

    def hashed():
        for piece in pieces():
            digest.update(piece)
            yield piece

    answer = agent.SendStreamed(streamed(request, [hashed()]))
    check("a streamed file", answer.WhichOneof("answer") == "queued")
    again = agent.SendStreamed(streamed(request, [pieces()]))
    check("once under one key, streamed", again.queued.referral == answer.queued.referral)
    return answer.queued.referral


def read_file(agent, referral, digest):
    """Reads a file that came, piece by piece."""
    attachment = envelope_pb2.PART_CLASS_ATTACHMENT
    shown = agent.ShowCase(local_pb2.ShowCaseRequest(referral=referral))
    part = next(part for part in shown.parts if getattr(part, "class") == attachment)
    wanted = local_pb2.ReadPartRequest(referral=referral, envelope=part.envelope, part_id=part.part_id)
    length = 0
    for run in agent.ReadPart(wanted):
        digest.update(run.chunk)
        length += len(run.chunk)
    check("its length", length == part.content_bytes)


def arrived(agent, referral):
    """Waits until a case is in the inbox."""
    wanted = local_pb2.ListCasesRequest(incoming_only=True, open_only=True)
    began = time.monotonic()
    while not any(case.referral == referral for case in agent.ListCases(wanted).cases):
        if time.monotonic() - began > PATIENCE_S:
            raise Failed("it never came")
        time.sleep(0.1)


def until(agent, referral, holds):
    """Waits until a case is as it should be."""
    for case in agent.Watch(local_pb2.WatchRequest(referral=referral), timeout=PATIENCE_S):
        shown = agent.ShowCase(local_pb2.ShowCaseRequest(referral=referral))
        if holds(shown):
            return shown
    raise Failed("it never was")


def parts(shown, wanted):
    read = [json.loads(part.content) for part in shown.parts if getattr(part, "class") == wanted and part.content]
    return [one for one in read if one]


def act(agent, referral, name):
    """Does an act that is legal now."""
    wanted = envelope_pb2.Act.Value(f"ACT_{name}")
    offered = agent.ShowCase(local_pb2.ShowCaseRequest(referral=referral)).summary.legal_acts
    check(f"{name} is offered", wanted in offered)
    answer = agent.Act(local_pb2.ActRequest(referral=referral, act=wanted, idempotency_key=str(uuid.uuid4())))
    check(f"{name} is written down", answer.WhichOneof("answer") == "queued")


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    raise Failed("it was served")


def served(channel, address):
    """Health, reflection, and nobody without the token."""
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    check("it serves", health.status == health_pb2.HealthCheckResponse.SERVING)
    names = ProtoReflectionDescriptorDatabase(channel).get_services()
    check("it says what it serves", "referral.local.v1.Agent" in names)
    plain = services.AgentStub(grpc.insecure_channel(address))
    code = refused(lambda: plain.GetStatus(local_pb2.StatusRequest()))
    check("nobody without the token", code == grpc.StatusCode.UNAUTHENTICATED)


def main(network_path, sender_folder, recipient_folder):
    network = tomllib.loads(Path(network_path).read_text())
    log = Verifier(network["evidence_log"])
    (ours, address), (theirs, _) = connect(sender_folder), connect(recipient_folder)
    served(ours, address)
    sender, recipient = services.AgentStub(ours), services.AgentStub(theirs)
    to = recipient.GetStatus(local_pb2.StatusRequest()).agency
    agency = sender.ListAgencies(local_pb2.ListAgenciesRequest(agency=to)).agencies[0]
    check("an agreement with them", agency.agreement_in_force and agency.name_ar)
    terms = sender.ListVocabularies(local_pb2.ListVocabulariesRequest(vocabulary="service")).vocabularies[0].terms
    check("a code and its labels", any(term.code == "shelter" and term.label_ar for term in terms))
    explained = sender.Explain(local_pb2.ExplainRequest(document=json.dumps(document(to)).encode()))
    check("to whom it would go", explained.choices[0].agency == to and explained.choices[0].turn == 1)

    # Sent, seen, accepted; the identity comes after that alone.
    referral = send(sender, to)
    arrived(recipient, referral)
    shown = recipient.ShowCase(local_pb2.ShowCaseRequest(referral=referral))
    check("the summary", parts(shown, envelope_pb2.PART_CLASS_SUMMARY)[0]["summary"]["need"].startswith("مأوى"))
    check("no identity yet", not parts(shown, envelope_pb2.PART_CLASS_IDENTITY))
    act(recipient, referral, "SEE")
    act(recipient, referral, "ACCEPT")
    shown = until(recipient, referral, lambda one: parts(one, envelope_pb2.PART_CLASS_IDENTITY))
    identity = parts(shown, envelope_pb2.PART_CLASS_IDENTITY)[0]["identity"]
    check("the identity", identity["persons"][0]["name"]["given"] == "مثال")
    again = recipient.Act(local_pb2.ActRequest(referral=referral, act=envelope_pb2.ACT_ACCEPT))
    check("what is not legal is refused", again.WhichOneof("answer") == "refusal" and again.refusal.legal_acts)

    # A file of 24 MiB that is never whole in anybody's memory.
    sent, came = hashlib.sha256(), hashlib.sha256()
    large = send_file(sender, to, lambda: (bytes([number]) * 262144 for number in range(96)), sent)
    arrived(recipient, large)
    read_file(recipient, large, came)
    check("the file that was sent", sent.digest() == came.digest())

    # Receipts, verified here and by the agent; and nothing that was changed.
    receipts = [r for one in (sender, recipient) for r in one.GetReceipts(local_pb2.ReceiptsRequest(referral=referral)).receipts]
    check("receipts on both sides", len(receipts) >= 4)
    for receipt in receipts:
        check("the event that it names", verify(receipt.file, log).event == receipt.event)
        check("the agent says so too", sender.VerifyReceipt(local_pb2.VerifyReceiptRequest(file=receipt.file)).good)
    spoilt = receipts[0].file.replace("index ", "index 1", 1)
    check("not when it was changed", not sender.VerifyReceipt(local_pb2.VerifyReceiptRequest(file=spoilt)).good)
    statistics = recipient.GetStatistics(local_pb2.StatisticsRequest())
    check("figures", sum(one.count for one in statistics.counts) >= 1)
    timeline = sender.GetTimeline(local_pb2.TimelineRequest(referral=referral))
    check("the timeline, proven", timeline.complete and len(timeline.entries) >= 4)
    print("over the local API: all checks passed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f"local API: {failed}")
