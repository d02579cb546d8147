# Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
# A Rack application for Ruby 3.0 or newer with its own openssl and json: save it as webhook.ru, and run it with any server for
# Rack (rackup webhook.ru, puma webhook.ru). Set in its environment:
#   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
#   WEBHOOK_SECRET_OLD  the secret before, only while you change it
#   WEBHOOK_STORE       a folder that this program may write to
require "json"
require "openssl"
require "tempfile"

MAX_BODY = 1_048_576
MAX_AGE = 300 # seconds that the clock of the sender may differ
SECRETS = [ENV.fetch("WEBHOOK_SECRET"), ENV.fetch("WEBHOOK_SECRET_OLD", "")].freeze
DECODED = SECRETS.select { |secret| secret.start_with?("whsec_") }.map { |secret| secret.delete_prefix("whsec_").unpack1("m") }
KEYS = DECODED.reject(&:empty?).freeze # with an empty key anybody can sign
STORE = ENV.fetch("WEBHOOK_STORE")
raise "set WEBHOOK_SECRET (whsec_…)" if KEYS.empty?

# Whether one of the signatures is ours. There are two while the sender changes its key.
def right?(id, seconds, body, signatures)
  return false unless seconds.match?(/\A[0-9]+\z/) && (Time.now.to_i - seconds.to_i).abs <= MAX_AGE

  signed = "#{id}.#{seconds}.".b + body.b
  wanted = KEYS.map { |key| "v1,#{[OpenSSL::HMAC.digest("SHA256", key, signed)].pack("m0")}" }
  wanted.product(signatures.split).any? { |mine, theirs| OpenSSL.secure_compare(mine, theirs) }
end

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

def take(env, body)
  id, seconds, signatures = %w[ID TIMESTAMP SIGNATURE].map { |name| env.fetch("HTTP_WEBHOOK_#{name}", "") }
  return [400, "The signature is wrong.\n"] unless right?(id, seconds, body, signatures)

  order = JSON.parse(body.force_encoding("UTF-8"))["data"]["order"] # reference, status, amount: {"minor": 52900, "currency": "USD", "exponent": 2}
  store(OpenSSL::Digest.hexdigest("SHA256", id), body)
  puts "order #{order["reference"]} is #{order["status"]}"
  [204, ""]
end

def answer(env)
  return [200, ""] if %w[GET HEAD].include?(env["REQUEST_METHOD"]) # It is asked so when the URL is saved.
  return [405, "Only POST is taken here.\n"] unless env["REQUEST_METHOD"] == "POST"

  body = env["rack.input"].read(MAX_BODY + 1) || ""
  body.bytesize > MAX_BODY ? [413, "The message is too large.\n"] : take(env, body)
rescue SystemCallError => error
  warn "payment notification: #{error.message}"
  [500, "Not stored. Please send it again.\n"]
end

run lambda { |env|
  status, text = answer(env)
  # Rack allows no content type where there is no content.
  headers = status == 204 ? {} : { "content-type" => "text/plain; charset=utf-8" }
  headers["allow"] = "GET, POST" if status == 405
  [status, headers, [text]]
}
