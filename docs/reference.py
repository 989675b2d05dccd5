"""MkDocs hook: what the site holds beside the pages of this folder.

- ``reference/``: a page for every public module of the package, read from its docstrings.
- ``contributing.md`` and ``changelog.md``: the files of the repository's root.
- The navigation: an entry that ends in "/" becomes the list of the pages of that folder.
- A link from a page to a file of the repository becomes a link to that file's page, or to the file at its source.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PACKAGE = "adumbra"
SOURCE = "https://github.com/adumbra/adumbra/blob/main/"
ROOT_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and expand the navigation."""
    root = _root(config)
    for page, name in ROOT_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(root / name)))
    modules = dict(sorted(public_modules(root / "src" / PACKAGE)))
    for page, module in modules.items():
        files.append(File.generated(config, page, content=f"---\ntitle: {module}\n---\n\n::: {module}\n"))
    pages = [file.src_uri for file in files.documentation_pages()]
    config.nav = [_expanded(entry, pages, modules) for entry in config.nav or []]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave the folder of the pages to where a reader of the site finds their target."""
    place = ROOT_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), match["path"]))
        return _address(target, page.file.src_uri, config, files, match["path"]) + (match["anchor"] or "")

    return LINK.sub(link, markdown)


def public_modules(package: Path) -> Iterator[tuple[str, str]]:
    """The page and the dotted name of every module of which no part begins with an underscore.

    Args:
        package: The folder of the package's sources; nothing is imported.
    """
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).with_suffix("").parts
        names = parts[:-1] if parts[-1] == "__init__" else parts
        if any(name.startswith("_") for name in names):
            continue
        page = [*names, "index"] if parts[-1] == "__init__" else list(names)
        yield "/".join(["reference", *page]) + ".md", ".".join([PACKAGE, *names])


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def _address(target: str, page: str, config: MkDocsConfig, files: Files, written: str) -> str:
    pages = {name: uri for uri, name in ROOT_PAGES.items()} | {"README.md": "index.md"}
    inside = pages.get(target, target.removeprefix("docs/"))
    if (target in pages or target.startswith("docs/")) and files.get_file_from_path(inside):
        return posixpath.relpath(inside, posixpath.dirname(page) or ".")
    if target.endswith(".py") and (module := _module_page(target)) and files.get_file_from_path(module):
        return posixpath.relpath(module, posixpath.dirname(page) or ".")
    if (_root(config) / target).exists():
        return SOURCE + target
    return written  # the strict build reports it


def _module_page(source: str) -> str:
    """The page of the reference of a module's source file; empty for a file outside the package."""
    inside = source.removeprefix(f"src/{PACKAGE}/")
    if inside == source:
        return ""
    return f"reference/{inside.removesuffix('.py').replace('__init__', 'index')}.md"


def _expanded(entry: dict[str, str] | str, pages: list[str], modules: dict[str, str]) -> object:
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if not isinstance(target, str) or not target.endswith("/"):
        return entry
    return {title: _tree(target, pages, modules) or target}


def _tree(folder: str, pages: list[str], modules: dict[str, str]) -> list[object]:
    """The navigation of a folder: its index, then files and folders by name."""
    inside = sorted({page.removeprefix(folder).partition("/")[0] for page in pages if page.startswith(folder)})
    entries: list[object] = []
    for name in sorted(inside, key=lambda name: (name != "index.md", name.removesuffix(".md"))):
        page = folder + name
        if not name.endswith(".md"):
            entries.append({name: _tree(f"{page}/", pages, modules)})
        elif page in modules and name != "index.md":
            entries.append({name.removesuffix(".md"): page})
        else:
            entries.append(page)
    return entries
