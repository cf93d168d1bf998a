import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lrbench.data.download import fetch, unpack
from lrbench.errors import LrbenchError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324


class Mirror(BaseHTTPRequestHandler):
    """Serves CONTENT with byte ranges; /cut breaks off half way, /plain knows no ranges, /wrong has another content."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/missing":
            self.send_error(404)
            return
        content = b"x" * len(CONTENT) if self.path == "/wrong" else CONTENT
        start = 0
        if self.path != "/plain" and (given := self.headers.get("Range")):
            start = int(given.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + (len(content) - start) // 2 if self.path == "/cut" else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def test_fetches_once(mirror, tmp_path):
    target = tmp_path / "deep" / "file.bin"
    for _ in range(2):
        fetch([f"{mirror.url}/file"], target, MD5)
        assert target.read_bytes() == CONTENT
    assert len(mirror.asked) == 1
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_continues_where_it_was_cut_off(mirror, tmp_path):
    target = tmp_path / "file.bin"
    with pytest.raises(LrbenchError, match=r"ended after 512,000 of 1,024,000 bytes; the same command resumes there"):
        fetch([f"{mirror.url}/cut"], target, MD5)
    assert not target.exists()
    fetch([f"{mirror.url}/file"], target, MD5)
    assert target.read_bytes() == CONTENT
    assert mirror.asked[-1] == ("/file", "bytes=512000-")


def test_a_whole_part_is_not_fetched_again_and_a_server_without_ranges_starts_anew(mirror, tmp_path):
    target = tmp_path / "file.bin"
    part = tmp_path / "file.bin.part"
    part.write_bytes(CONTENT)
    fetch([f"{mirror.url}/file"], target, MD5)
    assert target.read_bytes() == CONTENT
    target.unlink()
    part.write_bytes(CONTENT[:1000])
    fetch([f"{mirror.url}/plain"], target, MD5)
    assert target.read_bytes() == CONTENT


def test_the_next_mirror_is_asked_and_wrong_content_never_counts(mirror, tmp_path):
    target = tmp_path / "file.bin"
    fetch([f"{mirror.url}/missing", f"{mirror.url}/wrong", f"{mirror.url}/file"], target, MD5)
    assert target.read_bytes() == CONTENT
    target.unlink()
    with pytest.raises(LrbenchError, match="another checksum"):
        fetch([f"{mirror.url}/wrong"], target, MD5)
    with pytest.raises(LrbenchError, match=r"cannot download file\.bin: .*/missing: Not Found"):
        fetch([f"{mirror.url}/missing"], target, MD5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../out", "/out", "folder/../../out"])
def test_an_archive_cannot_leave_its_folder(tmp_path, name):
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        tar.addfile(member, io.BytesIO())
    (tmp_path / "inside").mkdir()
    if name.startswith("/"):
        unpack(archive, tmp_path / "inside")  # the leading slash is taken off
        assert [path.name for path in (tmp_path / "inside").iterdir()] == ["out"]
    else:
        with pytest.raises(LrbenchError, match="cannot unpack"):
            unpack(archive, tmp_path / "inside")
    assert not (tmp_path / "out").exists()


def test_an_archive_cannot_link_out_of_its_folder(tmp_path):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../.."
        tar.addfile(link)
    with pytest.raises(LrbenchError, match="cannot unpack"):
        unpack(archive, tmp_path / "inside")
    archive.write_bytes(b"no archive")
    with pytest.raises(LrbenchError, match="cannot unpack"):
        unpack(archive, tmp_path / "inside")
