"""The report's page: one HTML file with its styles, scripts and data, that fetches nothing."""

from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby

from pullstudy.analysis.report.figure import PAGE, Chart, Drawing, Figure, Panels, config
from pullstudy.analysis.report.html import Markup, element, html, json_script
from pullstudy.analysis.report.section import Block, Section
from pullstudy.extras import require

_NO_SCRIPT = "The charts are drawn by a script, which does not run here; the tables below are complete without it."
# No address is allowed to be fetched, whatever text may have come in with the data.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data:"


def page(title: str, provenance: str, simulated: bool, sections: Iterable[Section], notes: Iterable[str] = ()) -> str:
    """The whole document; ``notes`` are of those who ran the study. Raises MissingExtraError."""
    sections = list(sections)
    badge = [element("span", "simulated", class_="badge")] if simulated else []
    header = element(
        "header",
        element("h1", title, " ", *badge),
        element("p", provenance, class_="soft"),
        *(element("p", "Note: ", note) for note in notes),
        element("nav", *(element("a", section.title, href=f"#{section.identity}") for section in sections)),
    )
    mark = "simulated" if simulated else ""
    colours = json_script("chart-config", config(PAGE))
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{element('title', title)}<style>{_resource('page.css')}</style></head>\n"
        f"<body>{header}<noscript>{element('p', _NO_SCRIPT, class_='warning')}</noscript>"
        f"{''.join(_section(section, mark) for section in sections)}"
        f"{colours}<script>{_libraries()}</script><script>{_script('page.js')}</script></body></html>\n"
    )


def _section(section: Section, mark: str) -> Markup:
    heading = element("h2", section.title, id=section.identity)
    return element("section", heading, *_blocks(section.blocks, mark))


def _blocks(blocks: Iterable[Block], mark: str) -> Iterable[Markup]:
    """Figures that follow each other share a row where the page is wide; panels have one of their own."""
    for are_figures, group in groupby(blocks, key=lambda block: isinstance(block, Figure)):
        drawn = [_drawing(block, mark) if isinstance(block, Figure | Panels) else html(block) for block in group]
        if are_figures:
            yield element("div", *drawn, class_="figures")
        else:
            yield from drawn


def _drawing(drawing: Drawing, mark: str) -> Markup:
    badge = [element("span", mark, class_="badge"), " "] if mark else []
    caption = element("figcaption", element("b", *badge, drawing.title), element("span", drawing.caption))
    if isinstance(drawing, Figure):
        return element("figure", caption, *map(_chart, drawing.charts()), id=f"figure-{drawing.name}")
    panels = element("div", *map(_panel, drawing.charts()), class_="panels")
    return element("figure", caption, *_legend(drawing), panels, id=f"figure-{drawing.name}")


def _legend(panels: Panels) -> list[Markup]:
    keys = [
        element("span", element("i", style=f"background: {colour}"), name) for name, colour in panels.legend.items()
    ]
    return [element("p", *keys, class_="legend")] if keys else []


def _panel(chart: Chart) -> Markup:
    return element("div", element("b", chart.title, title=chart.whole_title), _chart(chart), class_="panel")


def _chart(chart: Chart) -> Markup:
    box = element("div", class_="chart", data_spec=chart.identity, role="img", aria_label=chart.whole_title)
    return Markup(box + json_script(chart.identity, chart.spec))


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _script(name: str) -> str:
    return _inline(_resource(name))


def _libraries() -> str:
    """Vega, Vega-Lite and vega-embed, as one script that needs no network."""
    return _inline(require("vl_convert", "report").javascript_bundle())


def _inline(script: str) -> str:
    # Within a script element only its own end tag and an HTML comment's beginning are markup.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
