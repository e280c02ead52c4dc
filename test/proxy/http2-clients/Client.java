// Java's own HttpClient over HTTP/2: the same as client.py.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;
import javax.net.ssl.SSLEngine;
import java.net.Socket;
import java.io.ByteArrayInputStream;
import java.io.InputStream;

public class Client {
  static String url;
  static HttpClient client;

  static HttpRequest.Builder to(String path) {
    return HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30));
  }

  static String text(HttpRequest request) throws Exception {
    return client.send(request, HttpResponse.BodyHandlers.ofString()).body();
  }

  public static void main(String[] args) throws Exception {
    url = args[0];
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, new TrustManager[] {new Anybody()}, null);
    client = HttpClient.newBuilder().sslContext(context).version(HttpClient.Version.HTTP_2).build();
    byte[] body = new byte[512_000];
    for (int at = 0; at < body.length; at += 1) body[at] = (byte) at;
    HttpResponse<String> small = client.send(to("/small").build(), HttpResponse.BodyHandlers.ofString());
    byte[] large = client.send(to("/large").build(), HttpResponse.BodyHandlers.ofByteArray()).body();
    String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(large));
    String upload = text(to("/digest").POST(HttpRequest.BodyPublishers.ofByteArray(body)).build());
    String chunked =
        text(to("/digest").POST(HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))).build());
    List<CompletableFuture<HttpResponse<String>>> many =
        IntStream.range(0, 50)
            .mapToObj(n -> client.sendAsync(to("/echo?" + n).build(), HttpResponse.BodyHandlers.ofString()))
            .toList();
    boolean isRight = true;
    for (int n = 0; n < 50; n += 1) isRight &= many.get(n).get().body().equals("/echo?" + n);
    try (InputStream endless =
        client.send(to("/endless").build(), HttpResponse.BodyHandlers.ofInputStream()).body()) {
      endless.read();
    }
    String givenUp = "\"" + text(to("/small").build()) + "\"";
    System.out.printf(
        "{\"small\":[%d,\"%s\",\"%s\"],\"large\":\"%s\",\"upload\":\"%s\",\"chunked\":\"%s\",\"many\":%b,\"given up\":%s}%n",
        small.statusCode(), small.version(), small.body(), digest, upload, chunked, isRight, givenUp);
    System.exit(0);
  }

  /** Certificates of tests are anybody's. */
  static class Anybody extends X509ExtendedTrustManager {
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
    public void checkClientTrusted(X509Certificate[] chain, String type) {}
    public void checkServerTrusted(X509Certificate[] chain, String type) {}
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
