"""The templates of all pages: one style, one head, nothing that is fetched or run."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup


def template(name: str) -> Template:
    """A template of ``assets``; what it is given is escaped, and what it lacks is an error."""
    return environment().get_template(name)


@cache
def environment() -> Environment:
    """That of all templates; a page that has words of its own adds them as filters."""
    loader = PackageLoader("adumbra.report", "assets")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.globals["style"] = Markup(loader.get_source(made, "report.css")[0])  # our own file, not a user's text
    return made
