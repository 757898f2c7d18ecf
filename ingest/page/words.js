"use strict";
// Words for numbers and instants, and elements for words. Text from outside is only ever written as text.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const figures = new Intl.NumberFormat("en");
const local = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});
const byId = (id) => document.getElementById(id);
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const two = (number) => String(number).padStart(2, "0");

// A sequence may be a text already: beyond 2^53 a number would be another one.
const number = (value) => (typeof value === "number" ? figures.format(value) : String(value));
const count = (many, noun) => `${number(many)} ${noun}${many === 1 ? "" : "s"}`;

function hourMinute(moment) {
  const at = new Date(moment);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

function withSeconds(moment) {
  return `${hourMinute(moment)}:${two(new Date(moment).getUTCSeconds())}`;
}

function dayMonth(moment) {
  const at = new Date(moment);
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
}

const dayAndTime = (moment) => `${dayMonth(moment)} ${hourMinute(moment)}`;
const instant = (text) => (text ? Date.parse(text) : null);

// An instant as short as it stays clear: the day is named unless it is today's.
function near(moment, now) {
  return dayMonth(moment) === dayMonth(now) ? hourMinute(moment) : dayAndTime(moment);
}

function span(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 10 && seconds % 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function draw(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

// Characters that show nothing, or turn the order of those around them: each is boxed, so that a name cannot pretend.
const UNSEEN = /([\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff])/;

function literal(text) {
  const parts = String(text).split(UNSEEN).map((part, at) => {
    if (at % 2 === 0) return part;
    const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return make("span", { class: "control", "data-code": `U+${code}` }, part);
  });
  return make("bdi", { class: "literal", dir: "ltr" }, ...parts);
}

// How long something has lasted; the ticking of page.js keeps it right.
function since(moment, suffix = "") {
  return make("span", { "data-since": String(moment), "data-suffix": suffix });
}

function when(moment, now) {
  return make("time", { datetime: new Date(moment).toISOString(), title: local.format(moment) }, near(moment, now));
}

// What had the focus has it again, where that still exists after drawing anew.
function drawAnew(box, ...children) {
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  box.replaceChildren(...children);
  if (held === undefined) return;
  const again = [...box.querySelectorAll("[data-key]")].find((each) => each.dataset.key === held);
  if (again) again.focus({ preventScroll: true });
}
