"""Read and clear a real poison queue, and find it by the settings that the platform knows."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from ingest import poison as adapter
from ingest.channels import Poison
from ingest.errors import LandingUnavailable
from ingest.poison import QUEUE, AzurePoisonQueue, queue_client
from ingest.settings import AZURITE
from local.azurite import ACCOUNT, KEY, Azurite

OURS = "Host.Functions.ingest_export"
BLOB = "exports/111528/metrics/a b+c%20ü&<1>.parquet"


def text(blob: str = BLOB, function: str = OURS, **more: object) -> str:
    """Write a message the way the extension's own test expects it (BlobTriggerMessageTests.cs)."""
    return json.dumps(
        {
            "Type": "BlobTrigger",
            "FunctionId": function,
            "BlobType": "BlockBlob",
            "ContainerName": "customerio",
            "BlobName": blob,
            "ETag": '"0x8D1DC6E70A277EF"',
        }
        | more,
        separators=(",", ":"),
    )


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    client = QueueClient.from_connection_string(azurite.connection_string, QUEUE)
    try:
        client.create_queue()
    except ResourceExistsError:  # the functions' tests have their own poisoned events
        client.clear_messages()
    yield client
    try:
        client.delete_queue()
    except ResourceNotFoundError:
        pass


def left(queue: QueueClient) -> list[str]:
    return [message.content for message in queue.peek_messages(max_messages=32)]


@pytest.mark.parametrize("written", [text(), encoded(text())], ids=["plain", "base64"])
def test_a_message_names_its_blob_and_is_hidden_then_cleared(queue: QueueClient, written: str) -> None:
    queue.send_message(written)
    poisons = AzurePoisonQueue(queue)
    taken = poisons.take(10)
    assert [(one.container, one.blob_name) for one in taken] == [("customerio", BLOB)]
    assert all(taken[0].receipt)
    assert poisons.take(10) == ()
    assert queue.get_queue_properties().approximate_message_count == 1
    poisons.clear(taken)
    assert queue.get_queue_properties().approximate_message_count == 0


def test_hidden_for_five_minutes_in_azure(queue: QueueClient) -> None:
    queue.send_message(encoded(text()))
    shown: list[str] = []
    hook = queue.receive_messages

    def receive(**options: object) -> object:
        shown.append(str(options["visibility_timeout"]))
        return hook(**options)  # type: ignore[arg-type]

    queue.receive_messages = receive  # type: ignore[method-assign,assignment]
    assert len(AzurePoisonQueue(queue).take(1)) == 1
    assert shown == ["300"]


def test_not_cleared_it_comes_back(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "HIDDEN_SECONDS", 1)
    queue.send_message(encoded(text()))
    poisons = AzurePoisonQueue(queue)
    first = poisons.take(1)
    again: list[Poison] = []
    while not again:
        again = list(poisons.take(1))
    assert again[0].receipt[0] == first[0].receipt[0]
    poisons.clear(first)  # the receipt of the first taking is worth nothing now, and that is fine
    assert queue.get_queue_properties().approximate_message_count == 1
    poisons.clear(again)
    assert queue.get_queue_properties().approximate_message_count == 0


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "no json",
        "[1]",
        "7",
        '"text"',
        "null",
        "{}",
        encoded("no json"),
        base64.b64encode(b"\xff\xfe\x00").decode(),
        '{"FunctionId": 7}',
        text(BlobName=None),
        text(ContainerName=["c"]),
        text()[:-10],
        "[" * 50_000,
    ],
)
def test_what_cannot_be_read_is_counted_and_cleared(queue: QueueClient, garbage: str) -> None:
    queue.send_message(garbage)
    poisons = AzurePoisonQueue(queue)
    taken = poisons.take(10)
    assert [(one.container, one.blob_name) for one in taken] == [("", "")]
    poisons.clear(taken)
    assert queue.get_queue_properties().approximate_message_count == 0


def test_other_functions_messages_are_left_to_them(queue: QueueClient) -> None:
    theirs = [encoded(text("x", f"Host.Functions.{name}")) for name in ("other", "re_ingest_export", "ingest_export2")]
    queue.send_message(theirs[0])
    poisons = AzurePoisonQueue(queue)
    assert poisons.take(10) == ()
    assert queue.peek_messages()[0].dequeue_count in (0, None), "looking must not count against them"
    for one in (encoded(text("1")), *theirs[1:], encoded(text("2"))):
        queue.send_message(one)
    taken = poisons.take(10)
    assert sorted(one.blob_name for one in taken) == ["1", "2"]
    assert sorted(left(queue)) == sorted(theirs), "visible again at once, with their text"
    poisons.clear(taken)
    assert sorted(left(queue)) == sorted(theirs)


def test_the_function_app_s_name_before_the_function_s(queue: QueueClient) -> None:
    queue.send_message(encoded(text("1", "my-app.Functions.ingest_export")))
    assert [one.blob_name for one in AzurePoisonQueue(queue).take(1)] == ["1"]


def test_no_more_than_asked_for(queue: QueueClient) -> None:
    for number in range(40):
        queue.send_message(encoded(text(str(number))))
    poisons = AzurePoisonQueue(queue)
    assert len(poisons.take(3)) == 3
    assert len(left(queue)) == 32
    assert poisons.take(0) == ()
    names = [one.blob_name for one in poisons.take(1000)]
    names += [one.blob_name for one in poisons.take(1000)]
    assert len(set(names)) == 37


def test_without_a_queue_there_is_nothing(queue: QueueClient) -> None:
    queue.send_message(encoded(text()))
    poisons = AzurePoisonQueue(queue)
    taken = poisons.take(1)
    poisons.clear(taken)
    poisons.clear(taken)
    queue.delete_queue()
    assert poisons.take(10) == ()
    poisons.clear(taken)


def test_a_queue_that_refuses_says_what_to_do(azurite: Azurite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sas = AzureSasCredential("sv=2022-11-02&ss=q&srt=sco&sp=r&se=2030-01-01&sig=c2VjcmV0LXNpZ25hdHVyZQ==")
    refused = AzurePoisonQueue(QueueClient(azurite.queue_url, QUEUE, credential=sas))
    with pytest.raises(LandingUnavailable, match="Storage Queue Data Contributor") as caught:
        refused.take(1)
    with pytest.raises(LandingUnavailable):
        refused.clear([Poison("c", "b", ("id", "receipt"))])
    assert "c2VjcmV0" not in str(caught.value) + repr(caught.value) + caplog.text


def test_a_queue_that_does_not_answer_is_retryable() -> None:
    nowhere = AZURITE.replace("127.0.0.1:10001", "127.0.0.1:1")
    client = QueueClient.from_connection_string(nowhere, QUEUE, retry_total=0)
    with pytest.raises(LandingUnavailable) as caught:
        AzurePoisonQueue(client).take(1)
    assert KEY not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"EXPORT_STORAGE": AZURITE}, f"http://127.0.0.1:10001/{ACCOUNT}"),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, f"http://127.0.0.1:10001/{ACCOUNT}"),
        (
            {"EXPORT_STORAGE": f"DefaultEndpointsProtocol=https;AccountName=landing;AccountKey={KEY}"},
            "https://landing.queue.core.windows.net",
        ),
        (
            {"EXPORT_STORAGE__queueServiceUri": "https://landing.queue.example", "AzureWebJobsStorage": AZURITE},
            "https://landing.queue.example",
        ),
        (
            {"EXPORT_STORAGE__blobServiceUri": "https://landing.blob.core.windows.net"},
            "https://landing.queue.core.windows.net",
        ),
        (
            {"AzureWebJobsStorage__accountName": "host", "AzureWebJobsStorage__clientId": "an-id"},
            "https://host.queue.core.windows.net",
        ),
        (
            {
                "EXPORT_STORAGE": "BlobEndpoint=https://x.blob.example;SharedAccessSignature=sv=1",
                **{"AzureWebJobsStorage": AZURITE},
            },
            f"http://127.0.0.1:10001/{ACCOUNT}",
        ),
    ],
)
def test_the_queue_is_found_by_the_settings(environment: dict[str, str], address: str) -> None:
    client = queue_client(environment)
    assert client is not None
    assert client.url == f"{address}/{QUEUE}"


@pytest.mark.parametrize(
    "environment", [{}, {"AzureWebJobsStorage": " "}, {"EXPORT_STORAGE__blobServiceUri": "https://exports.example"}]
)
def test_no_queue_without_a_setting(environment: dict[str, str]) -> None:
    assert queue_client(environment) is None


def test_the_queue_by_its_settings_works(azurite: Azurite, queue: QueueClient) -> None:
    queue.send_message(encoded(text()))
    found = queue_client({"EXPORT_STORAGE": azurite.connection_string})
    assert found is not None
    assert [one.blob_name for one in AzurePoisonQueue(found).take(1)] == [BLOB]


def test_the_function_is_the_one_deployed() -> None:
    app = (Path(__file__).parent.parent / "function_app.py").read_text(encoding="utf-8")
    assert f'@app.function_name("{adapter.FUNCTION}")\n@app.blob_trigger(' in app
    assert f'connection="{adapter.CONNECTIONS[0]}"' in app
