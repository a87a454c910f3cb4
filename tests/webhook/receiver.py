"""A webhook receiver for the tests: verifies signatures with the library `standardwebhooks`.

usage: receiver.py SECRET ANSWER,ANSWER,... [CERTIFICATE_AND_KEY.pem]

Prints its port, then one JSON object for each request. It gives the answers in turn and the last
one again and again: a status; 429:SECONDS with Retry-After; redirect; hang (never answers); close
(without an answer); long (200 with a body of 1 MB). A request whose signature does not fit gets a
401 instead.
"""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, answers = sys.argv[1], sys.argv[2].split(",")
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(secret).verify(body, {k.lower(): v for k, v in self.headers.items()})
            error = None
        except (WebhookVerificationError, ValueError) as e:
            error = f"{type(e).__name__}: {e}"
        with lock:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            seen = {
                "path": self.path,
                "peer": self.client_address[1],
                "error": error,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "body": body.decode(),
            }
            print(json.dumps(seen), flush=True)
        self.answer("401" if error else answer)

    def answer(self, answer):
        if answer == "hang":
            threading.Event().wait()
        if answer == "close":
            self.close_connection = True
            return
        headers, body = {}, b"ok"
        if answer == "redirect":
            status, headers = 302, {"Location": "/elsewhere"}
        elif answer == "long":
            status, body = 200, b"x" * 1_000_000
        elif ":" in answer:
            status, seconds = answer.split(":", 1)
            headers = {"Retry-After": seconds}
        else:
            status = answer
        self.send_response(int(status))
        for name, value in headers.items():
            self.send_header(name, value)
        if int(status) == 204:
            body = b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # a client that reads only the beginning of a long answer hangs up


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
