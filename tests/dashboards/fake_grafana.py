"""A Grafana over HTTP that keeps what is put into it, by uid."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "glsa_a-token"


class FakeGrafana:
    """What is kept, by kind and uid, and what was asked."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {"folders": {}, "datasources": {}, "dashboards": {}, "rules": {}}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path))
        parts = path.strip("/").split("/")
        if path == "/api/dashboards/db":
            return self._put_dashboard(body)
        if "rule-groups" in parts:
            self.kept["rules"][parts[-1]] = body
            return 200, body
        kind, uid = parts[1], parts[-1]
        known = self.kept[kind]
        if method == "GET":
            return (200, known[uid]) if uid in known else (404, {"message": "not found"})
        if method == "POST":
            if body["uid"] in known:
                return 409, {"message": "exists"}
            uid = body["uid"]
        known[uid] = body
        return 200, body

    def _put_dashboard(self, body: Any) -> tuple[int, Any]:
        if body["folderUid"] not in self.kept["folders"]:
            return 400, {"message": "folder not found"}
        board = body["dashboard"]
        if board["uid"] in self.kept["dashboards"] and not body["overwrite"]:
            return 412, {"message": "version mismatch"}
        self.kept["dashboards"][board["uid"]] = board
        return 200, {"uid": board["uid"]}


@contextmanager
def fake_grafana() -> Iterator[FakeGrafana]:
    fake = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = 401, {"message": "Unauthorized"}
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                status, answer = fake.answer(self.command, self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the base class's names

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
