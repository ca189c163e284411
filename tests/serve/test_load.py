"""Eight clients at a time: each gets the labels of its own frames, and the server's memory stays what it is."""

import threading

import numpy as np
import pytest

from occvino.runtime import Pipeline
from tests.serve.conftest import NAME, make_client, start, stop
from tests.serve.test_serve import KINDS, connection, inputs_of, resident

pytestmark = pytest.mark.usefixtures("extra")
CLIENTS = 8


@pytest.fixture(scope="module")
def clients(artifact):
    """What each sends, and what it must get back: no two of them the same."""
    pipeline = Pipeline(artifact)
    made = [make_client(number) for number in range(CLIENTS)]
    labels = [pipeline(dict(zip(each.names, each.files, strict=True)), each.rig).labels for each in made]
    assert len({found.tobytes() for found in labels}) == CLIENTS
    return list(zip(made, labels, strict=True))


def ask(server, clients, requests):
    """Send requests from all clients at a time, half of them over gRPC; gives what went wrong."""
    wrong: list[str] = []

    def of_one(number):
        kind = KINDS[number % len(KINDS)]
        client, labels = clients[number]
        try:
            with connection(kind, server) as asked:
                inputs = inputs_of(kind, client, client.files)
                for count in range(requests // CLIENTS):
                    found = asked.infer(NAME, inputs, request_id=f"{number}/{count}")
                    told = found.get_response()
                    if (told.id if kind == "grpc" else told["id"]) != f"{number}/{count}":
                        wrong.append(f"{number}/{count}: the answer to another request")
                    if not np.array_equal(found.as_numpy("labels"), labels):
                        wrong.append(f"{number}/{count}: other labels")
        except Exception as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=of_one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_each_client_gets_its_own(server, clients):
    assert ask(server, clients, 3 * CLIENTS) == []


@pytest.mark.slow
def test_500_requests_and_memory_stays_flat(server, clients):
    assert ask(server, clients, 10 * CLIENTS) == []  # buffers of all threads are there by then
    before = resident(server)
    seen = []
    for _ in range(5):
        assert ask(server, clients, 13 * CLIENTS) == []  # 520 in all
        seen.append(resident(server))
    print(f"memory of the server, MiB: {before:.0f}, then {[round(each) for each in seen]}")
    assert max(seen[2:]) < max(before, *seen[:2]) + 32  # the last 300 add nothing: one request has 25 MiB in all


def test_too_many_at_a_time_are_told_to_wait(artifact, clients, tmp_path):
    """A server that takes one request at a time: the others get 503 or RESOURCE_EXHAUSTED, and no wrong labels."""
    process, served = start(artifact.path, tmp_path / "log", "--max-requests", "1")
    try:
        wrong = ask(served, clients, CLIENTS)
    finally:
        stop(process)
    assert wrong
    assert all("requests are under way" in each or "RESOURCE_EXHAUSTED" in each for each in wrong), wrong
