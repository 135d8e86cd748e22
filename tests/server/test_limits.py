"""Busy answers, cancel, time-outs, sizes and foreign pages."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.fixtures import Gate, wait_until

import bandtok
from bandtok.server.jobs import Busy, Job, JobQueue


def test_fifty_clients_and_a_queue_of_four(client: TestClient, gate: Gate) -> None:
    def request(_: int) -> tuple[int, str | None]:
        response = client.post("/v1/generate", json={"duration": 0.2})
        return response.status_code, response.headers.get("retry-after")

    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(request, index) for index in range(50)]
        wait_until(lambda: sum(answer.done() for answer in answers) == 45)
        health = client.get("/health").json()
        assert (health["busy"], health["waiting"]) == (True, 4)
        gate.opened.set()
        found = [answer.result() for answer in answers]
    assert Counter(status for status, _ in found) == {200: 5, 503: 45}
    assert all(int(after or 0) >= 1 for status, after in found if status == 503)


def test_cancel_a_running_and_a_waiting_job(app: FastAPI, client: TestClient, gate: Gate) -> None:
    def request() -> dict[str, Any]:
        return client.post("/v1/generate", json={"duration": 0.2}).json()

    queue = app.state.service.queue
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(request)
        gate.entered.wait(5)
        second = pool.submit(request)
        wait_until(lambda: queue.waiting == 1)
        for job in (queue._waiting[0], queue._running):
            assert client.post("/v1/cancel", json={"job": job.id}).json() == {"canceled": True}
        assert first.result()["error"]["type"] == "Canceled"
        assert second.result()["error"]["type"] == "Canceled"
    assert client.post("/v1/cancel", json={"job": "0"}).json() == {"canceled": False}
    gate.opened.set()
    assert client.post("/v1/generate", json={"duration": 0.2}).status_code == 200


@pytest.mark.parametrize("kind", ["wav", "events"])
def test_a_closed_connection_cancels_the_job(url: str, gate: Gate, kind: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    body = json.dumps({"duration": 1, "response_format": kind})
    connection.request("POST", "/v1/generate", body, {"Content-Type": "application/json"})
    wait_until(gate.entered.is_set)
    connection.close()
    wait_until(lambda: gate.ended == 1)


def test_a_request_may_shorten_the_time_limit(client: TestClient, gate: Gate) -> None:
    response = client.post("/v1/generate", json={"duration": 0.2, "timeout": 0.05})
    assert response.status_code == 408
    assert "the request's time limit" in response.json()["error"]["message"]
    wait_until(lambda: gate.ended == 1)


def test_a_too_large_body_is_refused(client: TestClient) -> None:
    response = client.post("/v1/encode", content=bytes((1 << 20) + 1))
    assert response.status_code == 413
    chunks = (bytes(1 << 18) for _ in range(5))  # without a length in the header
    response = client.post("/v1/encode", content=chunks)
    assert response.status_code == 413
    assert "1048576 bytes" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:8765"}, 200),
    ],
)
def test_only_pages_of_this_server(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    response = client.post("/v1/cancel", json={"job": "0"}, headers=headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


def test_an_unexpected_error_says_nothing_of_the_inside(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/home/secret")

    monkeypatch.setattr(app.state.service.engine, "generate", broken)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        response = client.post("/v1/generate", json={"duration": 1})
    assert response.status_code == 500
    assert "secret" not in response.text


def test_jobs_run_in_order_and_the_queue_is_bounded() -> None:
    queue, order, gate = JobQueue(2), [], threading.Event()

    def work(name: str) -> Any:
        return lambda job: (gate.wait(5), order.append(name))

    jobs = [queue.submit(Job(work("a"), 9, 9))]
    wait_until(lambda: queue.busy and not queue.waiting)
    jobs += [queue.submit(Job(work(name), 9, 9)) for name in "bc"]
    assert [queue.position(job) for job in jobs] == [0, 1, 2]
    with pytest.raises(Busy, match="2 requests are waiting"):
        queue.submit(Job(work("d"), 9, 9))
    queue.cancel(jobs[1])
    assert jobs[1].state == "canceled"
    assert queue.position(jobs[2]) == 1
    gate.set()
    assert jobs[2].finished.wait(5)
    assert order == ["a", "c"]
    queue.close()
    with pytest.raises(bandtok.BandTokError):
        queue.submit(Job(work("e"), 9, 9))
