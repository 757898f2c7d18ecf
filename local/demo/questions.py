"""Ask the warehouse what a retention team asks, and show the answers."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Question:
    """A question in words and in SQL, written for a screen of 80 columns."""

    words: str
    sql: str


QUESTIONS = (
    Question(
        "Whom did email engage in 14 days without a click? (audience for paid ads)",
        """\
WITH recent AS (
  SELECT internal_customer_id, metric, m.created_at
  FROM metrics m JOIN deliveries USING (workspace_id, delivery_id)
  WHERE delivery_type = 'email' AND m.created_at >
    (SELECT max(created_at) FROM metrics) - INTERVAL 14 DAY)
SELECT customer_id, count(*) FILTER (metric = 'opened') AS opens,
  max(recent.created_at) AS last_seen, count(*) OVER () AS audience
FROM recent JOIN people USING (internal_customer_id)
WHERE deleted IS NOT TRUE AND suppressed IS NOT TRUE
GROUP BY customer_id
HAVING bool_or(metric = 'opened') AND NOT bool_or(metric = 'clicked')
ORDER BY opens DESC, customer_id LIMIT 4""",
    ),
    Question(
        "Whom must nobody write to, or pay ads for, any more? (suppression list)",
        """\
WITH stop AS (
  SELECT internal_customer_id, metric AS reason
  FROM metrics JOIN deliveries USING (workspace_id, delivery_id)
  WHERE metric IN ('unsubscribed', 'bounced', 'spammed')
  UNION
  SELECT internal_customer_id, if(deleted, 'deleted', 'suppressed')
  FROM people WHERE deleted OR suppressed)
SELECT reason, count(*) AS people,
  round(100 * count(*) / (SELECT count(*) FROM people), 1) AS percent
FROM stop WHERE internal_customer_id IS NOT NULL
GROUP BY reason ORDER BY people DESC""",
    ),
    Question(
        "Which channel moves people, of those it was delivered to?",
        """\
WITH life AS (
  SELECT delivery_type AS channel, delivery_id,
    if(newsletter_id IS NULL, 'campaigns', 'newsletters') AS kind,
    bool_or(metric = 'delivered') AS delivered,
    bool_or(metric = 'opened')::INT AS opened,
    bool_or(metric = 'clicked')::INT AS clicked,
    bool_or(metric = 'converted')::INT AS converted
  FROM deliveries JOIN metrics USING (workspace_id, delivery_id)
  GROUP BY ALL)
SELECT channel, kind, count(*) AS delivered,
  round(100 * avg(opened), 1) AS "opened %",
  round(100 * avg(clicked), 1) AS "clicked %",
  round(100 * avg(converted), 2) AS "converted %"
FROM life WHERE delivered GROUP BY ALL ORDER BY delivered DESC LIMIT 5""",
    ),
)
"""On the tables of the warehouse's schema. "Now" is the newest metric that was exported."""


def ask(connection: duckdb.DuckDBPyConnection, console: Console, schema: str) -> None:
    """Ask all questions and show the statements beside the answers."""
    connection.execute(f'USE "{schema}"')
    console.print(f"USE {schema};")
    for number, question in enumerate(QUESTIONS, start=1):
        console.print(f"\n[bold]{number}. {question.words}[/]", highlight=False)
        console.print(Syntax(question.sql, "sql", theme="ansi_dark", background_color="default", word_wrap=True))
        answer = connection.execute(question.sql)
        table = Table(box=None, header_style="bold cyan", pad_edge=False)
        rows = answer.fetchall()
        for at, column in enumerate(answer.description or ()):
            number_like = any(isinstance(row[at], (int, float)) for row in rows)
            table.add_column(str(column[0]), justify="right" if number_like else "left")
        for row in rows:
            table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
        console.print(table)
