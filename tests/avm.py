"""What the Azure Verified Modules in infra/ take and give, kept in avm.json.

`.venv/bin/python -m tests.avm <clone of Azure/bicep-registry-modules>` writes that file anew from the modules' own
main.json, of which it keeps only what infra/ uses. It stops where the clone has another version than infra/ asks for.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bicep import FILES, arguments, outputs_used, parse, paths

TABLE = Path(__file__).with_name("avm.json")
PINNED = re.compile(r"br/public:(avm/(?:res|ptn)/[a-z/-]+):(\d+\.\d+\.\d+)")
ANY = "any"
"""What the module hands on unread: it does not say what is in there."""


def uses() -> dict[str, tuple[set[str], set[str]]]:
    """Give what infra/ uses of each module and version: paths of parameters, names of outputs."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for file in map(parse, FILES):
        read = outputs_used(file)
        for module in file.of("module").values():
            if module.target.startswith("br/"):
                key = module.target.removeprefix("br/public:")
                given, taken = found.setdefault(key, (set(), set()))
                given |= {at for name, node in arguments(file, module).items() for at, _ in paths(file, node, name)}
                taken |= {output for symbol, output in read if symbol == module.name}
    return found


def covered(path: str, known: Mapping[str, Any]) -> bool:
    """Tell whether a path is known, or lies in what a module hands on unread."""
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    return path in known or any(known.get(at) == ANY for at in above)


def _described(path: str, document: Mapping[str, Any]) -> Any:
    """Say what the module takes at a path: a list of values, `any` or a type; KeyError where it takes nothing."""
    node = _resolved(document["parameters"][path.split("/")[0]], document)
    for part in path.split("/")[1:]:
        node = _resolved(_below(node, part, document), document)
    if "allowedValues" in node:
        return node["allowedValues"]
    closed = "properties" in node or "discriminator" in node or "items" in node
    return node["type"] if closed or node["type"] not in {"object", "array"} else ANY


def _resolved(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and lists to what is in them."""
    while "$ref" in node or "items" in node:
        node = document["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node["items"]
    return node


def _below(node: Mapping[str, Any], part: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "discriminator" not in node:
        return node["properties"][part]
    mapping = node["discriminator"]["mapping"]
    if part == node["discriminator"]["propertyName"]:
        return {"type": "string", "allowedValues": sorted(mapping)}
    kinds = [_resolved(kind, document)["properties"] for kind in mapping.values()]
    return {part: kind[part] for kind in kinds if part in kind}[part]


def _entries(document: Mapping[str, Any], given: set[str]) -> Iterator[tuple[str, Any]]:
    known: dict[str, Any] = {}
    for path in sorted(given):
        if path in known or not covered(path, known):
            known[path] = _described(path, document)
            yield path, known[path]


def _written(clone: Path) -> dict[str, Any]:
    table = {}
    for key, (given, taken) in sorted(uses().items()):
        name, _, version = key.partition(":")
        document = json.loads((clone / name / "main.json").read_text(encoding="utf-8"))
        newest = re.search(r"^## (\S+)", (clone / name / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
        if newest is None or newest[1] != version:
            raise SystemExit(f"{name} is {newest and newest[1]} there, infra/ asks for {version}.")
        required = [
            parameter
            for parameter, it in document["parameters"].items()
            if "defaultValue" not in it and not it.get("nullable")
        ]
        if missing := taken - set(document["outputs"]):
            raise SystemExit(f"{key} has no output {', '.join(sorted(missing))}.")
        entries = dict(_entries(document, given))
        table[key] = {"required": sorted(required), "parameters": entries, "outputs": sorted(taken)}
    return table


if __name__ == "__main__":
    TABLE.write_text(json.dumps(_written(Path(sys.argv[1])), indent=2) + "\n", encoding="utf-8")
