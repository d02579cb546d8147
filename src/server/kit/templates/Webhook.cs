// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// For ASP.NET Core on .NET 8 or newer: save it as Program.cs of a project made with "dotnet new web". Set in its environment:
//   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//   WEBHOOK_SECRET_OLD  the secret before, only while you change it
//   WEBHOOK_STORE       a folder that this program may write to
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

const int MaxBody = 1048576;
const long MaxAge = 300; // seconds that the clock of the sender may differ
string Set(string name) => Environment.GetEnvironmentVariable(name) ?? "";
var store = Set("WEBHOOK_STORE");
var keys = new[] { Set("WEBHOOK_SECRET"), Set("WEBHOOK_SECRET_OLD") }
    .Where(secret => secret.StartsWith("whsec_", StringComparison.Ordinal))
    .Select(secret => Convert.FromBase64String(secret.Substring("whsec_".Length)))
    .Where(key => key.Length > 0).ToArray(); // With an empty key anybody can sign.
if (keys.Length == 0 || store.Length == 0) throw new InvalidOperationException("set WEBHOOK_SECRET (whsec_…) and WEBHOOK_STORE");

// Whether one of the signatures is ours. There are two while the sender changes its key.
bool IsRight(string id, string seconds, byte[] body, string signatures)
{
    if (!long.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out var sent)
        || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - sent) > MaxAge) return false;
    var signed = Encoding.UTF8.GetBytes($"{id}.{seconds}.").Concat(body).ToArray();
    var given = signatures.Split(' ').Select(text => Encoding.UTF8.GetBytes(text)).ToArray();
    return keys.Select(key => Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed))))
        .Any(wanted => given.Any(text => CryptographicOperations.FixedTimeEquals(wanted, text)));
}

// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
void Store(string id, byte[] body)
{
    var (file, draft) = (Path.Combine(store, id), Path.Combine(store, "draft-" + Guid.NewGuid().ToString("N")));
    using (var stream = new FileStream(draft, FileMode.CreateNew))
    {
        stream.Write(body);
        stream.Flush(true);
    }
    File.Move(draft, file, true);
}

async Task<IResult> Take(HttpRequest request)
{
    using var memory = new MemoryStream();
    var buffer = new byte[65536];
    for (int read; (read = await request.Body.ReadAsync(buffer)) > 0;)
    {
        memory.Write(buffer, 0, read);
        if (memory.Length > MaxBody) return Results.Text("The message is too large.\n", statusCode: 413);
    }
    var body = memory.ToArray();
    string Header(string name) => request.Headers[name].ToString();
    var id = Header("webhook-id");
    if (!IsRight(id, Header("webhook-timestamp"), body, Header("webhook-signature")))
    {
        return Results.Text("The signature is wrong.\n", statusCode: 400);
    }
    using var message = JsonDocument.Parse(body);
    var order = message.RootElement.GetProperty("data").GetProperty("order"); // reference, status, amount: {"minor": 52900, "currency": "USD", "exponent": 2}
    try
    {
        Store(Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(id))).ToLowerInvariant(), body);
    }
    catch (Exception error) when (error is IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine("payment notification: " + error.Message);
        return Results.Text("Not stored. Please send it again.\n", statusCode: 500);
    }
    Console.WriteLine("order " + order.GetProperty("reference").GetString() + " is " + order.GetProperty("status").GetString());
    return Results.NoContent();
}

var app = WebApplication.CreateBuilder(args).Build();
app.MapMethods("/", new[] { "GET", "HEAD" }, () => Results.Text("")); // It is asked so when the URL is saved.
app.MapPost("/", Take);
app.Run();
