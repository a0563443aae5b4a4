"""A report as one HTML file: page, script, style, data and Vega in one, nothing fetched."""

import json
from importlib.resources import files
from typing import Any

import spusim
from spusim.errors import SpusimError
from spusim.experiments.report.breakdown import PALETTE, energy_terms, stall_causes
from spusim.experiments.report.contents import report_contents, summary
from spusim.experiments.results import Results

_HERE = files("spusim.experiments.report")
_SCRIPTS = ("rows.js", "filters.js", "charts.js", "tables.js", "details.js", "start.js")


class ReportError(SpusimError):
    """A report that cannot be made."""


def check_extra() -> None:
    """Raise ReportError if what draws the charts is not installed; to be called before the work."""
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ReportError(
            f"a report needs {error.name}, which is not installed; "
            "get it with: pip install spusim[report]"
        ) from None


def report_page(results: Results, title: str | None = None) -> str:
    """Return the page of a sweep or run. The same results give the same bytes.

    title: default, the sweep's or folder's name. Raises ReportError without the extra `report`,
    ResultsError for a point whose record is not there.
    """
    check_extra()
    # slow to import, and only here when the extra is installed
    from jinja2 import Environment
    from markupsafe import Markup

    from spusim.experiments.report.charts import chart_spec, run_spec

    contents = report_contents(results)
    columns = contents["columns"]
    terms, causes = energy_terms(columns), stall_causes(columns)
    contents |= {"palette": PALETTE, "terms": terms, "causes": causes}
    spec = run_spec(columns, terms, causes) if contents["single"] else chart_spec()
    template = Environment(autoescape=True, trim_blocks=True).from_string(_text("page.html"))
    told = summary(results)
    return template.render(
        title=title or told.name,
        summary=told,
        version=spusim.__version__,
        style=Markup(_text("page.css")),
        data=Markup(_inert(contents)),
        spec=Markup(_inert(spec)),
        bundle=Markup(_bundle()),
        script=Markup("".join(map(_text, _SCRIPTS))),
    )


def _bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed of the version that Altair writes for."""
    import altair
    import vl_convert

    version = altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0]
    bundle: str = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]
    return bundle.replace("</script", "<\\/script")


def _inert(content: Any) -> str:
    """Return JSON that cannot end or open an element of HTML."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
