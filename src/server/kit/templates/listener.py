"""Takes payment notifications, and answers each with a read receipt once it is stored.

Needs Python 3.8 or newer and nothing else. `application` runs under any WSGI server; for a try: python3 listener.py
Set in its environment:
  IPN_SECRET_KEY      the secret key of your IPN settings
  IPN_SECRET_KEY_OLD  the key before, only while you change it
  IPN_STORE           a folder that this program may write to
"""
import hashlib
import hmac
import os
import sys
import tempfile
from datetime import datetime, timezone
from urllib.parse import unquote_to_bytes

ALGORITHM = "md5"  # "md5", "sha256" or "sha3-256", as chosen for this URL
SIGNATURES = {"md5": "HASH", "sha256": "SIGNATURE_SHA2_256", "sha3-256": "SIGNATURE_SHA3_256"}
MAX_BODY = 1048576

KEYS = [os.environ["IPN_SECRET_KEY"], os.environ.get("IPN_SECRET_KEY_OLD", "")]
STORE = os.environ["IPN_STORE"]


def sign(key, text):
    return hmac.new(key.encode(), text, ALGORITHM.replace("-", "_")).hexdigest()


def decoded(text):
    return unquote_to_bytes(text.replace(b"+", b" "))


def fields_of(body):
    """Names and values as bytes, in the order in which they came. parse_qsl would drop empty values."""
    pairs = (pair.partition(b"=") for pair in body.split(b"&") if pair)
    return [(decoded(name).decode("utf-8", "replace"), decoded(value)) for name, _, value in pairs]


def prefixed(values):
    """Each value after its length in bytes."""
    return b"".join(str(len(value)).encode() + value for value in values)


def first(fields, wanted):
    return next((value for name, value in fields if name.split("[")[0] == wanted), b"")


def store(message_id, body):
    """Keeps a message under its id; one that is there already came again, and nothing is to be done for it.

    Instead of a file this may be a row of your database with the id as its unique key. Do slow work later, from what is
    stored.
    """
    handle, draft = tempfile.mkstemp(dir=STORE, prefix="draft-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, os.path.join(STORE, message_id))
        except FileExistsError:
            pass
    finally:
        os.unlink(draft)


def take(body):
    fields = fields_of(body)
    source = prefixed(value for name, value in fields if name not in SIGNATURES.values())
    given = first(fields, SIGNATURES[ALGORITHM]).lower()
    right = [key for key in KEYS if key and hmac.compare_digest(sign(key, source).encode(), given)]
    if not right:
        return "400 Bad Request", "The signature is wrong.\n"
    store(hashlib.sha256(source).hexdigest(), body)
    date = datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S")
    values = [first(fields, name) for name in ("IPN_PID", "IPN_PNAME", "IPN_DATE")]
    digest = sign(right[0], prefixed(values + [date.encode()]))
    if ALGORITHM == "md5":
        return "200 OK", f"<EPAYMENT>{date}|{digest}</EPAYMENT>"
    return "200 OK", f'<sig algo="{ALGORITHM}" date="{date}">{digest}</sig>'


def answer(environ):
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return "200 OK", ""  # It is asked so when the URL is saved.
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed", "Only POST is taken here.\n"
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size > MAX_BODY:
        return "413 Content Too Large", "The message is too large.\n"
    try:
        return take(environ["wsgi.input"].read(size))
    except OSError as error:
        print("payment notification:", error, file=sys.stderr)
        return "500 Internal Server Error", "Not stored. Please send it again.\n"


def application(environ, start_response):
    status, text = answer(environ)
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers + ([("Allow", "GET, POST")] if status.startswith("405") else []))
    return [body]


if __name__ == "__main__":
    from wsgiref.simple_server import make_server

    make_server("127.0.0.1", int(os.environ.get("PORT", "8080")), application).serve_forever()
