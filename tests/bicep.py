"""Bicep as a tree: what a file declares, uses and hands to its modules. No compiler: tree-sitter's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

INFRA = Path(__file__).parents[1] / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
PARAMETER_FILES = sorted(INFRA.glob("*.bicepparam"))

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_DECLARATIONS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "type_declaration": "type",
    "import_functionality": "import",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration. `target` is the module's source or the resource's type, `value` what comes after `=`."""

    kind: str
    name: str
    node: Node
    value: Node | None
    target: str = ""
    decorators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bicep:
    """A parsed file."""

    path: Path
    root: Node
    declarations: Mapping[str, Declaration]
    """By kind and name, with a space between."""

    def of(self, kind: str) -> dict[str, Declaration]:
        """Give the declarations of a kind, by name."""
        return {it.name: it for it in self.declarations.values() if it.kind == kind}

    def value(self, name: str) -> Node | None:
        """Give what a variable stands for."""
        found = self.declarations.get(f"var {name}")
        return found.value if found else None


@dataclass(frozen=True, slots=True)
class Scope:
    """Names in sight while walking; `met` collects what is used and where."""

    bound: frozenset[str] = frozenset()
    met: list[tuple[str, Node]] = field(default_factory=list)


def parse(path: Path) -> Bicep:
    """Parse a file. The grammar knows no parameter files: their `param x =` is read as a variable's declaration."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".bicepparam":
        text = re.sub(r"^param (\w+) =", r"var   \1 =", text, flags=re.MULTILINE)
    return parse_text(text, path)


def parse_text(text: str, path: Path = Path("text.bicep")) -> Bicep:
    root = _PARSER.parse(text.encode()).root_node
    found = [it for node, decorators in _with_decorators(root) for it in _declared(node, decorators)]
    return Bicep(path, root, {f"{it.kind} {it.name}": it for it in found})


def text_of(node: Node | None) -> str:
    return node.text.decode() if node is not None and node.text is not None else ""


def plain(node: Node | None) -> str | int | bool | None:
    """Give what a literal says; None for anything that is worked out."""
    match node.type if node is not None else "":
        case "string" if not any(child.type == "interpolation" for child in node.named_children):
            return text_of(node)[1:-1].replace("\\'", "'")
        case "number":
            return int(text_of(node))
        case "boolean":
            return text_of(node) == "true"
        case _:
            return None


def broken(node: Node) -> Iterator[str]:
    """Say where the grammar gave up."""
    if node.type == "ERROR" or node.is_missing:
        yield f"line {node.start_point[0] + 1}: {text_of(node)[:60]!r}"
    for child in node.children:
        yield from broken(child)


def walk(node: Node, kind: str) -> Iterator[Node]:
    """Give a node's descendants of a kind, and itself."""
    if node.type == kind:
        yield node
    for child in node.named_children:
        yield from walk(child, kind)


def properties(node: Node | None) -> dict[str, Node]:
    """Give an object's properties; those of its branches and parts where it is worked out."""
    if node is None:
        return {}
    if node.type == "object":
        pairs = [child.named_children for child in node.named_children if child.type == "object_property"]
        return {text_of(pair[0]).strip("'"): pair[-1] for pair in pairs}
    return {name: value for child in node.named_children for name, value in properties(child).items()}


def names_used(file: Bicep) -> list[tuple[str, Node]]:
    """Give every name that is used as a value or as a type, bar those that loops and lambdas bind."""
    scope = Scope()
    _visit(file.root, scope)
    return scope.met


def functions_called(file: Bicep) -> set[str]:
    calls = (node.child_by_field_name("function") for node in walk(file.root, "call_expression"))
    return {text_of(name) for name in calls if name is not None and name.type == "identifier"}


def outputs_used(file: Bicep) -> set[tuple[str, str]]:
    """Give (module, output) wherever a module's output is read."""
    modules = "|".join(map(re.escape, file.of("module")))
    return set(re.findall(rf"\b({modules})(?:\[\d+\])?!?\.outputs\.(\w+)", text_of(file.root))) if modules else set()


def arguments(file: Bicep, module: Declaration) -> dict[str, Node]:
    """Give what a module is called with, by parameter."""
    return properties(properties(module.value).get("params"))


def paths(file: Bicep, node: Node, path: str, bound: frozenset[str] = frozenset()) -> Iterator[tuple[str, Node]]:
    """Give the path of every property below an argument, through variables, lists, branches and lambdas."""
    yield path, node
    if node.type == "object":
        for name, value in properties(node).items():
            yield from paths(file, value, f"{path}/{name}", bound)
    elif node.type == "identifier":
        value = file.value(text_of(node))
        if value is not None and text_of(node) not in bound:
            yield from paths(file, value, path, bound | {text_of(node)})
    elif node.type not in {"member_expression", "string"}:
        for child in node.named_children:
            yield from ((at, it) for at, it in paths(file, child, path, bound) if at != path)


def _with_decorators(root: Node) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Decorators stand before what they decorate, as neighbours in the tree."""
    waiting: tuple[str, ...] = ()
    for node in root.named_children:
        if node.type == "decorators":
            waiting = tuple(text_of(child) for child in node.named_children)
        elif node.type != "comment":
            yield node, waiting
            waiting = ()


def _declared(node: Node, decorators: tuple[str, ...]) -> Iterator[Declaration]:
    kind = _DECLARATIONS.get(node.type)
    if kind == "import":
        *names, source = node.named_children
        for name in names:
            yield Declaration(kind, text_of(name), node, None, text_of(source).strip("'"))
    elif kind is not None:
        name, *rest = node.named_children
        target = text_of(rest[0]).strip("'") if kind in {"module", "resource"} else ""
        value = rest[-1] if rest and not (kind == "param" and rest[-1].type in {"type", "nullable_type"}) else None
        yield Declaration(kind, text_of(name), node, value, target, decorators)


def _visit(node: Node, scope: Scope) -> None:
    children = list(node.named_children)
    if node.type in {"metadata_declaration", "import_functionality", "comment"}:
        return
    if node.type == "identifier":
        if text_of(node) not in scope.bound:
            scope.met.append((text_of(node), node))
        return
    if node.type in _DECLARATIONS or node.type == "object_property":
        children = children[1:]
    elif node.type == "call_expression":
        function = node.child_by_field_name("function")
        children = [child for child in children if child != function or child.type != "identifier"]
    elif node.type == "decorator":
        return
    elif node.type in {"for_statement", "lambda_expression"}:
        scope = Scope(scope.bound | _binds(node), scope.met)
        children = [child for child in children if text_of(child) not in scope.bound or child == children[-1]]
    for child in children:
        _visit(child, scope)


def _binds(node: Node) -> frozenset[str]:
    """Give the names that a loop or a lambda binds: the identifiers before `in` or `=>`."""
    before = []
    for child in node.children:
        if child.type in {"in", "=>"}:
            break
        before.append(child)
    kinds = ("identifier", "loop_variable", "loop_enumerator")
    return frozenset(text_of(name) for child in before for kind in kinds for name in walk(child, kind))
