// Takes payment notifications, and answers each with a read receipt once it is stored.
// Needs Java 17 or newer and nothing else: java Listener.java. Behind a web server that speaks HTTPS, with in its environment:
//   IPN_SECRET_KEY      the secret key of your IPN settings
//   IPN_SECRET_KEY_OLD  the key before, only while you change it
//   IPN_STORE           a folder that this program may write to
//   PORT                where it listens on this machine, 8080 by default

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Listener {
    static final String ALGORITHM = "md5"; // "md5", "sha256" or "sha3-256", as chosen for this URL
    static final Map<String, String> SIGNATURES =
            Map.of("md5", "HASH", "sha256", "SIGNATURE_SHA2_256", "sha3-256", "SIGNATURE_SHA3_256");
    static final Map<String, String> MACS = Map.of("md5", "HmacMD5", "sha256", "HmacSHA256", "sha3-256", "HmacSHA3-256");
    static final int MAX_BODY = 1_048_576;
    static final Path STORE = Path.of(required("IPN_STORE"));
    static final List<String> KEYS = new ArrayList<>(List.of(required("IPN_SECRET_KEY")));

    record Field(String name, byte[] value) {}

    record Answer(int status, String text) {}

    static String required(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) throw new IllegalStateException("set " + name);
        return value;
    }

    static String sign(String key, byte[] text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance(MACS.get(ALGORITHM));
        mac.init(new SecretKeySpec(key.getBytes(StandardCharsets.UTF_8), MACS.get(ALGORITHM)));
        return HexFormat.of().formatHex(mac.doFinal(text));
    }

    // Bytes, not strings: a string counts UTF-16 units, and what is no UTF-8 would be lost.
    static byte[] decoded(String text) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int at = 0; at < text.length(); at++) {
            char letter = text.charAt(at);
            boolean escaped = letter == '%' && at + 2 < text.length() && Character.digit(text.charAt(at + 1), 16) >= 0
                    && Character.digit(text.charAt(at + 2), 16) >= 0;
            if (escaped) {
                bytes.write(Integer.parseInt(text.substring(at + 1, at + 3), 16));
                at += 2;
            } else {
                bytes.write(letter == '+' ? ' ' : letter);
            }
        }
        return bytes.toByteArray();
    }

    // The fields in the order in which they came.
    static List<Field> fieldsOf(byte[] body) {
        List<Field> fields = new ArrayList<>();
        for (String pair : new String(body, StandardCharsets.ISO_8859_1).split("&")) {
            if (pair.isEmpty()) continue;
            String[] parts = pair.split("=", 2);
            String name = new String(decoded(parts[0]), StandardCharsets.UTF_8);
            fields.add(new Field(name, parts.length > 1 ? decoded(parts[1]) : new byte[0]));
        }
        return fields;
    }

    // Each value after its length in bytes.
    static byte[] prefixed(List<byte[]> values) {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        for (byte[] value : values) {
            text.writeBytes(String.valueOf(value.length).getBytes(StandardCharsets.US_ASCII));
            text.writeBytes(value);
        }
        return text.toByteArray();
    }

    static byte[] first(List<Field> fields, String wanted) {
        return fields.stream().filter(field -> field.name().split("\\[")[0].equals(wanted)).map(Field::value).findFirst().orElse(new byte[0]);
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

    static Answer take(byte[] body) throws GeneralSecurityException, IOException {
        List<Field> fields = fieldsOf(body);
        byte[] source = prefixed(fields.stream().filter(field -> !SIGNATURES.containsValue(field.name())).map(Field::value).toList());
        String given = new String(first(fields, SIGNATURES.get(ALGORITHM)), StandardCharsets.US_ASCII).toLowerCase(Locale.ROOT);
        String right = null;
        for (String key : KEYS) {
            byte[] made = sign(key, source).getBytes(StandardCharsets.US_ASCII);
            if (right == null && MessageDigest.isEqual(made, given.getBytes(StandardCharsets.US_ASCII))) right = key;
        }
        if (right == null) return new Answer(400, "The signature is wrong.\n");
        store(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(source)), body);
        String date = ZonedDateTime.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("yyyyMMddHHmmss"));
        List<byte[]> signed = List.of(first(fields, "IPN_PID"), first(fields, "IPN_PNAME"), first(fields, "IPN_DATE"),
                date.getBytes(StandardCharsets.US_ASCII));
        String hash = sign(right, prefixed(signed));
        if (ALGORITHM.equals("md5")) return new Answer(200, "<EPAYMENT>" + date + "|" + hash + "</EPAYMENT>");
        return new Answer(200, "<sig algo=\"" + ALGORITHM + "\" date=\"" + date + "\">" + hash + "</sig>");
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
            return body.length > MAX_BODY ? new Answer(413, "The message is too large.\n") : take(body);
        } catch (GeneralSecurityException | IOException error) {
            System.err.println("payment notification: " + error);
            return new Answer(500, "Not stored. Please send it again.\n");
        }
    }

    public static void main(String[] arguments) throws IOException {
        String old = System.getenv("IPN_SECRET_KEY_OLD");
        if (old != null && !old.isEmpty()) KEYS.add(old);
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
