"""Hold the Bicep of infra/ against its grammar, its own names, its modules and the Azure Verified Modules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tree_sitter import Node

from tests.avm import PINNED, TABLE, covered, uses
from tests.bicep import (
    FILES,
    INFRA,
    PARAMETER_FILES,
    Bicep,
    Declaration,
    arguments,
    broken,
    functions_called,
    names_used,
    outputs_used,
    parse,
    parse_text,
    paths,
    plain,
    properties,
    text_of,
    walk,
)

AVM = json.loads(TABLE.read_text(encoding="utf-8"))
TEMPLATES = {path.relative_to(INFRA).as_posix(): parse(path) for path in FILES}
PARAMETERS = {path.name: parse(path) for path in PARAMETER_FILES}
EVERYTHING = TEMPLATES | PARAMETERS
# https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions, as far as they are used here
FUNCTIONS = set(
    "bool cidrSubnet concat contains empty environment filter guid int loadJsonContent loadTextContent map readEnvironmentVariable "
    "replace resourceGroup split string subscription tenant toLower toObject union uniqueString".split()
)
DECORATORS = set("allowed description export maxLength maxValue metadata minLength minValue sealed".split())

each_template = pytest.mark.parametrize("name", TEMPLATES)
each_file = pytest.mark.parametrize("name", EVERYTHING)
each_parameter_file = pytest.mark.parametrize("name", PARAMETERS)


def undeclared(file: Bicep) -> set[str]:
    declared = {it.name for it in file.declarations.values() if it.kind != "output"}
    return {name for name, _ in names_used(file)} - declared


def unused(file: Bicep) -> set[str]:
    wanted = [it for it in file.declarations.values() if it.kind in {"param", "var", "import"} or looked_up(it)]
    private = [it for it in file.of("type").values() if not any("export" in text for text in it.decorators)]
    return {it.name for it in [*wanted, *private]} - {name for name, _ in names_used(file)}


def looked_up(it: Declaration) -> bool:
    return it.kind == "resource" and any(text_of(child) == "existing" for child in it.node.children)


def local_modules() -> list[tuple[str, Declaration, Bicep]]:
    found = []
    for name, file in TEMPLATES.items():
        for module in file.of("module").values():
            if not module.target.startswith("br/"):
                target = (INFRA / name).parent / module.target
                found.append((name, module, TEMPLATES[target.resolve().relative_to(INFRA).as_posix()]))
    return found


def required(file: Bicep) -> set[str]:
    return {it.name for it in file.of("param").values() if it.value is None and not text_of(it.node).endswith("?")}


def allowed(file: Bicep, parameter: str) -> set[str | int]:
    """Give the values that a parameter takes, where it says so, as the decorator has them."""
    (it,) = (it for it in file.of("param").values() if it.name == parameter)
    lists = [parse_text(f"var x = {text[9:-1]}").root for text in it.decorators if text.startswith("@allowed(")]
    values = {plain(node) for root in lists for kind in ("string", "number") for node in walk(root, kind)}
    return {value for value in values if value is not None}


def wrong_values(file: Bicep, given: dict[str, Node]) -> list[str]:
    literals = {name: value for name, node in given.items() if (value := plain(node)) is not None}
    return [name for name, value in literals.items() if allowed(file, name) and value not in allowed(file, name)]


def imported(file: Bicep, name: str) -> Declaration:
    """Give a type that a file imports."""
    source = (file.path.parent / file.of("import")[name].target).resolve()
    return TEMPLATES[source.relative_to(INFRA).as_posix()].of("type")[name]


@each_file
def test_a_file_is_bicep(name: str) -> None:
    assert list(broken(EVERYTHING[name].root)) == []


def test_what_is_no_bicep_is_noticed() -> None:
    assert list(broken(parse_text("param x string = \nvar y = {").root))


@each_file
def test_every_name_is_declared(name: str) -> None:
    assert undeclared(EVERYTHING[name]) == set()


@each_template
def test_every_declaration_is_used(name: str) -> None:
    assert unused(TEMPLATES[name]) == set()


def test_names_that_are_missing_or_idle_are_noticed() -> None:
    file = parse_text("""
        param idle string
        param here string
        var list = map([here], it => '${it}')
        output all string = '${here}${gone}'
    """)
    assert undeclared(file) == {"gone"}
    assert unused(file) == {"idle", "list"}


@each_file
def test_functions_and_decorators_are_known(name: str) -> None:
    assert functions_called(EVERYTHING[name]) <= FUNCTIONS | DECORATORS


@each_template
def test_every_module_comes_from_here_or_is_pinned(name: str) -> None:
    for module in TEMPLATES[name].of("module").values():
        assert PINNED.fullmatch(module.target) or ((INFRA / name).parent / module.target).is_file(), module.target


def test_main_only_composes() -> None:
    assert set(TEMPLATES["main.bicep"].of("resource")) == {"group"}


def test_local_modules_get_what_they_take() -> None:
    assert local_modules()
    for name, module, target in local_modules():
        given = arguments(TEMPLATES[name], module)
        assert set(given) <= set(target.of("param")), (module.name, "unknown")
        assert required(target) <= set(given), (module.name, "missing")
        assert wrong_values(target, given) == []


def test_local_modules_give_what_is_asked_of_them() -> None:
    for name, module, target in local_modules():
        asked = {output for symbol, output in outputs_used(TEMPLATES[name]) if symbol == module.name}
        assert asked <= set(target.of("output")), module.name


def test_the_table_of_verified_modules_is_what_infra_uses() -> None:
    assert set(AVM) == set(uses())


@pytest.mark.parametrize("key", AVM)
def test_a_verified_module_gets_what_it_takes(key: str) -> None:
    given, taken = uses()[key]
    known = AVM[key]["parameters"]
    assert [path for path in sorted(given) if not covered(path, known)] == []
    assert set(AVM[key]["required"]) <= given
    assert taken == set(AVM[key]["outputs"])
    assert [path for path in known if path not in given] == []


@each_template
def test_literals_for_verified_modules_are_values_they_take(name: str) -> None:
    file = TEMPLATES[name]
    for module in file.of("module").values():
        known = AVM.get(module.target.removeprefix("br/public:"), {"parameters": {}})["parameters"]
        for parameter, node in arguments(file, module).items():
            for path, value in paths(file, node, parameter):
                if isinstance(known.get(path), list) and plain(value) is not None:
                    assert plain(value) in known[path], (module.name, path)


@each_parameter_file
def test_a_parameter_file_fits_main(name: str) -> None:
    main, file = TEMPLATES["main.bicep"], PARAMETERS[name]
    assert re.search(r"^using 'main\.bicep'$", text_of(file.root), re.MULTILINE)
    # Its variables stand for themselves; what the file says is a parameter is one of main.
    said = set(re.findall(r"^param (\w+) =", file.path.read_text(encoding="utf-8"), re.MULTILINE))
    given = {it.name: it.value for it in file.of("var").values() if it.name in said}
    assert said <= set(main.of("param"))
    assert required(main) <= said
    assert wrong_values(main, {key: node for key, node in given.items() if node is not None}) == []
    settings = imported(main, "Settings")
    known = properties(settings.value)
    needed = {name for name, node in known.items() if not text_of(node).endswith("?")}
    assert needed <= set(properties(given["settings"])) <= set(known)


@each_parameter_file
def test_variables_of_a_parameter_file_are_used(name: str) -> None:
    said = set(re.findall(r"^var (\w+) =", Path(INFRA / name).read_text(encoding="utf-8"), re.MULTILINE))
    assert said <= {name for name, _ in names_used(PARAMETERS[name])}


def test_loaded_files_are_there() -> None:
    for name, file in TEMPLATES.items():
        for loaded in re.findall(r"load(?:Text|Json)Content\('([^']+)'\)", text_of(file.root)):
            assert ((INFRA / name).parent / loaded).is_file(), loaded


def test_the_linters_rules_are_switched_on() -> None:
    core = json.loads((INFRA / "bicepconfig.json").read_text(encoding="utf-8"))["analyzers"]["core"]
    assert core["enabled"] is True
    assert {rule["level"] for rule in core["rules"].values()} <= {"error", "warning"}
