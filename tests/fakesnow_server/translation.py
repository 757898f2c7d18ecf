"""From Snowflake's SQL to DuckDB's: fakesnow's translation, with what it lacks done before and after it."""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlglot
from fakesnow.dialect import parse
from sqlglot import Expr, exp

from fakesnow_server.errors import SnowflakeError, syntax
from fakesnow_server.literals import with_long_literals
from fakesnow_server.locks import TableName
from fakesnow_server.names import check_case
from fakesnow_server.physical import TEMPORARY

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

logging.getLogger("sqlglot").setLevel(logging.ERROR)

CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
KEPT = (exp.Select, *CHANGES, exp.Create)
MOST_KEPT = 500
INSTANT = "__now__"
CLOCK = exp.Anonymous(this="GET_CURRENT_TIMESTAMP")
NOW = (exp.CurrentTimestamp, exp.Localtimestamp)
KEYS = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)
TABLE_KEYS = (exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint)


@dataclass(frozen=True, slots=True)
class Translated:
    """A statement for DuckDB, the table it changes and all tables it touches."""

    expression: Expr
    sql: str
    target: TableName | None
    spelled: str
    tables: frozenset[TableName]


def parsed(sql: str) -> Expr:
    """Read one statement of Snowflake's SQL."""
    statements = [one for one in parse(sql) if one is not None and not isinstance(one, exp.Semicolon)]
    if len(statements) != 1:
        text = f"Actual statement count {len(statements)} did not match the desired statement count 1."
        raise SnowflakeError(8, "0A000", text)
    expression = statements[0]
    if isinstance(expression, (exp.Alias, exp.Column, exp.Identifier)):
        raise syntax(f"unexpected '{sql[:40]}'")
    return expression


class Translations:
    """The latest translations, for statements that come again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], Translated] = OrderedDict()

    def get(self, session: Session, sql: str) -> Translated | None:
        """Give the translation of a text for a session that stands where the other one stood."""
        with self._lock:
            return self._kept.get(self._key(session, sql))

    def keep(self, session: Session, sql: str, statement: Translated) -> None:
        """Keep a translation of a query, a change of data or the making of a temporary table."""
        if isinstance(statement.expression, KEPT) and not re.search("CURRENT_TRANSACTION|CURRENT_SESSION", sql, re.I):
            with self._lock:
                self._kept[self._key(session, sql)] = statement
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)

    def _key(self, session: Session, sql: str) -> tuple[Any, ...]:
        at = session.connection
        place = (at.database, at.schema, session.role, session.warehouse_name, session.user)
        return sql, *place, frozenset(session.temporary)


def completed(statement: Translated, literals: Mapping[str, str]) -> Translated:
    """Put the time and the long texts in the places of their marks."""
    sql = statement.sql
    if INSTANT in sql:
        sql = sql.replace(INSTANT, dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))
    return replace(statement, sql=with_long_literals(sql, literals))


def translated(session: Session, expression: Expr) -> Translated:
    """Translate a statement for a session: its current schema, its temporary tables, its clock."""
    cursor = session.connection.cursor()
    cursor.check_db_and_schema(expression)
    expression = expression.transform(lambda node: before(session, node), copy=False)
    expression = cursor._transform(expression, None)
    expression = expression.transform(after, copy=False)
    expression = merge_for_duckdb(expression)
    made = target_of(expression)
    target = table_name(session, made) if made else None
    spelled = f"{made.db or session.connection.schema}.{made.name}" if made else ""
    check_case(session, expression)
    tables = frozenset(placed_tables(session, expression))
    sql = expression.sql(dialect="duckdb")
    if isinstance(expression, exp.Merge):
        sql += " RETURNING merge_action"
    return Translated(expression, sql, target, spelled, tables)


def before(session: Session, node: Expr) -> Expr:
    """Replace what depends on the session, on the time of the statement, or what fakesnow translates wrongly."""
    if isinstance(node, NOW) and is_of_view(node):
        return exp.Anonymous(this="MAKE_TIMESTAMP", expressions=[exp.Anonymous(this="EPOCH_US", expressions=[CLOCK])])
    if isinstance(node, NOW) and not node.find_ancestor(exp.ColumnDef):
        return instant("TIMESTAMP" if node.args.get("sysdate") or node.key == "localtimestamp" else "TIMESTAMPTZ")
    if node.key == "currentrole":
        return exp.Literal.string(session.role)
    if node.key == "currentwarehouse":
        return exp.Literal.string(session.warehouse_name) if session.warehouse_name else exp.Null()
    if node.key == "currentuser":
        return exp.Literal.string(session.user)
    if node.key in {"currentsession", "currenttransaction", "currentaccount"} or isinstance(node, exp.Anonymous):
        return session_function(session, node)
    if isinstance(node, exp.ArrayContains):
        return exp.Anonymous(this="JSON_CONTAINS", expressions=[uncast(node.this), as_variant(node.expression)])
    if isinstance(node, exp.Cast) and node.is_type("VARIANT"):
        return as_variant(node)
    if isinstance(node, exp.Select) and node.parent is None:
        return named_columns(node)
    if isinstance(node, exp.Schema) and isinstance(node.parent, exp.Create):
        return without_keys(node)
    return node


def is_of_view(node: Expr) -> bool:
    """Tell whether it stands in a view's definition: there the time is that of each look."""
    made = node.find_ancestor(exp.Create)
    return made is not None and made.kind == "VIEW"


def as_variant(node: Expr) -> Expr:
    """Make a VARIANT of a value: fakesnow would read a text as JSON."""
    return exp.Anonymous(this="TO_JSON", expressions=[uncast(node)])


def uncast(node: Expr) -> Expr:
    """Take a cast off: arrays and variants are JSON already."""
    return node.this if isinstance(node, exp.Cast) else node


def session_function(session: Session, node: Expr) -> Expr:
    """Answer the functions that tell about the session."""
    name = node.name.upper() if isinstance(node, exp.Anonymous) else node.key.upper()
    match name.replace("_", ""):
        case "CURRENTSESSION":
            return exp.Literal.string(str(session.id))
        case "CURRENTTRANSACTION":
            return exp.Literal.string(str(session.transaction.id)) if session.transaction else exp.Null()
        case "CURRENTACCOUNT" | "CURRENTACCOUNTNAME":
            return exp.Literal.string("FAKESNOW")
        case "CURRENTROLE":
            return exp.Literal.string(session.role)
        case "CURRENTWAREHOUSE":
            return exp.Literal.string(session.warehouse_name) if session.warehouse_name else exp.Null()
    return node


def instant(kind: str) -> Expr:
    """Mark the time of now: DuckDB's own stands still in a transaction, Snowflake's does not."""
    return exp.cast(exp.Literal.string(INSTANT), kind, dialect="duckdb")


def named_columns(select: exp.Select) -> exp.Select:
    """Name the columns of a result that have no name after their text, as Snowflake does."""
    for at, column in enumerate(select.expressions):
        if not isinstance(column, (exp.Column, exp.Alias, exp.Star)) and not column.find(exp.Star):
            alias = column.sql(dialect="snowflake", comments=False).upper()
            select.expressions[at].replace(exp.alias_(column.copy(), alias, quoted=True))
        elif isinstance(column, exp.Count) and isinstance(column.this, exp.Star):
            column.replace(exp.alias_(column.copy(), "COUNT(*)", quoted=True))
    return select


def without_keys(schema: exp.Schema) -> exp.Schema:
    """Take keys out of a table's definition: Snowflake does not enforce them."""
    kept = [part for part in schema.expressions if not isinstance(part, TABLE_KEYS)]
    kept = [part for part in kept if not (isinstance(part, exp.Constraint) and part.find(*TABLE_KEYS))]
    for column in kept:
        constraints = column.args.get("constraints")
        if constraints:
            column.set("constraints", [c for c in constraints if not isinstance(c.args.get("kind"), KEYS)])
    schema.set("expressions", kept)
    return schema


def after(node: Expr) -> Expr:
    """Replace what has no equal in DuckDB, and quote all names: DuckDB reserves words that Snowflake does not."""
    if isinstance(node, exp.Identifier):
        node.set("quoted", True)
    if isinstance(node, exp.TruncateTable):
        node.set("exists", None)
    if node.key == "md5numberlower64":
        digits = sqlglot.parse_one("CAST('0x' || SUBSTR(MD5(x), 17) AS UBIGINT)", read="duckdb")
        digits.find(exp.Column).replace(node.this)
        return exp.cast(digits, "HUGEINT", dialect="duckdb")
    return node


def merge_for_duckdb(expression: Expr) -> Expr:
    """Take the target's name from what a MERGE sets: DuckDB wants the column alone."""
    if isinstance(expression, exp.Merge):
        for when in expression.args["whens"].expressions:
            then = when.args.get("then")
            if isinstance(then, exp.Update):
                for assignment in then.expressions:
                    assignment.this.set("table", None)
    return expression


def target_of(expression: Expr) -> exp.Table | None:
    """Give the table a statement changes or defines."""
    if not isinstance(expression, (*CHANGES, exp.Create, exp.Alter, exp.Drop, exp.TruncateTable)):
        return None
    this = expression.this
    if isinstance(expression, (exp.TruncateTable, exp.Drop)):
        this = this or next(iter(expression.expressions or expression.args.get("tables") or []), None)
    this = this.this if isinstance(this, exp.Schema) else this
    return this if isinstance(this, exp.Table) else None


def placed_tables(session: Session, expression: Expr) -> list[TableName]:
    """Give the tables a statement touches, and point those that are temporary to where DuckDB keeps them."""
    named_inside = {cte.alias_or_name.upper() for cte in expression.find_all(exp.CTE)}
    found = []
    for table in expression.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or (not table.db and table.name.upper() in named_inside):
            continue
        name = table_name(session, table)
        if name in session.temporary or makes_temporary(table):
            place(table)
        else:
            found.append(name)
    return found


def makes_temporary(table: exp.Table) -> bool:
    """Say whether this is the table that a CREATE TEMPORARY TABLE makes."""
    owner = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    if not isinstance(owner, exp.Create) or table.arg_key != "this" or owner.kind != "TABLE":
        return False
    return is_temporary(owner)


def is_temporary(create: exp.Create) -> bool:
    """Say whether a CREATE makes something temporary."""
    return create.find(exp.TemporaryProperty) is not None


def place(table: exp.Table) -> None:
    """Point a name to DuckDB's schema of temporary tables."""
    catalog, schema = TEMPORARY
    table.set("catalog", exp.to_identifier(catalog))
    table.set("db", exp.to_identifier(schema))


def table_name(session: Session, table: exp.Table) -> TableName:
    """Complete a table's name; DuckDB does not tell `a` from `A`, so neither do the locks."""
    database = table.catalog or session.connection.database or ""
    schema = table.db or session.connection.schema or ""
    return database.upper(), schema.upper(), table.name.upper()
