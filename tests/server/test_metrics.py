import re

from albert_zh.server.metrics import Metrics, resident_bytes


def test_every_line_is_of_the_text_format_and_the_counts_are_those_given():
    metrics = Metrics()
    for seconds, status in ((0.001, 200), (0.03, 200), (60.0, 504)):
        metrics.request("/v1/classify", status, seconds)
    metrics.request("other", 404, 0.004)
    for rows in (1, 3, 3):
        metrics.batch('a "model"', rows)
    lines = metrics.text({'a "model"': 7}, "ready").splitlines()
    sample = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="[^"]*")*\})? [0-9.]+')
    assert all(line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line) for line in lines)
    told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert told['albert_zh_requests_total{path="/v1/classify",status="200"}'] == "2"
    assert told['albert_zh_requests_total{path="/v1/classify",status="504"}'] == "1"
    bucket = 'albert_zh_request_seconds_bucket{path="/v1/classify",le="%s"}'
    assert [told[bucket % end] for end in ("0.002", "0.02", "0.05", "10.0", "+Inf")] == ["1", "1", "2", "2", "3"]
    assert float(told['albert_zh_request_seconds_sum{path="/v1/classify"}']) == 60.031
    batches = 'albert_zh_batch_rows_bucket{model="a \\"model\\"",le="%s"}'
    assert [told[batches % end] for end in ("1", "2", "4")] == ["1", "1", "3"]
    assert told['albert_zh_queue_rows{model="a \\"model\\""}'] == "7"
    assert told["albert_zh_ready"] == "1"


def test_resident_memory_is_more_than_python_alone_needs():
    assert 5e6 < resident_bytes() < 1e12
