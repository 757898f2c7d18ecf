"""Run a statement of Snowflake's SQL in a session: each kind has its handler."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import Expr, exp

from fakesnow_server import answers, catalog, copying, definitions, integrations, staging
from fakesnow_server.answers import Answer
from fakesnow_server.errors import snowflake_error, syntax
from fakesnow_server.literals import with_bindings, with_marks
from fakesnow_server.locks import Use
from fakesnow_server.sessions import Session
from fakesnow_server.translation import (
    Translated,
    completed,
    is_temporary,
    parsed,
    translated,
)

Handler = Callable[[Session, str], Answer]

DEFINITIONS = (exp.Create, exp.Alter, exp.Drop, exp.Comment)
ABOUT_ITSELF = (exp.Use, exp.Show, exp.Describe)
COMMENT = re.compile(r"\A(\s+|--[^\n]*(\n|\Z)|/\*.*?\*/)+", re.DOTALL)

# The first pattern that fits the start of the statement.
HANDLERS: tuple[tuple[str, Handler], ...] = (
    (r"(BEGIN|START)(\s+(TRANSACTION|WORK))?(\s+NAME\s+\w+)?$", lambda session, _: begin(session)),
    (r"COMMIT(\s+WORK)?$", lambda session, _: commit(session)),
    (r"ROLLBACK(\s+WORK)?$", lambda session, _: rollback(session)),
    (r"COPY\s+INTO\b", copying.copy_into),
    (r"ALTER\s+SESSION\b", catalog.alter_session),
    (r"USE\s+(ROLE|WAREHOUSE|SECONDARY\s+ROLES)\b", catalog.use),
    (r"DROP\s+DATABASE\b", definitions.drop_database),
    (r"CREATE\s+(OR\s+REPLACE\s+)?STORAGE\s+INTEGRATION\b", integrations.create_integration),
    (r"ALTER\s+(STORAGE\s+)?INTEGRATION\b", integrations.alter_integration),
    (r"DROP\s+(STORAGE\s+)?INTEGRATION\b", integrations.drop_integration),
    (r"DESC(RIBE)?\s+(STORAGE\s+)?INTEGRATION\b", integrations.describe_integration),
    (r"SHOW\s+(STORAGE\s+)?INTEGRATIONS\b", integrations.show_integrations),
    (r"SHOW\s+GRANTS\b", integrations.show_grants),
    (r"(GRANT|REVOKE)\b", integrations.accept),
    (r"(CREATE|ALTER)\s+(OR\s+REPLACE\s+)?(ROLE|USER|WAREHOUSE|NETWORK\s+POLICY)\b", integrations.accept),
    (r"SHOW\s+PARAMETERS\b", catalog.show_parameters),
    (r"SHOW\s+(TERSE\s+)?WAREHOUSES\b", catalog.show_warehouses),
    (r"(DESC|DESCRIBE)\s+TABLE\b", catalog.describe_table),
    (r"SHOW\s+COLUMNS\b", catalog.show_columns),
    (r"SHOW\s+(LOCKS|TRANSACTIONS)\b", catalog.show_transactions),
    (r"CREATE\s+(OR\s+REPLACE\s+)?(TEMP(ORARY)?\s+)?STAGE\b", staging.create_stage),
    (r"DROP\s+STAGE\b", staging.drop_stage),
    (r"(DESC|DESCRIBE)\s+STAGE\b", staging.describe_stage),
    (r"SHOW\s+STAGES\b", staging.show_stages),
    (r"(LIST|LS)\b", staging.list_stage),
    (r"(REMOVE|RM)\b", staging.remove),
    (r"PUT\b", staging.put),
)
COMPILED = tuple((re.compile(pattern, re.IGNORECASE), handler) for pattern, handler in HANDLERS)


def run(session: Session, sql: str, bindings: Mapping[str, Any] | None = None) -> Answer:
    """Run one statement; raises SnowflakeError."""
    try:
        plain = COMMENT.sub("", sql).rstrip().rstrip(";").rstrip()
        handler = next((handler for pattern, handler in COMPILED if pattern.match(plain)), None)
        if handler is not None:
            return handler(session, with_bindings(plain, bindings))
        if is_batch(bindings):
            return run_batch(session, plain, bindings or {})
        return run_text(session, plain, bindings)
    except Exception as error:
        raise snowflake_error(error) from error


def run_text(session: Session, sql: str, bindings: Mapping[str, Any] | None) -> Answer:
    """Run what needs translating, bound and long values kept aside meanwhile."""
    short, literals = with_marks(sql, bindings)
    statement = session.warehouse.translations.get(session, short)
    if statement is None:
        expression = parsed(short)
        if isinstance(expression, (exp.Command, exp.Copy)):
            raise syntax(f"unexpected '{sql[:60]}'")
        if isinstance(expression, (*DEFINITIONS, *ABOUT_ITSELF)):
            return run_definition(session, with_bindings(sql, bindings), keep=not literals)
        statement = translated(session, expression)
        session.warehouse.translations.keep(session, short, statement)
    return run_translated(session, completed(statement, literals))


def run_definition(session: Session, sql: str, *, keep: bool) -> Answer:
    """Run what defines or tells about tables and sessions; that of a temporary table is worth keeping translated."""
    expression = parsed(sql)
    if isinstance(expression, ABOUT_ITSELF):
        return through_fakesnow(session, translated(session, expression))
    if not plainly_temporary(expression):
        return define(session, expression)
    statement = translated(session, expression)
    answer = create_temporary(session, statement)
    if keep:
        session.warehouse.translations.keep(session, sql, statement)
    return answer


def is_batch(bindings: Mapping[str, Any] | None) -> bool:
    """Say whether a binding holds a list of values, one per row."""
    return any(isinstance(binding["value"], list) for binding in (bindings or {}).values())


def run_batch(session: Session, sql: str, bindings: Mapping[str, Any]) -> Answer:
    """Run an insert once per row of bound lists, as one statement."""
    rows = zip(*([{**b, "value": one} for one in b["value"]] for b in bindings.values()), strict=True)
    alone = session.transaction is None and session.autocommit
    session.begin()
    try:
        done = [run_text(session, sql, dict(zip(bindings, row))) for row in rows]
    except BaseException:
        if alone:
            session.rollback()
        raise
    if alone:
        session.commit()
    return answers.changed(answers.INSERT, {"number of rows inserted": sum(answer.rows for answer in done)})


def run_translated(session: Session, statement: Translated) -> Answer:
    """Run a query or a change of data."""
    match statement.expression:
        case exp.Insert() | exp.Update() | exp.Delete() | exp.Merge() | exp.TruncateTable():
            return change(session, statement)
        case exp.Create():
            return create_temporary(session, statement)
        case _:
            return query(session, statement)


def begin(session: Session) -> Answer:
    """Open a transaction."""
    session.begin()
    return answers.done(type_id=answers.TRANSACTION)


def commit(session: Session) -> Answer:
    """End a transaction and keep its changes."""
    session.commit()
    return answers.done(type_id=answers.TRANSACTION)


def rollback(session: Session) -> Answer:
    """End a transaction and undo its changes."""
    session.rollback()
    return answers.done(type_id=answers.TRANSACTION)


def query(session: Session, statement: Translated) -> Answer:
    """Answer a SELECT."""
    return session.read(statement.tables, lambda: fetched(session, statement.sql))


def fetched(session: Session, sql: str) -> Answer:
    """Run a query in DuckDB and take its rows."""
    session.duck.execute(sql)
    return answers.of_last_query(session.duck)


def change(session: Session, statement: Translated) -> Answer:
    """Change data and answer with Snowflake's counts."""
    kind = type(statement.expression)
    if kind is exp.TruncateTable:
        session.write(target(statement), Use.CHANGE, statement.tables, lambda: session.duck.execute(statement.sql))
        return answers.done()
    use = Use.APPEND if kind is exp.Insert else Use.CHANGE
    rows = session.write(
        target(statement), use, statement.tables, lambda: session.duck.execute(statement.sql).fetchall()
    )
    if kind is exp.Merge:
        return answers.changed(answers.MERGE, merge_counts(statement.expression, rows))
    count = int(rows[0][0])
    if kind is exp.Insert:
        return answers.changed(answers.INSERT, {"number of rows inserted": count})
    if kind is exp.Delete:
        return answers.changed(answers.DELETE, {"number of rows deleted": count})
    counts = {"number of rows updated": count, "number of multi-joined rows updated": 0}
    return answers.changed(answers.UPDATE, counts)


def target(statement: Translated) -> tuple[str, str, str]:
    """Give the table that is changed."""
    if statement.target is None:
        raise syntax("no table to change")
    return statement.target


def merge_counts(merge: Expr, rows: list[tuple[str]]) -> dict[str, int]:
    """Count what a MERGE did, in the order and with the columns of Snowflake."""
    done = Counter(row[0] for row in rows)
    possible = {action_of(when) for when in merge.args["whens"].expressions}
    names = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}
    return {f"number of rows {word}": done[action] for action, word in names.items() if action in possible}


def action_of(when: Expr) -> str:
    """Name what a WHEN clause does."""
    then = when.args["then"]
    return then.key.upper() if isinstance(then, (exp.Insert, exp.Update)) else then.name.upper()


def define(session: Session, expression: Expr) -> Answer:
    """Create, alter or drop; what is there already needs no lock and commits what is open all the same."""
    if (same := definitions.already_so(session, expression)) is not None:
        session.commit()
        return same
    if isinstance(expression, exp.Create) and (like := expression.find(exp.LikeProperty)):
        expression = definitions.create_like(session, expression, like)
    statement = translated(session, expression)
    if isinstance(expression, exp.Create) and is_temporary(expression):
        return create_temporary(session, statement)
    answer = session.define(statement.target, lambda: defined(session, statement))
    remember(session, statement)
    return answer


def plainly_temporary(expression: Expr) -> bool:
    """Say whether a definition makes a temporary table from columns that it names."""
    if not isinstance(expression, exp.Create) or expression.kind != "TABLE" or not is_temporary(expression):
        return False
    unlike = expression.find(exp.LikeProperty) is None and expression.expression is None
    return unlike and isinstance(expression.this, exp.Schema) and not expression.args.get("exists")


def create_temporary(session: Session, statement: Translated) -> Answer:
    """Create a temporary table, in DuckDB's schema for them."""
    if statement.target is None:
        raise syntax("no table to create")
    session.define(None, lambda: session.duck.execute(statement.sql))
    session.temporary[statement.target] = statement.spelled
    remember(session, statement)
    return answers.done(f"Table {statement.target[2]} successfully created.", answers.DDL)


def defined(session: Session, statement: Translated) -> Answer:
    """Run a definition, in parts where DuckDB takes one thing at a time."""
    cursor = session.connection.cursor()
    for part in cursor._transform_explode(statement.expression):
        cursor._execute(part)
    session.connection.results_cache.clear()
    return answers.of_fakesnow(cursor, session.duck, answers.DDL)


def remember(session: Session, statement: Translated) -> None:
    """Keep what follows from a definition: dropped temporary tables, forgotten loads, a new current database."""
    expression = statement.expression
    if expression.args.get("create_db_name"):
        definitions.use_new_database(session, expression.args["create_db_name"])
    if statement.target is None:
        return
    if isinstance(expression, exp.Drop):
        session.temporary.pop(statement.target, None)
    if isinstance(expression, exp.Create) and statement.target not in session.temporary:
        session.warehouse.spelling[statement.target] = statement.spelled
    if isinstance(expression, (exp.Drop, exp.Create)):
        loaded = session.warehouse.loaded
        loaded -= {one for one in loaded if one[0] == statement.target}


def through_fakesnow(session: Session, statement: Translated) -> Answer:
    """Leave a statement about the session or the catalogue to fakesnow."""
    cursor = session.connection.cursor()
    session.read(statement.tables, lambda: cursor._execute(statement.expression))
    session.connection.results_cache.clear()
    return answers.of_fakesnow(cursor, session.duck, answers.SHOW)
