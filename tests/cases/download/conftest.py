"""A file server on the loopback that can be made to misbehave."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Server:
    """What it serves under every path, how, and what it was asked."""

    content: bytes = b""
    ranges: bool = True
    etag: str | None = '"one"'
    length: bool = True
    break_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off, one entry an answer."""
    status: int = 200
    redirect: str | None = None
    wrong_range: bool = False
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if state.redirect is not None or state.status != 200:
                self.send_response(302 if state.redirect else state.status)
                if state.redirect:
                    self.send_header("Location", state.redirect)
                self.end_headers()
                return
            match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
            start = 0
            if match and state.ranges and self.headers.get("If-Range") == state.etag:
                start = int(match[1])
                if start >= len(state.content):
                    self.send_response(416)
                    self.end_headers()
                    return
                self.send_response(206)
                first = start + 1 if state.wrong_range else start
                self.send_header("Content-Range", f"bytes {first}-{len(state.content) - 1}/{len(state.content)}")
            else:
                self.send_response(200)
            if state.length:
                self.send_header("Content-Length", str(len(state.content) - start))
            if state.etag is not None:
                self.send_header("ETag", state.etag)
            self.end_headers()
            body = state.content[start:]
            self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}/set.zip"
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()
