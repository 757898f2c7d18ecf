"""Send messages to a real web server and a real mail server, and keep the URLs' secrets to ourselves."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ingest.channels import Message
from ingest.errors import NotificationFailed, SettingsError
from ingest.notify import AppriseNotifier, parse_urls

ROOT = Path(__file__).parent.parent
SECRET = "s3cr3t-t0ken"
STALL = Message("Exports of metrics stall", "Since 04:00.\nRun: python -m ingest status\n<b>&\\n ü", "critical")


@dataclass
class Web:
    """What a web server got, and what holds its slow answers back."""

    port: int = 0
    got: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path and body of each request."""
    held: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def web() -> Iterator[Web]:
    """Serve until the block ends: `/answer/<code>` answers so, `/hang` not at all, `/drip` byte after byte for ever."""
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.got.append((self.command, self.path, body))
            kind, _, rest = self.path.strip("/").partition("/")
            if kind == "hang":
                state.held.wait(60)
                return
            self.send_response(int(rest.partition("/")[0] or 200) if kind == "answer" else 200)
            if "302" in rest:
                self.send_header("Location", "/elsewhere")
            if kind == "broken":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n no header at all\r\n\r\n")
                return
            self.end_headers()
            while kind == "drip" and not state.held.wait(0.05):
                try:
                    self.wfile.write(b".")
                except OSError:
                    return

        do_GET = do_POST

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.held.set()
            server.shutdown()
            thread.join()


@dataclass
class Post:
    """What a mail server got, and whom it lets in."""

    port: int
    got: list[EmailMessage] = field(default_factory=list)
    sign_ins: list[tuple[bytes, bytes]] = field(default_factory=list)
    lets_in: bool = True


@contextlib.contextmanager
def mail() -> Iterator[Post]:
    """Take mail until the block ends."""
    state = Post(free_port())

    class Keeper:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            state.got.append(BytesParser(EmailMessage, policy=default).parsebytes(bytes(envelope.content or b"")))
            return "250 OK"

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        state.sign_ins.append((data.login, data.password))
        return AuthResult(success=state.lets_in, handled=False)

    controller = Controller(
        Keeper(), "127.0.0.1", state.port, authenticator=authenticate, auth_require_tls=False, auth_required=True
    )
    controller.start()
    try:
        yield state
    finally:
        controller.stop()


def free_port() -> int:
    """Give a port on which nobody listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def receiver() -> Iterator[Web]:
    with web() as state:
        yield state


@pytest.fixture
def post() -> Iterator[Post]:
    with mail() as state:
        yield state


@pytest.fixture(autouse=True)
def secrets_stay(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Look at everything that anybody logs or prints, at the lowest level, after each test."""
    caplog.set_level(1)
    yield
    output = capfd.readouterr()
    seen = "".join(
        [output.out, output.err, *(record.getMessage() + str(record.exc_info) for record in caplog.get_records("call"))]
    )
    assert SECRET not in seen


def only(url: str, *, limit: float = 10.0) -> tuple[AppriseNotifier, str]:
    notifier = AppriseNotifier(parse_urls(url), limit=limit)
    (channel,) = notifier.channels()
    return notifier, channel


def failure(url: str, *, limit: float = 10.0) -> str:
    """Return how the channel's failure reads, and see that it tells no secret in any way."""
    notifier, channel = only(url, limit=limit)
    with pytest.raises(NotificationFailed) as caught:
        notifier.send(channel, STALL)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    for text in (str(error), repr(error), repr(notifier), channel):
        assert SECRET not in text
        assert "127.0.0.1" not in text
    assert repr(channel) in str(error)
    return str(error)


@pytest.mark.parametrize(("severity", "kind"), [("critical", "failure"), ("warning", "warning"), ("fine", "success")])
def test_a_message_arrives_as_it_is(receiver: Web, severity: str, kind: str) -> None:
    notifier, channel = only(f"json://user:{SECRET}@127.0.0.1:{receiver.port}/hook/{SECRET}")
    notifier.send(channel, Message(STALL.title, STALL.text, severity))
    ((method, path, body),) = receiver.got
    got = json.loads(body)
    assert (method, path) == ("POST", f"/hook/{SECRET}")
    assert (got["title"], got["message"], got["type"]) == (STALL.title, STALL.text, kind)


def test_form_and_xml(receiver: Web) -> None:
    urls = parse_urls(f"form://127.0.0.1:{receiver.port}/form xml://127.0.0.1:{receiver.port}/xml")
    notifier = AppriseNotifier(urls)
    for channel in notifier.channels():
        notifier.send(channel, STALL)
    (_, _, form), (_, _, xml) = receiver.got
    assert parse_qs(form.decode())["message"] == [STALL.text]
    texts = [element.text for element in ET.fromstring(xml).iter()]
    assert STALL.title in texts
    assert STALL.text in texts


def test_a_text_longer_than_the_channel_takes_arrives_in_parts(receiver: Web) -> None:
    words = [f"word{number}" for number in range(9000)]
    notifier, channel = only(f"json://127.0.0.1:{receiver.port}/")
    notifier.send(channel, Message("Long", " ".join(words), "warning"))
    parts = [json.loads(body)["message"] for _, _, body in receiver.got]
    assert len(parts) > 1
    assert " ".join(parts).split() == words


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_mail_arrives(post: Post) -> None:
    notifier, channel = only(
        f"mailto://user:{SECRET}@127.0.0.1:{post.port}/?from=ingest@example.com&to=a@example.com,b@example.com"
        "&mode=insecure"
    )
    notifier.send(channel, STALL)
    assert post.sign_ins == [(b"user", SECRET.encode())]
    assert sorted(str(one["To"]) for one in post.got) == ["a@example.com", "b@example.com"]
    for one in post.got:
        assert one["Subject"] == STALL.title
        body = one.get_body(("plain", "html"))
        assert body is not None
        assert "python -m ingest status" in body.get_content()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_mail_that_the_server_refuses(post: Post) -> None:
    post.lets_in = False
    url = f"mailto://user:{SECRET}@127.0.0.1:{post.port}/?from=ingest@example.com&to=a@example.com&mode=insecure"
    assert "answered 535" in failure(url)
    assert post.sign_ins
    assert not post.got


@pytest.mark.parametrize("code", [302, 400, 401, 404, 500, 503])
def test_an_answer_that_is_no_yes(receiver: Web, code: int) -> None:
    url = f"json://user:{SECRET}@127.0.0.1:{receiver.port}/answer/{code}/{SECRET}"
    assert f"answered {code}" in failure(url)
    assert len(receiver.got) == 1, "a redirect would be followed by a GET, without the message"


def test_a_failure_of_an_optional_channel_is_one(receiver: Web) -> None:
    assert "answered 500" in failure(f"json://127.0.0.1:{receiver.port}/answer/500?optional=yes")


@pytest.mark.parametrize(
    "url",
    [
        f"json://user:{SECRET}@127.0.0.1:{{port}}/{SECRET}",
        f"mailto://user:{SECRET}@127.0.0.1:{{port}}/?from=a@example.com&to=b@example.com&mode=insecure",
    ],
)
def test_a_closed_port(url: str) -> None:
    assert "not reached" in failure(url.format(port=free_port()))


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_channel_that_hangs_is_left_behind(receiver: Web, kind: str) -> None:
    notifier, channel = only(f"json://127.0.0.1:{receiver.port}/{kind}/{SECRET}", limit=0.5)
    before, threads = time.monotonic(), threading.active_count()
    with pytest.raises(NotificationFailed, match=r"no answer within 0\.5 s"):
        notifier.send(channel, STALL)
    with pytest.raises(NotificationFailed, match="still busy"):
        notifier.send(channel, STALL)
    assert time.monotonic() - before < 3
    assert len(receiver.got) == 1
    receiver.held.set()
    notifier._under_way[channel].join(10)
    assert threading.active_count() <= threads + 1


def test_a_mail_server_that_says_nothing_is_left_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"mailto://user:{SECRET}@127.0.0.1:{port}/?from=a@example.com&to=b@example.com&mode=insecure"
        assert "no answer within 0.5 s" in failure(url, limit=0.5)


def test_the_limit_is_about_ten_seconds(receiver: Web) -> None:
    """The HTTP library's own time-out comes first, and tells the same."""
    before = time.monotonic()
    assert "did not answer in time" in failure(f"json://127.0.0.1:{receiver.port}/hang/{SECRET}")
    assert time.monotonic() - before < 11


def test_one_channel_s_failure_is_its_own(receiver: Web) -> None:
    text = f"json://127.0.0.1:{free_port()}/x\njson://127.0.0.1:{receiver.port}/good"
    notifier = AppriseNotifier(parse_urls(text))
    bad, good = notifier.channels()
    with pytest.raises(NotificationFailed):
        notifier.send(bad, STALL)
    notifier.send(good, STALL)
    assert len(receiver.got) == 1


def test_a_broken_answer_tells_no_path(receiver: Web) -> None:
    """urllib3 would log the URL of an answer whose headers it cannot read."""
    notifier, channel = only(f"json://127.0.0.1:{receiver.port}/broken/{SECRET}")
    notifier.send(channel, STALL)
    assert len(receiver.got) == 1


def test_other_users_of_the_http_library_keep_their_logs(receiver: Web, caplog: pytest.LogCaptureFixture) -> None:
    import requests

    only(f"json://127.0.0.1:{receiver.port}/")
    with requests.get(f"http://127.0.0.1:{receiver.port}/theirs", timeout=5) as answer:
        assert answer.ok
    assert "/theirs" in caplog.text


def test_the_message_s_own_words_do_not_pass_for_the_kind_of_failure() -> None:
    notifier, channel = only(f"json://127.0.0.1:{free_port()}/")
    with pytest.raises(NotificationFailed, match="not reached"):
        notifier.send(channel, Message("error=500", "Socket Exception: (535, timed out", "warning"))


def test_a_plugin_that_breaks_is_told_by_the_kind_of_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    notifier, channel = only("json://127.0.0.1/")

    def broken(**_: object) -> bool:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(notifier._channels[channel], "notify", broken)
    with pytest.raises(NotificationFailed, match="RuntimeError") as caught:
        notifier.send(channel, STALL)
    assert SECRET not in str(caught.value)


def test_a_channel_that_nobody_named() -> None:
    with pytest.raises(NotificationFailed, match="no channel"):
        AppriseNotifier(()).send("slack-000000", STALL)


def test_names_are_the_same_in_every_process() -> None:
    text = f"json://u:{SECRET}@127.0.0.1/a;jsons://127.0.0.1/b  https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    here = AppriseNotifier(parse_urls(text)).channels()
    code = "import sys; from ingest.notify import *; print(*AppriseNotifier(parse_urls(sys.argv[1])).channels())"
    there = subprocess.run([sys.executable, "-c", code, text], cwd=ROOT, capture_output=True, text=True, check=True)
    assert there.stdout.split() == list(here)
    assert [name.rpartition("-")[0] for name in here] == ["json", "jsons", "slack"]
    assert len(set(here)) == 3


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", ()),
        (" ;\n; ", ()),
        ("json://a/1 json://b/2", ("json://a/1", "json://b/2")),
        ("json://a/1;\n  json://b/2;", ("json://a/1", "json://b/2")),
        ("json://a/1\tjson://a/1", ("json://a/1",)),
        (
            "mailto://u:p@example.com?to=a@example.com,b@example.com json://b",
            ("mailto://u:p@example.com?to=a@example.com,b@example.com", "json://b"),
        ),
    ],
)
def test_urls_are_separated_by_white_space_and_semicolons(text: str, urls: tuple[str, ...]) -> None:
    assert parse_urls(text) == urls


@pytest.mark.parametrize(
    ("bad", "scheme"),
    [
        (f"slakc://{SECRET}/B/C", "slakc://"),
        (f"slack://{SECRET}", "slack://"),
        (f"mailto://u:{SECRET}@127.0.0.1/?to=nobody", "mailto://"),
        (SECRET, "without a scheme"),
        (f"{SECRET}{SECRET}{SECRET}://x", "without a scheme"),
        ("json://", "json://"),
        (f"json://a/{SECRET},json://b", "json://"),
        (f"json://a/{SECRET},", "json://"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_by_its_place(bad: str, scheme: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_urls(f"json://127.0.0.1/ok {bad}")
    said = str(caught.value)
    assert said.startswith("ALERT_URLS: ")
    assert "number 2" in said
    assert scheme in said
    assert SECRET not in said + repr(caught.value)
    with pytest.raises(SettingsError, match="number 1"):
        AppriseNotifier((bad,))


def test_apprise_is_imported_only_when_needed() -> None:
    code = "import sys; from ingest.notify import *; parse_urls(' '); AppriseNotifier(()); sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_hanging_channel_does_not_keep_the_process_and_logs_nothing(receiver: Web) -> None:
    code = (
        "import logging, sys\nfrom ingest.notify import *\nfrom ingest.channels import Message\n"
        "logging.basicConfig(level=1)\n"
        "notifier = AppriseNotifier(sys.argv[1:], limit=1)\n"
        "try: notifier.send(notifier.channels()[0], Message('t', 'x', 'fine'))\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    words = [sys.executable, "-c", code, f"json://127.0.0.1:{receiver.port}/drip/{SECRET}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "NotificationFailed"
    assert SECRET not in done.stderr


def test_apprise_s_own_logger_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    failure(f"json://u:{SECRET}@127.0.0.1:{free_port()}/{SECRET}")
    assert not [record for record in caplog.records if record.name.startswith(("apprise", "urllib3"))]
