"""The fleet as one HTML file that needs nothing else: no request leaves it, and nothing in it but its own script runs.

The file opens fast with ten thousand clusters: the script shows a page of rows at a time, from data that holds every
text once; the plain table of all rows stands in a noscript element, which a browser with scripts doesn't lay out.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

import jinja2
from markupsafe import Markup

from byomesh.fleet import words
from byomesh.fleet.model import Fleet
from byomesh.fleet.state import State
from byomesh.report.glance import glance
from byomesh.report.packing import packed


def render(fleet: Fleet) -> str:
    """The report.

    Every text of others is escaped: in elements and attributes by the template (autoescape), in the data by `packed`,
    and the script only ever makes text nodes of it.
    """
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("byomesh.report", "template"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"age": words.age, "moment": words.moment, "day": words.day}
    style, script = _file("report.css"), _file("report.js")
    return environment.get_template("report.html").render(
        fleet=fleet,
        glance=glance(fleet),
        mesh_of=words.mesh_of,
        states=list(State),
        projects=words.projects(fleet),
        checks=words.checks,
        net_admin=words.net_admin,
        data=Markup(packed(fleet)),  # noqa: S704 - JSON in which nothing can end the element
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        policy="; ".join(
            [
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                f"script-src '{_hash(script)}'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
    )


def _file(name: str) -> str:
    return resources.files("byomesh.report").joinpath("template", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A source of a Content-Security-Policy (https://www.w3.org/TR/CSP3/#match-element-to-source-list)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
