"""Charts are well-formed SVG inside their frame, small whatever the length of the curve."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_zh.report.charts import MAX_POINTS, Chart, Curve, ReferenceLine, escaped, figures
from albert_zh.report.content import pretraining_charts


def svgs(*charts):
    page = figures(charts, itertools.count(1))
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def points(svg, number=0):
    line = svg.findall("polyline")[number]
    return np.array([[float(value) for value in point.split(",")] for point in line.get("points").split()])


def test_a_rising_curve_rises_from_left_to_right():
    (svg,) = svgs(Chart("准确率", (Curve("dev", (0, 50, 100), (0.2, 0.4, 0.8)),), percent=True))
    drawn = points(svg)
    assert (np.diff(drawn[:, 0]) > 0).all()
    assert (np.diff(drawn[:, 1]) < 0).all()  # the vertical axis of SVG points down


@given(
    st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=40),
    st.floats(-1e6, 1e6, allow_subnormal=False),
)
def test_every_curve_and_line_lies_inside_the_frame(values, level):
    (svg,) = svgs(Chart("损失", (Curve("train", range(len(values)), values),), (ReferenceLine("线", level),)))
    _, _, width, height = map(float, svg.get("viewBox").split())
    drawn = points(svg)
    assert ((drawn >= 0) & (drawn <= (width, height))).all()
    assert all(0 <= float(line.get("y1")) <= height for line in svg.findall("line"))


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_mean():
    steps, values = np.arange(1, 50_001), np.linspace(10, 2, 50_000)
    (svg,) = svgs(Chart("损失", (Curve("train", steps, values),)))
    drawn = points(svg)
    (short,) = svgs(Chart("损失", (Curve("train", steps[[0, -1]], values[[0, -1]]),)))
    assert len(drawn) <= MAX_POINTS
    assert drawn[[0, -1]].tolist() == points(short).tolist()
    assert drawn[:, 1].mean() == pytest.approx(points(short)[:, 1].mean(), abs=1)


def test_values_that_are_not_finite_are_left_out():
    (svg,) = svgs(Chart("损失", (Curve("train", (1, 2, 3), (1.0, float("nan"), float("inf"))),)))
    assert len(points(svg)) == 1


def test_a_chart_without_values_is_left_out():
    nothing = Curve("train", (), ())
    assert figures([Chart("损失", (nothing,))], itertools.count(1)) == ""
    assert pretraining_charts(masked_lm_loss=(nothing,)) == ()


def test_dev_curves_have_one_colour_in_every_chart():
    both = Chart("损失", (Curve("train", (1,), (1,)), Curve("dev", (1,), (1,), dev=True)))
    alone = Chart("准确率", (Curve("dev", (1,), (1,), dev=True),))
    first, second = svgs(both, alone)
    assert first.findall("polyline")[1].get("class") == second.find("polyline").get("class")
    assert first.findall("polyline")[0].get("class") != second.find("polyline").get("class")


def test_the_best_point_is_ringed_and_named():
    chart = Chart("准确率", (Curve("dev", (100, 200, 300), (0.5, 0.9, 0.7), dev=True),), percent=True, kept=(200, 0.9))
    (svg,) = svgs(chart)
    ring = next(circle for circle in svg.findall("circle") if circle.get("class").startswith("ring"))
    assert [float(ring.get("cx")), float(ring.get("cy"))] == points(svg)[1].tolist()
    assert "90.0% @ 200" in figures([chart], itertools.count(1))


def test_rates_are_drawn_by_their_logarithm_each_with_its_own_mark():
    by_rate = Curve("seed 1", (1e-5, 1e-4, 1e-3), (0.5, 0.8, 0.6), dev=True)
    others = Curve("other seeds", (1e-4, 1e-4), (0.75, 0.82), joined=False)
    chart = Chart("a", (by_rate, others), percent=True, kept=(1e-4, 0.82), across="学习率 rate", logarithmic=True)
    (svg,) = svgs(chart)
    across = points(svg)[:, 0]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert [text.text for text in svg.findall("text")][-4:] == ["1e-05", "0.0001", "0.001", "学习率 rate"]
    assert len(svg.findall("polyline")) == 1  # the other seeds are points alone
    (ring,) = (circle for circle in svg.findall("circle") if circle.get("class").startswith("ring"))
    assert ring.get("class") == "ring c0"
    assert float(ring.get("cx")) == pytest.approx(across[1], abs=0.2)
    assert "82.0% @ 0.0001" in figures([chart], itertools.count(1))
    (one,) = svgs(Chart("a", (Curve("seed 1", (1e-4,), (0.8,)),), logarithmic=True))
    assert points(one)[0, 0] == pytest.approx((52 + 480 - 14) / 2, abs=0.2)


def test_curves_past_the_last_colour_are_broken():
    (svg,) = svgs(Chart("a", tuple(Curve(str(number), (1, 2), (number, 1)) for number in range(7))))
    styles = [line.get("class") for line in svg.findall("polyline")]
    assert len(set(styles)) == 7
    assert ["again" in style for style in styles] == [False] * 5 + [True] * 2


def test_the_unigram_loss_is_drawn_and_every_chart_has_a_title_and_a_description():
    charts = pretraining_charts(
        masked_lm_loss=(Curve("train", (1, 2), (9, 8)), Curve("dev", (2,), (8,), dev=True)),
        sentence_order_accuracy=(Curve("dev", (2,), (0.6,), dev=True),),
        unigram_loss=6.63,
    )
    loss, order = svgs(*charts)
    legends = re.findall(r'<span class="key line0">(.*?)</span>', figures(charts, itertools.count(1)))
    assert [re.sub("<.*?>", "", legend).split()[-1] for legend in legends] == ["6.630", "50.0%"]
    assert [len(svg.findall("line[@class='reference line0']")) for svg in (loss, order)] == [1, 1]
    for svg in (loss, order):
        assert svg.get("role") == "img"
        assert svg.get("aria-labelledby").split() == [svg.find("title").get("id"), svg.find("desc").get("id")]
        assert svg.find("title").text
        assert "step" in svg.find("desc").text


def test_names_are_escaped_in_svg_and_legend():
    chart = Chart("<b>&", (Curve("<script>", (1,), (1,)),), (ReferenceLine('"&<', 1),))
    (svg,) = svgs(chart)
    assert svg.find("title").text == "<b>&"
    assert "<script" not in figures([chart], itertools.count(1))


@given(st.text())
def test_escaped_text_is_what_an_xml_reader_gets_back(value):
    read = ElementTree.fromstring(f"<x>{escaped(value)}</x>").text or ""
    kept = [
        (was, now) for was, now in zip(value.replace("\r\n", "\n"), read, strict=False) if now != "�" and was != "\r"
    ]
    assert all(was == now for was, now in kept)


def test_steps_and_values_must_be_as_many():
    with pytest.raises(ValueError, match="2 steps and 1 values"):
        Curve("train", (1, 2), (1,))


def test_a_curve_of_few_points_shows_each_and_one_of_many_only_its_last():
    few, many = svgs(*(Chart("损失", (Curve("dev", range(n), range(n)),)) for n in (3, 300)))
    assert [len(svg.findall("circle")) for svg in (few, many)] == [3, 1]
    (one,) = svgs(Chart("损失", (Curve("dev", (50,), (0.7,)),)))
    assert len(one.findall("circle")) == 1


@given(st.integers(0, 100), st.integers(0, 100))
def test_the_axis_of_shares_spans_ten_points_at_least_and_stays_within_0_and_100(first, second):
    shares = (first / 100, second / 100)
    (svg,) = svgs(Chart("准确率", (Curve("dev", (1, 2), shares),), percent=True))
    low, high = (float(svg.findall("text")[n].text.rstrip("%")) for n in (0, len(svg.findall("line")) - 1))
    assert 0 <= low <= min(first, second)
    assert max(first, second) <= high <= 100
    assert high - low >= 10
