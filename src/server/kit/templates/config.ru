# Takes payment notifications, and answers each with a read receipt once it is stored.
# A Rack application for Ruby 3.0 or newer with its own openssl: save it as config.ru, and run it with any server for Rack
# (rackup, puma). Set in its environment:
#   IPN_SECRET_KEY      the secret key of your IPN settings
#   IPN_SECRET_KEY_OLD  the key before, only while you change it
#   IPN_STORE           a folder that this program may write to
require "openssl"
require "tempfile"

ALGORITHM = "md5" # "md5", "sha256" or "sha3-256", as chosen for this URL
SIGNATURES = { "md5" => "HASH", "sha256" => "SIGNATURE_SHA2_256", "sha3-256" => "SIGNATURE_SHA3_256" }.freeze
MAX_BODY = 1_048_576
KEYS = [ENV.fetch("IPN_SECRET_KEY"), ENV.fetch("IPN_SECRET_KEY_OLD", "")].reject(&:empty?)
STORE = ENV.fetch("IPN_STORE")

def sign(key, text) = OpenSSL::HMAC.hexdigest(ALGORITHM, key, text)

def decoded(text) = text.tr("+", " ").gsub(/%(\h\h)/n) { $1.hex.chr }.b

# Names and values as bytes, in the order in which they came. Rack's own parser groups arrays.
def fields_of(body)
  body.b.split("&").reject(&:empty?).map { |pair| pair.split("=", 2) }.map { |name, value| [decoded(name), decoded(value || "")] }
end

# Each value after its length in bytes.
def prefixed(values) = values.map { |value| value.bytesize.to_s.b + value.b }.join

def first(fields, wanted) = fields.find { |name, _| name.split("[").first == wanted }&.last || ""

# Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
# this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
def store(id, body)
  Tempfile.create("draft-", STORE, binmode: true) do |draft|
    draft.write(body)
    draft.fsync
    File.link(draft.path, File.join(STORE, id))
  rescue Errno::EEXIST
    nil
  end
end

def take(body)
  fields = fields_of(body)
  source = prefixed(fields.reject { |name, _| SIGNATURES.value?(name) }.map(&:last))
  given = first(fields, SIGNATURES.fetch(ALGORITHM)).downcase
  key = KEYS.find { |candidate| OpenSSL.secure_compare(sign(candidate, source), given) }
  return [400, "The signature is wrong.\n"] unless key

  store(OpenSSL::Digest.hexdigest("SHA256", source), body)
  date = Time.now.utc.strftime("%Y%m%d%H%M%S")
  hash = sign(key, prefixed(%w[IPN_PID IPN_PNAME IPN_DATE].map { |name| first(fields, name) } + [date]))
  return [200, "<EPAYMENT>#{date}|#{hash}</EPAYMENT>"] if ALGORITHM == "md5"

  [200, "<sig algo=\"#{ALGORITHM}\" date=\"#{date}\">#{hash}</sig>"]
end

def answer(env)
  return [200, ""] if %w[GET HEAD].include?(env["REQUEST_METHOD"]) # It is asked so when the URL is saved.
  return [405, "Only POST is taken here.\n"] unless env["REQUEST_METHOD"] == "POST"

  body = env["rack.input"].read(MAX_BODY + 1) || ""
  body.bytesize > MAX_BODY ? [413, "The message is too large.\n"] : take(body)
rescue SystemCallError => error
  warn "payment notification: #{error.message}"
  [500, "Not stored. Please send it again.\n"]
end

run lambda { |env|
  status, text = answer(env)
  headers = { "content-type" => "text/plain; charset=utf-8" }
  headers["allow"] = "GET, POST" if status == 405
  [status, headers, [text]]
}
