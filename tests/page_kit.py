"""What every HTML page of ours has to be: whole, and without anything that could load something."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree


class Links(HTMLParser):
    """Collects every tag and every attribute that could load something."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action", "poster")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(page: str, pictures: int) -> None:
    """Every tag is closed, in order; nothing is loaded but so many pictures, which are SVG inside the page."""
    links = Links()
    links.feed(page)
    assert links.open == []
    assert links.tags.count("img") == pictures == len(links.loads)
    assert all(load.startswith("data:image/svg+xml;base64,") for load in links.loads)
    assert not {"script", "link", "iframe", "object"} & set(links.tags)
    assert "url(" not in page and "@import" not in page and "default-src 'none'" in page
    for load in links.loads:
        svg = base64.b64decode(load.split(",")[1])
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        for href in re.findall(rb'(?:xlink:)?href="([^"]*)"', svg):
            assert href.startswith((b"#", b"data:image/png;base64,"))
