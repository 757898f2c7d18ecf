"use strict";
// The answer to "is my data fresh?": a pure rule over the status and the time, and the shapes that go with it.

const ON_THE_WAY = 2 * MINUTE; // a file that is being loaded is no backlog
const OLD = 5 * MINUTE; // an answer that says nothing about now any more
const STALL = "exports-stalled";

const KINDS = {
  "exports-stalled": "Exports have stalled",
  "files-not-loaded": "Files are not loaded",
  "files-rejected": "Files were rejected",
  "files-late": "Files came late",
  "schema-changed": "Columns were added",
  "events-poisoned": "Events failed again and again",
  "leases-expire": "Workers die while loading",
  "people-export-silent": "The people export is silent",
  "new-schema-version": "A new schema version",
  "sync-recreated": "The sync was set up anew",
  "access-policy-expires": "Customer.io's access ends soon",
  "access-policy-lacks": "Customer.io lacks a permission",
  "deleting-refused": "Deleting is refused",
};

const kindInWords = (kind) => (Object.hasOwn(KINDS, kind) ? KINDS[kind] : String(kind).replaceAll("-", " "));

// Each state has a shape of its own: outline first, then what stands in it.
const SHAPES = {
  fresh: ["M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21z", "M6.8 12.4l3.6 3.6 7-7.6"],
  behind: ["M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21z", "M12 6v6.4l4.2 2.6"],
  stalled: ["M7.7 1.5h8.6l6.2 6.2v8.6l-6.2 6.2H7.7l-6.2-6.2V7.7z", "M9.3 7.6v8.8M14.7 7.6v8.8"],
  person: ["M12 1.8L23 21.6H1z", "M12 8.6v6.2M12 17.9v.6"],
  empty: ["M3 3h18v18H3z", "M7.5 12h9"],
  unknown: ["M12 1L23 12 12 23 1 12z", "M9.4 9.4a2.7 2.7 0 1 1 3.9 2.4c-.9.5-1.3 1-1.3 1.9M12 17v.5"],
};

function iconOf(state) {
  const [outline, sign] = SHAPES[state];
  return draw("svg", { viewBox: "0 0 24 24", focusable: "false" },
    draw("path", { d: outline, class: "outline" }), draw("path", { d: sign, class: "sign" }));
}

function faviconOf(state, fill) {
  const [outline, sign] = SHAPES[state];
  const pen = 'fill="none" stroke="white" stroke-width="2.6" stroke-linecap="round"';
  return "data:image/svg+xml," + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    + `<path d="${outline}" fill="${fill}"/><path d="${sign}" ${pen}/></svg>`);
}

function sumsOf(status) {
  const waits = status.streams.filter((stream) => stream.pending > 0);
  return {
    waiting: sum(waits.map((stream) => stream.pending)),
    oldest: Math.max(0, ...waits.map((stream) => stream.lag_seconds * 1000)),
    rejected: sum(status.streams.map((stream) => stream.rejected)),
    arrived: sum(status.streams.map((stream) => stream.arrived)),
    last: Math.max(...status.streams.map((stream) => instant(stream.last_arrived_at) ?? 0), 0),
  };
}

// What is known at `now`: a state, its word, a sentence, and a second one where there is more to say.
function answerOf(status, cadence, now) {
  const asOf = instant(status.as_of);
  const said = judged(status, cadence, asOf);
  if (now - asOf <= OLD) return said;
  const text = `what has happened since ${near(asOf, now)} UTC, ${span(now - asOf)} ago`;
  return { state: "unknown", word: "Not known:", text, more: `The last answer was: ${said.word} ${said.text}.` };
}

function judged(status, cadence, asOf) {
  const sums = sumsOf(status);
  const through = instant(status.complete_through);
  const stalls = status.alerts.filter((alert) => alert.kind === STALL);
  const others = status.alerts.filter((alert) => alert.kind !== STALL && alert.severity === "critical");
  const waits = `${count(sums.waiting, "file")} wait${sums.waiting === 1 ? "s" : ""}, the oldest for ${span(sums.oldest)}`;
  const complete = through === null ? "" : `everything ${sums.rejected ? "else " : ""}that arrived before ${near(through, asOf)} UTC is loaded`;
  if (stalls.length) return stalled(stalls, asOf, complete);
  if (sums.rejected || others.length) return needsAPerson(sums, others, sums.oldest > ON_THE_WAY ? waits : complete);
  if (!sums.arrived && !status.trouble) {
    return { state: "empty", word: "No data yet:", text: "no file has arrived", more: "" };
  }
  if (sums.waiting && sums.oldest > ON_THE_WAY) {
    return { state: "behind", word: "Behind:", text: waits, more: complete && sentence(complete) };
  }
  if (through === null || asOf - through > Math.max(cadence, ON_THE_WAY)) {
    const text = complete ? `what arrived after ${near(through, asOf)} UTC` : status.trouble || "nothing was loaded yet";
    return { state: "unknown", word: "Not known:", text, more: "" };
  }
  const more = sums.waiting ? `${count(sums.waiting, "file")} arrived just now and will be loaded next.` : "";
  return { state: "fresh", word: "Fresh:", text: complete, more };
}

function stalled(stalls, asOf, complete) {
  const oldest = stalls.reduce((first, each) => (each.since < first.since ? each : first));
  const others = stalls.length > 1 ? `, and ${count(stalls.length - 1, "more stall")}` : "";
  const begun = instant(oldest.since);
  const text = `no export of ${oldest.subject} since ${near(begun, asOf)} UTC (${span(asOf - begun)})${others}`;
  return { state: "stalled", word: "Stalled:", text, more: complete && sentence(complete) };
}

function needsAPerson(sums, critical, rest) {
  const kinds = new Set(critical.map((alert) => alert.kind));
  const reasons = sums.rejected ? [`${count(sums.rejected, "file")} ${sums.rejected === 1 ? "is" : "are"} rejected`] : [];
  if (sums.rejected) kinds.delete("files-rejected");
  for (const kind of kinds) reasons.push(lower(kindInWords(kind)));
  return { state: "person", word: "Needs a person:", text: reasons.join(", "), more: rest && sentence(rest) };
}

const lower = (text) => (text.startsWith("Customer.io") ? text : text.charAt(0).toLowerCase() + text.slice(1));
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
