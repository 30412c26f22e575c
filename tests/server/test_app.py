import asyncio
import json

import pytest

pytest.importorskip("fastapi", reason="the server's packages: pip install -e '.[serve]'")

import numpy as np
from starlette.testclient import TestClient

from albert_zh.files import InputError
from albert_zh.opened import open_finetuned
from albert_zh.serve.classifier import Classifier
from albert_zh.serve.encoder import Encoder
from albert_zh.server import app
from albert_zh.server.app import create_app

PAIRS = [["天地人和", "上下左右"], ["山水", "云日"], ["天", "花草树木"], ["南北春夏", "春夏"], ["月", "月"]]


@pytest.fixture(scope="module")
def opened(finetuned):
    return open_finetuned(finetuned)


@pytest.fixture(scope="module")
def client(opened):
    return TestClient(create_app([opened]))


def post(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["answers"]


def test_the_api_answers_as_the_python_call_does(client, opened):
    expected = Classifier(opened).predict([tuple(pair) for pair in PAIRS])
    same = [row["probability"] for row in post(client, "/v1/similarity", {"pairs": PAIRS})]
    np.testing.assert_allclose(same, [prediction.probabilities[1] for prediction in expected], atol=1e-6)
    told = post(client, "/v1/classify", {"pairs": PAIRS})
    assert [row["label"] for row in told] == [prediction.label for prediction in expected]
    assert [[share["label"] for share in row["probabilities"]] for row in told] == [["0", "1"]] * len(PAIRS)
    assert [row["name"] for row in told] == [opened.label_names[int(row["label"])] for row in told]
    vectors = [row["vector"] for row in post(client, "/v1/encode", {"texts": ["天地", "山水"]})]
    np.testing.assert_allclose(vectors, Encoder(opened).encode(["天地", "山水"]), atol=1e-6)


def test_a_model_has_the_abilities_of_its_task_and_the_name_of_its_folder(client, finetuned):
    (model,) = client.get("/v1/models").json()["models"]
    assert model["name"] == finetuned.name
    assert (model["task"], model["kind"]) == ("lcqmc", "pair")
    assert model["abilities"] == ["similarity", "classify", "encode"]
    assert client.get("/health").json() == {"status": "ready"}


def test_requests_at_the_same_time_get_their_own_answers(opened):
    application = create_app([opened])
    alone = [prediction.probabilities[1] for prediction in Classifier(opened).predict([tuple(p) for p in PAIRS])]

    async def ask(pair):
        body = json.dumps({"pairs": [pair]}).encode()
        answered = {}

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            answered.update(message)

        headers = [(b"content-type", b"application/json"), (b"host", b"test")]
        scope = {"type": "http", "method": "POST", "path": "/v1/similarity", "query_string": b"", "headers": headers}
        await application({**scope, "root_path": "", "scheme": "http", "http_version": "1.1"}, receive, send)
        return json.loads(answered["body"])["answers"][0]["probability"]

    async def all_at_once():
        return await asyncio.gather(*(ask(pair) for _ in range(8) for pair in PAIRS))

    np.testing.assert_allclose(asyncio.run(all_at_once()), alone * 8, atol=1e-6)
    counts = TestClient(application).get("/metrics").text
    batches = next(line for line in counts.splitlines() if line.startswith("albert_zh_batch_rows_count"))
    assert int(batches.split()[-1]) < 8 * len(PAIRS)


def test_two_models_of_one_name_are_told_apart(opened):
    client = TestClient(create_app([opened, opened]))
    names = [model["name"] for model in client.get("/v1/models").json()["models"]]
    assert names == ["lcqmc", "lcqmc-2"]
    assert client.post("/v1/similarity", json={"pairs": PAIRS, "model": "lcqmc-2"}).json()["model"] == "lcqmc-2"


def test_what_is_no_model_or_none_at_all_is_refused(tmp_path):
    with pytest.raises(InputError):
        create_app([tmp_path])
    with pytest.raises(InputError, match="no model to serve"):
        create_app([])


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(app, "PACKAGES", ("fastapi", "no_such_package_at_all"))
    with pytest.raises(InputError, match=r"needs no_such_package_at_all.*pip install -e '\.\[serve\]'"):
        create_app([])
