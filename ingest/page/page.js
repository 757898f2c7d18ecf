"use strict";
// Ask for the documents, show them, and say so when they could not be had.

const EVERY_MINUTE = MINUTE;
const EVERY_TEN_MINUTES = 10 * MINUTE;
const ANSWER_WITHIN = 45_000;
const SLOWEST = 4; // doublings of the pause after failures
const key = new URLSearchParams(location.search).get("code");

let ahead = 0; // what the server's clock is ahead of this one, where that is more than its whole seconds explain
let latest = null;
let failure = "";
const now = () => Date.now() + ahead;

async function ask(view) {
  const begun = Date.now();
  const headers = key === null ? {} : { "x-functions-key": key };
  const response = await fetch(`?view=${view}`, { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN) });
  const text = await response.text();
  const theirs = Date.parse(response.headers.get("Date") ?? "") - (begun + Date.now()) / 2;
  if (!Number.isNaN(theirs)) ahead = Math.abs(theirs) > 5_000 ? theirs : 0;
  if (response.status === 401 || response.status === 403) {
    throw new Error("the key was not accepted: open this page with ?code= and a function key");
  }
  const doc = read(text, response.status);
  if (!response.ok) throw new Error(doc.trouble || `the answer was status ${response.status}`);
  if (doc.version !== 1) throw new Error("the answer is of another version than this page: load it anew");
  return doc;
}

// Sequences go beyond what a number holds exactly: they are read as texts.
function read(text, status) {
  try {
    return JSON.parse(text.replace(/"last_sequence":\s*(\d{16,})/g, '"last_sequence":"$1"'));
  } catch {
    throw new Error(`the answer cannot be read (status ${status})`);
  }
}

const inWords = (error) => ({ TimeoutError: "no answer came in time", TypeError: "the server cannot be reached" }[error.name] ?? error.message);

// Asks again and again while the page is seen; when it is seen again, at once if its time has come.
class Questions {
  constructor(view, every, { due, answered, failed }) {
    Object.assign(this, { view, every, due, answered, failed, failures: 0, asked: -Infinity, asking: false, timer: undefined });
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    clearTimeout(this.timer);
    this.asked = Date.now();
    const [doc, error] = await ask(this.view).then((said) => [said], (why) => [null, why]);
    this.asking = false;
    this.failures = error ? this.failures + 1 : 0;
    this.plan(); // before anything is shown: a mistake in showing must not end the asking
    if (error) this.failed(inWords(error));
    else this.answered(doc);
  }

  pause() {
    return this.every * 2 ** Math.min(this.failures, SLOWEST);
  }

  plan() {
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), this.pause());
  }

  seenAgain() {
    if (Date.now() - this.asked >= this.due) this.ask();
    else this.plan();
  }
}

const strips = new Strips(byId("strips"), byId("tip"), byId("said"));
const text = (id, words) => {
  if (byId(id).textContent !== words) byId(id).textContent = words;
};

function banner(id, words) {
  text(id, words);
  byId(id).hidden = !words;
}

function showAnswer() {
  const none = { state: "unknown", word: "Not known:", text: failure, more: "" };
  const said = latest ? answerOf(latest.status, latest.cadence_minutes * MINUTE, now()) : none;
  if (!latest && !failure) return;
  text("answer-word", said.word);
  text("answer-text", said.text);
  text("answer-more", said.more);
  if (byId("answer").dataset.state === said.state) return;
  if (byId("answer").dataset.state !== "asking") text("said", `${said.word} ${said.text}`);
  byId("answer").dataset.state = said.state;
  byId("answer-icon").replaceChildren(iconOf(said.state));
  showInTab(said);
}

function showInTab({ state, word }) {
  document.title = `${word.replace(":", "")} \u2013 Customer.io exports`;
  byId("favicon").href = faviconOf(state, colour(state));
}

function showFigures(doc) {
  const { status, hours } = doc;
  const sums = sumsOf(status);
  const day = hours.slice(-24);
  const through = instant(status.complete_through);
  const at = instant(status.as_of);
  const shown = [
    ["Complete up to", through === null ? "not known" : `${near(through, at)} UTC`, ""],
    ["Last arrival", sums.last ? `${near(sums.last, at)} UTC` : "none yet", sums.last ? since(sums.last, " ago") : ""],
    ["Waiting", count(sums.waiting, "file"), sums.waiting ? `the oldest for ${span(sums.oldest)}` : ""],
    ["Rejected", count(sums.rejected, "file"), sums.rejected ? "kept until replayed" : ""],
    ["Last 24 hours", hours.length ? count(sum(day.map((each) => each.rows)), "row") : "not known",
      hours.length ? `from ${count(sum(day.map((each) => each.files)), "file")}` : ""],
  ];
  byId("figures").replaceChildren(...shown.map(([name, value, more]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make("b", {}, value), make("span", { class: "quiet" }, more)))));
}

function showStrips(doc) {
  const box = byId("strips-box");
  const atEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - 4;
  const first = !byId("strips").tBodies.length;
  const rows = strips.show(doc, instant(doc.status.as_of));
  box.hidden = !rows;
  byId("no-strips").hidden = doc.strips.length > 0;
  text("no-strips", rows ? "What arrived when is not known now." : "No file has arrived yet.");
  byId("strips").classList.toggle("bare", !doc.strips.length);
  byId("legend").hidden = !doc.strips.length;
  text("cell-minutes", String(doc.cell_minutes));
  byId("axis").replaceChildren(axis(strips.begin, strips.cell, strips.cells));
  if ((first || atEnd) && box.scrollWidth > 1.2 * box.clientWidth) box.scrollLeft = box.scrollWidth;
}

function troubleOf(status) {
  if (!status.trouble) return status.live ? "" : "Another process holds the warehouse: this is what it told last.";
  return status.live ? `Not everything could be looked at: ${status.trouble}` : `Another process holds the warehouse, and this is what it told last: ${status.trouble}`;
}

function show(doc) {
  failure = "";
  latest = doc;
  const at = instant(doc.status.as_of);
  banner("failure", "");
  banner("trouble", troubleOf(doc.status));
  document.body.classList.remove("old");
  showAnswer();
  showFigures(doc);
  showAlerts(byId("alerts"), doc.status.alerts, at);
  showStrips(doc);
  showRejected(byId("rejected"), doc.rejected, at);
  showHours(byId("hours"), doc.hours);
  tick();
  performance.mark("shown");
  if (messages.asked === -Infinity) messages.ask();
}

function showFailure(words) {
  failure = words;
  const shown = latest ? ` What is shown is of ${near(instant(latest.status.as_of), now())} UTC.` : "";
  banner("failure", `The last look failed: ${words}.${shown} It is tried again in ${span(data.pause())}.`);
  document.body.classList.toggle("old", latest !== null);
  showAnswer();
  tick();
}

function tick() {
  if (document.hidden) return;
  for (const each of document.querySelectorAll("[data-since]")) {
    const words = span(Math.floor((now() - Number(each.dataset.since)) / 1000) * 1000) + each.dataset.suffix;
    if (each.textContent !== words) each.textContent = words;
  }
  if (!latest) return text("looked", failure ? "Nothing could be looked at yet" : "Looking for the first time");
  const at = instant(latest.status.as_of);
  text("looked", `As of ${withSeconds(at)} UTC, ${span(Math.floor((now() - at) / 1000) * 1000)} ago`);
  return showAnswer();
}

function drawAgain() {
  if (latest) showHours(byId("hours"), latest.hours);
  if (messages.doc) showMessages(messages.doc);
  if (byId("answer").dataset.state !== "asking") byId("favicon").href = faviconOf(byId("answer").dataset.state, colour(byId("answer").dataset.state));
}

const data = new Questions("data", EVERY_MINUTE, { due: 0, answered: show, failed: showFailure });
const messages = new Questions("messages", EVERY_TEN_MINUTES, {
  due: EVERY_TEN_MINUTES,
  answered: (doc) => {
    messages.doc = doc;
    if (doc.trouble) text("messages-summary", `Not known: ${doc.trouble}`);
    else showMessages(doc);
  },
  failed: (words) => text("messages-summary", `${messages.doc ? "Not up to date" : "Not known"}: ${words}.`),
});

document.addEventListener("visibilitychange", () => {
  for (const questions of [data, messages]) {
    if (document.hidden) clearTimeout(questions.timer);
    else if (questions.asked > -Infinity) questions.seenAgain();
  }
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
byId("again").addEventListener("click", () => data.ask());
byId("channel").addEventListener("change", () => messages.doc && showMessages(messages.doc));
byId("legend").replaceChildren(...legend());
setInterval(tick, 1000);
data.ask();
