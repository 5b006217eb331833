"""Mutations of JSON trees, of their text and of any bytes; every one follows from the `Random` that is passed in."""

from __future__ import annotations

import codecs
import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\0",
    "\n",
    "a\r\nX-Injected: yes",
    '"}\n{"severity":"ALERT"}',
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "\ud800",
    "\udfff\ud800",
    "\ufeffx",
    "\N{PILE OF POO}" * 50,
    "²",
    "\N{ARABIC-INDIC DIGIT ONE}2",
    "9" * 5_000,
    "A" * 2_000,
    "é" * 70_000,
    "../" * 20 + "etc/passwd",
    "-rf",
    "--kubeconfig=/x",
    "%s%n{0}{x.__class__}",
    "$(id)`id`${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "null",
    "true",
    "1e400",
    "NaN",
    "0x10",
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-05-04T09:10:11",
    "2016-12-31T23:59:60Z",
    "2026-05-04T24:00:00Z",
    "projects/p/locations/l/clusters/c\n",
    "projects/p/locations/l/clusters/../../x",
    "projects/" + "p" * 100_000 + "/locations/l/clusters/c",
    "//container.googleapis.com/projects/p/zones/z/clusters/c",
    "projects/1234567890/locations/europe-west1/clusters/checkout",
    "linkerd",
    "none",
    "google.container.v1.ClusterManager.CreateCluster",
    "google.container.v1.ClusterManager.UpdateCluster",
    "container.googleapis.com",
    "AAAA",
    "!!!!",
    "H4sIAAAAAAAA",
    "a," * 2_000,
    "10.0.0.0/8,",
    "::/0",
    "0.0.0.0/0",
    "10.0.0.0/99999999999",
)
"""Texts that mean something to somebody on the way."""

NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
)

RAW: tuple[bytes, ...] = (
    b"1e999999999",
    b"-1e999999999",
    b"9" * 5_000,
    b"-" + b"9" * 5_000,
    b"NaN",
    b"Infinity",
    b"01",
    b"+1",
    b"0x10",
    b"1.",
    b".5",
    b"1e-999999999",
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b'"a\nb"',
    b"'a'",
    b"{}",
    b"[]",
    b'{"a":1,"a":2}',
    b"[" * 2_000 + b"]" * 2_000,
    b"[" * 60_000,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b"[" + b"{}," * 20_000 + b"{}]",
    b'"' + b"B" * 300_000 + b'"',
    b"/* */ 1",
    b"undefined",
    b"",
)
"""What may stand in a value's place in a text, be it JSON or not."""

LONGEST = 20 * 1024 * 1024
"""Bytes of a text: more than anything takes."""

_VALUE = re.compile(rb'(?<=[:\[,])\s*(?:"[^"\\]*"|-?\d+(?:\.\d+)?|true|false|null|\{\}|\[\])')


def mutated(tree: Any, random: Random) -> Any:
    """A copy of a JSON tree with one to four places changed."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        tree = _changed(tree, random)
    return tree


def noise(random: Random, depth: int = 3) -> Any:
    """A JSON tree of hostile values, that nobody has written."""
    kind = random.randrange(8 if depth else 6)
    if kind < 4:
        return random.choice(TEXTS)
    if kind == 4:
        return random.choice(NUMBERS)
    if kind == 5:
        return random.choice((None, True, False, [], {}))
    inner = [noise(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 6:
        return inner
    return {random.choice(TEXTS): one for one in inner}


def as_text(tree: Any, random: Random) -> bytes:
    """A tree's JSON, most often as it should be, else broken in some way."""
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    return text if random.random() < 0.6 else broken(text, random)


def broken(text: bytes, random: Random) -> bytes:
    """Any text with one to three of its bytes, values, keys or its encoding changed."""
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice(_BREAKS)(text, random)[:LONGEST]
    return text


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key or index) of a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found.append((tree, key))
        _places(value, found)
    return found


def _changed(tree: Any, random: Random) -> Any:
    places = _places(tree, [])
    if not places or random.random() < 0.03:
        return noise(random)
    container, key = random.choice(places)
    how = random.randrange(9)
    old = container[key]
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        container[random.choice((*TEXTS, str(key).upper(), f"{key} ", f"_{key}"))] = container.pop(key)
    elif how == 2:
        other, name = random.choice(places)
        container[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
    elif how == 3:
        container[key] = json.dumps(old) if random.random() < 0.5 else str(old)
    elif how == 4:
        container[key] = [old] if random.random() < 0.5 else {str(key): old}
    elif how == 5 and isinstance(old, str):
        at = random.randrange(len(old) + 1)
        container[key] = old[:at] + random.choice(TEXTS) + old[at + random.randrange(2) :]
    elif how == 6:
        container[key] = random.choice(NUMBERS)
    elif how == 7:
        container[key] = random.choice(TEXTS)
    else:
        container[key] = noise(random)
    return tree


def _keys(container: Any) -> Any:
    return container if isinstance(container, dict) else range(len(container))


def _cut(text: bytes, random: Random) -> bytes:
    return text[: random.randrange(len(text) + 1)]


def _flipped(text: bytes, random: Random) -> bytes:
    if not text:
        return b"\xff"
    at = random.randrange(len(text))
    return text[:at] + bytes([text[at] ^ 1 << random.randrange(8)]) + text[at + 1 :]


def _inserted(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.randbytes(random.randrange(1, 9)) + text[at:]


def _repeated(text: bytes, random: Random) -> bytes:
    at, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    return text[:end] + text[at:end] * random.choice((1, 2, 50)) + text[end:]


def _raw(text: bytes, random: Random) -> bytes:
    values = list(_VALUE.finditer(text))
    if not values:
        return random.choice(RAW)
    one = random.choice(values)
    return text[: one.start()] + random.choice(RAW) + text[one.end() :]


def _encoded(text: bytes, random: Random) -> bytes:
    how = random.randrange(5)
    if how == 0:
        return codecs.BOM_UTF8 + text
    readable = text.decode(errors="replace")
    return readable.encode(("utf-16", "utf-32", "utf-16-be", "utf-7")[how - 1])


def _surrounded(text: bytes, random: Random) -> bytes:
    around = random.choice((b" " * 10_000, b"\0", b"}", b"]", b",", b"\n\n", b"//", b"null", b"{}"))
    return text + around if random.random() < 0.5 else around + text


def _twice(text: bytes, random: Random) -> bytes:
    """An object whose first key is there twice, with different values."""
    head, brace, tail = text.partition(b"{")
    key, colon, _ = tail.partition(b":")
    return head + brace + key + colon + random.choice(RAW) + b"," + tail if colon else text


_BREAKS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _cut,
    _flipped,
    _inserted,
    _repeated,
    _raw,
    _raw,
    _encoded,
    _surrounded,
    _twice,
)
