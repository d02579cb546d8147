// Takes payment notifications, and answers each with a read receipt once it is stored.
// For ASP.NET Core on .NET 8 or newer: save it as Program.cs of a project made with "dotnet new web". SHA3 needs OpenSSL 1.1.1 or
// Windows 11 below it. Set in its environment:
//   IPN_SECRET_KEY      the secret key of your IPN settings
//   IPN_SECRET_KEY_OLD  the key before, only while you change it
//   IPN_STORE           a folder that this program may write to
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

const string Algorithm = "md5"; // "md5", "sha256" or "sha3-256", as chosen for this URL
const int MaxBody = 1048576;
var signatures = new Dictionary<string, string>
{
    ["md5"] = "HASH", ["sha256"] = "SIGNATURE_SHA2_256", ["sha3-256"] = "SIGNATURE_SHA3_256",
};
string Required(string name) =>
    Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : throw new InvalidOperationException("set " + name);
var store = Required("IPN_STORE");
var keys = new[] { Required("IPN_SECRET_KEY"), Environment.GetEnvironmentVariable("IPN_SECRET_KEY_OLD") ?? "" }
    .Where(key => key.Length > 0).ToArray();

byte[] Sign(string key, byte[] text)
{
    var secret = Encoding.UTF8.GetBytes(key);
    return Algorithm switch
    {
        "md5" => HMACMD5.HashData(secret, text),
        "sha256" => HMACSHA256.HashData(secret, text),
        _ => HMACSHA3_256.HashData(secret, text),
    };
}

string Hex(byte[] bytes) => Convert.ToHexString(bytes).ToLowerInvariant();

// Bytes, not strings: a string counts UTF-16 units, and what is no UTF-8 would be lost.
byte[] Decoded(string text)
{
    var bytes = new List<byte>(text.Length);
    for (var at = 0; at < text.Length; at++)
    {
        if (text[at] == '%' && at + 2 < text.Length
            && byte.TryParse(text.AsSpan(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
        {
            bytes.Add(value);
            at += 2;
        }
        else
        {
            bytes.Add(text[at] == '+' ? (byte)' ' : (byte)text[at]);
        }
    }
    return bytes.ToArray();
}

// The fields in the order in which they came. Request.Form would group them by name.
List<(string Name, byte[] Value)> FieldsOf(byte[] body)
{
    var pairs = Encoding.Latin1.GetString(body).Split('&', StringSplitOptions.RemoveEmptyEntries);
    return pairs.Select(pair => pair.Split('=', 2))
        .Select(parts => (Encoding.UTF8.GetString(Decoded(parts[0])), parts.Length > 1 ? Decoded(parts[1]) : Array.Empty<byte>()))
        .ToList();
}

// Each value after its length in bytes.
byte[] Prefixed(IEnumerable<byte[]> values) => values
    .SelectMany(value => Encoding.ASCII.GetBytes(value.Length.ToString(CultureInfo.InvariantCulture)).Concat(value)).ToArray();

byte[] First(List<(string Name, byte[] Value)> fields, string wanted) =>
    fields.Where(field => field.Name.Split('[')[0] == wanted).Select(field => field.Value).FirstOrDefault() ?? Array.Empty<byte>();

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
    var fields = FieldsOf(body);
    var source = Prefixed(fields.Where(field => !signatures.ContainsValue(field.Name)).Select(field => field.Value));
    var given = Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(First(fields, signatures[Algorithm])).ToLowerInvariant());
    var right = keys.FirstOrDefault(key => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Hex(Sign(key, source))), given));
    if (right is null) return Results.Text("The signature is wrong.\n", statusCode: 400);
    try
    {
        Store(Hex(SHA256.HashData(source)), body);
    }
    catch (Exception error) when (error is IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine("payment notification: " + error.Message);
        return Results.Text("Not stored. Please send it again.\n", statusCode: 500);
    }
    var date = DateTime.UtcNow.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
    var values = new[] { "IPN_PID", "IPN_PNAME", "IPN_DATE" }.Select(name => First(fields, name)).Append(Encoding.ASCII.GetBytes(date));
    var hash = Hex(Sign(right, Prefixed(values)));
    return Results.Text(Algorithm == "md5"
        ? $"<EPAYMENT>{date}|{hash}</EPAYMENT>"
        : $"<sig algo=\"{Algorithm}\" date=\"{date}\">{hash}</sig>");
}

var app = WebApplication.CreateBuilder(args).Build();
app.MapMethods("/", new[] { "GET", "HEAD" }, () => Results.Text("")); // It is asked so when the URL is saved.
app.MapPost("/", Take);
app.Run();
