"""The benchmark's page, made from figures; the figures themselves are no test's business."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from bench import page
from bench.plots import Chart

WORKER = {"megabytes": 130.0, "start": 1.2, "start_cpu": 0.8, "bare_start": 0.5, "at": "2026-01-02"}
SIZE = {"request": {"cpu": 150.0, "ratio": 1.0}, "read": {"cpu": 50.0, "ratio": 1.0}}
GROWTH = {"1000": SIZE, "1000000": {**SIZE, "request": {"cpu": 195.0, "ratio": 1.3}}, "at": "2026-01-03"}


def figures(**parts: Any) -> dict[str, Any]:
    return {"machine": "a machine", **parts}


def test_a_part_that_was_not_measured_is_named_with_its_command_and_has_no_picture() -> None:
    text = page.text(figures(worker={"SQLite": WORKER}))
    for part in ("cached", "refresh", "linking", "growth"):
        assert f"`make bench PART={part}`" in text
    assert "![" not in text
    assert page.charts(figures(worker={"SQLite": WORKER})) == {}


def test_every_picture_of_the_page_is_drawn() -> None:
    some = figures(growth={"SQLite": GROWTH})
    shown = [line.partition("(benchmark/")[2].rstrip(")") for line in page.text(some).splitlines() if line[:2] == "!["]
    assert shown == list(page.charts(some)) == ["growth.svg"]


def test_a_budget_says_whether_it_is_kept() -> None:
    text = page.summary(figures(worker={"SQLite": WORKER}, growth={"SQLite": GROWTH}))
    assert "| memory of a worker, SQLite | MB | ≤ 120 | **130** | not kept |" in text
    assert "| start to ready, SQLite | s | ≤ 1.5 | **1.2** | kept |" in text
    assert "| CPU of the same among 1,000,000 links, SQLite | among 1,000 | ≤ 1.2 | **1.3** | not kept |" in text


def test_the_page_says_when_it_was_measured() -> None:
    text = page.text(figures(worker={"SQLite": WORKER}, growth={"SQLite": GROWTH}))
    assert "on 2026-01-02 to 2026-01-03;" in text


def test_a_chart_is_an_image_with_a_bar_for_each_value_and_no_markup_of_its_labels() -> None:
    chart = Chart("<title>", ["a", "b"], {"x & y": [1.0, None], "z": [200.0, 3.5]}, {"a": 100.0})
    image = ET.fromstring(chart.svg())  # noqa: S314  (our own text)
    texts = [one.text for one in image.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["<title>", "a", "b", "x & y", "1.00", "z", "200", "3.50"]
