"""Hooks of the documentation site: pages from beside docs/ stand in it, and README's table leads.

README.md, CHANGELOG.md and the guides of deploy/ keep their places, and their links work on a forge
as they are; here each is a page of the site under the same path, which `..` of a link leads to. A
link to a file that is no page becomes the bare name of that file.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from properdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
# Where each page lies in the repository, and where in the site.
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/README.md": "deploy/index.md",
    "deploy/RUNBOOK.md": "deploy/runbook.md",
}
_IN_REPOSITORY = {site: path for path, site in BESIDE.items()}
_LINK = re.compile(r"\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def slugify(heading: str, separator: str) -> str:
    """Make the anchor of a heading as the forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def navigation() -> list[dict[str, Any]]:
    """Make of each row of README's last table a menu: for whom, and what to read."""
    _, _, table = (ROOT / "README.md").read_text("utf-8").partition("\n## Where the rest is\n")
    menus: list[dict[str, Any]] = [{"smppgw": "index.md"}]
    for row in table.splitlines():
        cells = row.split("|")
        if len(cells) == 4 and (links := _LINK.findall(cells[2])):
            pages = [{words[:1].upper() + words[1:]: in_site(path)} for words, path, _ in links]
            menus.append({cells[1].strip()[:1].upper() + cells[1].strip()[1:]: pages})
    return menus


def in_site(path: str) -> str:
    """Say where a file of the repository stands in the site; nowhere is an empty text."""
    if path.startswith("docs/") and path.endswith(".md"):
        return path.removeprefix("docs/")
    return BESIDE.get(path, "")


def on_config(config: Any) -> Any:
    """Have anchors made like the forges make them, and menus of README's table."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify
    config.nav = navigation()
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from beside docs/."""
    for path, site in BESIDE.items():
        files.append(File.generated(config, site, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where the pages stand in the site."""
    uri = page.file.src_uri
    here = posixpath.dirname(_IN_REPOSITORY.get(uri, f"docs/{uri}"))

    def led(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        path = posixpath.normpath(posixpath.join(here, target))
        if site := in_site(path):
            return f"[{words}]({posixpath.relpath(site, posixpath.dirname(uri) or '.')}{anchor})"
        if path.startswith("docs/"):
            return link[0]
        assert (ROOT / path).exists(), f"{uri}: {target}"
        return f"{words} (`{path}`)"

    return _LINK.sub(led, markdown)
