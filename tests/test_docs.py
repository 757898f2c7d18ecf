"""Hold the documents, the example settings and the Makefile against the code they speak of."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import SecretStr

import ingest.__main__ as command_line
from ingest import outcomes, telemetry
from ingest.datasets import DATASETS
from ingest.catalogue import CATALOGUE
from ingest.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = {"README.md": README, "docs/architecture.md": ARCHITECTURE}
EXAMPLE = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OF_THE_PLATFORM = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}
ONLY_IN_AZURE = {"MANAGED_IDENTITY_CLIENT_ID", "EXPORT_STORAGE__blobServiceUri", "EXPORT_STORAGE__clientId"}


def default_of(name: str) -> str:
    """Say a setting's default as the README says it."""
    (field,) = (field for field in Settings.model_fields.values() if field.alias == name)
    match field.default:
        case None | "":
            return ""
        case frozenset() as nothing if not nothing:
            return ""
        case frozenset() as names:
            assert names == frozenset(DATASETS)
            return "all"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case value:
            return f"`{value}`"


def settings_table() -> list[str]:
    rows = [
        f"| `{it.name}` | {it.meaning} | {default_of(it.name)} | `{it.example}` |".replace("|  |", "| |")
        for it in CATALOGUE
    ]
    return ["| setting | meaning | default | example |", "|---|---|---|---|", *rows]


def modules() -> set[str]:
    """Name the modules of the app as the map does."""
    found = {path.relative_to(ROOT / "ingest").with_suffix("") for path in (ROOT / "ingest").rglob("*.py")}
    names = {".".join(path.parts).removesuffix("__init__").removesuffix(".") for path in found}
    return names - {""}


def shell_lines(text: str) -> list[str]:
    """Give the commands of the documents' shell blocks and of their inline code."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_the_catalogue_and_the_settings_name_the_same() -> None:
    assert [it.name for it in CATALOGUE] == [field.alias for field in Settings.model_fields.values()]


def test_the_readme_has_the_settings_table() -> None:
    between = re.search(r"<!-- settings:.*?-->\n(.*?)\n<!-- end of settings -->", README, re.DOTALL)
    assert between is not None
    assert between[1].splitlines() == settings_table()


def test_the_example_settings_are_all_settings_with_their_defaults() -> None:
    values = EXAMPLE["Values"]
    assert set(values) - OF_THE_PLATFORM == {it.name for it in CATALOGUE} - ONLY_IN_AZURE
    assert OF_THE_PLATFORM <= set(values)
    assert all(isinstance(value, str) for value in values.values())
    ours = read_settings(values)
    defaults = Settings.model_validate({"EXPORT_STORAGE": SecretStr("UseDevelopmentStorage=true")})
    # Polling is what works with Core Tools and Azurite without posting events by hand.
    different = {name for name in Settings.model_fields if getattr(ours, name) != getattr(defaults, name)}
    assert different == {"trigger_source"}


def test_the_examples_of_the_catalogue_are_accepted() -> None:
    examples = {it.name: it.example for it in CATALOGUE}
    assert read_settings(examples | {"EXPORT_STORAGE__blobServiceUri": "https://account.blob.core.windows.net"})


def test_settings_of_the_bindings_are_in_the_example() -> None:
    used = set(re.findall(r"%([A-Z_]+)%", (ROOT / "function_app.py").read_text(encoding="utf-8")))
    assert used
    assert used <= set(EXAMPLE["Values"])


def test_the_readme_has_the_commands() -> None:
    commands = {
        command.name or command.callback.__name__
        for command in command_line.app.registered_commands
        if command.callback
    }
    named = set(re.findall(r"^\| `python -m ingest ([a-z]+)`", README, re.MULTILINE))
    assert named == commands


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_options_in_documents_exist(name: str) -> None:
    group = typer.main.get_command(command_line.app)
    spoken = re.findall(r"python -m ingest ([a-z]+)([^`\n]*)", DOCUMENTS[name])
    for command, words in spoken:
        assert command in group.commands, command  # type: ignore[attr-defined]
        known = {option for it in group.commands[command].params for option in it.opts}  # type: ignore[attr-defined]
        assert set(re.findall(r"--[a-z-]+", words)) <= known


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_in_documents_exist(name: str) -> None:
    spoken = {word for line in shell_lines(DOCUMENTS[name]) for word in re.findall(r"\bmake ([a-z-]+)", line)}
    assert spoken
    assert spoken <= targets()


def test_the_makefile_has_what_the_design_names() -> None:
    assert targets() >= {"setup", "demo", "up", "test", "check", "bench", "lock", "clean"}
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_and_modules_in_documents_exist(name: str) -> None:
    text = DOCUMENTS[name]
    paths = set(re.findall(r"`((?:tests|docs|local|ingest|bench)/[\w/.]+|\w+\.py|[\w.]+\.example)`", text))
    links = {link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)} - {""}
    missing = [path for path in paths if not (ROOT / path).exists()]
    missing += [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    missing += [
        module
        for module in re.findall(r"python -m (local[\w.]*)", text)
        if not any((ROOT / (module.replace(".", "/") + end)).exists() for end in (".py", "/__main__.py"))
    ]
    assert missing == []


def test_the_map_names_every_module_once() -> None:
    table = ARCHITECTURE.partition("| module | job |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(modules())


def layers() -> list[list[str]]:
    (contract,) = (it for it in PYPROJECT["tool"]["importlinter"]["contracts"] if it["id"] == "layers")
    return [sorted(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_the_map_draws_the_layers_that_are_checked() -> None:
    drawn = re.search(r"```text\nfunction_app\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert drawn is not None
    lines = [sorted(re.split(r" {4,}", line)[0].split()) for line in drawn[1].splitlines()]
    assert lines == layers()


def test_the_layers_are_those_of_the_design() -> None:
    order = {module: at for at, layer in enumerate(layers()) for module in layer}
    design = ["__main__", "wiring", "landing", "drain", "ports", "ordering", "arrivals", "naming", "errors"]
    assert [order[module] for module in design] == sorted({order[module] for module in design})
    for adapter in (
        "landing",
        "intake",
        "parquet",
        "warehouses",
        "telemetry",
        "exporters",
        "settings",
        "clock",
        "screen",
    ):
        assert order["wiring"] < order[adapter] < order["drain"]


def test_the_bindings_import_no_vendor_but_azure_functions() -> None:
    tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours = {name for name in found if name and name.split(".")[0] == "ingest"}
    standard = {"__future__", "dataclasses", "functools", "os", "pathlib"}
    assert found - ours - standard == {"azure.functions", "azurefunctions.extensions.bindings"}
    assert ours == {"ingest.functions"}


def deployed() -> set[str]:
    """Name the files of the repository that `.funcignore` leaves in, by git's own reading of its patterns."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ignored = subprocess.run(
        ["git", "-c", f"core.excludesFile={ROOT / '.funcignore'}", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=ROOT,
        input=listed,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return set(listed.split("\0")) - set(ignored.split("\0")) - {""}


def test_the_app_is_deployed_and_nothing_else() -> None:
    found = deployed()
    assert {"function_app.py", "host.json", "requirements.txt", "docs/runbook.md"} <= found
    app = {name for name in found if name.startswith("ingest/")}
    assert {
        "ingest/warehouses/duckdb/queries.sql",
        "ingest/page/page.html",
        "ingest/page/vendor/chart.umd.min.js",
    } <= app
    assert found - app <= {
        ".funcignore",
        "LICENSE",
        "docs/runbook.md",
        "function_app.py",
        "host.json",
        "requirements.txt",
    }


def test_the_example_code_of_the_readme_is_in_bounds() -> None:
    start = README.partition("## Start")[2].partition("```sh\n")[2].partition("```")[0]
    assert len(start.strip().splitlines()) == 5


# docs/telemetry.md

TELEMETRY = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")


def instruments() -> list[list[Any]]:
    """Read the instruments from the code: metric, unit, kind, description."""
    tree = ast.parse((ROOT / "ingest" / "telemetry.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [
        [*(ast.literal_eval(argument) for argument in call.args), call.func.attr.removeprefix("create_")]  # type: ignore[attr-defined]
        for call in calls
        if call.func.attr.startswith("create_")  # type: ignore[attr-defined]
    ]


def metrics_table() -> list[str]:
    rows = [f"| `{name}` | `{unit}` | {kind} | {means} |" for name, unit, means, kind in instruments()]
    return ["| metric | unit | kind | means |", "|---|---|---|---|", *rows]


def events_table() -> list[str]:
    kinds = [kind for kind in typing.get_args(outcomes.Outcome) if kind is not outcomes.StreamSeen]
    rows = [
        f"| `{kind.__name__}` | {'WARN' if issubclass(kind, telemetry._LOUD) else 'INFO'} "
        f"| {' '.join((kind.__doc__ or '').split())} |"
        for kind in sorted(kinds, key=lambda kind: kind.__name__)
    ]
    return ["| event | severity | means |", "|---|---|---|", *rows]


@pytest.mark.parametrize(("name", "table"), [("metrics", metrics_table), ("events", events_table)])
def test_telemetry_is_described_as_it_is(name: str, table: Callable[[], list[str]]) -> None:
    between = re.search(rf"<!-- {name}:.*?-->\n(.*?)<!-- end of {name} -->", TELEMETRY, re.DOTALL)
    assert between is not None
    assert between[1].splitlines() == table()
