"""Metrics of answers add up, over statuses and buckets."""

from prometheus_client import generate_latest

from kelmah.kit.observe import Metrics


def test_answers_are_counted_by_status_and_timed_by_operation() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.004), (200, 0.005), (200, 20.0), (404, 0.3)):
        metrics.record("GET", "one", status, seconds)
    metrics.record("POST", "one", 200, 0.0)
    found = dict(line.rsplit(" ", 1) for line in generate_latest(metrics.registry).decode().splitlines())
    assert found['kelmah_requests_total{method="GET",operation="one",status="200"}'] == "3.0"
    assert found['kelmah_requests_total{method="GET",operation="one",status="404"}'] == "1.0"
    took = 'kelmah_request_seconds_bucket{{le="{}",method="GET",operation="one"}}'
    assert [found[took.format(bound)] for bound in ("0.005", "0.25", "0.5", "10.0", "+Inf")] == [
        "2.0", "2.0", "3.0", "3.0", "4.0",
    ]  # fmt: skip
    assert found['kelmah_request_seconds_count{method="GET",operation="one"}'] == "4.0"
    assert found['kelmah_request_seconds_sum{method="GET",operation="one"}'] == "20.309"
    assert found['kelmah_request_seconds_count{method="POST",operation="one"}'] == "1.0"
