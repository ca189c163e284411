"""A server in a process of its own, asked over HTTP and gRPC by tritonclient; what that would not send, by hand."""

import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from occvino.runtime import Pipeline
from tests.serve.conftest import NAME, Client, Served, start, stop

pytestmark = pytest.mark.usefixtures("extra")
KINDS = ("http", "grpc")


def module_of(kind):
    import tritonclient.grpc
    import tritonclient.http

    return getattr(tritonclient, kind)


@contextmanager
def connection(kind, server: Served):
    with module_of(kind).InferenceServerClient(getattr(server, kind)) as client:
        yield client


def inputs_of(kind, client: Client, images=None, *, binary=True):
    """The three inputs of a frame, with files or pixels."""
    images = client.pixels if images is None else images
    made = []
    for name, values in (("images", images), ("intrinsics", client.intrinsics), ("camera2ego", client.camera2ego)):
        values = np.array(values, object) if isinstance(values, list) else values
        datatype = {"O": "BYTES", "u": "UINT8", "f": "FP32"}[values.dtype.kind]
        tensor = module_of(kind).InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, **({} if kind == "grpc" else {"binary_data": binary}))
        made.append(tensor)
    return made


@pytest.fixture(scope="module")
def expected(artifact, client):
    """Labels of the client's frame by a pipeline of this process: of its files, and of its pixels."""
    pipeline = Pipeline(artifact)
    return [pipeline(dict(zip(client.names, images, strict=True)), client.rig).labels
            for images in (client.files, client.pixels)]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_of_the_pipeline(server, client, expected, kind):
    assert not np.array_equal(expected[0][..., 0], expected[0][..., 5])  # they say something
    with connection(kind, server) as asked:
        for images, labels in zip((client.files, client.pixels), expected, strict=True):
            found = asked.infer(NAME, inputs_of(kind, client, images), request_id="7")
            np.testing.assert_array_equal(found.as_numpy("labels"), labels)
            assert found.as_numpy("labels").dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_in_another_order(server, client, expected, kind):
    order = [3, 0, 5, 1, 2, 4]
    shuffled = Client(
        tuple(client.names[each] for each in order),
        [client.files[each] for each in order],
        client.pixels[order],
        client.intrinsics[order],
        client.camera2ego[order],
    )
    with connection(kind, server) as asked:
        parameters = {"cameras": json.dumps(shuffled.names)}
        found = asked.infer(NAME, inputs_of(kind, shuffled, shuffled.files), parameters=parameters)
    # bit by bit: the cameras are put back in the network's order before anything is summed
    np.testing.assert_array_equal(found.as_numpy("labels"), expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_says_what_it_has(server, kind):
    with connection(kind, server) as asked:
        assert asked.is_server_live()
        assert asked.is_server_ready()
        assert asked.is_model_ready(NAME)
        told = asked.get_model_metadata(NAME, **({"as_json": True} if kind == "grpc" else {}))
        assert told["platform"] == "openvino"
        found = {each["name"]: (each["datatype"], [int(size) for size in each["shape"]]) for each in told["inputs"]}
        assert found == {
            "images": ("UINT8", [6, -1, -1, 3]),
            "intrinsics": ("FP32", [6, 3, 3]),
            "camera2ego": ("FP32", [6, 4, 4]),
        }
        assert [each["name"] for each in told["outputs"]] == ["labels"]


def test_numbers_in_json(server, client, expected):
    """Matrices going and labels coming back; pixels may go so too, five times as large."""
    with connection("http", server) as asked:
        binary = inputs_of("http", client)
        plain = inputs_of("http", client, binary=False)
        output = module_of("http").InferRequestedOutput("labels", binary_data=False)
        found = asked.infer(NAME, [binary[0], plain[1], plain[2]], outputs=[output])
        np.testing.assert_array_equal(found.as_numpy("labels"), expected[1])
        told = found.get_response()["parameters"]
    assert json.loads(told["cameras"]) == list(client.names)
    assert json.loads(told["class_names"])[-1] == "free"


BAD = {
    "missing": (lambda it: it[1:], "the request has no input images: expected UINT8 [6, -1, -1, 3] or BYTES [6]"),
    "unknown": (lambda it: [*it[:2], renamed(it[2], "pose")], "the request has an input 'pose'"),
    "NaN": (
        lambda it: [*it[:1], filled(it[1], np.nan), it[2]],
        "CAM_FRONT_LEFT: intrinsics hold a value that is not finite",
    ),
    "shape": (lambda it: [shaped(it[0], [6, 3, 396, 704]), *it[1:]], "images is UINT8 [6, 3, 396, 704], expected"),
    "type": (
        lambda it: [it[0], typed(it[1], "INT32"), it[2]],
        "intrinsics is INT32 [6, 3, 3], expected FP32 [6, 3, 3]",
    ),
    "type that is none": (lambda it: [it[0], typed(it[1], "FLOAT"), it[2]], "FLOAT"),
    "short": (lambda it: [shaped(it[0], [6, 396, 705, 3]), *it[1:]], "its data are not"),
}


def rebuilt(tensor, **changes):
    return type(tensor)(
        changes.get("name", tensor.name()),
        changes.get("shape", tensor.shape()),
        changes.get("datatype", tensor.datatype()),
    )


def carry(made, tensor):
    """The bytes of another tensor, past what the client would check."""
    raw = tensor._get_content() if hasattr(tensor, "_get_content") else tensor._get_binary_data()
    if hasattr(made, "_raw_content"):
        made._raw_content = raw
    else:
        made._raw_data = raw
        made._parameters["binary_data_size"] = len(raw)
    return made


def renamed(tensor, name):
    return carry(rebuilt(tensor, name=name), tensor)


def shaped(tensor, shape):
    return carry(rebuilt(tensor, shape=shape), tensor)


def typed(tensor, datatype):
    return carry(rebuilt(tensor, datatype=datatype), tensor)


def filled(tensor, value):
    made = rebuilt(tensor)
    made.set_data_from_numpy(np.full(tensor.shape(), value, np.float32))
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_the_clients_fault(server, client, kind, what):
    from tritonclient.utils import InferenceServerException

    change, message = BAD[what]
    with connection(kind, server) as asked, pytest.raises(InferenceServerException) as failed:
        asked.infer(NAME, change(inputs_of(kind, client)))
    assert message in failed.value.message()
    assert failed.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_the_message_is_that_of_the_command_line(server, artifact, client):
    from tritonclient.utils import InferenceServerException

    from occvino.errors import FrameError

    images = [client.files[0], client.files[1][:5000], *client.files[2:]]
    with pytest.raises(FrameError) as told:
        Pipeline(artifact)(dict(zip(client.names, images, strict=True)), client.rig)
    with connection("http", server) as asked, pytest.raises(InferenceServerException) as failed:
        asked.infer(NAME, inputs_of("http", client, images))
    assert failed.value.message() == str(told.value)
    assert failed.value.status() == "400"


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_or_version_is_not_found(server, client, kind):
    from tritonclient.utils import InferenceServerException

    with connection(kind, server) as asked:
        asked.infer(NAME, inputs_of(kind, client), model_version="1")
        for name, version, message in (
            ("m0", "", "there is no model 'm0' here: this server has 'occvino-nano'"),
            (NAME, "2", "occvino-nano has no version '2' here, but '1'"),
        ):
            with pytest.raises(InferenceServerException, match=message) as failed:
                asked.infer(name, inputs_of(kind, client), model_version=version)
            assert failed.value.status() in ("404", "StatusCode.NOT_FOUND")
        with pytest.raises(InferenceServerException, match="there is no model 'm0' here"):
            asked.get_model_metadata("m0")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_unloads_the_model(server, client, kind):
    from tritonclient.utils import InferenceServerException

    with connection(kind, server) as asked:
        with pytest.raises(InferenceServerException):
            asked.unload_model(NAME)
        assert asked.is_model_ready(NAME)


def post(server, body, headers=(), path=f"/v2/models/{NAME}/infer"):
    """Status and error of a request by hand."""
    connected = http.client.HTTPConnection(server.http, timeout=60)
    try:
        connected.request("POST", path, body, dict(headers))
        answer = connected.getresponse()
        return answer.status, json.loads(answer.read())["error"]
    finally:
        connected.close()


def resident(server):
    """MiB of memory of the server."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_a_body_of_100_mb_is_refused_and_not_kept(server):
    before = resident(server)
    body = bytes(100_000_000)
    status, error = post(server, body)
    assert (status, error[:49]) == (413, "the body of 100000000 bytes is larger than the 67")
    status, error = post(server, iter([body[: 1 << 20]] * 96))  # chunks, with no length told before
    assert (status, error[:28]) == (413, "the body is larger than the ")
    assert resident(server) < before + 80


def test_a_message_of_100_mb_is_refused(server, client):
    from tritonclient.utils import InferenceServerException

    with connection("grpc", server) as asked:
        big = Client(
            client.names, client.files, np.zeros((6, 2000, 3000, 3), np.uint8), client.intrinsics, client.camera2ego
        )
        with pytest.raises(InferenceServerException, match="larger than max") as failed:
            asked.infer(NAME, inputs_of("grpc", big))
        assert failed.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
        assert asked.is_server_live()


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"{", {}, "the body is not JSON"),
        (b"[]", {}, 'no list "inputs"'),
        (b"[" * 100_000, {}, "the body is not JSON"),
        (b'{"inputs": 3}', {}, 'no list "inputs"'),
        (b'{"inputs": [3]}', {}, "an input of the request is not"),
        (b'{"inputs": [{"name": "images", "shape": [1], "datatype": 3}]}', {}, "needs one of"),
        (b'{"inputs": [{"name": "images", "shape": [1], "data": 3}]}', {}, "is no list"),
        (b'{"inputs": [], "parameters": 3}', {}, "is no object"),
        (b'{"inputs": [], "outputs": 3}', {}, '"outputs" of the request'),
        (b'{"inputs": []}', {"Inference-Header-Content-Length": "-1"}, "expected a whole number"),
        (b'{"inputs": []}', {"Inference-Header-Content-Length": "99"}, "expected a whole number from 0 to 14"),
        (b'{"inputs": []}xyz', {"Inference-Header-Content-Length": "14"}, "3 bytes follow the last tensor"),
        (b'{"inputs": []}', {}, "the request has no input images"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_request(server, body, headers, message):
    status, error = post(server, body, headers)
    assert status == 400
    assert message in error


def test_a_client_that_goes_away_leaves_nothing(artifact, client, expected, tmp_path):
    """Forty of them, where two may be under way at a time: each gives its place back, and the log is not filled."""
    process, served = start(artifact.path, tmp_path / "log", "--max-requests", "2")
    host, port = served.http.split(":")
    try:
        for _ in range(40):
            with socket.create_connection((host, int(port)), timeout=10) as half:
                half.sendall(
                    f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{{".encode()
                )
        with connection("http", served) as asked:
            for _ in range(50):  # until it has heard of all
                if post(served, b"{")[0] == 400:
                    break
                time.sleep(0.1)
            found = asked.infer(NAME, inputs_of("http", client)).as_numpy("labels")
        np.testing.assert_array_equal(found, expected[1])
        assert served.log.read_text().count("ERROR") == 0
    finally:
        stop(process)


def test_a_body_that_is_packed(server):
    status, error = post(server, b"x", {"Content-Encoding": "gzip"})
    assert (status, error) == (415, "the body is packed by gzip: send it as it is")


def test_strings_that_say_more_than_there_is(server, client):
    raw = b"".join(struct.pack("<I", 1 << 31) + file for file in client.files)
    told = {"name": "images", "datatype": "BYTES", "shape": [6], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [told]}).encode()
    status, error = post(server, head + raw, {"Inference-Header-Content-Length": str(len(head))})
    assert status == 400
    assert "images is BYTES [6], and its data are not" in error


def test_paths_that_there_are_not(server):
    assert post(server, b"", path="/v2/models") == (405, "POST /v2/models: Method Not Allowed")
    assert post(server, b"", path="/v1/models/x:predict") == (404, "POST /v1/models/x:predict: Not Found")


def test_only_this_machine_reaches_it(server):
    """By what the kernel says of the two ports: no other address has them."""
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                listening.append(local)
    for address in (server.http, server.grpc):
        port = int(address.split(":")[1])
        found = [local for local in listening if int(local.split(":")[1], 16) == port]
        assert len(found) == 1
        assert found[0].endswith(f"0100007F:{port:04X}")  # 127.0.0.1; gRPC writes it as an IPv6 address


def test_a_bug_is_told_without_the_code(artifact, client, tmp_path, monkeypatch):
    """A server whose geometry breaks: the log has the trace, the client a number to look for."""
    from tritonclient.utils import InferenceServerException

    (tmp_path / "sitecustomize.py").write_text(
        "import occvino.serve.frame as frame\n"
        "def broken(*_): raise KeyError('/secret/path')\n"
        "frame.rig_of_matrices = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    process, served = start(artifact.path, tmp_path / "log")
    try:
        for kind, status in (("http", "500"), ("grpc", "StatusCode.INTERNAL")):
            with connection(kind, served) as asked, pytest.raises(InferenceServerException) as failed:
                asked.infer(NAME, inputs_of(kind, client))
            assert failed.value.status() == status
            told = failed.value.message()
            assert told.startswith("internal error ")
            assert "secret" not in told
            assert told.split()[2].rstrip(":") in served.log.read_text()
        assert "/secret/path" in served.log.read_text()
    finally:
        stop(process)


def test_a_request_under_way_is_answered_when_the_server_stops(artifact, client, expected, tmp_path):
    process, served = start(artifact.path, tmp_path / "log")
    answers = []

    def ask():
        with connection("http", served) as asked:
            answers.append(asked.infer(NAME, inputs_of("http", client, client.files)).as_numpy("labels"))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.15)  # it has been sent by then, and takes longer
    code = stop(process)
    thread.join()
    assert code == 0
    np.testing.assert_array_equal(answers[0], expected[0])


def test_a_port_in_use_is_an_error(artifact, server):
    for option, address in (("--port", server.http), ("--grpc-port", server.grpc)):
        other = "--grpc-port" if option == "--port" else "--port"
        command = ["serve", str(artifact.path), option, address.split(":")[1], other, "0"]
        code = "from occvino.cli import main; main()"
        ended = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=100)
        assert ended.returncode == 2
        assert f"cannot listen on {address}" in ended.stderr
        assert option in ended.stderr
