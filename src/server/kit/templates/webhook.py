"""Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.

Needs Python 3.8 or newer and nothing else. `application` runs under any WSGI server; for a try: python3 webhook.py
Set in its environment:
  WEBHOOK_SECRET      the signing secret of this URL: whsec_…
  WEBHOOK_SECRET_OLD  the secret before, only while you change it
  WEBHOOK_STORE       a folder that this program may write to
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time

MAX_BODY = 1048576
MAX_AGE = 300  # seconds that the clock of the sender may differ

SECRETS = [os.environ["WEBHOOK_SECRET"], os.environ.get("WEBHOOK_SECRET_OLD", "")]
DECODED = [base64.b64decode(secret[len("whsec_"):]) for secret in SECRETS if secret.startswith("whsec_")]
KEYS = [key for key in DECODED if key]  # with an empty key anybody can sign
STORE = os.environ["WEBHOOK_STORE"]


def is_right(message_id, seconds, body, signatures):
    """Whether one of the signatures is ours. There are two while the sender changes its key."""
    try:
        if abs(time.time() - int(seconds)) > MAX_AGE:
            return False
    except ValueError:
        return False
    signed = f"{message_id}.{seconds}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in KEYS]
    given = signatures.encode().split(b" ")
    return any([hmac.compare_digest(mine, theirs) for mine in wanted for theirs in given])


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


def take(environ, body):
    message_id = environ.get("HTTP_WEBHOOK_ID", "")
    seconds = environ.get("HTTP_WEBHOOK_TIMESTAMP", "")
    if not is_right(message_id, seconds, body, environ.get("HTTP_WEBHOOK_SIGNATURE", "")):
        return "400 Bad Request", "The signature is wrong.\n"
    order = json.loads(body)["data"]["order"]  # reference, status, amount: {"minor": 52900, "currency": "USD", "exponent": 2}
    store(hashlib.sha256(message_id.encode()).hexdigest(), body)
    print("order", order["reference"], "is", order["status"], flush=True)
    return "204 No Content", ""


def answer(environ):
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return "200 OK", ""  # It is asked so when the URL is saved.
    if environ["REQUEST_METHOD"] != "POST":
        return "405 Method Not Allowed", "Only POST is taken here.\n"
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size > MAX_BODY:
        return "413 Content Too Large", "The message is too large.\n"
    try:
        return take(environ, environ["wsgi.input"].read(size))
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
