"""Hold the queries of alarms and workbook against what telemetry emits."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import timedelta
from typing import get_args

import pytest
from tree_sitter import Node

from ingest import outcomes
from ingest.alerts import ABOUT, Kind, Severity
from tests.bicep import INFRA, parse, plain, properties, text_of, walk
from tests.test_infra_app import functions, triggered_by

TELEMETRY = (INFRA.parent / "ingest" / "telemetry.py").read_text(encoding="utf-8")
ALERTS = parse(INFRA / "modules" / "alerts.bicep")
WORKBOOK = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))
PANELS = {item["name"]: item["content"] for item in WORKBOOK["items"] if item["type"] == 3}
QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in (INFRA / "queries").glob("*.kql")}
METRICS = set(re.findall(r"create_(?:counter|histogram|gauge)\(\s*\"([^\"]+)\"", TELEMETRY))
DOCUMENT = (INFRA.parent / "docs" / "telemetry.md").read_text(encoding="utf-8")
# The document's tables are held against the code: not every outcome becomes a log record.
EVENTS = {event.__name__: event for event in get_args(outcomes.Outcome) if f"| `{event.__name__}` |" in DOCUMENT}
OF_METRICS = {"ingest.workspace_id", "ingest.dataset", "ingest.alert.kind"}
OF_EVERY_EVENT = {"ingest.workspace_id", "ingest.dataset"}
# https://learn.microsoft.com/azure/azure-monitor/reference/tables-index
TABLES = {"AppMetrics", "AppTraces", "AppRequests"}
# https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-eventgrid-systemtopics-metrics
OF_SYSTEM_TOPICS = {"DeadLetteredCount", "DroppedEventCount", "DeliveryAttemptFailCount", "DeliverySuccessCount"}
# https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
WINDOWS = {5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440, 2880}
SEVERITIES = {Severity.CRITICAL: 1, Severity.WARNING: 2}
TEXTS = QUERIES | {f"workbook: {name}": content["query"] for name, content in PANELS.items()}

each_query = pytest.mark.parametrize("name", TEXTS)


def names_in(query: str) -> tuple[set[str], set[str], set[str]]:
    """Give the metrics, the events and the attributes that a query names."""
    code = re.sub(r"//.*", "", query)
    attributes = set(re.findall(r"Properties\['([^']+)'\]", code))
    events = set(re.findall(r"Message (?:==|in \() ?'(\w+)'", code))
    return set(re.findall(r"'(ingest\.[a-z._]+)'", code)) - attributes, events, attributes


def alarms() -> dict[str, dict[str, Node]]:
    found = [properties(node) for node in walk(ALERTS.of("var")["alarms"].node, "object")]
    return {str(plain(it["name"])): it for it in found if "name" in it}


def kinds() -> dict[str, int]:
    found = [properties(node) for node in walk(ALERTS.of("var")["kinds"].node, "object")]
    return {str(plain(it["kind"])): int(str(plain(it["severity"]))) for it in found}


def minutes(node: Node) -> int:
    return int(str(plain(node)).removeprefix("PT").removesuffix("M"))


def test_names_of_metrics_and_events_are_found() -> None:
    assert "ingest.sweep.heartbeat" in METRICS
    assert {"AlertOpened", "SweepFinished"} <= set(EVENTS)


@each_query
def test_a_query_names_metrics_events_and_attributes_that_there_are(name: str) -> None:
    metrics, events, attributes = names_in(TEXTS[name])
    assert metrics <= METRICS
    assert events <= set(EVENTS)
    of_events = {f"ingest.{field.name}" for event in events for field in fields(EVENTS[event])} | OF_EVERY_EVENT
    assert attributes <= (of_events if events else set()) | (OF_METRICS if metrics else set())
    assert metrics or events or "AppRequests" in TEXTS[name]


@each_query
def test_a_query_reads_tables_that_there_are(name: str) -> None:
    tables = set(re.findall(r"\bApp[A-Z]\w+", re.sub(r"AppRoleName|//.*", "", TEXTS[name])))
    assert tables
    assert tables <= TABLES


@each_query
def test_brackets_and_quotes_of_a_query_close(name: str) -> None:
    code = re.sub(r"'[^'\n]*'", "", re.sub(r"//.*", "", TEXTS[name]))
    assert "'" not in code
    assert {pair: code.count(pair[0]) - code.count(pair[1]) for pair in ("()", "[]")} == {"()": 0, "[]": 0}


def test_every_critical_kind_and_poisoned_events_become_alarms() -> None:
    critical = {kind.value for kind in Kind if ABOUT[kind].severity is Severity.CRITICAL}
    assert set(kinds()) == critical | {Kind.POISON.value}
    assert kinds() == {kind: SEVERITIES[ABOUT[Kind(kind)].severity] for kind in kinds()}


def test_the_kind_is_put_into_the_query_of_alerts() -> None:
    assert QUERIES["alert"].count("'{kind}'") == 1
    assert "replace(loadTextContent('../queries/alert.kql'), '{kind}', it.kind)" in text_of(ALERTS.value("ofKinds"))


def test_every_query_is_an_alarms() -> None:
    loaded = re.findall(r"loadTextContent\('../queries/(\w+)\.kql'\)", text_of(ALERTS.root))
    assert sorted(loaded) == sorted(QUERIES)


def test_windows_are_possible_and_no_shorter_than_the_pause_between_looks() -> None:
    (look,) = {int(text) for text in re.findall(r"evaluationFrequency: 'PT(\d+)M'", text_of(ALERTS.root))}
    windows = {int(text) for text in re.findall(r"window(?:Size)?: 'PT(\d+)M'", text_of(ALERTS.root))}
    assert windows <= WINDOWS
    assert min(windows) >= look


def test_silence_is_an_alarm_when_nothing_is_found() -> None:
    silence = alarms()["no-heartbeat"]
    assert timedelta(minutes=minutes(silence["window"])) == timedelta(minutes=45)
    assert (plain(silence["operator"]), plain(silence["threshold"])) == ("LessThan", 1)
    others = [it for name, it in alarms().items() if name != "no-heartbeat"]
    assert {plain(it["operator"]) for it in others} == {"GreaterThan"}


def test_failures_are_those_of_the_functions_that_load() -> None:
    named = set(re.findall(r"'(\w+)'", QUERIES["failures"]))
    assert named == {name for name, it in functions().items() if triggered_by(it) & {"blob_trigger", "timer_trigger"}}


def test_lost_events_are_metrics_of_the_topic() -> None:
    named = {plain(properties(node)["metric"]) for node in walk(ALERTS.of("var")["lost"].node, "object")}
    assert named == {"DeadLetteredCount", "DroppedEventCount"}
    assert named <= OF_SYSTEM_TOPICS


def test_every_alarm_reaches_the_group_of_people() -> None:
    rules = [it for it in ALERTS.of("module").values() if it.name != "people"]
    assert rules
    assert all("people.outputs.resourceId" in text_of(it.node) for it in rules)


def test_alarms_name_a_runbook_that_there_is() -> None:
    pages = set(re.findall(r"docs/[\w-]+\.md", text_of(ALERTS.root) + json.dumps(WORKBOOK)))
    assert pages
    assert all((INFRA.parent / page).is_file() for page in pages)


def test_the_workbook_shows_what_the_dashboard_shows() -> None:
    assert WORKBOOK["version"] == "Notebook/1.0"
    assert set(PANELS) >= {"freshness", "strip", "delay", "rows", "backlog", "alerts", "rejected"}
    names = [item["name"] for item in WORKBOOK["items"]]
    assert len(names) == len(set(names))


def test_the_workbooks_panels_ask_the_workspace_for_a_period_that_there_is() -> None:
    (parameters,) = (item["content"]["parameters"] for item in WORKBOOK["items"] if item["type"] == 9)
    known = {it["name"] for it in parameters}
    for content in PANELS.values():
        assert content["resourceType"] == "microsoft.operationalinsights/workspaces"
        assert ("timeContext" in content) != (content.get("timeContextFromParameter") in known)


def test_the_workspace_is_put_into_the_workbook() -> None:
    assert WORKBOOK["fallbackResourceIds"] == ["{workspace}"]
    text = (INFRA / "modules" / "workbook.bicep").read_text(encoding="utf-8")
    assert "replace(loadTextContent('../workbook.json'), '{workspace}', workspaceId)" in text
