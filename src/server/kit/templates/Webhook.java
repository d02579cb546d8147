// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// Needs Java 17 or newer and nothing else: java Webhook.java. Behind a web server that speaks HTTPS, with in its environment:
//   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//   WEBHOOK_SECRET_OLD  the secret before, only while you change it
//   WEBHOOK_STORE       a folder that this program may write to
//   PORT                where it listens on this machine, 8080 by default

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Webhook {
    static final int MAX_BODY = 1_048_576;
    static final long MAX_AGE = 300; // seconds that the clock of the sender may differ
    static final Path STORE = Path.of(System.getenv().getOrDefault("WEBHOOK_STORE", ""));
    static final List<byte[]> KEYS = new ArrayList<>();

    record Answer(int status, String text) {}

    static String sign(byte[] key, byte[] text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(text));
    }

    // Whether one of the signatures is ours. There are two while the sender changes its key.
    static boolean isRight(String id, String seconds, byte[] body, String signatures) throws GeneralSecurityException {
        if (!seconds.matches("[0-9]{1,15}") || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(seconds)) > MAX_AGE) return false;
        ByteArrayOutputStream signed = new ByteArrayOutputStream();
        signed.writeBytes((id + "." + seconds + ".").getBytes(StandardCharsets.UTF_8));
        signed.writeBytes(body);
        boolean right = false;
        for (byte[] key : KEYS) {
            byte[] wanted = sign(key, signed.toByteArray()).getBytes(StandardCharsets.UTF_8);
            for (String given : signatures.split(" ")) {
                right = MessageDigest.isEqual(wanted, given.getBytes(StandardCharsets.UTF_8)) || right;
            }
        }
        return right;
    }

    // Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
    // this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
    static void store(String id, byte[] body) throws IOException {
        Path draft = Files.createTempFile(STORE, "draft-", "");
        try {
            try (FileChannel file = FileChannel.open(draft, StandardOpenOption.WRITE)) {
                ByteBuffer rest = ByteBuffer.wrap(body);
                while (rest.hasRemaining()) file.write(rest);
                file.force(true);
            }
            Files.createLink(STORE.resolve(id), draft);
        } catch (FileAlreadyExistsException known) {
            // It came again.
        } finally {
            Files.delete(draft);
        }
    }

    static String header(HttpExchange exchange, String name) {
        String value = exchange.getRequestHeaders().getFirst(name);
        return value == null ? "" : value;
    }

    static Answer take(HttpExchange exchange, byte[] body) throws GeneralSecurityException, IOException {
        String id = header(exchange, "webhook-id");
        if (!isRight(id, header(exchange, "webhook-timestamp"), body, header(exchange, "webhook-signature"))) {
            return new Answer(400, "The signature is wrong.\n");
        }
        store(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8))), body);
        // Java itself does not read JSON: with a library that does, read from the body data.order, which has reference, status and
        // amount: {"minor": 52900, "currency": "USD", "exponent": 2}
        System.out.println("message " + id + " is stored");
        return new Answer(204, "");
    }

    static Answer answer(HttpExchange exchange) {
        try {
            switch (exchange.getRequestMethod()) {
                case "GET", "HEAD": return new Answer(200, ""); // It is asked so when the URL is saved.
                case "POST": break;
                default:
                    exchange.getResponseHeaders().set("Allow", "GET, POST");
                    return new Answer(405, "Only POST is taken here.\n");
            }
            byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY + 1);
            return body.length > MAX_BODY ? new Answer(413, "The message is too large.\n") : take(exchange, body);
        } catch (GeneralSecurityException | IOException error) {
            System.err.println("payment notification: " + error);
            return new Answer(500, "Not stored. Please send it again.\n");
        }
    }

    public static void main(String[] arguments) throws IOException {
        for (String name : List.of("WEBHOOK_SECRET", "WEBHOOK_SECRET_OLD")) {
            String secret = System.getenv().getOrDefault(name, "");
            byte[] key = secret.startsWith("whsec_") ? Base64.getDecoder().decode(secret.substring("whsec_".length())) : new byte[0];
            if (key.length > 0) KEYS.add(key); // With an empty key anybody can sign.
        }
        if (KEYS.isEmpty() || STORE.toString().isEmpty()) throw new IllegalStateException("set WEBHOOK_SECRET (whsec_…) and WEBHOOK_STORE");
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", exchange -> {
            try (exchange) {
                Answer answer = answer(exchange);
                byte[] text = answer.text().getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
                exchange.sendResponseHeaders(answer.status(), text.length == 0 ? -1 : text.length);
                exchange.getResponseBody().write(text);
            }
        });
        server.start();
    }
}
