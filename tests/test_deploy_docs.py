"""Hold docs/deploy.md against the templates, the code and its own arithmetic.

`.venv/bin/python -m tests.test_deploy_docs` works the document's figures out anew.
"""

from __future__ import annotations

import ast
import operator
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

import ingest.__main__ as command_line
from ingest.access import DAYS, PERMISSIONS, POLICY
from ingest.alerts import ACCESS_ENDS, Kind
from ingest.catalogue import CATALOGUE
from ingest.settings import Settings
from local.simulator import DATASETS, Simulator
from tests.bicep import INFRA, arguments, parse, plain, properties, text_of, walk

ROOT = INFRA.parent
PAGE = ROOT / "docs" / "deploy.md"
TEXT = PAGE.read_text(encoding="utf-8")
MAIN = parse(INFRA / "main.bicep")
EVENTS = parse(INFRA / "events.bicep")
ALERTS = parse(INFRA / "modules" / "alerts.bicep")
SETTINGS = parse(INFRA / "modules" / "settings.bicep")
PARAMETERS = (INFRA / "main.bicepparam").read_text(encoding="utf-8")
READ = dict(re.findall(r"readEnvironmentVariable\('(\w+)'(?:, '([^']*)')?\)", PARAMETERS))
OUTPUTS = set(MAIN.of("output"))
VOLUMES = ("1 M", "10 M", "100 M")
OF_THE_WORKFLOW = {"AZURE_CLIENT_ID", "AZURE_SUBSCRIPTION_ID"}

Figures = Mapping[str, float]
_ARITHMETIC: Mapping[type, Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


# The tables and their arithmetic


def table(text: str, name: str) -> list[list[str]]:
    """Give the cells of a marked table, without its head."""
    between = re.search(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    assert between is not None, name
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in between[1].splitlines()[2:]]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def given(text: str, volume: int) -> dict[str, float]:
    """Give what the document assumes for a volume; a number that stands alone is for all of them."""
    assumed = {name.strip("`"): number(cells[volume] or cells[0]) for name, *cells in table(text, "assumptions")}
    return assumed | {name.strip("`"): number(value) for name, value, *_ in table(text, "prices")}


def worked_out(formula: str, figures: Figures) -> float:
    return _value(ast.parse(formula.strip("`"), mode="eval").body, figures)


def _value(node: ast.expr, figures: Figures) -> float:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(name):
            return figures[name]
        case ast.BinOp(left, operation, right):
            return _ARITHMETIC[type(operation)](_value(left, figures), _value(right, figures))
        case ast.Call(ast.Name("max"), args):
            return max(_value(it, figures) for it in args)
        case _:
            raise AssertionError(ast.unparse(node))


def names_in(formula: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(formula.strip("`"))) if isinstance(node, ast.Name)} - {"max"}


def figures(text: str, volume: int) -> dict[str, float]:
    """Give the assumptions of a volume and the quantities that follow, in the order of the table."""
    found = given(text, volume)
    for name, formula, *_ in table(text, "quantities"):
        found[name.strip("`")] = worked_out(formula, found)
    return found


def bill(text: str, volume: int) -> dict[str, int]:
    """Give the positions in whole dollars; the total is the sum of what is shown above it."""
    known, found = figures(text, volume), {}
    for name, formula, *_ in table(text, "bill"):
        found[name] = sum(found.values()) if name == "**total**" else round(worked_out(formula, known))
    return found


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def rewritten(text: str) -> str:
    """Give the document with its figures as its assumptions have them."""
    bills, known = ([of(text, volume) for volume in range(len(VOLUMES))] for of in (bill, figures))
    said = {row[0]: [shown(each[row[0].strip("`")]) for each in known] for row in table(text, "quantities")}
    said |= {name: [f"{each[name]:,}" for each in bills] for name in bills[0]}
    said["**total**"] = [f"**{cell}**" for cell in said["**total**"]]
    lines = text.split("\n")
    for place, line in enumerate(lines):
        name, *formula = [cell.strip() for cell in line.strip("|").split("|")][:2]
        if line.startswith("|") and name in said:
            lines[place] = f"| {' | '.join([name, *formula, *said[name]])} |".replace("|  |", "| |")
    return "\n".join(lines)


def test_the_figures_follow_from_the_assumptions() -> None:
    assert rewritten(TEXT) == TEXT


def test_another_price_makes_another_total() -> None:
    dearer = TEXT.replace("| `usd_credit` | 3.90 |", "| `usd_credit` | 7.80 |")
    before, after = (bill(text, 0) for text in (TEXT, dearer))
    assert after["**total**"] - before["**total**"] == before["Snowflake, loading"]
    assert rewritten(dearer) != dearer


def test_nothing_is_assumed_that_does_not_count() -> None:
    formulas = [formula for name in ("quantities", "bill") for _, formula, *_ in table(TEXT, name) if formula]
    assert set().union(*map(names_in, formulas)) == set(figures(TEXT, 0))


def test_assumptions_are_the_defaults_of_code_and_templates() -> None:
    defaults = {field.alias: field.default for field in Settings.model_fields.values()}
    every = re.fullmatch(r"0 \*/(\d+) \* \* \* \*", defaults["SWEEP_SCHEDULE"])
    assert every is not None
    services = [list(walk(arguments(MAIN, it)["services"], "string")) for it in accounts()]
    assert {
        "exports_a_day": 24 * 60 / defaults["CADENCE_MINUTES"],
        "datasets": len(DATASETS),
        "sweeps_a_day": 24 * 60 / int(every[1]),
        "kept_days": defaults["DELETE_AFTER_HOURS"] / 24,
        "soft_delete_days": plain(MAIN.of("param")["softDeleteDays"].value),
        "instance_gb": int(str(plain(MAIN.of("param")["instanceMemoryMB"].value))) / 1024,
        "log_alarms": sum(len(listed(name)) for name in ("alarms", "kinds")),
        "endpoints": sum(map(len, services)) + 1,
    }.items() <= given(TEXT, 0).items()


def accounts() -> list[Any]:
    return [it for it in MAIN.of("module").values() if it.target.endswith("storage.bicep")]


def listed(name: str) -> list[dict[str, Any]]:
    """Give the objects of a list in the alarms' template."""
    value = ALERTS.value(name)
    assert value is not None
    return [properties(it) for it in value.named_children if it.type == "object"]


def test_a_month_of_credits_is_thirty_of_the_snowflake_pages_days() -> None:
    page = (ROOT / "docs" / "snowflake.md").read_text(encoding="utf-8")
    seconds = figures(TEXT, 0)["busy_seconds"]
    row = re.search(
        rf"^\| every export at once, if a load keeps it busy for {seconds:.0f} s \|.*\| ([\d.]+) \|$", page, re.M
    )
    assert row is not None
    assert figures(TEXT, 0)["credits"] == 30 * float(row[1])


def test_rows_weigh_what_the_simulators_weigh() -> None:
    simulator = Simulator(seed=7, people=2_000, history_days=30, deliveries_per_day=1_000)
    files = [file for sync in simulator.run(days=1) for file in sync.files]
    messages = sum(file.rows for file in files if file.dataset == "deliveries")
    weight = sum(len(file.content()) for file in files if file.dataset != "delivery_content")
    assert weight / messages == pytest.approx(given(TEXT, 0)["bytes_of_rows"], rel=0.15)


# What the document names


def options() -> dict[str, set[str]]:
    """Give the options of each command of the command line."""
    group: Any = typer.main.get_command(command_line.app)
    return {name: {option for it in command.params for option in it.opts} for name, command in group.commands.items()}


def test_commands_and_options_exist() -> None:
    known = options()
    spoken = re.findall(r"python -m ingest ([a-z]+)([^`\n|<>]*)", TEXT)
    spoken += re.findall(rf"`({'|'.join(known)})\b([^`\n]*)`", TEXT)
    assert len(spoken) > 10
    for command, words in spoken:
        assert command in known
        assert set(re.findall(r"--[a-z-]+", words)) <= known[command], command


def test_options_that_stand_alone_exist() -> None:
    of_az = {"--key-type", "--purge"}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) - of_az == {"--days", "--region"} <= options()["sas"]


def settings_of_the_templates() -> set[str]:
    of_the_app = [*properties(SETTINGS.value("ofTheCode")), *properties(SETTINGS.value("ofThePlatform"))]
    allowed = re.findall(r"'([A-Z_]+)'", " ".join(SETTINGS.of("param")["fromVault"].decorators))
    return {*of_the_app, *allowed}


def of_snowflake() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in (INFRA / "snowflake").iterdir()]
    return set(re.findall(r"\w+", "\n".join(texts)))


def test_every_setting_variable_and_output_that_is_named_exists() -> None:
    named = set(re.findall(r"(?<![\w$-])[A-Z][A-Z0-9]*(?:_[A-Za-z0-9]+)+(?!\w)", without_sql(TEXT)))
    known = {it.name for it in CATALOGUE} | settings_of_the_templates() | set(READ) | OUTPUTS | OF_THE_WORKFLOW
    assert {"SNOWFLAKE_LOAD", "WAREHOUSE_SUBNETS"} <= named
    assert named - known - of_snowflake() == set()


def without_sql(text: str) -> str:
    return re.sub(r"```sql\n.*?```", "", text, flags=re.DOTALL)


def shell() -> list[str]:
    """Give the shell's lines: those of blocks as one, and the inline code."""
    return ["".join(found) for found in re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", without_sql(TEXT), re.DOTALL)]


def test_a_variable_of_the_shell_is_an_output_or_was_set_before() -> None:
    """Outputs come by `azd env get-values`, as do the names set with `azd env set`."""
    known = OUTPUTS | set(READ) | {"HOME"}
    for code in shell():
        for used, assigned, loop in re.findall(r"(?<![A-Z])\$\{?(\w+)|\b([A-Z_]+)=|\bfor (\w+) in", code):
            known |= {assigned, loop}
            assert not used or used in known, code
    assert {"KEYS", "KEY", "APP", "file"} <= known


def test_blocks_of_shell_are_shell() -> None:
    blocks = [re.sub(r"<[a-z ]+>", "x", code) for code in shell() if "\n" in code]
    assert len(blocks) > 10
    for block in blocks:
        done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_what_is_set_with_azd_is_read_by_the_parameters() -> None:
    names = set(re.findall(r"azd env set (\w+)", TEXT))
    assert names
    assert names <= set(READ)


def test_the_variables_and_their_defaults_are_those_of_the_parameters() -> None:
    rows = re.findall(
        r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([^|]+) \|", TEXT.partition("## 2 Choose")[2].partition("## 3")[0], re.M
    )
    told = {}
    for names, defaults in rows:
        each = re.findall(r"`([A-Z_]+)`", names)
        values = [value.strip("` ") for value in defaults.split(",")]
        told |= dict(zip(each, values if len(values) == len(each) else values * len(each), strict=True))
    assert "NETWORK" in told
    assert told == {name: READ[name] or "none" for name in told}


def test_files_and_parameters_of_infra_exist() -> None:
    paths = set(re.findall(r"(?<![\w.])(?:infra|tests|docs|\.github)/[\w/.-]*\w", TEXT))
    assert {"infra/scripts/deploy.sh", "infra/main.bicepparam"} <= paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    spoken = set(re.findall(r"`([a-z]+(?:[A-Z][A-Za-z]*)+)`", TEXT)) - {"provisioningState"}
    assert "softDeleteDays" in spoken
    assert spoken <= set(MAIN.of("param")) | set(EVENTS.of("param"))


def slugs(path: Path) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_to_files_and_sections() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if not link.startswith("https://")]
    assert len(links) > 10
    for link in links:
        name, _, section = link.partition("#")
        path = PAGE.parent / name if name else PAGE
        assert path.is_file(), link
        assert not section or section in set(slugs(path)), link


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert (
        {word for code in shell() for word in re.findall(r"\bmake ([a-z-]+)", code)}
        == {"setup", "test-snowflake"}
        <= targets
    )


# What the checks are told to see


def test_the_functions_are_those_of_the_app() -> None:
    named = re.findall(r"function_name\(\"(\w+)\"\)", (ROOT / "function_app.py").read_text(encoding="utf-8"))
    line = next(line for line in TEXT.splitlines() if "az functionapp function list" in line)
    assert ", ".join(f"`{name}`" for name in sorted(named)[:-1]) + f" and `{max(named)}`" in TEXT, line


def test_the_roles_are_counted() -> None:
    rights = MAIN.value("ofTheApp")
    assert rights is not None
    named = re.findall(r"role: '?([\w ]+)'?", text_of(rights))
    assert f"says {len(named)} roles" in TEXT
    assert named.count("Storage Queue Data Contributor") == 2


def test_the_subscription_the_secret_and_the_alarm_have_these_names() -> None:
    subscription = EVENTS.of("resource")["exports"]
    assert plain(properties(subscription.value)["name"]) == "exports"
    assert "event-subscription show" in TEXT
    assert set(re.findall(r"event-subscription show .*?--name (\w+)", TEXT)) == {"exports"}
    secrets = {name.lower().replace("_", "-") for name in settings_of_the_templates()}
    assert set(re.findall(r"--name ([a-z-]+) --file", TEXT)) | {"alert-urls"} <= secrets
    alarms = {plain(it["name"]) for it in listed("alarms")}
    assert set(re.findall(r"`(no-[a-z-]+)`", TEXT)) == {"no-heartbeat"} <= alarms
    assert {"DroppedEventCount"} <= {plain(it["metric"]) for it in listed("lost")}


def test_alerts_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:files|access|exports|events)-[a-z-]+)`", TEXT))
    assert named == {Kind.ACCESS_ENDS.value}
    assert f"comes {ACCESS_ENDS.days} days before the end" in TEXT


def test_the_policy_is_what_the_code_makes() -> None:
    assert f"stored access policy `{POLICY}` (read, add, create, write, list; two years)" in " ".join(TEXT.split())
    assert list(PERMISSIONS) == ["read", "add", "create", "write", "list"]
    assert DAYS == 2 * 365


if __name__ == "__main__":
    PAGE.write_text(rewritten(TEXT), encoding="utf-8")
