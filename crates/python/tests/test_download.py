"""Official models by name, from a local server."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import threading

import pytest
from image_feature import FeatureExtractor, IoError, ModelError, create_model

NAME = "PP-ShiTuV2_rec"


class Server:
    """Serves one archive; breaks a number of answers off after half of it."""

    def __init__(self, archive: bytes) -> None:
        self.archive, self.breaks, self.requests = archive, 0, []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/models"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        body = self.archive[start:]
        request.send_response(206 if wanted else 200)
        if wanted:
            request.send_header("Content-Range", f"bytes {start}-{len(self.archive) - 1}/{len(self.archive)}")
        request.send_header("ETag", f'"{hashlib.sha256(self.archive).hexdigest()}"')
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.breaks:
            self.breaks -= 1
            body = body[: len(body) // 2]
        request.wfile.write(body)
        request.wfile.flush()
        request.close_connection = True


def archive(official: pathlib.Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(official, f"{NAME}_infer")
    return out.getvalue()


@pytest.fixture()
def server(official, tmp_path, monkeypatch):
    server = Server(archive(official))
    monkeypatch.setenv("PADDLE_PDX_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("IMAGE_FEATURE_MIRROR", server.address)
    monkeypatch.delenv("IMAGE_FEATURE_OFFLINE", raising=False)
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_a_name_is_fetched_once_into_paddlexs_cache(server, tmp_path, noise, capsys):
    first = create_model(NAME)
    told = capsys.readouterr().err
    assert f"{server.address}/{NAME}_infer.tar" in told and f"{len(server.archive) / 1e6:.1f} MB" in told
    cache = tmp_path / "cache" / "official_models"
    assert (cache / NAME / "inference.yml").is_file()
    assert hashlib.sha256(server.archive).hexdigest() in (cache / f"{NAME}_infer.tar.sha256").read_text()
    again = FeatureExtractor.load(NAME)
    assert len(server.requests) == 1
    assert next(first.predict([noise(1)[:, :, ::-1]]))["feature"].tolist() == again.embed(noise(1)).tolist()


def test_a_download_goes_on_after_a_break(server):
    server.breaks = 1
    create_model(NAME)
    assert len(server.requests) == 2 and server.requests[1][1].startswith("bytes=")


def test_offline_and_other_archives_are_refused(server, monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGE_FEATURE_OFFLINE", "1")
    with pytest.raises(IoError, match="IMAGE_FEATURE_OFFLINE"):
        create_model(NAME)
    assert server.requests == []
    monkeypatch.delenv("IMAGE_FEATURE_OFFLINE")
    cache = tmp_path / "cache" / "official_models"
    cache.mkdir(parents=True)
    (cache / f"{NAME}_infer.tar.sha256").write_text(f"{'0' * 64}  {NAME}_infer.tar\n")
    with pytest.raises(ModelError, match="SHA-256"):
        create_model(NAME)
    assert not (cache / NAME).exists()


def test_a_name_that_nobody_knows_lists_those_that_are(server):
    with pytest.raises(IoError, match="the names are default, tiny, PP-ShiTuV2_rec"):
        create_model("PP-ShiTuV9")


def test_the_program_has_it_too(server):
    command = [sys.executable, "-m", "image_feature", "model", "download", NAME]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().endswith(NAME)
