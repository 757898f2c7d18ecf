"""The HTTP interface of the connector: log in, run statements, log out; and one for tests to plan faults."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import time
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakesnow_server import statements
from fakesnow_server.answers import Answer
from fakesnow_server.errors import SnowflakeError
from fakesnow_server.faults import Fault, Faults
from fakesnow_server.replies import Reply, failure, logged_in, renewal, success
from fakesnow_server.sessions import REMEMBERED_REQUESTS, Session, Sessions
from fakesnow_server.transactions import now
from fakesnow_server.transcript import Transcript

TOKEN = re.compile(r'Snowflake Token="([^"]*)"')


class Dropped(Exception):
    """A test wants the connection closed without an answer."""


class HttpFault(Exception):
    """A test wants an HTTP status instead of an answer."""


class Server(ThreadingHTTPServer):
    """One thread per connection of a client."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, sessions: Sessions, transcript: Transcript) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.sessions = sessions
        self.transcript = transcript
        self.faults = Faults()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""


class Handler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        """Send answers at once."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def finish(self) -> None:
        """Let the sessions know that this connection ended."""
        self.server.sessions.unlink(self)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing; the transcript tells more."""

    def do_GET(self) -> None:
        """Answer that the server lives."""
        self.respond(200, {"success": True, "faults": self.server.faults.left()})

    def do_POST(self) -> None:
        """Answer a request of the connector or of a test."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            given = json.loads(body) if body else {}
            self.respond(200, self.reply(url.path, asked, given, len(raw)))
        except SnowflakeError as error:
            self.respond(200, failure(error))
        except HttpFault as fault:
            self.respond(fault.args[0], {"success": False})
        except Dropped:
            self.close_connection = True
        except (ValueError, TypeError, KeyError) as error:
            self.respond(400, {"success": False, "code": "390000", "message": repr(error)})

    def reply(self, path: str, asked: dict[str, str], given: Any, size: int) -> Reply:
        """Choose what a path means."""
        match path:
            case "/queries/v1/query-request":
                return self.answer_once(self.session(), asked.get("requestId", ""), given, size)
            case "/session/v1/login-request":
                return self.login(asked, given)
            case "/session" if asked.get("delete"):
                self.server.sessions.close(self.token())
            case "/session/token-request":
                return renewal(self.session())
            case "/queries/v1/abort-request":
                self.session().cancel()
            case "/testing/faults":
                self.server.faults.plan(given)
            case "/session" | "/session/heartbeat":
                self.session()
        return {"success": True, "data": None, "code": None, "message": None}

    def login(self, asked: dict[str, str], given: Any) -> Reply:
        """Log a client in."""
        befall(self.server.faults.next("LOGIN"))
        session = self.server.sessions.open(given["data"], asked.get("databaseName"), asked.get("schemaName"))
        session.links.add(self)
        session.warehouse_name = (asked.get("warehouse") or "").upper() or None
        session.role = (asked.get("roleName") or session.role).upper()
        return logged_in(session)

    def answer_once(self, session: Session, request: str, given: Any, size: int) -> Reply:
        """Run a statement; a request that comes again gets the answer of the first time, as in Snowflake."""
        session.links.add(self)
        seen = session.answers.get(request)
        if seen is not None:
            return seen.result()
        answer: Future[Reply] = Future()
        if request:
            session.answers[request] = answer
            while len(session.answers) > REMEMBERED_REQUESTS:
                session.answers.popitem(last=False)
        try:
            with session.lock:
                answer.set_result(self.run(session, given, size))
        except BaseException as error:
            session.answers.pop(request, None)
            answer.set_exception(error)
            raise
        finally:
            session.last_used = now()
        after = answer.result().pop("_after", None)
        befall(after)
        return answer.result()

    def run(self, session: Session, given: Any, size: int) -> Reply:
        """Run a statement with its own parameters, and write it down."""
        sql, started = given["sqlText"], time.perf_counter()
        fault = self.server.faults.next(sql)
        tag = session.parameters.get("QUERY_TAG", "")
        own = {name.upper(): value for name, value in (given.get("parameters") or {}).items()}
        line = {
            "session": session.id,
            "sequence": next(session.sequence),
            "sql": sql,
            "query_tag": own.get("QUERY_TAG", tag),
            "bytes": size,
        }
        rows, error = None, None
        kept = dict(session.parameters)
        session.cancelled = False
        session.last_used = now()
        try:
            if fault is not None and not fault.after:
                befall(fault)
            session.parameters |= own
            answer = (
                describe(session, given) if given.get("describeOnly") else statements.run(session, sql, bound(given))
            )
            rows = answer.rows
            reply = success(session, answer)
        except SnowflakeError as raised:
            error = str(raised)
            reply = failure(raised)
        except (Dropped, HttpFault) as raised:
            error = type(raised).__name__
            raise
        finally:
            if own:
                restore(session, kept, own)
            seconds = round(time.perf_counter() - started, 6)
            self.server.transcript.note(**line, rows=rows, error=error, seconds=seconds)
        if fault is not None and fault.after:
            reply["_after"] = fault
        return reply

    def session(self) -> Session:
        """Find the session of the request."""
        return self.server.sessions.get(self.token())

    def token(self) -> str:
        """Read the token of the request."""
        found = TOKEN.search(self.headers.get("Authorization") or "")
        if not found:
            raise SnowflakeError(390103, "08001", "Session token not found in the request data.")
        return found[1]

    def respond(self, status: int, content: Reply) -> None:
        """Send JSON in one piece."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def befall(fault: Fault | None) -> None:
    """Let a fault happen."""
    if fault is None:
        return
    match fault.do:
        case "delay":
            time.sleep(fault.seconds)
        case "error":
            raise SnowflakeError(fault.errno, fault.sqlstate, fault.message)
        case "http":
            raise HttpFault(fault.status)
        case "drop":
            raise Dropped


def bound(given: Any) -> Any:
    """Give the bindings in the order of their placeholders."""
    return given.get("bindings") or None


def restore(session: Session, kept: dict[str, Any], own: dict[str, Any]) -> None:
    """Take the parameters of one statement away again."""
    for name in own:
        if name in kept:
            session.parameters[name] = kept[name]
        else:
            session.parameters.pop(name, None)


def describe(session: Session, given: Any) -> Answer:
    """Tell the columns a query would answer."""
    answer = statements.run(session, f"SELECT * FROM ({given['sqlText'].rstrip().rstrip(';')}) LIMIT 0", bound(given))
    return Answer(answer.table, answer.rowtype, answer.type_id)
