import os
import threading
import uuid

import pytest

from lrbench.store import as_path


@pytest.fixture(scope="session")
def s3_server():
    """Start an S3-compatible server in this process, and tell clients of it as a user would: by the environment."""
    from moto.s3.responses import S3Response  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    # S3 looks and writes in one step; moto looks, and then writes, in threads.
    put, one_at_a_time = S3Response.put_object, threading.Lock()

    def put_at_once(self):
        with one_at_a_time:
            return put(self)

    S3Response.put_object = put_at_once
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = dict(os.environ)
    os.environ.update(variables)
    import s3fs  # noqa: PLC0415

    s3fs.S3FileSystem().mkdir("runs")
    yield server
    os.environ.clear()
    os.environ.update(before)
    server.stop()
    S3Response.put_object = put


@pytest.fixture(params=["local", "memory", "s3"])
def location(request, tmp_path):
    """Give the path or URL of a folder that is not there yet."""
    if request.param == "local":
        return str(tmp_path / "run")
    if request.param == "s3":
        request.getfixturevalue("s3_server")
    bucket = "memory://runs" if request.param == "memory" else "s3://runs"
    return f"{bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def root(location):
    return as_path(location)
