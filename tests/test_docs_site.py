"""The documentation builds without a warning, describes every public module, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

# What a browser loads by itself. A link that a reader follows, and the canonical address, are not among them.
LOADING_TAGS = {"script", "img", "iframe", "source", "video", "audio", "embed"}
LOADING_RELATIONS = {
    "stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "icon", "manifest",
}  # fmt: skip


class LoadedAddresses(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "link" and LOADING_RELATIONS & set((values.get("rel") or "").split()):
            self.addresses.append(values.get("href") or "")
        if tag in LOADING_TAGS:
            self.addresses.append(values.get("src") or "")


@pytest.fixture(scope="module")
def site(project_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=project_root, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {page.relative_to(site).as_posix(): page.read_text("utf-8") for page in site.rglob("*.html")}


def test_every_public_module_has_its_page(pages, project_root):
    sources = project_root / "src" / "adumbra"
    modules = [path.relative_to(sources).with_suffix("").parts for path in sources.rglob("*.py")]
    names = [[name for name in parts if name != "__init__"] for parts in modules]
    public = {".".join(["adumbra", *parts]) for parts in names if not any(part.startswith("_") for part in parts)}
    described = set()
    for name, page in pages.items():
        if name.startswith("reference/"):
            described |= set(re.findall(r'<h1 id="(adumbra[\w.]*)" class="doc doc-heading', page))
    assert described == public


def test_every_kind_of_page_is_there(pages):
    for folder in ("tutorials", "how-to", "explanation", "results", "reference"):
        assert f"{folder}/index.html" in pages
    assert {"index.html", "architecture.html", "glossary.html", "contributing.html", "changelog.html"} <= set(pages)


def test_a_page_loads_nothing_from_elsewhere(pages):
    loaded = {}
    for name, page in pages.items():
        parser = LoadedAddresses()
        parser.feed(page)
        loaded[name] = [address for address in parser.addresses if re.match(r"(https?:)?//", address)]
    assert {name: addresses for name, addresses in loaded.items() if addresses} == {}


def test_a_style_sheet_loads_nothing_from_elsewhere(site):
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text("utf-8")), sheet


def test_no_page_makes_the_theme_load_a_script(pages):
    """The script of the theme loads Mermaid for diagrams, and the figures of a repository from GitHub."""
    for name, page in pages.items():
        assert 'class="mermaid"' not in page, name
        assert 'data-md-component="source"' not in page, name


def test_sources_of_the_site_are_not_part_of_it(site):
    assert not list(site.rglob("*.py"))
