"""A model hub on the loopback address that serves one folder, as much of its protocol as snapshot_download asks for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = "someone/tiny-captioner"
COMMIT = "1234567890abcdef1234567890abcdef12345678"


class Hub(ThreadingHTTPServer):
    """``asked`` lists the requests; ``cut`` names a file whose transfer breaks off half-way."""

    def __init__(self, folder: Path, cut: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.cut, self.asked = folder, cut, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        files = {file.name: file.read_bytes() for file in sorted(self.server.folder.iterdir())}
        api, resolve = f"/api/models/{REPOSITORY}", f"/{REPOSITORY}/resolve/{COMMIT}/"
        if path == f"{api}/revision/main":
            said = {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            self.send(json.dumps(said).encode(), body)
        elif path == f"{api}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": f"{n:040x}"}
                for n, (name, data) in enumerate(files.items())
            ]
            self.send(json.dumps(tree).encode(), body)
        elif path.startswith(resolve) and (name := path.removeprefix(resolve)) in files:
            self.send(files[name], body, {"ETag": f'"{list(files).index(name):040x}"'}, cut=name == self.server.cut)
        else:
            code = "RevisionNotFound" if path.startswith(api) else "RepoNotFound"
            self.send(b"{}", body, {"X-Error-Code": code}, status=404)

    def send(self, data: bytes, body: bool, headers: dict[str, str] | None = None, status: int = 200, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests look at ``asked``."""


@contextmanager
def serving(folder: Path, cut: str = "") -> Iterator[Hub]:
    """The hub, while the block runs."""
    with Hub(folder, cut) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
