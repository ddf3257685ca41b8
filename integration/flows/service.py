"""A web service of one's own that has work done by Prefect.

    service.py PORT

GET /run/FLOW/DEPLOYMENT starts a run, waits for its end and answers how it ended. GET /health is for
health checks.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prefect.deployments import run_deployment

# A run takes seconds; this is for a machine with other things to do.
LIMIT = 180


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer("ok")
        elif self.path.startswith("/run/"):
            name = self.path.removeprefix("/run/")
            ended = run_deployment(name, timeout=LIMIT, poll_interval=1)
            self.answer(ended.state.type.value)
        else:
            self.send_error(404)

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
