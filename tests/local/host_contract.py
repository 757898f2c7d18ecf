"""Hold both language workers to one behaviour: each suite inherits these tests and says which worker runs."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from local.azurite import Azurite
from local.host import AppRejected, FunctionFailed, Worker, open_worker

SAMPLE = Path(__file__).parent / "sample_app"
SOURCE = (SAMPLE / "function_app.py").read_text()
HINT = "client: blob.BlobClient"

Open = Callable[[str], Any]


def changed(old: str, new: str) -> str:
    """Change the sample's text, and make sure that it was there."""
    assert old in SOURCE
    return SOURCE.replace(old, new)


def status(worker: Worker) -> Any:
    return worker.invoke_http("status").json()


class WorkerContract:
    """What a language worker does; `kind` names it."""

    kind: ClassVar[str]

    @pytest.fixture
    def settings(self, azurite: Azurite, container: str) -> dict[str, str]:
        """Give the app settings of the sample over the real Azurite."""
        return {
            "EXPORT_STORAGE": azurite.connection_string,
            "EXPORT_CONTAINER": container,
            "BLOB_TRIGGER_SOURCE": "EventGrid",
            "SWEEP_SCHEDULE": "0 */15 * * * *",
        }

    @pytest.fixture
    def worker(self, settings: dict[str, str]) -> Iterator[Worker]:
        """Open the sample app."""
        with open_worker(SAMPLE, settings, self.kind) as opened:
            yield opened

    @pytest.fixture
    def open_source(self, settings: dict[str, str], tmp_path: Path) -> Open:
        """Give a function that opens an app made of the given text."""

        def open_it(source: str) -> Any:
            (tmp_path / "function_app.py").write_text(source)
            return open_worker(tmp_path, settings, self.kind)

        return open_it

    def test_indexing_finds_the_functions(self, worker: Worker) -> None:
        assert {name: found.trigger_type for name, found in worker.functions.items()} == {
            "ingest_export": "blobTrigger",
            "sweep": "timerTrigger",
            "status": "httpTrigger",
            "echo": "httpTrigger",
            "remember": "queueTrigger",
        }
        assert worker.functions["sweep"].trigger["schedule"] == "%SWEEP_SCHEDULE%"

    def test_the_blob_binding_asks_for_a_reference(self, worker: Worker) -> None:
        assert worker.functions["ingest_export"].trigger == {
            "type": "blobTrigger",
            "direction": "IN",
            "name": "client",
            "path": "%EXPORT_CONTAINER%/{name}",
            "connection": "EXPORT_STORAGE",
            "source": "EventGrid",
            "properties": {"SupportsDeferredBinding": True},
        }

    def test_the_source_is_read_from_the_setting(self, settings: dict[str, str]) -> None:
        with open_worker(SAMPLE, settings | {"BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}, self.kind) as worker:
            assert worker.functions["ingest_export"].trigger["source"] == "LogsAndContainerScan"

    def test_a_blob_function_learns_the_name_without_any_download(self, worker: Worker, container: str) -> None:
        # No such blob exists, so a binding that read anything would fail.
        worker.invoke_blob("ingest_export", container, "exports/a b+ü.parquet")
        (seen,) = status(worker)["seen"]
        assert seen.startswith(f"{container}/exports/a b+ü.parquet ")

    def test_each_invocation_has_an_id_of_its_own(self, worker: Worker, container: str) -> None:
        for _ in range(2):
            worker.invoke_blob("ingest_export", container, "a")
        first, second = (seen.split()[-1] for seen in status(worker)["seen"])
        assert len(first) == 36
        assert first != second

    def test_identity_settings_do_for_learning_the_name(self, settings: dict[str, str]) -> None:
        settings.pop("EXPORT_STORAGE")
        identity = {
            "EXPORT_STORAGE__blobServiceUri": "https://account.blob.core.windows.net",
            "EXPORT_STORAGE__credential": "managedidentity",
            "EXPORT_STORAGE__clientId": "00000000-0000-0000-0000-000000000000",
        }
        with open_worker(SAMPLE, settings | identity, self.kind) as worker:
            worker.invoke_blob("ingest_export", "exports", "a.parquet")
            assert status(worker)["seen"][0].startswith("exports/a.parquet")

    def test_a_connection_that_is_not_set_fails_the_binding(self, settings: dict[str, str]) -> None:
        settings.pop("EXPORT_STORAGE")
        with (
            open_worker(SAMPLE, settings, self.kind) as worker,
            pytest.raises(FunctionFailed, match="EXPORT_STORAGE does not exist"),
        ):
            worker.invoke_blob("ingest_export", "exports", "a.parquet")

    def test_a_raise_becomes_a_failure_with_its_reason(self, worker: Worker, container: str) -> None:
        with pytest.raises(FunctionFailed, match="RuntimeError: this blob always fails") as failed:
            worker.invoke_blob("ingest_export", container, "poison.parquet")
        assert "function_app.py" in failed.value.stack

    def test_timers_run_and_know_when_they_are_late(self, worker: Worker) -> None:
        worker.invoke_timer("sweep")
        worker.invoke_timer("sweep", past_due=True)
        assert status(worker)["ticks"] == [False, True]

    def test_queue_messages_arrive(self, worker: Worker) -> None:
        worker.invoke_queue("remember", "grüße")
        assert status(worker)["seen"] == ["grüße"]

    def test_http_functions_answer(self, worker: Worker) -> None:
        answer = worker.invoke_http("status", "GET", {"stream": "7/people"}, headers={"Accept": "*/*"})
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["X-Sample"] == "yes"
        assert answer.json()["stream"] == "7/people"

    def test_async_functions_and_route_values_work(self, worker: Worker) -> None:
        answer = worker.invoke_http("echo/hello", "POST", body="wörld".encode())
        assert (answer.status, answer.body.decode()) == (201, "hello:wörld")

    def test_unknown_routes_and_methods_are_told_apart(self, worker: Worker) -> None:
        assert worker.invoke_http("nowhere").status == 404
        assert worker.invoke_http("echo/a/b", "POST").status == 404
        assert worker.invoke_http("echo/a", "GET").status == 405

    def test_an_http_function_that_raises_answers_500(self, open_source: Open) -> None:
        broken = changed('    body = {"seen"', '    raise ValueError("no")\n    body = {"seen"')
        with open_source(broken) as worker:
            assert worker.invoke_http("status").status == 500

    def test_calls_run_at_the_same_time(self, open_source: Open) -> None:
        waiting = changed("seen.append(message", "gate.wait(10)\n    seen.append(message")
        with open_source(waiting + "\nimport threading\ngate = threading.Barrier(3)\n") as worker:
            with ThreadPoolExecutor(3) as pool:
                calls = [pool.submit(worker.invoke_queue, "remember", str(number)) for number in range(3)]
            assert [call.exception() for call in calls] == [None, None, None]
            assert sorted(status(worker)["seen"]) == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ('arg_name="client"', 'arg_name="blob"', "client"),
            (f"{HINT}, context:", f"{HINT}, ctx:", "ctx"),
            (f"{HINT}, context: func.Context", f"{HINT}, context: str", "Context"),
            (HINT, "client: int", "int"),
            ('function_name("sweep")', 'function_name("status")', "unique"),
            ("import json\n", "import json\nimport no_such_module\n", "no_such_module"),
            ("import json\n", "import json (\n", "SyntaxError"),
            ("app = func", "other = func.FunctionApp()\napp = func", "instances"),
            ("app = func.FunctionApp", "app = object", "."),
            ('"BLOB_TRIGGER_SOURCE", ', '"NOT_THERE", "eventgrid" or ', "eventgrid"),
        ],
    )  # fmt: skip
    def test_bad_apps_are_reported(self, open_source: Open, old: str, new: str, reason: str) -> None:
        with pytest.raises(AppRejected, match=reason), open_source(changed(old, new)):
            pass

    @pytest.mark.parametrize("source", ["", "import azure.functions as func\napp = func.FunctionApp()\n"])
    def test_an_app_without_functions_is_reported(self, open_source: Open, source: str) -> None:
        with pytest.raises(AppRejected), open_source(source):
            pass

    def test_a_binding_that_carries_whole_blobs_is_refused(self, open_source: Open, container: str) -> None:
        with (
            open_source(changed(HINT, "client: func.InputStream")) as worker,
            pytest.raises(AppRejected, match="whole blob"),
        ):
            worker.invoke_blob("ingest_export", container, "a")

    def test_names_and_kinds_of_functions_are_checked(self, worker: Worker) -> None:
        with pytest.raises(LookupError, match="sweep"):
            worker.invoke_timer("status")

    def test_the_process_is_left_as_it_was(self, settings: dict[str, str]) -> None:
        environment, path = dict(os.environ), list(sys.path)
        with open_worker(SAMPLE, settings, self.kind) as worker:
            assert os.environ["EXPORT_CONTAINER"] == settings["EXPORT_CONTAINER"]
            worker.invoke_queue("remember", "x")
            with (
                pytest.raises(RuntimeError, match="another worker"),
                open_worker(SAMPLE, settings, self.kind),
            ):
                pass
        assert dict(os.environ) == environment
        assert sys.path == path
        assert "function_app" not in sys.modules
        with open_worker(SAMPLE, settings, self.kind) as again:
            assert json.loads(again.invoke_http("status").body)["seen"] == []
        assert not [t.name for t in threading.enumerate() if t.name.startswith("functions-worker")]
