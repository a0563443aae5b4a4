"""The report's linked charts, as a Vega-Lite specification made with Altair.

A reader chooses what is drawn, so fields are slots (`slot_x`) that the page fills in. Altair is
imported by whoever makes a report, and by nobody else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt

from spusim.experiments.report.breakdown import PALETTE

_TEXT = "currentColor"  # follows the page, in light, dark and print
_FADED, _SOLID = 0.12, 0.85
_LABELLED = 0.09  # share from which a part of a bar has room for its name

Views: TypeAlias = Any  # Altair's types are not looked into


def chart_spec() -> dict[str, Any]:
    """Return the specification of all charts; the data set is `points`, one row a point."""
    brush = alt.selection_interval(name="brush")
    corner = alt.selection_interval(name="corner")
    chosen = alt.param(name="chosen", value=-1)
    names = alt.param(name="names", value={})
    views = [
        _scatter(brush, corner),
        _trade_off(brush, corner),
        _stack(brush & corner, "slot_terms", "mean", "slot_title_energy", "slot_unit_energy"),
        _stack(brush & corner, "slot_causes", "sum", "slot_title_stalls", "share of unit-cycles"),
    ]
    charts = alt.concat(*views, data=alt.NamedData("points"), columns=2, spacing=28)
    return _styled(charts.add_params(chosen, names))


def run_spec(
    columns: Sequence[Mapping[str, Any]], terms: Mapping[str, Any], causes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the specification of a single run's charts: energy by term, cycles by cause."""
    found = {c["name"]: c for c in columns}
    energy = [
        {"part": name, "value": found[column]["values"][0] * found[column]["factor"]}
        for column, name in zip(terms["columns"], terms["names"], strict=True)
    ]
    stalls = [row for kind, parts in causes.items() for row in _shares(kind, parts, found)]
    return _styled(alt.concat(_terms(energy, terms), _causes(stalls), spacing=28))


def _shares(
    kind: str, parts: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    values = [found[column]["values"][0] for column in parts["columns"]]
    for place, (name, colour) in enumerate(zip(parts["names"], parts["colours"], strict=True)):
        share = values[place] / sum(values)
        label = name if share > _LABELLED else ""
        yield {"unit": kind, "part": name, "colour": colour, "place": place, "label": label,
               "value": values[place], "share": share}  # fmt: skip


def _terms(energy: list[dict[str, Any]], terms: Mapping[str, Any]) -> Views:
    title = f"energy a frame ({terms['unit']})"
    return (
        alt.Chart(alt.InlineData(energy), title="Energy a frame by term")
        .mark_bar(color=PALETTE[0])
        .encode(
            alt.X("value:Q", title=title),
            alt.Y("part:N", sort="-x", title=None),
            tooltip=["part:N", alt.Tooltip("value:Q", title=title, format=",.4~g")],
        )
    )


def _causes(stalls: list[dict[str, Any]]) -> Views:
    """Return bars whose parts are named where there is room: there are more causes than colours."""
    share = alt.X("share:Q", stack="zero", title="share of unit-cycles",
                  axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))  # fmt: skip
    base = alt.Chart(alt.InlineData(stalls)).encode(
        share,
        alt.Y("unit:N", title=None),
        order=alt.Order("place:Q"),
        tooltip=["unit:N", "part:N", alt.Tooltip("value:Q", title="unit-cycles", format=","),
                 alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    bars = base.mark_bar().encode(alt.Color("colour:N", scale=None))
    texts = base.mark_text(fontSize=11).encode(
        alt.X("share:Q", stack="zero", bandPosition=0.5),
        text=alt.Text("label:N"),
        color=alt.when("datum.part === 'busy'").then(alt.value("white")).otherwise(
            alt.value("black")),
    )  # fmt: skip
    return alt.layer(bars, texts, title="What every kind of unit did with its cycles")


def _styled(charts: alt.ConcatChart) -> dict[str, Any]:
    styled = (
        charts.resolve_scale(color="independent")
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_TEXT, titleColor=_TEXT, domainColor=_TEXT, tickColor=_TEXT,
            gridColor=_TEXT, gridOpacity=0.13, domainOpacity=0.5, titleFontWeight="normal",
            labelFontSize=11, titleFontSize=12, labelOverlap=True, labelLimit=120,
        )
        .configure_legend(
            labelColor=_TEXT, titleColor=_TEXT, orient="bottom", titleFontWeight="normal",
            labelFontSize=11, columns=4, labelLimit=130, titleLimit=260,
        )
        .configure_title(color=_TEXT, anchor="start", fontSize=13, limit=520)
    )  # fmt: skip
    spec: dict[str, Any] = styled.to_dict()
    return spec


def _scatter(brush: alt.Parameter, corner: alt.Parameter) -> Views:
    """Return any column against any other; dragging selects points for the other charts."""
    base = _valid("slot_x", "slot_y")
    lines = (
        base.transform_filter("slot_lines")
        .transform_aggregate(mean_y="mean(slot_y)", groupby=["slot_x", "slot_c"])
        .mark_line(strokeWidth=1.5, opacity=0.6)
        .encode(_x("slot_x"), _y("mean_y"), alt.Color(field="slot_c", type="nominal"))
    )
    points = (
        base.mark_point(filled=True, size=55, stroke=_TEXT, strokeWidth=0.4)
        .encode(
            _x("slot_x"),
            _y("slot_y"),
            alt.Color(field="slot_c", type="nominal"),
            opacity=_opacity(brush, corner),
            tooltip=alt.Tooltip(field="slot_tooltip", type="nominal"),
        )
        .properties(name="scatter")
        .add_params(brush)
    )
    return alt.layer(lines, points, _ring(base, "slot_x", "slot_y"), title="slot_title_main")


def _trade_off(brush: alt.Parameter, corner: alt.Parameter) -> Views:
    """Return two metrics, and the points that no other one beats in both."""
    order = [alt.SortField(name) for name in ("u", "v", "point")]
    base = (
        _valid("slot_px", "slot_py")
        .transform_calculate(u="slot_sx * datum.slot_px", v="slot_sy * datum.slot_py")
        # the least v so far, then that of the points before: none there is a point of the front
        .transform_window(least="min(v)", frame=[None, 0], sort=order)
        .transform_window(best="lag(least)", sort=order)
        .transform_calculate(front="!isValid(datum.best) || datum.v < datum.best")
    )
    on_front = base.transform_filter("datum.front")
    stairs = on_front.mark_line(
        interpolate="step-after", color=_TEXT, strokeWidth=1.2, strokeDash=[5, 3], opacity=0.7
    ).encode(_x("slot_px"), _y("slot_py"))
    points = (
        base.mark_point(filled=True, size=55, stroke=_TEXT, strokeWidth=0.4)
        .encode(
            _x("slot_px"),
            _y("slot_py"),
            alt.Color(field="slot_c", type="nominal", legend=None),
            opacity=_opacity(brush, corner),
            tooltip=alt.Tooltip(field="slot_tooltip", type="nominal"),
        )
        .properties(name="tradeoff")
        .add_params(corner)
    )
    outlines = on_front.mark_point(filled=False, size=75, stroke=_TEXT, strokeWidth=1.2).encode(
        _x("slot_px"), _y("slot_py"), tooltip=alt.Tooltip(field="slot_tooltip", type="nominal")
    )
    return alt.layer(
        stairs, points, outlines, _ring(base, "slot_px", "slot_py"), title="slot_title_trade"
    )


def _stack(selected: Any, fields: str, how: str, title: str, y_title: str) -> Views:
    """Return parts of a whole along a chosen column, over the points that are selected."""
    share = how == "sum"
    scale = alt.Scale(domain=[f"{fields}_names"], range=[f"{fields}_colours"])
    return (
        alt.Chart()
        .transform_filter(selected)
        .transform_fold([fields], as_=["key", "value"])
        .transform_filter("isValid(datum.value) && isValid(datum.slot_a)")
        .transform_calculate(part="names[datum.key]", place=f"indexof({fields}_order, datum.key)")
        .transform_aggregate(
            value=f"{how}(value)", points="count()", groupby=["slot_a", "part", "place"]
        )
        .mark_bar()
        .encode(
            alt.X(field="slot_a", type="ordinal"),
            alt.Y(
                field="value",
                type="quantitative",
                title=y_title,
                stack="normalize" if share else "zero",
                axis=alt.Axis(format="%") if share else alt.Undefined,
            ),
            alt.Color(field="part", type="nominal", title=None, scale=scale),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip(field="slot_a", type="ordinal"),
                alt.Tooltip("part:N", title="part"),
                alt.Tooltip("value:Q", title="unit-cycles" if share else y_title, format=",.4~g"),
                alt.Tooltip("points:Q", title="points"),
            ],
        )
        .properties(title=title)
    )


def _valid(*fields: str) -> Views:
    return alt.Chart().transform_filter(" && ".join(f"isValid(datum.{f})" for f in fields))


def _x(field: str) -> alt.X:
    return alt.X(field=field, type="quantitative")


def _y(field: str) -> alt.Y:
    return alt.Y(field=field, type="quantitative")


def _opacity(brush: alt.Parameter, corner: alt.Parameter) -> Any:
    return alt.when(brush & corner).then(alt.value(_SOLID)).otherwise(alt.value(_FADED))


def _ring(base: Views, x: str, y: str) -> Views:
    """Return a ring around the point whose details are shown."""
    return (
        base.transform_filter("datum.point === chosen")
        .mark_point(filled=False, size=260, stroke=_TEXT, strokeWidth=2.5)
        .encode(_x(x), _y(y))
    )
