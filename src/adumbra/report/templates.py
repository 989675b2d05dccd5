"""The templates of all pages. They share one style and one head, load nothing and run no script."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup


def template(name: str) -> Template:
    """A template of ``assets``. Its values are escaped, and a missing value is an error."""
    return environment().get_template(name)


@cache
def environment() -> Environment:
    """The environment of all templates. A page that has its own number formats adds them as filters."""
    loader = PackageLoader("adumbra.report", "assets")
    jinja = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    jinja.globals["style"] = Markup(loader.get_source(jinja, "report.css")[0])  # our own file, not a user's text
    return jinja
