"""Reading of text files, XML and YAML as tools write them, with an error that names the file."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import yaml

from detkit.data.media.files import read_regular

_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"']+)["']""")
_LONGEST_YAML = 16_000_000
"""Bytes; a description with 20,000 class names has half a million."""
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs", "iso8859-1": "cp1252"}
"""Encodings that contain another one, under whose name Windows programs write them."""


def read_text(file: Path) -> str:
    """Read a UTF-8 text file without the byte order mark (BOM) that editors under Windows may add.

    Raises:
        ValueError: If the file is not UTF-8, or no regular file.
    """
    try:
        return read_regular(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from None


def read_lines(file: Path) -> list[str]:
    """Read the non-blank lines of a UTF-8 text file, without surrounding white space.

    Raises:
        ValueError: If the file is not UTF-8, or no regular file.
    """
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def read_xml(file: Path) -> ElementTree.Element:
    """Return the root of an XML file in any encoding that Python can decode.

    Raises:
        ValueError: If it is empty, in another encoding than it declares, or not XML.
    """
    data = read_regular(file)
    if not data.strip():
        raise ValueError(f"{file}: the file is empty; expected an <annotation>; download or export it again")
    try:
        return ElementTree.fromstring(_xml_text(data, file))
    except (ElementTree.ParseError, RecursionError) as error:
        raise ValueError(f"{file}: not readable XML ({error}); the file may be truncated, download or export it again") from None


def xml_elements(file: Path) -> Iterator[ElementTree.Element]:
    """Yield the elements directly below the root of an XML file, one at a time, so that a long file takes the memory of its text.

    Raises:
        ValueError: As :func:`read_xml`.
    """
    text = _xml_text(read_regular(file), file)
    parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(("start", "end"))
    open_elements: list[ElementTree.Element] = []
    try:
        for start in range(0, len(text) + 1, _XML_BLOCK):
            parser.feed(text[start : start + _XML_BLOCK])
            for event, element in cast("Iterator[tuple[str, ElementTree.Element]]", parser.read_events()):
                if event == "start":
                    open_elements.append(element)
                    continue
                open_elements.pop()
                if len(open_elements) == 1:
                    yield element
                    open_elements[0].clear()
        parser.close()
    except (ElementTree.ParseError, RecursionError) as error:
        raise ValueError(f"{file}: not readable XML ({error}); the file may be truncated, download or export it again") from None


_XML_BLOCK = 1 << 20
"""Characters that are parsed at once."""


def _xml_text(data: bytes, file: Path) -> str:
    """Return the text without its declaration; the expat parser reads few encodings, so it gets text."""
    match = _DECLARATION.match(data)
    declared = match.group(1).decode("ascii", "replace") if match else None
    for name in _possible_codecs(data, declared):
        try:
            return re.sub(r"^\s*<\?xml.*?\?>", "", data.decode(name), count=1, flags=re.DOTALL)
        except UnicodeDecodeError:
            continue
    if declared is None:
        raise ValueError(f"{file}: it is not in UTF-8, and it declares no other encoding; save it as UTF-8")
    unknown = "" if _codec(declared) else ", which is unknown"
    raise ValueError(
        f"{file}: it declares the encoding {declared!r}{unknown}, and can be read neither in that nor in UTF-8; save it as UTF-8"
    )


def _possible_codecs(data: bytes, declared: str | None) -> list[str]:
    """Return the encodings to try: the declared one, then UTF-8, which is stricter than one that contains the declared one."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    name = None if declared is None else _codec(declared)
    return ["utf-8-sig"] if name is None else [name, "utf-8-sig", *([_WIDER[name]] if name in _WIDER else [])]


def _codec(name: str) -> str | None:
    """Return Python's name of an encoding of text; None if it is unknown."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    return found.name if getattr(found, "_is_text_encoding", True) else None


class _PlainLoader(yaml.SafeLoader):
    """A loader that refuses references to lists and mappings: a few of them stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if not isinstance(node, yaml.ScalarNode):
                raise yaml.YAMLError("it refers to a list or mapping by *name, which is not read: write the values out")
            return node
        return super().compose_node(parent, index)


_DEEPEST_YAML = 50
"""Levels that libyaml may compose: it recurses without a limit."""


def _is_plain(text: str) -> bool:
    """Return whether libyaml, 10 times as fast as the loader in Python, can read a text: valid, not deep, and without references."""
    if not hasattr(yaml, "CSafeLoader"):
        return False
    depth = 0
    try:
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML or isinstance(event, yaml.AliasEvent):
                return False
    except (yaml.YAMLError, ValueError):
        return False
    return True


def read_yaml(file: Path) -> tuple[dict[str, Any], yaml.MappingNode]:
    """Return the values of a YAML file that is a mapping, and its node, which has the text of each value as it is written.

    Raises:
        ValueError: If it is not readable YAML, or not a mapping.
    """
    try:
        text = read_regular(file, _LONGEST_YAML).decode("utf-8-sig")
        loader = yaml.CSafeLoader(text) if _is_plain(text) else _PlainLoader(text)
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from None
    except RecursionError:
        raise ValueError(f"{file}: not readable YAML (it is nested too deeply); correct the file") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none raises a ValueError
        raise ValueError(f"{file}: not readable YAML ({' '.join(str(error).split())}); correct the file") from None
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{file}: expected a mapping with names and train, got {type(content).__name__}")
    return content, node


def written_texts(node: yaml.Node) -> Iterator[tuple[str, str | None]]:
    """Yield key and value of each entry of a list or mapping as they are written; the value is None if it is a list or mapping itself."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, value) for key, value in node.value]
    else:
        pairs = [(yaml.ScalarNode("", str(number)), value) for number, value in enumerate(node.value)]
    for key, value in pairs:
        yield str(key.value), value.value if isinstance(value, yaml.ScalarNode) else None
