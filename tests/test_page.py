"""Look at the dashboard's page with a real browser: what it says of each kind of day, to whom, and what it never does."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ingest import page as the_page
from ingest.alerts import Kind
from tests import page_documents as documents
from tests.page_site import KEY, Site, serving

ROOT = Path(__file__).resolve().parent.parent
VENDORED = ROOT / "ingest" / "page" / "vendor" / "chart.umd.min.js"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Chromium itself notes an answer with such a status on the console; no script can keep it from that.
OF_THE_BROWSER = "Failed to load resource: the server responded with a status of "
LISTEN = """document.addEventListener("securitypolicyviolation",
    (event) => console.error(`violated: ${event.violatedDirective} ${event.blockedURI}`));"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        reason = f"no browser: none of {', '.join(BROWSERS)} is installed"
        pytest.fail(reason) if os.environ.get("CI") == "1" else pytest.skip(reason)
    with sync_playwright() as playwright:
        # Containers do not let Chromium make its sandbox; it only meets what these tests serve.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page that is open, the site behind it, and what it complained of."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    def says(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait_for(self, state: str) -> None:
        self.page.locator(f"#answer[data-state={state}]").wait_for()

    def asked(self, view: str) -> int:
        return self.site.views().count(view)


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open the page over given documents. Whatever it complained of fails the test."""
    visits = []
    with ExitStack() as stack:

        def opened(site: Site, *, frozen: bool = False, **options: Any) -> Visit:
            stack.enter_context(serving(site))
            options = {
                "viewport": {"width": 1280, "height": 900},
                "locale": "en-GB",
                "timezone_id": "Europe/Berlin",
            } | options
            context = browser.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(10_000)
            context.add_init_script(LISTEN)
            made = Visit(context.new_page(), site)
            visits.append(made)
            made.page.on(
                "console", lambda it: made.complaints.append(it.text) if it.type in {"error", "warning"} else None
            )
            made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
            if frozen:
                made.page.clock.install(time=site.now)
            made.page.goto(site.address)
            made.page.locator("#answer:not([data-state=asking])").wait_for()
            return made

        yield opened
        for each in visits:
            refused = each.site.status != 200 or each.site.key != KEY
            allowed = OF_THE_BROWSER if refused else "nothing"
            assert [text for text in each.complaints if not text.startswith(allowed)] == []
            assert KEY not in each.page.content()
            assert not any("Referer" in asked.headers for asked in each.site.asked)


def with_messages(opened: Visit) -> Visit:
    opened.page.locator("#multiples figure").first.wait_for()
    return opened


def test_an_empty_warehouse_has_no_data_yet(visit: Open) -> None:
    opened = visit(Site(data=documents.empty(), messages=documents.messages() | {"counts": []}))
    opened.wait_for("empty")
    assert opened.says(".headline") == "No data yet: no file has arrived"
    assert opened.page.locator("#no-strips").is_visible()
    assert opened.says("#alerts") == "No alert is open."
    assert opened.says("#rejected") == "No file is rejected."


def test_a_healthy_day_is_fresh(visit: Open) -> None:
    opened = with_messages(visit(Site()))
    assert opened.says(".headline") == "Fresh: everything that arrived before 07:19 UTC is loaded"
    assert opened.says("#answer-more") == "2 files arrived just now and will be loaded next."
    assert opened.page.title().startswith("Fresh")
    assert opened.page.locator("#answer-icon svg").count() == 1
    assert opened.page.locator(".strip svg").count() == 14
    assert re.search(r"\d s ago$", opened.says("#looked"))


def test_a_backlog_is_behind(visit: Open) -> None:
    late = documents.stream(pending=3, arrived=903, lag_seconds=725.0)
    opened = visit(
        Site(data=documents.data([late], [documents.strip(waiting=[190])], complete_through=documents.ago(minutes=13)))
    )
    assert opened.says(".headline") == "Behind: 3 files wait, the oldest for 12 min"


def test_a_stall_is_told_before_all_else(visit: Open) -> None:
    opened = visit(Site(data=documents.stalled()))
    opened.wait_for("stalled")
    assert opened.says(".headline") == "Stalled: no export of workspace 111528 since 21 Nov 14:00 UTC (17 h)"
    titles = opened.page.locator("#alerts h3").all_text_contents()
    assert titles == ["Exports have stalledcritical", "Files were rejectedcritical", "Files came latewarning"]
    assert "The last file arrived then" in opened.says("#alerts li:first-child")


def test_rejected_files_need_a_person(visit: Open) -> None:
    one = documents.stream(rejected=1, arrived=901)
    opened = visit(
        Site(data=documents.data([one], [documents.strip(rejected=[150])], rejected=[documents.rejected_file()]))
    )
    assert opened.says(".headline") == "Needs a person: 1 file is rejected"
    assert "python -m ingest inspect BLOB" in opened.says("#rejected")
    assert "expected timestamp, found string" in opened.says("#rejected")


def test_a_critical_alert_needs_a_person(visit: Open) -> None:
    alert = documents.alert("access-policy-expires", "access policy")
    opened = visit(Site(data=documents.data([documents.stream()], [documents.strip()], [alert])))
    assert opened.says(".headline") == "Needs a person: Customer.io's access ends soon"


def test_what_was_not_looked_at_is_not_called_fresh(visit: Open) -> None:
    held = documents.data([documents.stream()], complete_through=documents.ago(hours=1))
    assert visit(Site(data=held)).says(".headline") == "Not known: what arrived after 06:20 UTC"
    old = documents.data(
        [documents.stream()], as_of=documents.ago(minutes=9.5), complete_through=documents.ago(minutes=9.5)
    )
    assert visit(Site(data=old)).says(".headline").startswith("Not known: what has happened since 07:10 UTC, 9 min ago")


def test_hostile_names_are_text_and_nothing_else(visit: Open) -> None:
    opened = visit(Site(data=documents.hostile()))
    opened.page.get_by_role("button", name="Show 180 more").click()
    names = opened.page.locator("#rejected tbody th > .literal").all_text_contents()
    assert names == [file["blob_name"] for file in opened.site.data["rejected"]["files"]]
    assert "207 files" in opened.says("#rejected caption")
    assert opened.page.locator("#alerts bdi").all_text_contents() == [
        documents.HOSTILE[3],
        documents.HOSTILE[5],
        documents.HOSTILE[0],
        documents.HOSTILE[0],
    ]
    assert opened.page.title().startswith("Needs a person")
    assert opened.page.locator("main img, main script, main iframe").count() == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    marks = opened.page.locator('#rejected .control[data-code="U+202E"]')
    assert marks.count() == 40
    assert marks.first.evaluate("(mark) => getComputedStyle(mark).display") == "inline-block"


def test_a_warehouse_that_is_held_shows_what_is_known(visit: Open) -> None:
    held = documents.healthy() | {"strips": [], "hours": [], "rejected": {"total": 0, "files": []}}
    held["status"] |= {"live": False, "trouble": "process 4711 on this machine"}
    opened = visit(Site(data=held))
    assert "process 4711" in opened.says("#trouble")
    opened.wait_for("fresh")
    assert opened.page.locator("#strips tbody tr:not(.group)").count() == 14
    assert opened.page.locator(".strip:visible").count() == 0
    assert opened.says("#no-strips") == "What arrived when is not known now."


def test_an_answer_of_503_says_why(visit: Open) -> None:
    opened = visit(Site(data={"version": 1, "trouble": "the warehouse sleeps"}, status=503))
    opened.wait_for("unknown")
    assert opened.says(".headline") == "Not known: the warehouse sleeps"
    assert "tried again in 2 min" in opened.says("#failure")


def test_an_answer_that_cannot_be_read_is_told(visit: Open) -> None:
    opened = visit(Site(data="<html>gateway</html>", status=502))
    assert opened.says(".headline") == "Not known: the answer cannot be read (status 502)"


def test_a_key_that_is_not_accepted_is_told(visit: Open) -> None:
    opened = visit(Site(key="another"))
    assert "the key was not accepted" in opened.says(".headline")
    assert opened.asked("messages") == 0


def test_a_minute_later_the_numbers_change_and_the_place_stays(visit: Open) -> None:
    opened = visit(Site(), frozen=True)
    strip = opened.page.locator(".strip").nth(2)
    strip.focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.site.data = documents.healthy()
    opened.site.data["status"]["streams"][2] |= {"arrived": 1234, "pending": 7, "lag_seconds": 300.0}
    with opened.page.expect_response(re.compile("view=data")):
        opened.page.clock.run_for(61_000)
    opened.wait_for("behind")
    assert "1,234" in opened.says("#strips tbody:nth-of-type(1) tr:nth-child(4)")
    assert strip.evaluate("(it) => it === document.activeElement")
    assert opened.says("#said").startswith("Behind: 9 files wait")
    assert opened.asked("messages") == 1


def pass_time(opened: Visit, seconds: int) -> None:
    """Let the clocks of the site and of the browser go on."""
    opened.site.now += timedelta(seconds=seconds)
    opened.page.clock.run_for(seconds * 1000)


def test_failures_are_asked_about_less_and_less_often_and_age_the_answer(visit: Open) -> None:
    opened = visit(Site(), frozen=True)
    opened.site.status, opened.site.data = 503, {"version": 1, "trouble": "the warehouse sleeps"}
    pass_time(opened, 61)
    opened.page.get_by_text("What is shown is of 07:20 UTC. It is tried again in 2 min.").wait_for()
    assert opened.page.locator("#answer").get_attribute("data-state") == "fresh"
    assert opened.page.locator("body.old").count() == 1
    pass_time(opened, 121)
    opened.page.get_by_text("It is tried again in 4 min.").wait_for()
    pass_time(opened, 150)
    opened.wait_for("unknown")
    assert opened.says("#answer-more").startswith(
        "The last answer was: Fresh: everything that arrived before 07:19 UTC"
    )
    assert opened.asked("data") == 3


def test_after_a_failure_one_can_look_again_at_once(visit: Open) -> None:
    opened = visit(Site(data="", status=503))
    opened.site.data = documents.healthy()
    opened.site.status, refused = 200, opened.site.status
    opened.page.get_by_role("button", name="Look again").click()
    opened.wait_for("fresh")
    assert not opened.page.locator("#failure").is_visible()
    opened.site.status = refused


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_that_nobody_sees_does_not_ask(visit: Open) -> None:
    opened = with_messages(visit(Site(), frozen=True))
    opened.page.evaluate(HIDE, True)
    opened.page.clock.run_for(3_000_000)
    assert (opened.asked("data"), opened.asked("messages")) == (1, 1)
    with opened.page.expect_response(re.compile("view=data")), opened.page.expect_response(re.compile("view=messages")):
        opened.page.evaluate(HIDE, False)
    opened.page.evaluate(HIDE, True)
    with opened.page.expect_response(re.compile("view=data")):
        opened.page.evaluate(HIDE, False)
    assert (opened.asked("data"), opened.asked("messages")) == (3, 2)


def test_the_key_is_sent_as_a_header_only(visit: Open) -> None:
    opened = with_messages(visit(Site()))
    first, *others = opened.site.asked
    assert first.key_in_address
    assert {each.view for each in others} == {"data", "messages"}
    assert not any(each.key_in_address for each in others)
    assert all(each.headers["x-functions-key"] == KEY for each in others)


@pytest.mark.parametrize(
    ("day", "scheme"),
    [
        (documents.empty, "light"),
        (documents.healthy, "dark"),
        (documents.stalled, "light"),
        (documents.stalled, "dark"),
        (documents.hostile, "light"),
    ],
)
def test_the_page_is_accessible(visit: Open, day: Callable[[], Any], scheme: str) -> None:
    if not AXE.is_file():
        reason = "axe-core is not in node_modules: run make setup"
        pytest.fail(reason) if os.environ.get("CI") == "1" else pytest.skip(reason)
    opened = with_messages(visit(Site(data=day()), color_scheme=scheme, reduced_motion="reduce"))
    for summary in opened.page.locator("summary").all():
        summary.click()
    opened.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = opened.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert {it["id"]: [node["html"][:200] for node in it["nodes"]][:3] for it in found["violations"]} == {}


def test_every_control_has_a_name_and_every_table_its_heads(visit: Open) -> None:
    opened = with_messages(visit(Site(data=documents.stalled())))
    assert opened.page.locator("h1").count() == 1
    levels = [int(it.evaluate("(it) => it.tagName[1]")) for it in opened.page.locator("h1, h2, h3").all()]
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    for table in opened.page.locator("table").all():
        assert table.locator("th[scope=col]").count() > 0
        assert table.locator("tbody th[scope=row]").count() > 0
    assert all(it.get_attribute("aria-label") for it in opened.page.locator("canvas, .strip").all())


@pytest.mark.parametrize("day", [documents.healthy, documents.stalled, documents.hostile])
def test_a_narrow_screen_scrolls_down_only(visit: Open, day: Callable[[], Any]) -> None:
    opened = with_messages(visit(Site(data=day()), viewport={"width": 360, "height": 740}))
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 360


def test_on_a_desk_nothing_scrolls_sideways(visit: Open) -> None:
    opened = visit(Site(data=documents.stalled()))
    # What a scroll bar takes where it is not laid over the page.
    opened.page.evaluate("document.body.style.width = `${document.body.offsetWidth - 15}px`")
    assert opened.page.locator("#strips-box").evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_on_a_phone_the_strips_begin_at_the_newest_end(visit: Open) -> None:
    opened = visit(Site(), viewport={"width": 390, "height": 844}, has_touch=True)
    left, width, all_of_it = opened.page.locator("#strips-box").evaluate(
        "(it) => [it.scrollLeft, it.clientWidth, it.scrollWidth]"
    )
    assert all_of_it > 2 * width
    assert abs(left + width - all_of_it) <= 1
    assert opened.page.locator("#strips tbody th[scope=row]").first.bounding_box()["x"] >= 0


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_light_and_dark_follow_the_system(visit: Open, scheme: str, bright: bool) -> None:
    opened = visit(Site(), color_scheme=scheme)
    painted = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", painted)[0]) > 128) is bright
    muted = opened.page.evaluate("colour('muted')")
    opened.page.emulate_media(color_scheme="dark" if bright else "light")
    opened.page.wait_for_function(
        """(before) => colour("muted") !== before
        && Chart.getChart(document.querySelector("#hours canvas")).options.scales.y.ticks.color === colour("muted")""",
        arg=muted,
    )


def test_the_arrow_keys_walk_through_a_strip_aloud(visit: Open) -> None:
    strips = [documents.strip(every=2, rejected=[189], late=[190], waiting=[191]), documents.strip("metrics", every=3)]
    opened = visit(Site(data=documents.data([documents.stream(), documents.stream("metrics")], strips)))
    press = opened.page.keyboard.press
    opened.page.locator(".strip").first.focus()
    assert opened.says("#said") == "deliveries, 22 Nov 07:15 to 07:30: 1 waiting"
    press("ArrowLeft")
    assert opened.says("#said") == "deliveries, 22 Nov 07:00 to 07:15: 2 files loaded, 1 late"
    assert "08:00" in opened.says("#tip")
    press("ArrowLeft")
    assert opened.says("#said").endswith("06:45 to 07:00: 1 rejected")
    press("PageUp")
    assert opened.says("#said").endswith("05:45 to 06:00: nothing arrived")
    press("Home")
    assert opened.says("#said") == "deliveries, 20 Nov 07:30 to 07:45: 1 file loaded"
    press("ArrowLeft")
    assert opened.says("#said") == "deliveries, 20 Nov 07:30 to 07:45: 1 file loaded"
    press("ArrowDown")
    assert opened.says("#said") == "metrics, 20 Nov 07:30 to 07:45: 1 file loaded"
    press("End")
    assert opened.says("#said").startswith("metrics, 22 Nov 07:15")
    press("Escape")
    assert not opened.page.locator("#tip").is_visible()


def test_the_worst_of_a_cell_is_drawn(visit: Open) -> None:
    mixed = documents.strip(every=1, rejected=[10], late=[10, 20], waiting=[10, 20, 30])
    opened = visit(Site(data=documents.data([documents.stream()], [mixed])))
    drawn = opened.page.evaluate("[10, 20, 30, 40].map((at) => stateOf(latest.strips[0], at))")
    assert drawn == ["rejected", "late", "waiting", "loaded"]
    shapes = opened.page.locator(".strip path.cell").evaluate_all(
        "(them) => them.map((it) => it.getAttribute('d').length > 0)"
    )
    assert shapes == [False, True, True, True, True]


def test_a_pointer_over_a_cell_is_told_what_is_there(visit: Open) -> None:
    opened = visit(Site())
    box = opened.page.locator(".strip svg").first.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 10)
    assert opened.says("#tip").startswith("deliveries, 22 Nov 07:15 to 07:30 UTC")
    assert "Your time: 22 Nov, 08:15" in opened.says("#tip")
    opened.page.mouse.move(5, 5)
    assert not opened.page.locator("#tip").is_visible()


def test_sequences_beyond_what_a_number_holds_are_shown_exactly(visit: Open) -> None:
    assert str(documents.BIG_SEQUENCE) in visit(Site()).says("#strips tbody:nth-of-type(1) tr:nth-child(2)")


def test_messages_are_told_by_channel(visit: Open) -> None:
    opened = with_messages(visit(Site()))
    assert re.match(r"All channels: [\d,]+ sent, [\d,]+ delivered, ", opened.says("#messages-summary"))
    opened.page.get_by_role("combobox", name="Channel").select_option(label="In-app")
    sent = sum(
        next(
            it["counts"] for it in opened.site.messages["counts"] if (it["channel"], it["metric"]) == ("in_app", "sent")
        )
    )
    assert opened.says("#messages-summary").startswith(f"In-app: {sent:,} sent")
    opened.page.get_by_text("All metrics as a table").click()
    assert opened.page.locator("#messages-table tbody tr").count() == 7


def test_an_alert_leads_to_its_section_of_the_runbook(visit: Open) -> None:
    opened = visit(Site(data=documents.stalled()))
    opened.page.get_by_role("link", name="What to do").first.click()
    opened.page.wait_for_url(re.compile(rf"view=runbook&code={KEY}#exports-stalled$"))
    section = opened.page.locator("h2:target")
    assert section.inner_text() == "exports-stalled"
    assert opened.page.locator("h2#exports-stalled ~ ol").first.locator("li").count() == 3


def test_thirty_streams_are_shown_within_a_second(visit: Open) -> None:
    opened = visit(Site(data=documents.healthy(workspaces=range(1, 7), datasets=documents.DATASETS[:5])))
    assert opened.page.locator(".strip svg").count() == 30
    took = "performance.getEntriesByName('shown')[0].startTime"
    times = [opened.page.evaluate(took)]
    # A busy machine may take longer at times; a slow page takes longer every time.
    while min(times) >= 1000 and len(times) < 4:
        opened.page.reload()
        opened.wait_for("fresh")
        times.append(opened.page.evaluate(took))
    assert min(times) < 1000


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_the_runbook_has_a_section_of_every_kind(kind: str) -> None:
    assert f'<h2 id="{kind}">' in the_page.runbook()
    assert f'"{kind}":' in the_page.html()


def test_the_runbook_needs_no_style_of_its_own_and_leaves_no_list_unmade() -> None:
    assert "style=" not in the_page.runbook()
    assert not re.search(r"<p>[^<]*\n\d\. ", the_page.runbook())
    assert "script-src 'none'" in the_page.runbook_headers()["Content-Security-Policy"]


def test_a_runbook_that_was_not_deployed_is_told(tmp_path: Path) -> None:
    assert "It was not deployed with this app" in the_page.rendered(tmp_path / "runbook.md")


def test_nothing_but_what_is_written_here_may_run() -> None:
    policy = the_page.headers()["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert the_page.html().count("<script>") == policy.partition("style-src")[0].count("sha256-")
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="(?!data:)', the_page.html())


@pytest.mark.parametrize("path", sorted((ROOT / "ingest" / "page").glob("*.js")), ids=lambda path: path.name)
def test_scripts_write_text_only(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|</script", text)
    assert len(text.splitlines()) <= 300


def test_the_copy_of_chart_js_is_the_one_of_package_json() -> None:
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]["chart.js"]
    assert f"Chart.js v{wanted}\n" in VENDORED.read_text(encoding="utf-8")[:200]
    installed = ROOT / "node_modules" / "chart.js" / "dist" / VENDORED.name
    if installed.is_file():
        assert installed.read_bytes() == VENDORED.read_bytes()
