"""Hold the settings, rights and names in infra/ against the code that needs them, and host.json against its clocks."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime, timedelta

from ingest.access import ADDRESSES
from ingest.loading import Limits
from ingest.poison import FUNCTION, QUEUE
from ingest.catalogue import CATALOGUE
from ingest.settings import Load, Settings, read_settings
from local.host.schedule import Schedule
from tests.bicep import INFRA, arguments, parse, plain, properties, text_of, walk

ROOT = INFRA.parent
MAIN = parse(INFRA / "main.bicep")
SETTINGS = parse(INFRA / "modules" / "settings.bicep")
EVENTS = parse(INFRA / "events.bicep")
HOST = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
FUNCTION_APP = (ROOT / "function_app.py").read_text(encoding="utf-8")
ALERTS = (INFRA / "modules" / "alerts.bicep").read_text(encoding="utf-8")
DISK_OF_AN_INSTANCE = 800_000_000
"""https://learn.microsoft.com/azure/azure-functions/functions-scale#service-limits"""

OF_A_LAPTOP = {
    "EXPORT_STORAGE": "in Azure an identity signs in",
    "DUCKDB_PATH": "Azure has Snowflake; DuckDB would need a share of files",
    "DUCKDB_MEMORY_LIMIT": "as above",
    "VERIFY_STATISTICS": "as above",
    "SNOWFLAKE_PRIVATE_KEY_FILE": "in Azure the key lies in the Key Vault",
}
OF_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "EXPORT_STORAGE__credential",
    "EXPORT_STORAGE__queueServiceUri",
}
# https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations, and two
# that take the worker's log lines, and with them the text of every exception, away from the host (modules/settings.bicep).
NEVER_ON_FLEX = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
    "PYTHON_ENABLE_OPENTELEMETRY",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_VNET_ROUTE_ALL",
}
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
}
RIGHTS = {
    "ofTheApp": {
        ("host", "'Storage Blob Data Owner'"),
        ("host", "'Storage Queue Data Contributor'"),
        ("host", "'Storage Table Data Contributor'"),
        ("exports", "landingRoleName"),
        ("poison", "'Storage Queue Data Contributor'"),
        ("vault", "'Key Vault Secrets User'"),
        ("telemetry", "'Monitoring Metrics Publisher'"),
    },
    "ofTheTopic": {("deadLetters", "'Storage Blob Data Contributor'")},
    "ofTheWarehouse": {("exports", "'Storage Blob Data Reader'")},
    "ofPeople": {("vault", "'Key Vault Secrets Officer'")},
}
SCOPES = {
    "host": "host.outputs.resourceId",
    "deadLetters": "'${host.outputs.resourceId}/blobServices/default/containers/${deadLetterContainer}'",
    "exports": "'${landing.outputs.resourceId}/blobServices/default/containers/${container}'",
    "poison": "'${landing.outputs.resourceId}/queueServices/default/queues/${poisonQueue}'",
    "vault": "vault.outputs.resourceId",
    "telemetry": "monitoring.outputs.componentId",
}


def of_the_code() -> dict[str, str]:
    """Give the settings' values that the template says; what it works out has the text of how."""
    found = properties(SETTINGS.value("ofTheCode"))
    return {name: default_in(text_of(it)) if plain(it) is None else str(plain(it)) for name, it in found.items()}


def default_in(expression: str) -> str:
    said = re.search(r"\?\? ('(?P<text>[^']*)'|(?P<number>\d+))", expression)
    return (said["text"] or said["number"] or "") if said else f"<{expression}>"


def from_vault() -> set[str]:
    (text,) = (text for text in SETTINGS.of("param")["fromVault"].decorators if text.startswith("@allowed"))
    return set(re.findall(r"'(\w+)'", text))


def all_settings() -> set[str]:
    return set(of_the_code()) | from_vault() | set(properties(SETTINGS.value("ofThePlatform")))


def functions() -> dict[str, ast.FunctionDef]:
    return {it.name: it for it in ast.parse(FUNCTION_APP).body if isinstance(it, ast.FunctionDef)}


def triggered_by(function: ast.FunctionDef) -> set[str]:
    calls = [it.func for it in function.decorator_list if isinstance(it, ast.Call)]
    return {it.attr for it in calls if isinstance(it, ast.Attribute)}


def grants(name: str) -> list[dict[str, str]]:
    """Give the rights that a variable lists, whole: those of the app get their principal from beside the list."""
    rows = [properties(node) for node in walk(MAIN.of("var")[name].node, "object")]
    beside = [row for row in rows if "why" not in row]
    shared = {key: text_of(value) for row in beside for key, value in row.items()}
    return [shared | {key: text_of(value) for key, value in row.items()} for row in rows if "why" in row]


def test_every_setting_of_the_code_is_in_the_template_or_a_laptops() -> None:
    assert (set(of_the_code()) | from_vault()) | set(OF_A_LAPTOP) == {it.name for it in CATALOGUE}
    assert not set(OF_A_LAPTOP) & all_settings()


def test_the_platforms_settings_are_those_it_needs() -> None:
    assert set(properties(SETTINGS.value("ofThePlatform"))) == OF_THE_PLATFORM


def test_settings_that_flex_consumption_does_not_take_are_not_set() -> None:
    assert not all_settings() & NEVER_ON_FLEX


def test_the_templates_defaults_are_the_codes() -> None:
    said = {name: value for name, value in of_the_code().items() if not value.startswith("<")}
    assert {"BATCH_MAX_FILES", "SNOWFLAKE_ROLE", "STALL_AFTER_MINUTES", "TIME_BUDGET_SECONDS"} <= set(said)
    there = {"EXPORT_STORAGE__blobServiceUri": "https://account.blob.core.windows.net", "SNOWFLAKE_ACCOUNT": "a"}
    in_azure, by_code = read_settings(there | said), read_settings(there)
    different = {name for name in Settings.model_fields if getattr(in_azure, name) != getattr(by_code, name)}
    assert different == {"warehouse"}


def test_what_may_differ_from_the_defaults_is_a_setting_in_the_template() -> None:
    may_differ = set(properties(SETTINGS.of("type")["Settings"].node))
    given = {name: text_of(node) for name, node in properties(SETTINGS.value("ofTheCode")).items()}
    given["SNOWFLAKE_LOAD"] = text_of(SETTINGS.value(given["SNOWFLAKE_LOAD"]))
    assert may_differ == {name for name, text in given.items() if "settings." in text}
    # And none has its neighbour's value.
    assert all(re.search(rf"settings\.\??{name}\b", given[name]) for name in may_differ)


def test_the_catalogues_example_of_a_vault_reference_is_how_the_template_refers() -> None:
    (example,) = {it.example for it in CATALOGUE if it.name == "SNOWFLAKE_PRIVATE_KEY"}
    assert example.partition("=")[0] in text_of(SETTINGS.root)


def test_settings_that_the_bindings_name_are_set() -> None:
    in_percents = set(re.findall(r"%(\w+)%", FUNCTION_APP + json.dumps(HOST)))
    from_environment = set(re.findall(r"os\.environ(?:\.get\(|\[)\"(\w+)\"", FUNCTION_APP))
    connections = set(re.findall(r"connection=\"(\w+)\"", FUNCTION_APP))
    assert in_percents
    assert connections
    assert in_percents | from_environment <= all_settings()
    # By identity a connection is these four, and never the bare name: it would go before them.
    for connection in connections:
        assert {
            f"{connection}__{part}" for part in ("blobServiceUri", "queueServiceUri", "credential", "clientId")
        } <= (all_settings())
        assert connection not in all_settings()


def test_events_go_to_the_function_that_takes_blobs() -> None:
    (blobs,) = (name for name, function in functions().items() if "blob_trigger" in triggered_by(function))
    assert plain(EVENTS.value("functionName")) == blobs == FUNCTION
    assert "Host.Functions.${functionName}" in text_of(EVENTS.value("hook"))


def test_events_are_filtered_by_container_prefix_suffix_and_operation() -> None:
    found = properties(properties(EVENTS.of("resource")["exports"].value)["properties"])
    wanted = properties(found["filter"])
    assert plain(wanted["subjectEndsWith"]) == ".parquet"
    assert text_of(wanted["subjectBeginsWith"]) == "'/blobServices/default/containers/${container}/blobs/${prefix}'"
    (advanced,) = walk(wanted["advancedFilters"], "object")
    assert plain(properties(advanced)["key"]) == "data.api"
    operations = {plain(node) for node in walk(properties(advanced)["values"], "string")}
    assert operations == {"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose"}
    assert {"retryPolicy", "deadLetterWithResourceIdentity"} <= set(found)


def test_the_key_of_the_subscription_is_nobody_elses_parameter() -> None:
    assert not EVENTS.of("module")
    assert all("listKeys" not in text_of(it.node) for it in EVENTS.of("output").values())


def test_role_ids_are_those_of_their_names() -> None:
    assert json.loads((INFRA / "roles.json").read_text(encoding="utf-8")) == ROLES
    named = {row["role"].strip("'") for name in RIGHTS for row in grants(name)} - {"landingRoleName"}
    assert named | {"Storage Blob Data Contributor"} == set(ROLES)
    assert text_of(MAIN.value("landingRoleName")) == "customRole ? 'landing' : 'Storage Blob Data Contributor'"


def test_rights_are_these_and_no_more() -> None:
    rights = arguments(MAIN, MAIN.of("module")["rights"])
    assert {name: {(row["scope"].strip("'"), row["role"]) for row in grants(name)} for name in RIGHTS} == RIGHTS
    assert text_of(rights["grants"]) == f"concat({', '.join(RIGHTS)})"
    assert {name: text_of(node) for name, node in properties(rights["scopes"]).items()} == SCOPES
    named = {row["principal"] for name in ("ofTheApp", "ofTheTopic") for row in grants(name)}
    assert named == {f"'{name}'" for name in properties(rights["principals"])}


def test_every_grant_is_whole() -> None:
    grant = parse(INFRA / "modules" / "roles.bicep").of("type")["Grant"]
    assert {frozenset(row) for name in RIGHTS for row in grants(name)} == {frozenset(properties(grant.value))}


def test_no_module_gives_rights_behind_the_loops_back() -> None:
    for path in INFRA.rglob("*.bicep"):
        assert not re.search(
            r"\broleAssignments\b|externalResourceRoleAssignments", path.read_text(encoding="utf-8")
        ), path


def test_the_landing_role_deletes_but_does_not_write() -> None:
    role = parse(INFRA / "modules" / "landing-role.bicep")
    (rights,) = (
        found for node in walk(role.root, "object") if {"actions", "dataActions"} <= set(found := properties(node))
    )
    ends = {name: {text_of(it).strip("'").partition("}/")[2] for it in walk(rights[name], "string")} for name in rights}
    assert ends == {"actions": {"read", "getAcl/action"}, "dataActions": {"blobs/read", "blobs/delete"}}


def test_only_the_landing_account_has_keys_and_it_lets_customerio_in() -> None:
    landing, host = (arguments(MAIN, MAIN.of("module")[name]) for name in ("landing", "host"))
    assert (plain(landing["sharedKeys"]), plain(host["sharedKeys"])) == (True, False)
    assert "customerioAddresses[region]" in text_of(landing["addresses"])
    addresses = {name: plain(node) for name, node in properties(MAIN.of("param")["customerioAddresses"].value).items()}
    assert addresses == ADDRESSES


def test_the_queue_of_poisoned_events_is_the_one_that_the_sweep_reads() -> None:
    assert plain(MAIN.value("poisonQueue")) == QUEUE


def test_the_app_runs_the_python_that_the_tests_run() -> None:
    app = (INFRA / "modules" / "app.bicep").read_text(encoding="utf-8")
    (version,) = re.findall(r"runtime: \{ name: 'python', version: '([\d.]+)' \}", app)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f'"{version}"' in workflow


def test_an_invocation_outlives_its_time_budget_and_a_lease() -> None:
    hours, minutes, seconds = map(int, HOST["functionTimeout"].split(":"))
    limit = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert timedelta(seconds=int(of_the_code()["TIME_BUDGET_SECONDS"])) + Limits().lease < limit


def test_batches_are_the_codes_and_those_that_are_uploaded_fit_on_an_instances_disk() -> None:
    size = {name: plain(node) for name, node in properties(SETTINGS.value("batchBytes")).items()}
    assert size["copy"] == Limits().max_bytes
    assert set(size) == {load.value for load in Load}
    # The next batch is fetched while one is loaded; as many blobs as this run at once, and the sweep.
    batches = 2 * (HOST["extensions"]["blobs"]["maxDegreeOfParallelism"] + 1)
    assert isinstance(size["put"], int)
    assert batches * size["put"] <= DISK_OF_AN_INSTANCE


def test_the_schedule_is_one_and_the_alarm_waits_for_several_rounds() -> None:
    written = of_the_code()["SWEEP_SCHEDULE"]
    first = Schedule.parse(written).next_after(datetime(2026, 11, 22, tzinfo=UTC))
    pause = Schedule.parse(written).next_after(first) - first
    (silence,) = re.findall(r"name: 'no-heartbeat'.*?window: 'PT(\d+)M'", ALERTS, re.DOTALL)
    # A round may take its whole time, and what it tells arrives some minutes later.
    round_trip = pause + timedelta(seconds=int(of_the_code()["TIME_BUDGET_SECONDS"]))
    assert 3 * round_trip <= timedelta(minutes=int(silence))
