"""Hold azure.yaml, the scripts and the workflows against each other, and run the scripts against an `az` of our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.bicep import INFRA, parse, text_of
from tests.test_docs import deployed

ROOT = INFRA.parent
SCRIPTS = sorted((INFRA / "scripts").glob("*.sh"))
AZURE = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
WORKFLOWS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
OUTPUTS = set(parse(INFRA / "main.bicep").of("output"))
EVENTS = parse(INFRA / "events.bicep")
PARAMETERS = (INFRA / "main.bicepparam").read_text(encoding="utf-8")
README = (INFRA / "README.md").read_text(encoding="utf-8")
OF_AZD = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"}

AZ = """#!/bin/sh
printf '%s\\n' "$*" >> "$AZ_LOG"
case "$*" in
  "deployment sub create"*) cat "$AZ_OUTPUTS" ;;
  "functionapp keys list"*) echo "${AZ_KEY:-true}" ;;
  *--src*) for word; do case "$word" in *.zip) cp "$word" "$AZ_PACKAGE" ;; esac; done ;;
esac
"""


@pytest.fixture
def azure(tmp_path: Path) -> dict[str, str]:
    """Give an environment whose `az` notes what it is asked, and answers as Azure does: with names in odd case."""
    for name, text in {"az": AZ, "sleep": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    outputs = {name[:5].lower() + name[5:]: {"type": "String", "value": f"the {name}"} for name in OUTPUTS}
    (tmp_path / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    return {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "AZ_LOG": str(tmp_path / "log"),
        "AZ_OUTPUTS": str(tmp_path / "outputs.json"),
        "AZ_PACKAGE": str(tmp_path / "app.zip"),
    }


def run(script: str, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(INFRA / "scripts" / script), *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def asked(environment: dict[str, str]) -> list[str]:
    return Path(environment["AZ_LOG"]).read_text(encoding="utf-8").splitlines()


def given_to_events(text: str) -> dict[str, str]:
    """Give the parameters of the second stage and the names of their values, as a script has them."""
    return dict(re.findall(r"^\s+(\w+)=\"?\$\{?(?:env:)?(\w+)", text, re.MULTILINE))


def used_actions(workflow: str) -> list[str]:
    return re.findall(r"uses: (\S+)", workflow)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one(path: Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False).returncode == 0
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")


def test_both_shells_hand_the_second_stage_what_it_takes_from_outputs() -> None:
    parameters = EVENTS.of("param")
    for name in ("events.sh", "events.ps1"):
        text = (INFRA / "scripts" / name).read_text(encoding="utf-8")
        given = given_to_events(text)
        assert set(given) == set(parameters), name
        assert set(given.values()) | set(re.findall(r"'([A-Z_]{6,})'|\$\{([A-Z_]+):\?", text)[0]) - {""} <= OUTPUTS, (
            name
        )
    shell, power = (given_to_events((INFRA / "scripts" / name).read_text()) for name in ("events.sh", "events.ps1"))
    assert shell == power


def test_the_second_stage_is_deployed_once_the_key_is_there(azure: dict[str, str]) -> None:
    names = {name: f"the {name}" for name in OUTPUTS}
    done = run("events.sh", azure | names)
    assert done.returncode == 0, done.stderr
    looked, deployed = asked(azure)
    assert "functionapp keys list" in looked
    assert "--template-file events.bicep" in deployed
    assert "functionAppName=the FUNCTION_APP_NAME" in deployed
    assert "prefix=the LANDING_PREFIX" in deployed


def test_without_the_key_the_second_stage_says_so(azure: dict[str, str]) -> None:
    done = run("events.sh", azure | {name: "x" for name in OUTPUTS} | {"AZ_KEY": "false"})
    assert done.returncode == 1
    assert "blobs_extension" in done.stderr
    assert not [line for line in asked(azure) if line.startswith("deployment")]


def test_without_a_name_the_second_stage_asks_nothing(azure: dict[str, str]) -> None:
    done = run("events.sh", azure | {name: "x" for name in OUTPUTS - {"SYSTEM_TOPIC_NAME"}})
    assert done.returncode != 0
    assert "SYSTEM_TOPIC_NAME" in done.stderr
    assert not Path(azure["AZ_LOG"]).exists()


def test_without_azd_all_of_it_is_deployed_by_one_script(azure: dict[str, str]) -> None:
    done = run("deploy.sh", azure, "infra/dev.bicepparam", "westeurope")
    assert done.returncode == 0, done.stderr
    made, packed, looked, subscribed = asked(azure)
    assert "deployment sub create" in made
    assert "infra/dev.bicepparam" in made
    assert "--name the FUNCTION_APP_NAME" in packed
    assert "systemTopicName=the SYSTEM_TOPIC_NAME" in subscribed
    packed_files = {name for name in zipfile.ZipFile(azure["AZ_PACKAGE"]).namelist() if not name.endswith("/")}
    assert {"function_app.py", "host.json", "requirements.txt", "docs/runbook.md", "ingest/wiring.py"} <= packed_files
    by_azd = deployed() - {".funcignore", "LICENSE"}
    assert {name.split("/")[0] for name in by_azd} == {name.split("/")[0] for name in packed_files}
    assert packed_files <= by_azd


def test_a_deployment_that_fails_deploys_no_code(azure: dict[str, str]) -> None:
    Path(azure["AZ_OUTPUTS"]).write_text("", encoding="utf-8")
    done = run("deploy.sh", azure, "infra/dev.bicepparam", "westeurope")
    assert done.returncode != 0
    assert len(asked(azure)) == 1


def test_azd_deploys_this_folder_as_the_tagged_app_and_then_subscribes_it() -> None:
    (service,) = AZURE["services"]
    assert AZURE["services"][service] == {"project": ".", "language": "python", "host": "function"}
    assert f"'azd-service-name': '{service}'" in (INFRA / "modules" / "app.bicep").read_text(encoding="utf-8")
    hook = AZURE["hooks"]["postdeploy"]
    assert {name: it["shell"] for name, it in hook.items()} == {"posix": "sh", "windows": "pwsh"}
    assert all((ROOT / it["run"]).is_file() for it in hook.values())
    assert (INFRA / f"{AZURE['infra']['module']}.bicepparam").is_file()


def test_azds_resources_are_tagged_with_the_environment() -> None:
    assert "'azd-env-name': environmentName" in (INFRA / "main.bicep").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_one_with_few_rights_and_pinned_actions(name: str) -> None:
    workflow = yaml.safe_load(WORKFLOWS[name])
    rights = {"ci": {"contents": "read"}, "deploy": {"contents": "read", "id-token": "write"}}
    assert workflow["permissions"] == rights[name]
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    assert used_actions(WORKFLOWS[name])
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in used_actions(WORKFLOWS[name]))
    assert "secrets." not in WORKFLOWS[name]


def test_ci_runs_what_people_run_and_compiles_every_template() -> None:
    jobs = yaml.safe_load(WORKFLOWS["ci"])["jobs"]
    runs = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert runs["check"].split() == ["make", "check"]
    assert runs["test"].split()[:2] == ["make", "test"]
    assert {"infra/main.bicep", "infra/events.bicep"} <= set(runs["bicep"].replace(";", "").split())
    assert "bicep lint" in runs["bicep"]
    assert "infra/*.bicepparam" in runs["bicep"]


def test_the_deployment_hands_on_every_variable_that_the_parameters_read() -> None:
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", PARAMETERS))
    given = set(yaml.safe_load(WORKFLOWS["deploy"])["jobs"]["deploy"]["env"])
    assert given - OF_AZD == read
    needed = set(re.findall(r"readEnvironmentVariable\('(\w+)'\)", PARAMETERS))
    bicep = yaml.safe_load(WORKFLOWS["ci"])["jobs"]["bicep"]["steps"][-1]["env"]
    assert set(bicep) == needed


def test_defaults_of_the_deployment_are_the_parameters() -> None:
    of_parameters = dict(re.findall(r"readEnvironmentVariable\('(\w+)', '([^']+)'\)", PARAMETERS))
    of_workflow = dict(re.findall(r"vars\.(\w+) \|\| '([^']*)'", WORKFLOWS["deploy"]))
    assert of_parameters == of_workflow


def test_the_readme_tells_every_variable_and_its_default() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| .* \| (.+) \|$", README, re.MULTILINE)
    told = {name: told for names, told in rows for name in re.findall(r"`(\w+)`", names)}
    defaults = dict(re.findall(r"readEnvironmentVariable\('(\w+)', '([^']*)'\)", PARAMETERS))
    of_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    assert set(told) == set(re.findall(r"readEnvironmentVariable\('(\w+)'", PARAMETERS)) - of_azd
    assert all(default in told[name] for name, default in defaults.items() if name in told)


def test_the_readme_names_files_that_there_are() -> None:
    table = README.partition("| file |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert named
    assert all((INFRA / name).exists() for cell in named for name in re.findall(r"`([^`]+)`", cell))


def test_the_names_of_deployed_things_are_told() -> None:
    told = {it.name: text_of(it.value) for it in parse(INFRA / "main.bicep").of("output").values()}
    assert told["LANDING_PREFIX"] == "prefix"
    assert all("listKeys" not in value and "connectionString" not in value for value in told.values())
