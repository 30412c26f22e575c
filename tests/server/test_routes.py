import json
import threading

import pytest

pytest.importorskip("fastapi", reason="the server's packages: pip install -e '.[serve]'")

from starlette.testclient import TestClient

from albert_zh.server.abilities import ABILITIES
from albert_zh.server.limits import Refused
from albert_zh.server.messages import Blanks
from albert_zh.server.routes import application


@pytest.fixture
def client(fake_service):
    return TestClient(application(fake_service(characters=60, texts=10, body_bytes=2000, request_characters=600)))


def post(client, path, body, **more):
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(path, content=content, headers={"Content-Type": "application/json", **more})


def test_answers_come_in_the_order_of_the_request_with_the_model_s_name(client):
    answer = post(client, "/v1/similarity", {"pairs": [["天", "天"], ["天", "地"], ["地", "地"]]})
    assert answer.status_code == 200
    told = answer.json()
    assert told["model"] == "pairs"
    assert [row["probability"] for row in told["answers"]] == [1.0, 0.0, 1.0]
    assert told["milliseconds"] >= 0


def test_entities_are_counted_in_code_points(client):
    text = "😀去北京"
    (answer,) = post(client, "/v1/entities", {"texts": [text]}).json()["answers"]
    (entity,) = answer["entities"]
    assert (entity["start"], entity["end"]) == (3, 4)
    assert text[entity["start"] : entity["end"]] == entity["text"] == "京"


BAD = [
    ("/v1/similarity", '{"pairs": [["a"', 400, None),
    ("/v1/similarity", "", 422, None),
    ("/v1/similarity", b'{"pairs": [["\xff", "b"]]}', 400, None),
    ("/v1/similarity", "[" * 1900, 400, None),
    ("/v1/similarity", '{"pairs": ' + "1" * 1900 + "}", 422, "pairs"),
    ("/v1/similarity", "[]", 422, None),
    ("/v1/similarity", "NaN", 422, None),
    ("/v1/similarity", {}, 422, "pairs"),
    ("/v1/similarity", {"pairs": []}, 422, "pairs"),
    ("/v1/similarity", {"pairs": [["a", "b"], ["a"]]}, 422, "pairs[1]"),
    ("/v1/similarity", {"pairs": [["a", "b"], ["a", 3]]}, 422, "pairs[1][1]"),
    ("/v1/similarity", {"pairs": [["a", "b"], ["a", " \n"]]}, 422, "pairs[1][1]"),
    ("/v1/similarity", {"pairs": [["a", "b" * 61]]}, 422, "pairs[0][1]"),
    ("/v1/similarity", {"pairs": [["a" * 60, "b" * 60]] * 6}, 422, None),
    ("/v1/similarity", {"pairs": [["a", "b"]] * 11}, 422, None),
    ("/v1/similarity", {"pairs": [["a", "b"]], "modle": "x"}, 422, "modle"),
    ("/v1/similarity", {"pairs": [["a", "b"]], "\ud800": "x"}, 422, None),
    ("/v1/similarity", {"pairs": [["a", "b"]], "model": 3}, 422, "model"),
    ("/v1/similarity", {"pairs": [["a", "b"]], "model": "no\ud800ne"}, 404, "model"),
    ("/v1/similarity", {"pairs": [["a", "b"]], "model": "none"}, 404, "model"),
    ("/v1/similarity", {"pairs": [["a", "b"]], "model": "tags"}, 404, "model"),
    ("/v1/entities", {"texts": ["half \ud83d"]}, 422, "texts[0]"),
    ("/v1/entities", {"texts": "one text"}, 422, "texts"),
    ("/v1/classify", {"pairs": [["a", "b"]]}, 422, "texts"),
    ("/v1/classify", {"texts": ["a"], "pairs": [["a", "b"]]}, 422, "texts"),
    ("/v1/answer", {"questions": [{"passage": "a"}]}, 422, "questions[0].question"),
    ("/v1/answer", {"questions": [{"passage": "a", "question": "b"}]}, 404, "model"),
    ("/v1/fill-mask", {"texts": ["a[MASK]"], "top_k": 21}, 422, "top_k"),
    ("/v1/fill-mask", {"texts": ["a[MASK]"], "top_k": True}, 422, "top_k"),
    ("/v1/none", {}, 404, None),
    ("/v1/similarity/", {"pairs": [["a", "b"]]}, 404, None),
    ("/v1/similarity", "x" * 2001, 413, None),
]


@pytest.mark.parametrize(("path", "body", "status", "field"), BAD)
def test_what_cannot_be_answered_is_refused_in_json_that_names_the_field(client, path, body, status, field):
    answer = post(client, path, body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) == {"message", "field"}
    assert error["field"] == field
    assert error["message"]
    assert "Traceback" not in answer.text


def test_the_refusal_of_an_ability_says_which_command_gives_a_model_that_has_it(client):
    answer = post(client, "/v1/answer", {"questions": [{"passage": "a", "question": "b"}]})
    assert "albert-zh finetune --task_name=cmrc2018" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("texts", "field"), [(["[MASK]" * 9], "texts[0]"), (["[MASK]" * 8] * 9, "texts[8]"), (["none"], "texts[0]")]
)
def test_so_many_blanks_that_no_request_holds_a_model_for_long(texts, field):
    (fill_mask,) = (ability for ability in ABILITIES if ability.name == "fill-mask")
    with pytest.raises(Refused) as refused:
        list(fill_mask.parts(Blanks(texts=texts), None))
    assert (refused.value.status, refused.value.field) == (422, field)
    assert len(list(fill_mask.parts(Blanks(texts=["[MASK]" * 8] * 8), None))) == 8


def test_monitors_may_ask_for_the_head_alone_and_an_empty_body_is_told(client):
    assert [client.head(path).status_code for path in ("/health", "/")] == [200, 200]
    assert "Send one JSON object" in post(client, "/v1/similarity", "").json()["error"]["message"]


def test_another_method_and_another_content_type_are_refused(client):
    answer = client.delete("/v1/similarity")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "DELETE" in answer.json()["error"]["message"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/v1/similarity", content='{"pairs": [["a", "b"]]}', headers={"Content-Type": kind})
        assert answer.status_code == 415
        assert answer.json()["error"]["message"]


def test_a_body_without_a_declared_length_is_cut_off_where_the_limit_is(client):
    sent = []

    def parts():
        for _ in range(1000):
            sent.append(1)
            yield b" " * 100

    answer = client.post("/v1/similarity", content=parts(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_an_error_of_the_program_is_a_500_that_tells_nothing_and_the_next_request_is_answered(client, capfd):
    answer = post(client, "/v1/classify", {"texts": ["broken"]})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert "a secret of the program" in capfd.readouterr().err
    assert post(client, "/v1/classify", {"texts": ["天"]}).json()["answers"][0]["label"] == "0"


def test_a_request_that_is_not_answered_in_time_ends_with_504_and_one_for_a_full_queue_with_503(fake_service):
    service = fake_service(timeout_s=0.2, queue=4, texts=4)
    begun, release = threading.Event(), threading.Event()

    def slow(rows, _):
        begun.set()
        assert release.wait(20)
        return [{"entities": []} for _ in rows]

    service.models["tags"].abilities["entities"] = slow
    client = TestClient(application(service))
    late = threading.Thread(target=lambda: statuses.append(post(client, "/v1/entities", {"texts": ["a"]}).status_code))
    statuses = []
    late.start()
    assert begun.wait(20)
    service.models["tags"].batcher.submit("x", lambda rows: rows, [1, 2])
    full = post(client, "/v1/entities", {"texts": ["a", "b", "c"]})
    assert (full.status_code, full.headers["retry-after"]) == (503, "1")
    late.join(20)
    assert statuses == [504]
    release.set()


@pytest.mark.parametrize("state", ["loading", "stopping"])
def test_a_server_that_is_not_ready_says_so_and_to_come_again(fake_service, state):
    service = fake_service()
    service.state = state
    client = TestClient(application(service))
    for answer in (client.get("/health"), post(client, "/v1/similarity", {"pairs": [["a", "b"]]})):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert state in answer.text


def test_health_models_and_metrics_tell_what_is_there(client):
    assert client.get("/health").json() == {"status": "ready"}
    told = client.get("/v1/models").json()
    assert told["limits"] == {"body_bytes": 2000, "characters": 60, "texts": 10}
    assert [(model["name"], model["abilities"]) for model in told["models"]] == [
        ("pairs", ["similarity"]),
        ("single", ["classify"]),
        ("tags", ["entities"]),
    ]
    assert told["models"][1]["label_names"] == ["short", "long"]
    for path in ("/v1/classify", "/a/path/of/a/stranger", "/another"):
        client.get(path)
    counts = client.get("/metrics").text
    assert 'albert_zh_requests_total{path="/v1/classify",status="405"} 1' in counts
    assert 'albert_zh_requests_total{path="other",status="404"} 2' in counts
    assert "stranger" not in counts


def test_the_openapi_description_has_every_ability_with_its_types(client):
    described = client.get("/openapi.json").json()
    for ability in ABILITIES:
        operation = described["paths"][ability.path]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        answered = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        assert asked == ability.request.__name__
        rows = described["components"]["schemas"][answered]["properties"]["answers"]
        assert rows["items"]["$ref"].endswith(f"/{ability.answer.__name__}")
        assert {"404", "413", "422", "503", "504"} <= set(operation["responses"])


def test_every_answer_forbids_what_is_not_of_this_server(client):
    for path in ("/", "/page.js", "/words.js", "/style.css", "/icon.svg", "/v1/models", "/none"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
