"use strict";
// The charts: how loading goes by the hour, and what was sent. Each says its point in a sentence and has a table beside it.

const METRICS = ["sent", "delivered", "opened", "clicked", "bounced", "unsubscribed"];
const UNWELCOME = new Set(["bounced", "unsubscribed"]);
const CHANNELS = { email: "Email", push: "Push", sms: "SMS", webhook: "Webhook", slack: "Slack", whatsapp: "WhatsApp", in_app: "In-app", "in-app": "In-app" };
const channelInWords = (channel) => (Object.hasOwn(CHANNELS, channel) ? CHANNELS[channel] : String(channel || "unknown"));
const ALL = "";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const charts = new Map();

function scales(showY, tick) {
  const grid = { color: colour("line"), drawTicks: false };
  const ticks = { color: colour("muted"), font: { size: 11 }, padding: 6, maxRotation: 0 };
  return {
    x: { grid: { display: false }, border: { color: colour("line") }, ticks: { ...ticks, autoSkip: false, callback: tick } },
    y: { display: showY, beginAtZero: true, grid, border: { display: false }, ticks: { ...ticks, maxTicksLimit: 5 } },
  };
}

// One chart in one figure; where it is there already, only its numbers change.
function plot(canvas, type, series, labels, { tick, value, showY = true, legend = false }) {
  const old = charts.get(canvas);
  const datasets = series.map((each) => ({ ...each, ...paintOf(type, each) }));
  if (old) {
    old.data.labels = labels;
    datasets.forEach((each, at) => Object.assign(old.data.datasets[at], each));
    Object.assign(old.options.scales, scalesOf(old.options.scales, showY, tick, value));
    old.options.plugins.legend.labels.color = colour("ink");
    old.update("none");
    return;
  }
  const options = {
    animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
    scales: scalesOf({}, showY, tick, value),
    plugins: {
      legend: { display: legend, align: "end", labels: { color: colour("ink"), boxWidth: 22, boxHeight: 1, font: { size: 12 } } },
      tooltip: { displayColors: false, callbacks: { label: ({ dataset, raw }) => `${dataset.label}: ${raw === null ? "none" : value(raw)}` } },
    },
  };
  charts.set(canvas, new Chart(canvas, { type, data: { labels, datasets }, options }));
}

function scalesOf(old, showY, tick, value) {
  const made = scales(showY, tick);
  made.y.ticks.callback = (it) => value(it);
  if (value === number) Object.assign(made.y, { suggestedMax: 4 }).ticks.precision = 0;
  return { ...old, ...made };
}

function paintOf(type, { paint, dashed = false, faintLast = false, data }) {
  const ink = colour(paint);
  if (type === "bar") {
    const last = data.length - 1;
    const faint = colour(`${paint}-faint`);
    return { backgroundColor: data.map((_, at) => (faintLast && at === last ? faint : ink)), borderColor: ink,
      borderWidth: data.map((_, at) => (faintLast && at === last ? 1 : 0)), borderRadius: 1, categoryPercentage: 1, barPercentage: 0.78 };
  }
  return { borderColor: ink, backgroundColor: ink, borderWidth: 2, borderDash: dashed ? [5, 4] : [], pointRadius: 1.6,
    pointStyle: dashed ? "rect" : "circle", pointHoverRadius: 4, spanGaps: false, tension: 0 };
}

// Whole minutes would be too coarse for what mostly takes seconds.
const seconds = (it) => (it < 120 ? `${number(Math.round(it * 10) / 10)} s` : span(it * 1000));

const HOUR_CHARTS = [
  {
    title: "From arrival to commit", unit: "Median and 95th percentile of the files of an hour",
    type: "line", value: seconds, legend: true, head: ["Median", "95 of 100"],
    series: (hours) => [
      { label: "Median", data: hours.map((each) => each.median_seconds), paint: "loaded" },
      { label: "95 of 100 files", data: hours.map((each) => each.p95_seconds), paint: "late", dashed: true },
    ],
    words: (hours) => {
      const timed = hours.filter((each) => each.p95_seconds !== null && each.p95_seconds !== undefined);
      if (!timed.length) return "No file was committed in these hours.";
      const last = timed.at(-1);
      const worst = timed.reduce((slow, each) => (each.p95_seconds > slow.p95_seconds ? each : slow));
      return `In the latest hour with files, from ${dayAndTime(instant(last.hour))}, half were in the tables within ${seconds(last.median_seconds)} `
        + `and 95 of 100 within ${seconds(last.p95_seconds)}. Slowest: ${seconds(worst.p95_seconds)}, in the hour from ${dayAndTime(instant(worst.hour))}.`;
    },
  },
  {
    title: "Rows", unit: "Rows committed in an hour",
    type: "bar", value: number, head: ["Rows", "Files"],
    series: (hours) => [{ label: "Rows", data: hours.map((each) => each.rows), paint: "loaded" }],
    extra: (hours) => [hours.map((each) => each.files)],
    words: (hours) => {
      const day = hours.slice(-24);
      const most = hours.reduce((best, each) => (each.rows > best.rows ? each : best));
      if (!most.rows) return "No row was committed in these hours.";
      return `${count(sum(day.map((each) => each.rows)), "row")} from ${count(sum(day.map((each) => each.files)), "file")} in the last 24 hours; `
        + `most in the hour from ${dayAndTime(instant(most.hour))}: ${number(most.rows)}.`;
    },
  },
  {
    title: "Backlog", unit: "Files that waited at the end of an hour",
    type: "bar", value: number, head: ["Files waiting"],
    series: (hours) => [{ label: "Files waiting", data: hours.map((each) => each.backlog), paint: "waiting" }],
    words: (hours) => {
      const most = hours.reduce((worst, each) => (each.backlog > worst.backlog ? each : worst));
      const now = hours.at(-1).backlog;
      if (!most.backlog) return "No file waited at the end of any of these hours.";
      return `${now ? `${count(now, "file")} wait${now === 1 ? "s" : ""} now` : "No file waits now"}; most were `
        + `${number(most.backlog)}, in the hour from ${dayAndTime(instant(most.hour))}.`;
    },
  },
];

function showHours(box, hours) {
  if (!box.childElementCount) box.append(...HOUR_CHARTS.map(hourFigure));
  HOUR_CHARTS.forEach((chart, at) => {
    const figure = box.children[at];
    const words = hours.length ? chart.words(hours) : "Not known now.";
    figure.querySelector(".summary").textContent = words;
    figure.querySelector(".plot").hidden = figure.querySelector("details").hidden = !hours.length;
    if (hours.length) hourChart(figure, chart, hours, words);
  });
}

function hourFigure(chart) {
  return make("figure", { class: "card" },
    make("figcaption", {}, make("h3", {}, chart.title), make("p", { class: "note" }, chart.unit), make("p", { class: "summary" })),
    make("div", { class: "plot" }, make("canvas", { role: "img" })),
    make("details", {}, make("summary", {}, "As a table"),
      make("div", { class: "scroll short", tabindex: "0", role: "region", "aria-label": `${chart.title}, by hour` },
        make("table", { class: "plain" }))));
}

function hourChart(figure, chart, hours, words) {
  const series = chart.series(hours);
  const moments = hours.map((each) => instant(each.hour));
  const tick = (_, at) => (moments[at] % (12 * HOUR) ? "" : moments[at] % (24 * HOUR) ? hourMinute(moments[at]) : dayMonth(moments[at]));
  const canvas = figure.querySelector("canvas");
  canvas.setAttribute("aria-label", `${chart.title}: ${words}`);
  plot(canvas, chart.type, series, moments.map((each) => `${dayAndTime(each)} UTC`), { tick, value: chart.value, legend: chart.legend });
  const columns = [...series.map((each) => each.data.map((raw) => (raw === null || raw === undefined ? "" : chart.value(raw)))),
    ...(chart.extra ? chart.extra(hours).map((each) => each.map(number)) : [])];
  const rows = moments.map((moment, at) => [dayAndTime(moment), ...columns.map((column) => column[at])]).reverse();
  fill(figure.querySelector("table"), `${chart.title}, newest hour first`, ["Hour from (UTC)", ...chart.head], rows);
}

// A table of texts, its first column the rows' names.
function fill(table, caption, head, rows) {
  const body = rows.map(([name, ...cells]) => make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell))));
  table.replaceChildren(make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, ...head.map((each) => make("th", { scope: "col" }, each)))), make("tbody", {}, ...body));
}

// Counts by metric, of one channel or of all, added up over the workspaces.
function byMetric(doc, channel) {
  const totals = new Map();
  for (const each of doc.counts.filter((it) => channel === ALL || it.channel === channel)) {
    const known = totals.get(each.metric) ?? doc.days.map(() => 0);
    totals.set(each.metric, known.map((total, at) => total + (each.counts[at] ?? 0)));
  }
  return totals;
}

// Six full days against the same weekdays a week before: today is not over, and weekdays differ.
function changeOf(counts) {
  const [before, after] = [sum(counts.slice(-14, -8)), sum(counts.slice(-7, -1))];
  if (counts.length < 14 || !before) return "";
  const percent = Math.round((after / before - 1) * 100);
  return percent === 0 ? "as in the week before" : `${percent > 0 ? "\u25b2" : "\u25bc"} ${number(Math.abs(percent))} % on the week before`;
}

function showMessages(doc) {
  const select = byId("channel");
  const channels = [ALL, ...new Set(doc.counts.map((each) => each.channel))];
  if (channels.join() !== [...select.options].map((each) => each.value).join()) {
    const kept = select.value;
    select.replaceChildren(...channels.map((each) => make("option", { value: each }, each === ALL ? "All channels" : channelInWords(each))));
    select.value = channels.includes(kept) ? kept : ALL;
  }
  const totals = byMetric(doc, select.value);
  const who = select.value === ALL ? "All channels" : channelInWords(select.value);
  const known = METRICS.filter((metric) => totals.has(metric)).map((metric) => `${number(sum(totals.get(metric)))} ${metric}`);
  byId("messages-summary").textContent = known.length ? `${who}: ${known.join(", ")} since ${dayMonth(instant(doc.days[0]))}, today so far included.`
    : `${who}: no message was recorded in these days.`;
  const box = byId("multiples");
  if (!box.childElementCount) box.append(...METRICS.map(multiple));
  box.hidden = byId("messages-details").hidden = !known.length;
  if (known.length) METRICS.forEach((metric, at) => showMultiple(box.children[at], metric, totals.get(metric) ?? doc.days.map(() => 0), doc.days, who));
  messagesTable(totals, doc.days, who);
}

function multiple(metric) {
  const title = metric.charAt(0).toUpperCase() + metric.slice(1);
  return make("figure", {}, make("figcaption", {}, make("h3", {}, title), make("p", { class: "total" }), make("p", { class: "note" })),
    make("div", { class: "plot small" }, make("canvas", { role: "img" })));
}

function showMultiple(figure, metric, counts, days, who) {
  const change = changeOf(counts);
  figure.querySelector(".total").textContent = number(sum(counts));
  figure.querySelector(".note").textContent = change || "in 14 days";
  const canvas = figure.querySelector("canvas");
  const moments = days.map(instant);
  canvas.setAttribute("aria-label", `${who}, ${metric}: ${number(sum(counts))} in 14 days${change ? `, ${change}` : ""}. The table has every day.`);
  const series = [{ label: metric, data: counts, paint: UNWELCOME.has(metric) ? "late" : "loaded", faintLast: true }];
  const tick = (_, at) => (at === 0 || at === 7 ? dayMonth(moments[at]) : "");
  const labels = moments.map((each, at) => dayMonth(each) + (at === moments.length - 1 ? ", so far" : ""));
  plot(canvas, "bar", series, labels, { tick, value: number, showY: false });
}

function messagesTable(totals, days, who) {
  const others = [...totals.keys()].filter((metric) => !METRICS.includes(metric)).sort();
  const shown = [...METRICS.filter((metric) => totals.has(metric)), ...others];
  const rows = shown.map((metric) => [literal(metric), ...totals.get(metric).map(number), number(sum(totals.get(metric)))]);
  fill(byId("messages-table"), `${who}: messages by metric and day`, ["Metric", ...days.map((day) => dayMonth(instant(day))), "In all"], rows);
}
