import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import referral.local.v1.AgentGrpc;
import referral.local.v1.AgentGrpc.AgentBlockingStub;
import referral.local.v1.Local.*;
import referral.v1.EnvelopeOuterClass.Act;
import referral.v1.EnvelopeOuterClass.PartClass;
import referral.v1.Evidence.EvidenceRecord;

/**
 * An agency's own system in Java, over its agent's local API on TCP: it sends a referral, the other agency's system
 * finds it, reads and answers it, and both verify receipts offline, with nothing but the JDK.
 *
 * <p>Local NETWORK SENDER RECIPIENT: the network's network.toml, and two agents' folders whose agents run.
 */
public final class Local {
    private static final long PATIENCE_MS = 60_000;

    private Local() {}

    /** Puts the token into every call. */
    private record Token(String value) implements ClientInterceptor {
        private static final Metadata.Key<String> HEADER =
                Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

        @Override
        public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
                @Override
                public void start(Listener<A> listener, Metadata headers) {
                    headers.put(HEADER, "Bearer " + value);
                    super.start(listener, headers);
                }
            };
        }
    }

    /** One value of a settings file. */
    private static String setting(Path file, String name) throws Exception {
        Matcher found = Pattern.compile("(?m)^" + name + " = \"(.*)\"$").matcher(Files.readString(file));
        check(name + " in " + file.getFileName(), found.find());
        return found.group(1);
    }

    private static ManagedChannel channel(Path folder) throws Exception {
        return NettyChannelBuilder.forTarget(setting(folder.resolve("agent.toml"), "listen")).usePlaintext().build();
    }

    private static AgentBlockingStub connect(ManagedChannel channel, Path folder) throws Exception {
        String token = Files.readString(folder.resolve("keys").resolve("local.token")).strip();
        return AgentGrpc.newBlockingStub(channel).withInterceptors(new Token(token));
    }

    private static void check(String what, boolean holds) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static byte[] sha256(byte[]... runs) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (byte[] run : runs) {
            digest.update(run);
        }
        return digest.digest();
    }

    /** The record of a receipt's file (C2SP tlog-proof), once it is proven under the evidence log's key. */
    private static EvidenceRecord verify(String file, String vkey) throws Exception {
        int end = file.indexOf("\n\n");
        List<String> lines = file.substring(0, end).lines().toList();
        check("a tlog-proof", lines.get(0).equals("c2sp.org/tlog-proof@v1"));
        byte[] extra = Base64.getDecoder().decode(lines.get(1).substring("extra ".length()));
        byte[] salt = Arrays.copyOf(extra, 32);
        byte[] encoded = Arrays.copyOfRange(extra, 32, extra.length);
        EvidenceRecord record = EvidenceRecord.parseFrom(encoded);
        check("its own index", lines.get(2).equals("index " + record.getIndex()));
        String[] checkpoint = open(file.substring(end + 2), vkey);
        byte[] domain = "referral/evidence/v1\0".getBytes(StandardCharsets.US_ASCII);
        byte[] hash = sha256(new byte[] {0, 1}, sha256(domain, salt, encoded));
        long index = record.getIndex();
        long last = Long.parseLong(checkpoint[1]) - 1;
        // RFC 9162, 2.1.3.2: the root that an inclusion path leads to.
        for (String line : lines.subList(3, lines.size())) {
            byte[] sibling = Base64.getDecoder().decode(line);
            check("a path that is no longer than the tree is high", last > 0);
            if ((index & 1) == 1 || index == last) {
                hash = sha256(new byte[] {1}, sibling, hash);
                while ((index & 1) == 0 && index > 0) {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                hash = sha256(new byte[] {1}, hash, sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        check("a whole path", last == 0);
        check("the record stands in the log", Arrays.equals(hash, Base64.getDecoder().decode(checkpoint[2])));
        return record;
    }

    /** Origin, size and root of a checkpoint (C2SP signed-note) that the log's key signed. */
    private static String[] open(String note, String vkey) throws Exception {
        String[] parts = vkey.split("\\+", 3);
        byte[] raw = Base64.getDecoder().decode(parts[2]);
        check("a key of type Ed25519", raw.length == 33 && raw[0] == 1);
        byte[] prefix = HexFormat.of().parseHex("302a300506032b6570032100");
        ByteArrayOutputStream spki = new ByteArrayOutputStream();
        spki.write(prefix);
        spki.write(raw, 1, 32);
        PublicKey key = KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(spki.toByteArray()));
        int end = note.indexOf("\n\n");
        String text = note.substring(0, end + 1);
        boolean isVerified = false;
        for (String line : note.substring(end + 2).lines().toList()) {
            String[] words = line.split(" ");
            byte[] blob = Base64.getDecoder().decode(words[2]);
            String hash = HexFormat.of().formatHex(blob, 0, 4);
            if (words[1].equals(parts[0]) && hash.equals(parts[1])) {
                Signature signature = Signature.getInstance("Ed25519");
                signature.initVerify(key);
                signature.update(text.getBytes(StandardCharsets.UTF_8));
                isVerified = signature.verify(blob, 4, blob.length - 4);
            }
        }
        check("the log's own signature", isVerified);
        String[] checkpoint = text.split("\n");
        check("the log's own name", checkpoint[0].equals(parts[0]));
        return checkpoint;
    }

    private static ByteString document(String recipient) {
        return ByteString.copyFromUtf8("""
                {"to": "%1$s", "category": "trafficking", "service": "shelter", "urgency": "urgent", "jurisdiction": "AE",
                 "consent": {"basis": "informed_consent_adult", "identity_allowed": true, "agencies": ["%1$s"],
                             "given_on": "2026-01-20"},
                 "summary": {"need": "مأوى آمن لامرأة",
                             "safe_contact": {"who": "the case worker", "when": "mornings", "language": "ar",
                                              "never": ["sms"], "phone_is_shared": false}},
                 "identity": {"persons": [{"role": "client", "name": {"given": "مثال"}}]}}
                """.formatted(recipient));
    }

    private static String send(AgentBlockingStub agent, String recipient) {
        SendRequest request = SendRequest.newBuilder()
                .setDocument(document(recipient))
                .setIdempotencyKey(UUID.randomUUID().toString())
                .build();
        SendAnswer first = agent.send(request);
        check("it is written down: " + first, first.hasQueued());
        check("once under one key", agent.send(request).getQueued().getReferral().equals(first.getQueued().getReferral()));
        return first.getQueued().getReferral();
    }

    /** Waits until a case is here and as it should be. */
    private static ShowCaseAnswer until(AgentBlockingStub agent, String referral, Predicate<ShowCaseAnswer> holds)
            throws Exception {
        long began = System.nanoTime();
        while (TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began) < PATIENCE_MS) {
            try {
                ShowCaseAnswer shown = agent.showCase(ShowCaseRequest.newBuilder().setReferral(referral).build());
                if (holds.test(shown)) {
                    return shown;
                }
            } catch (StatusRuntimeException error) {
                check("it is not here yet", error.getStatus().getCode() == Status.Code.NOT_FOUND);
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("it never was");
    }

    private static boolean holds(ShowCaseAnswer shown, PartClass wanted, String text) {
        return shown.getPartsList().stream()
                .filter(part -> part.getClass_() == wanted)
                .anyMatch(part -> part.getContent().toStringUtf8().contains(text));
    }

    private static void act(AgentBlockingStub agent, String referral, Act act) {
        ShowCaseAnswer shown = agent.showCase(ShowCaseRequest.newBuilder().setReferral(referral).build());
        check(act + " is offered", shown.getSummary().getLegalActsList().contains(act));
        ActRequest request = ActRequest.newBuilder()
                .setReferral(referral)
                .setAct(act)
                .setIdempotencyKey(UUID.randomUUID().toString())
                .build();
        check(act + " is written down", agent.act(request).hasQueued());
    }

    public static void main(String[] arguments) throws Exception {
        Path network = Path.of(arguments[0]);
        Path from = Path.of(arguments[1]);
        Path to = Path.of(arguments[2]);
        String log = setting(network, "evidence_log");
        ManagedChannel ours = channel(from);
        ManagedChannel theirs = channel(to);
        try {
            AgentBlockingStub sender = connect(ours, from);
            AgentBlockingStub recipient = connect(theirs, to);
            try {
                AgentGrpc.newBlockingStub(ours).getStatus(StatusRequest.getDefaultInstance());
                throw new IllegalStateException("it was served without the token");
            } catch (StatusRuntimeException error) {
                check("nobody without the token", error.getStatus().getCode() == Status.Code.UNAUTHENTICATED);
            }
            String them = recipient.getStatus(StatusRequest.getDefaultInstance()).getAgency();
            String referral = send(sender, them);
            ShowCaseAnswer shown =
                    until(recipient, referral, one -> holds(one, PartClass.PART_CLASS_SUMMARY, "مأوى آمن"));
            check("no identity yet", !holds(shown, PartClass.PART_CLASS_IDENTITY, "مثال"));
            act(recipient, referral, Act.ACT_SEE);
            act(recipient, referral, Act.ACT_ACCEPT);
            until(recipient, referral, one -> holds(one, PartClass.PART_CLASS_IDENTITY, "مثال"));
            ReceiptsRequest wanted = ReceiptsRequest.newBuilder().setReferral(referral).build();
            int verified = 0;
            for (AgentBlockingStub agent : List.of(sender, recipient)) {
                for (ReceiptFile receipt : agent.getReceipts(wanted).getReceiptsList()) {
                    EvidenceRecord record = verify(receipt.getFile(), log);
                    check("the event that it names", record.getEvent() == receipt.getEvent());
                    verified++;
                }
            }
            check("receipts on both sides", verified >= 4);
            System.out.println("Java over the local API: sent, received, answered, " + verified + " receipts verified");
        } finally {
            ours.shutdownNow();
            theirs.shutdownNow();
        }
    }
}
