"use strict";
// A strip per dataset: what arrived in each quarter of an hour, and what became of it. Colour and shape both say it.

const PITCH = 4; // units from cell to cell; the style sheet says how large they are drawn
const TALL = 26;
const PAGE_OF_CELLS = 4; // what Page Up and Page Down go: an hour

// From the worst to the best: of a cell in which several happened, the worst is drawn.
const STATES = [
  ["rejected", "rejected: a person has to look", (x) => `M${x - 2} 0h7l-3.5 6z M${x} 7.4h3V24h-3z`],
  ["late", "late: loaded after its successors", (x) => `M${x + 1.5} 1.6l2.1 2.6-2.1 2.6L${x - 0.6} 4.2z M${x} 9h3v5.6h-3z M${x} 17h3v7h-3z`],
  ["waiting", "waiting: arrived, not loaded", (x) => `M${x} 9h3v15h-3z M${x + 1} 10v13h1V10z`],
  ["loaded", "loaded", (x) => `M${x} 9h3v15h-3z`],
  ["silent", "nothing arrived", (x) => `M${x} 22.4h3V24h-3z`],
];

function stateOf(strip, at) {
  if (strip.rejected[at] > 0) return "rejected";
  if (strip.late[at] > 0) return "late";
  if (waitingIn(strip, at) > 0) return "waiting";
  return strip.loaded[at] > 0 ? "loaded" : "silent";
}

const waitingIn = (strip, at) => Math.max(0, strip.arrived[at] - strip.loaded[at] - strip.rejected[at]);

function happenedIn(strip, at) {
  const parts = [];
  if (strip.loaded[at]) parts.push(`${count(strip.loaded[at], "file")} loaded`);
  if (strip.late[at]) parts.push(`${number(strip.late[at])} late`);
  if (waitingIn(strip, at)) parts.push(`${number(waitingIn(strip, at))} waiting`);
  if (strip.rejected[at]) parts.push(`${number(strip.rejected[at])} rejected`);
  return parts.join(", ") || "nothing arrived";
}

function legend() {
  return STATES.map(([state, words, shape]) => make("li", {},
    draw("svg", { viewBox: `-2 0 7 ${TALL}`, class: "sample", "aria-hidden": "true" },
      draw("path", { d: shape(0), class: `cell ${state}`, "fill-rule": "evenodd" })), words));
}

class Strips {
  constructor(table, tip, said) {
    Object.assign(this, { table, tip, said, rows: new Map(), begin: 0, cell: 0, cells: 0, order: [] });
    table.addEventListener("pointermove", (event) => this.pointed(event));
    table.addEventListener("pointerdown", (event) => this.pointed(event));
    table.addEventListener("pointerleave", () => this.leave());
    table.addEventListener("focusin", (event) => this.focused(event));
    table.addEventListener("focusout", () => this.leave());
    table.addEventListener("keydown", (event) => this.pressed(event));
  }

  show(doc, now) {
    this.begin = instant(doc.begin);
    this.cell = doc.cell_minutes * MINUTE;
    const strips = new Map(doc.strips.map((strip) => [keyOf(strip), strip]));
    const streams = new Map(doc.status.streams.map((stream) => [keyOf(stream), stream]));
    const keys = [...new Set([...streams.keys(), ...strips.keys()])];
    this.cells = doc.strips.length ? doc.strips[0].arrived.length : 0;
    if (keys.join() !== this.order.join()) this.arrange(keys);
    for (const key of keys) this.rows.get(key).show(strips.get(key), streams.get(key), this, now);
    return keys.length;
  }

  // Rows stay what they are from one look to the next, so that the focus and the place one scrolled to stay too.
  arrange(keys) {
    const held = this.order[this.order.findIndex((key) => this.rows.get(key).strip === document.activeElement)];
    const groups = new Map();
    for (const key of keys) {
      if (!this.rows.has(key)) this.rows.set(key, new Row(key));
      const [workspace] = key.split("/");
      groups.set(workspace, [...(groups.get(workspace) ?? []), this.rows.get(key).element]);
    }
    for (const body of [...this.table.tBodies]) body.remove();
    for (const [workspace, rows] of groups) {
      const name = workspace === "0" ? "Of no workspace" : `Workspace ${workspace}`;
      const title = make("th", { scope: "rowgroup", role: "rowheader", colspan: "6" }, name);
      this.table.append(make("tbody", { role: "rowgroup" }, make("tr", { role: "row", class: "group" }, title), ...rows));
    }
    this.order = keys;
    if (held !== undefined && keys.includes(held)) this.rows.get(held).strip.focus({ preventScroll: true });
  }

  rowOf(element) {
    const strip = element instanceof Element ? element.closest(".strip") : null;
    return this.order.map((key) => this.rows.get(key)).find((row) => row.strip === strip);
  }

  pointed(event) {
    const row = this.rowOf(event.target);
    if (!row || !row.data) return this.leave();
    const box = row.drawing.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * this.cells);
    return this.pointAt(row, Math.min(this.cells - 1, Math.max(0, at)));
  }

  focused(event) {
    const row = this.rowOf(event.target);
    if (row && row.data) this.pointAt(row, row.at ?? this.cells - 1, true);
  }

  pressed(event) {
    const row = this.rowOf(event.target);
    if (!row || !row.data || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = row.at ?? this.cells - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -PAGE_OF_CELLS, PageDown: PAGE_OF_CELLS, Home: -at, End: this.cells };
    if (event.key === "Escape") this.leave();
    else if (event.key in steps) this.pointAt(row, Math.min(this.cells - 1, Math.max(0, at + steps[event.key])), true);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.neighbour(row, event.key === "ArrowUp" ? -1 : 1, at);
    else return;
    event.preventDefault();
  }

  neighbour(row, step, at) {
    const next = this.rows.get(this.order[this.order.indexOf(row.key) + step]);
    if (!next || !next.data) return;
    next.at = at;
    next.strip.focus();
  }

  pointAt(row, at, aloud = false) {
    if (this.pointedRow && this.pointedRow !== row) this.pointedRow.mark(null);
    this.pointedRow = row;
    row.mark(at);
    const from = this.begin + at * this.cell;
    const words = happenedIn(row.data, at);
    const title = `${row.dataset}, ${dayAndTime(from)} to ${hourMinute(from + this.cell)}`;
    this.tip.replaceChildren(make("strong", {}, `${title} UTC`), make("span", {}, words),
      make("span", { class: "quiet" }, `Your time: ${local.format(from)}`));
    if (aloud) {
      row.at = at;
      this.said.textContent = `${title}: ${words}`;
      row.reveal(at, this.cells);
    }
    this.place(row.cellBox(at, this.cells));
  }

  place(box) {
    this.tip.hidden = false;
    const width = this.tip.offsetWidth;
    const left = Math.max(8, Math.min(box.left + box.width / 2 - width / 2, document.documentElement.clientWidth - width - 8));
    const above = box.top - this.tip.offsetHeight - 8;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
  }

  leave() {
    this.tip.hidden = true;
    if (this.pointedRow) this.pointedRow.mark(null);
    this.pointedRow = null;
  }
}

const keyOf = (stream) => `${stream.workspace_id}/${stream.dataset}`;

class Row {
  constructor(key) {
    this.key = key;
    this.dataset = key.slice(key.indexOf("/") + 1);
    this.ticks = draw("path", { class: "ticks" });
    this.cursor = draw("rect", { class: "cursor", y: "0", width: String(PITCH + 1), height: String(TALL), rx: "1" });
    this.paths = STATES.map(([state]) => [state, draw("path", { class: `cell ${state}`, "fill-rule": "evenodd" })]);
    this.drawing = draw("svg", { "aria-hidden": "true", focusable: "false" },
      this.ticks, ...[...this.paths].reverse().map(([, path]) => path), this.cursor);
    this.strip = make("div", { class: "strip", role: "application", "aria-roledescription": "strip", tabindex: "0" }, this.drawing);
    this.name = make("th", { scope: "row", role: "rowheader" });
    this.numbers = ["Arrived", "Waiting", "Rejected", "Last arrival"].map((name) => make("td", { role: "cell", class: "number", "data-label": name }));
    this.element = make("tr", { role: "row" }, this.name, make("td", { role: "cell", class: "cells" }, this.strip), ...this.numbers);
    this.mark(null);
  }

  show(strip, stream, { begin, cell, cells }, now) {
    this.data = strip;
    this.strip.hidden = !strip;
    if (strip) this.paint(strip, begin, cell, cells);
    this.name.replaceChildren(literal(this.dataset), ...(stream ? [lastOf(stream)] : []), ...badges(stream));
    const parts = stream ? numbersOf(stream, now) : [["?"], ["?"], ["?"], ["?"]];
    this.numbers.forEach((box, at) => {
      const [first, second = "", state = ""] = parts[at];
      box.className = `number ${state}`;
      box.replaceChildren(make("span", {}, first), make("span", { class: "quiet" }, second));
    });
  }

  paint(strip, begin, cell, cells) {
    const drawn = new Map(STATES.map(([state]) => [state, []]));
    const shapes = new Map(STATES.map(([state, , shape]) => [state, shape]));
    const kinds = Array.from({ length: cells }, (_, at) => stateOf(strip, at));
    kinds.forEach((state, at) => drawn.get(state).push(shapes.get(state)(at * PITCH)));
    for (const [state, path] of this.paths) path.setAttribute("d", drawn.get(state).join(""));
    this.drawing.setAttribute("viewBox", `0 0 ${cells * PITCH} ${TALL}`);
    const hours = Array.from({ length: cells }, (_, at) => at).filter((at) => (begin + at * cell) % (6 * HOUR) === 0);
    this.ticks.setAttribute("d", hours.map((at) => `M${at * PITCH} 0V${TALL}`).join(""));
    const many = ["rejected", "late", "waiting"].map((state) => [state, kinds.filter((each) => each === state).length]);
    const notable = many.filter(([, cellsOf]) => cellsOf).map(([state, cellsOf]) => `${count(cellsOf, "cell")} ${state}`);
    this.strip.setAttribute("aria-label", `${this.dataset}, last 48 hours: ${count(sum(strip.loaded), "file")} loaded`
      + `${notable.length ? `, ${notable.join(", ")}` : ""}. Arrow keys move through the cells.`);
  }

  mark(at) {
    this.cursor.setAttribute("x", String((at ?? 0) * PITCH - 1));
    this.cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
  }

  cellBox(at, cells) {
    const box = this.drawing.getBoundingClientRect();
    const width = box.width / cells;
    return { left: box.left + at * width, width, top: box.top, bottom: box.bottom };
  }

  // Scroll the box of the strips, and nothing else, until the cell is in sight.
  reveal(at, cells) {
    const scroller = this.strip.closest(".scroll");
    const frame = scroller.getBoundingClientRect();
    const cell = this.cellBox(at, cells);
    if (cell.left < frame.left) scroller.scrollLeft -= frame.left - cell.left + 24;
    else if (cell.left + cell.width > frame.right) scroller.scrollLeft += cell.left + cell.width - frame.right + 24;
  }
}

function lastOf(stream) {
  const known = stream.last_sequence !== null && stream.last_sequence !== undefined;
  const version = stream.last_version === null || stream.last_version === undefined ? "" : `v${stream.last_version} `;
  return make("span", { class: "quiet sequence" }, known ? `${version}#${stream.last_sequence}` : "nothing loaded yet");
}

function badges(stream) {
  const kinds = (stream && stream.alerts) || [];
  return kinds.length ? [make("span", { class: "badge" }, kinds.map((kind) => lower(kindInWords(kind))).join(", "))] : [];
}

function numbersOf(stream, now) {
  const last = instant(stream.last_arrived_at);
  return [
    [number(stream.arrived), stream.late ? `${number(stream.late)} late` : ""],
    [number(stream.pending), stream.pending ? `for ${span(stream.lag_seconds * 1000)}` : "", stream.pending ? "some waiting" : ""],
    [number(stream.rejected), "", stream.rejected ? "some rejected" : ""],
    last === null ? ["never"] : [`${span(now - last)} ago`, near(last, now)],
  ];
}

// The hours above the strips: every sixth, and the day where one begins.
function axis(begin, cell, cells) {
  const drawn = draw("svg", { viewBox: `0 0 ${cells * PITCH} 16`, class: "hours", focusable: "false" });
  for (let at = 0; at < cells; at += 1) {
    const moment = begin + at * cell;
    if (moment % (6 * HOUR)) continue;
    const midnight = moment % (24 * HOUR) === 0;
    if (cells - at < 9) continue; // no room for its words before the end
    drawn.append(draw("text", { x: String(at * PITCH + 2), y: "12", class: midnight ? "day" : "hour" },
      midnight ? dayMonth(moment) : hourMinute(moment)));
  }
  return drawn;
}
