"use strict";
// What a person has to act on: the open alerts and the rejected files.

const SHOWN_AT_FIRST = 20;
const RANK = { critical: 0, warning: 1 };

// The runbook wants the key too, which stays out of the document: the link's address has none, following it adds it.
function runbookLink(kind) {
  const link = make("a", { href: `?view=runbook#${encodeURIComponent(kind)}`, "data-key": `runbook/${kind}` }, "What to do");
  link.addEventListener("click", (event) => follow(event, kind));
  link.addEventListener("auxclick", (event) => event.button === 1 && follow(event, kind));
  return link;
}

function follow(event, kind) {
  event.preventDefault();
  const key = new URLSearchParams(location.search).get("code");
  const query = new URLSearchParams({ view: "runbook", ...(key ? { code: key } : {}) });
  const address = `?${query}#${encodeURIComponent(kind)}`;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1) window.open(address, "_blank", "noopener");
  else location.assign(address);
}

function showAlerts(box, alerts, now) {
  if (!alerts.length) return drawAnew(box, make("p", { class: "quiet" }, "No alert is open."));
  const ranked = [...alerts].sort((one, other) => (RANK[one.severity] ?? 2) - (RANK[other.severity] ?? 2));
  return drawAnew(box, make("ul", { class: "alerts" }, ...ranked.map((alert) => alertItem(alert, now))));
}

function alertItem(alert, now) {
  const severity = alert.severity === "critical" ? "critical" : "warning";
  const begun = instant(alert.since) ?? instant(alert.opened_at) ?? now;
  return make("li", { class: severity },
    make("span", { class: "icon", "aria-hidden": "true" }, iconOf(severity === "critical" ? "person" : "behind")),
    make("div", {},
      make("h3", {}, kindInWords(alert.kind), make("span", { class: "badge" }, severity)),
      make("p", {}, literal(alert.subject), " ", make("span", { class: "quiet" }, "since ", when(begun, now), " UTC, ", since(begun))),
      make("p", {}, literal(alert.detail ?? ""))),
    runbookLink(String(alert.kind)));
}

let allRejected = false;

function showRejected(box, rejected, now) {
  const files = [...rejected.files].sort((one, other) => String(other.arrived_at).localeCompare(String(one.arrived_at)));
  if (!files.length) {
    return drawAnew(box, make("p", { class: "quiet" }, rejected.total ? `${count(rejected.total, "file")} rejected; which ones is not known now.` : "No file is rejected."));
  }
  const shown = allRejected ? files : files.slice(0, SHOWN_AT_FIRST);
  const table = make("table", { class: "rejected" }, make("caption", {}, totalOf(rejected, shown, files)),
    make("thead", {}, make("tr", {}, ...["File", "Reason", "Arrived (UTC)", "Size", "Tries"].map((each) => make("th", { scope: "col" }, each)))),
    make("tbody", {}, ...shown.map((file) => rejectedRow(file, now))));
  return drawAnew(box, advice(), table, ...(shown.length < files.length ? [more(box, rejected, files, now)] : []));
}

function totalOf(rejected, shown, files) {
  const part = shown.length < rejected.total ? `, the newest ${number(shown.length)} shown` : "";
  const rest = rejected.total > files.length ? `; python -m ingest rejected lists all` : "";
  return `${count(rejected.total, "file")}${part}, newest first${rest}`;
}

function rejectedRow(file, now) {
  const arrived = instant(file.arrived_at);
  const stream = file.dataset ? `${file.dataset} of workspace ${file.workspace_id}` : "of no stream";
  return make("tr", {}, make("th", { scope: "row" }, literal(file.blob_name), make("span", { class: "quiet" }, literal(stream))),
    make("td", { "data-label": "Reason" }, literal(file.reason ?? "")),
    make("td", { "data-label": "Arrived" }, arrived === null ? "not known" : when(arrived, now)),
    make("td", { "data-label": "Size", class: "number" }, size(file.bytes)),
    make("td", { "data-label": "Tries", class: "number" }, number(file.attempts ?? 0)));
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  const units = ["B", "KB", "MB", "GB"];
  const at = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const scaled = bytes / 1000 ** at;
  return `${at && scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[at]}`;
}

function advice() {
  const code = (text) => make("code", {}, text);
  return make("p", { class: "advice" }, "Their blobs are kept, and the files behind them go on. ", code("python -m ingest inspect BLOB"),
    " shows what is in one and what does not fit; after a fix ", code("python -m ingest replay BLOB"), " tries it again, ",
    code("python -m ingest replay"), " all of them. ", runbookLink("files-rejected"));
}

function more(box, rejected, files, now) {
  const button = make("button", { type: "button", "data-key": "more" }, `Show ${number(files.length - SHOWN_AT_FIRST)} more`);
  button.addEventListener("click", () => {
    allRejected = true;
    showRejected(box, rejected, now);
  });
  return button;
}
