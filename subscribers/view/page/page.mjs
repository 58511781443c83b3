// The page: a table of topics, the fields of those that are open, and a plot for each group of fields
// that were ticked. All that comes from the bus is set as text, never as HTML.
//
// The table is asked for once a second; samples come over a WebSocket, of topics only that are open or
// plotted. What was ticked stands in the address behind '#', and outlives reloads and reconnects.
import { decode, getter, leaves, parse } from "./cdr.mjs";

const COLORS = ["#3b8ede", "#e0823d", "#3fa66b", "#c3589e", "#9a86e8", "#b59a2a", "#35a3a8", "#d25f5f"];
// Of longer arrays a part is listed, and only once it is opened.
const ELEMENTS_FLAT = 8;
const ELEMENTS_SHOWN = 32;
const MESSAGES_SHOWN = 4;
const ROWS_MAX = 20000;
const DRAW_MS = 66;
const VALUES_MS = 200;
const TABLE_MS = 1000;
const UNITS_MS = 50;
const RETRY_MS = [500, 1000, 2000];

const byId = (id) => document.getElementById(id);
const topics = new Map();
const plots = new Map();
const notices = new Map();
let socket = null;
let failures = 0;
let lastSubscription = 0;
let subscriptions = new Map();
let paused = false;
let pausedAt = 0;
let unitsTimer = 0;
// From this machine's clock to that of the samples, by the sample that came with the least delay.
let clockOffset = null;

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) {
    element.className = name;
  }
  if (text !== undefined) {
    element.textContent = text;
  }
  return element;
}

// --- numbers as text ---

function short(number) {
  if (!Number.isFinite(number) || Number.isInteger(number)) {
    return String(number);
  }
  const size = Math.abs(number);
  return size >= 1e7 || size < 1e-4 ? number.toExponential(3) : String(Number(number.toPrecision(6)));
}

function rateText(hz) {
  return hz >= 1000 ? `${(hz / 1000).toPrecision(3)} kHz` : `${hz.toFixed(hz < 100 ? 1 : 0)} Hz`;
}

function ageText(seconds) {
  if (seconds === null) {
    return "never";
  }
  if (seconds < 1) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 120) {
    return `${seconds.toFixed(1)} s`;
  }
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function valueText(value) {
  return typeof value === "number" ? short(value) : String(value);
}

// --- notices ---

function notice(id, text) {
  notices.get(id)?.remove();
  notices.delete(id);
  if (text) {
    const element = make("p", "notice", text);
    notices.set(id, element);
    byId("notices").append(element);
  }
}

function showState(text, kind) {
  const state = byId("state");
  if (state.textContent !== text) {
    state.textContent = text;
    state.className = kind;
    document.body.classList.toggle("away", kind !== "live");
  }
}

// Long names are broken where a part of them ends.
function showName(element, text) {
  if (element.textContent !== text) {
    const parts = text.split(/(?<=[/_])/);
    element.replaceChildren(...parts.flatMap((part, index) => (index > 0 ? [make("wbr"), part] : [part])));
  }
}

// --- topics ---

function topicOf(name) {
  if (!topics.has(name)) {
    topics.set(name, { name, channel: null, subscription: 0, open: false, message: null, time: 0, note: "", row: null,
      units: {}, spans: new Map() });
  }
  return topics.get(name);
}

function wanted(topic) {
  return topic.open || [...plots.values()].some((plot) => plot.topic === topic);
}

// Subscribes to what is shown, and to nothing else.
function adjust(topic) {
  if (!topic.channel || socket?.readyState !== WebSocket.OPEN) {
    return;
  }
  if (wanted(topic) && !topic.subscription && topic.channel.type) {
    topic.subscription = ++lastSubscription;
    subscriptions.set(topic.subscription, topic);
    socket.send(JSON.stringify({
      op: "subscribe",
      subscriptions: [{ id: topic.subscription, channelId: topic.channel.id }],
    }));
  } else if (!wanted(topic) && topic.subscription) {
    socket.send(JSON.stringify({ op: "unsubscribe", subscriptionIds: [topic.subscription] }));
    subscriptions.delete(topic.subscription);
    topic.subscription = 0;
  }
}

function setOpen(topic, open) {
  topic.open = open;
  topic.row.button.setAttribute("aria-expanded", String(open));
  topic.row.fields.hidden = !open;
  adjust(topic);
  if (open) {
    showFields(topic);
  }
}

function addRow(topic) {
  const line = make("tr", "topic");
  const name = make("td");
  const button = make("button", "open");
  const type = make("span", "type");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const title = make("span", "name");
  showName(title, topic.name);
  button.append(title, type);
  name.append(button);
  const rate = make("td", "number");
  const age = make("td", "number");
  line.append(name, rate, age);
  const fields = make("tr", "fields");
  const list = make("td");
  list.colSpan = 3;
  fields.append(list);
  fields.hidden = true;
  button.addEventListener("click", () => setOpen(topic, !topic.open));
  topic.row = { line, button, type, rate, age, fields, list, shown: new Map(), key: "" };
}

function showTable(table) {
  byId("bus").textContent = table.bus;
  document.title = `${table.bus} - slipring view`;
  const sorted = table.topics.sort((a, b) => (a.name < b.name ? -1 : 1));
  const body = byId("topics");
  let before = body.firstChild;
  for (const entry of sorted) {
    const topic = topicOf(entry.name);
    if (!topic.row) {
      addRow(topic);
    }
    const { line, type, rate, age, fields } = topic.row;
    showName(type, entry.type);
    topic.note = entry.readable ? "no sample yet" : "whoever runs slipring view may not read this topic";
    rate.textContent = entry.readable ? rateText(entry.rate_hz) : "";
    age.textContent = entry.readable ? ageText(entry.age_s) : "not readable";
    age.title = entry.stale ? "older than its deadline" : "";
    age.className = entry.stale ? "number stale" : "number";
    if (entry.stale) {
      age.textContent += " stale";
    }
    if (before !== line) {
      body.insertBefore(line, before);
      body.insertBefore(fields, before);
    } else {
      before = fields.nextSibling;
    }
  }
  while (before) {
    const next = before.nextSibling;
    before.remove();
    before = next;
  }
  const names = new Set(sorted.map((entry) => entry.name));
  for (const topic of topics.values()) {
    if (topic.row && !names.has(topic.name)) {
      topic.row = null;
      topic.open = false;
      adjust(topic);
    }
  }
}

async function askTable() {
  if (socket?.readyState === WebSocket.OPEN && !document.hidden) {
    try {
      const answer = await fetch("topics.json", { cache: "no-store" });
      if (answer.ok) {
        showTable(await answer.json());
        notice("table", null);
      } else {
        notice("table", await answer.text());
      }
    } catch {
      // The server went; the socket says so, too.
    }
  }
  setTimeout(askTable, TABLE_MS);
}

// What the types' texts do not have.
async function askUnits() {
  try {
    const answer = await fetch("units.json", { cache: "no-store" });
    const units = answer.ok ? (await answer.json()).topics : {};
    topics.forEach((topic) => (topic.units = Object.hasOwn(units, topic.name) ? units[topic.name] : {}));
  } catch {
    // The server went; with the next one they are asked for again.
  }
}

// --- fields ---

function unitOf(topic, path) {
  for (let plain = path.replace(/\[\d*\]/g, ""); plain !== ""; plain = plain.replace(/\.?[^.]*$/, "")) {
    if (Object.hasOwn(topic.units, plain)) {
      return topic.units[plain];
    }
  }
  return "";
}

function withUnit(text, unit) {
  return unit ? `${text} ${unit}` : text;
}

// Which elements of an array are listed: all, or { from, to } of them.
function spanOf(topic, path, length, ofMessages) {
  if (length <= ELEMENTS_FLAT) {
    return null;
  }
  const from = Math.min(topic.spans.get(path) ?? -1, length - 1);
  return from < 0 ? { from: 0, to: 0 } : { from, to: from + (ofMessages ? MESSAGES_SHOWN : ELEMENTS_SHOWN) };
}

function showSpan(topic, path, from) {
  if (from === null) {
    topic.spans.delete(path);
  } else {
    topic.spans.set(path, Math.max(from, 0));
  }
  showFields(topic);
}

// The line of a long array: it opens and closes, and chooses the part that is listed below.
function addArray(topic, leaf) {
  const { array, from, to, length } = leaf;
  const open = to > from;
  const line = make("div", "array");
  const toggle = make("button", "toggle");
  const total = make("span");
  toggle.type = "button";
  toggle.dataset.key = `${array} toggle`;
  toggle.setAttribute("aria-expanded", String(open));
  toggle.addEventListener("click", () => showSpan(topic, array, open ? null : 0));
  const value = make("span", "value");
  line.append(toggle, value);
  if (open) {
    const part = make("div", "part");
    const step = (text, label, start) => {
      const button = make("button", "", text);
      button.type = "button";
      button.dataset.key = `${array} ${label}`;
      button.setAttribute("aria-label", `${label} elements of ${array}`);
      button.disabled = start < 0 || start >= length;
      button.addEventListener("click", () => showSpan(topic, array, start));
      return button;
    };
    const first = make("input");
    first.type = "number";
    first.min = 0;
    first.max = length - 1;
    first.value = from;
    first.dataset.key = `${array} first`;
    first.setAttribute("aria-label", `first element of ${array} that is listed`);
    first.addEventListener("change", () => showSpan(topic, array, Math.floor(Number(first.value)) || 0));
    const size = to - from;
    part.append(step("‹", "previous", from > 0 ? Math.max(from - size, 0) : -1), first,
      total, step("›", "next", to));
    line.append(part);
  }
  topic.row.list.append(line);
  topic.row.shown.set(leaf.path, { value, toggle, total });
}

// A sequence may have another length in each message.
function showArray(topic, leaf) {
  const { value, toggle, total } = topic.row.shown.get(leaf.path);
  const { array, to, length } = leaf;
  const first = leaf.value ? `${leaf.value.map(valueText).join(", ")}, …` : "";
  toggle.textContent = `${array}[${length}]`;
  total.textContent = `to ${Math.min(to, length) - 1} of ${length}`;
  value.textContent = withUnit(first, first && unitOf(topic, array));
}

function addField(topic, leaf) {
  if (leaf.array) {
    addArray(topic, leaf);
    return;
  }
  const line = make("label", "field");
  const box = make("input");
  box.type = "checkbox";
  box.disabled = leaf.number === null;
  box.checked = isPlotted(topic, leaf.path);
  box.addEventListener("change", () => (box.checked ? plot(topic, leaf.path) : unplot(topic, leaf.path)));
  const name = make("span", "", leaf.path);
  if (leaf.comment) {
    name.append(" ", make("small", "", leaf.comment));
  }
  const value = make("span", "value");
  line.append(box, name, value);
  topic.row.list.append(line);
  topic.row.shown.set(leaf.path, { box, value });
}

function showFields(topic) {
  const row = topic.row;
  if (!row || !topic.open) {
    return;
  }
  if (topic.channel?.error || !topic.message) {
    const note = document.body.classList.contains("away") ? "not connected" : topic.note;
    row.list.replaceChildren(make("p", "note", topic.channel?.error ?? note));
    row.key = "";
    return;
  }
  const list = leaves(topic.channel.type, topic.message, {
    span: (path, length, ofMessages) => spanOf(topic, path, length, ofMessages),
    unit: (path) => unitOf(topic, path),
  });
  if (list.length === 0) {
    row.list.replaceChildren(make("p", "note", "its messages have no fields"));
  }
  const key = list.map((leaf) => `${leaf.path} ${leaf.from}`).join("\n");
  if (key !== row.key) {
    const focused = document.activeElement?.dataset.key;
    row.list.replaceChildren();
    row.shown.clear();
    list.forEach((leaf) => addField(topic, leaf));
    row.key = key;
    [...row.list.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
  }
  for (const leaf of list) {
    if (leaf.array) {
      showArray(topic, leaf);
    } else {
      const unit = leaf.number === null ? "" : unitOf(topic, leaf.path);
      row.shown.get(leaf.path).value.textContent = withUnit(valueText(leaf.value), unit);
    }
  }
}

// --- plots ---

// Fields of one struct and elements of one array share a plot; others are of another scale.
function parentOf(path) {
  const cut = Math.max(path.lastIndexOf("."), path.lastIndexOf("["));
  return cut < 0 ? path : path.slice(0, cut);
}

function plotKey(topic, path) {
  return `${topic.name}:${parentOf(path)}`;
}

function isPlotted(topic, path) {
  return plots.get(plotKey(topic, path))?.series.some((series) => series.path === path) ?? false;
}

function remember() {
  const chosen = [...plots.values()].flatMap((plot) =>
    plot.series.map((series) => encodeURIComponent(`${plot.topic.name}:${series.path}`)));
  history.replaceState(null, "", chosen.length > 0 ? `#${chosen.join("&")}` : location.pathname);
  byId("hint").hidden = chosen.length > 0;
}

function recall() {
  for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
    let text = "";
    try {
      text = decodeURIComponent(part);
    } catch {
      // Not of this page's making.
    }
    const [name, path] = text.split(":");
    if (name && path) {
      plot(topicOf(name), path);
    }
  }
}

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function newPlot(topic, path) {
  const element = make("article", "plot");
  const chips = make("div", "chips");
  const unit = make("div", "unit");
  const canvas = make("div", "canvas");
  const title = path === parentOf(path) ? topic.name : `${topic.name} ${parentOf(path)}`;
  element.append(make("h2", "", title), chips, unit, canvas);
  byId("plots").append(element);
  return { topic, element, chips, unit, canvas, title, series: [], rows: [], graph: null, hovered: false };
}

function addChip(plot, series) {
  series.chip = make("button", "chip");
  series.chip.type = "button";
  series.chip.title = `take ${series.path} off the plot`;
  series.chip.style.setProperty("--series", series.color);
  series.chip.addEventListener("click", () => unplot(plot.topic, series.path));
  plot.chips.append(series.chip);
  labelChip(plot, series, null);
}

function labelChip(plot, series, value) {
  const parent = parentOf(series.path);
  const name = series.path === parent ? series.path : series.path.slice(parent.length).replace(/^\./, "");
  series.chip.textContent = value === null ? name : withUnit(`${name} ${short(value)}`, unitOf(plot.topic, series.path));
}

// Over the axis, whose values have the units of all curves.
function showUnit(plot) {
  const units = new Set(plot.series.map((series) => unitOf(plot.topic, series.path)).filter(Boolean));
  const text = [...units].join(", ");
  if (plot.unit.textContent !== text) {
    plot.unit.textContent = text;
  }
}

function endGraph(plot) {
  plot.graph?.destroy();
  plot.graph = null;
}

function plot(topic, path) {
  const key = plotKey(topic, path);
  if (isPlotted(topic, path)) {
    return;
  }
  if (!plots.has(key)) {
    plots.set(key, newPlot(topic, path));
  }
  const into = plots.get(key);
  const free = COLORS.find((color) => !into.series.some((series) => series.color === color));
  const series = { path, get: getter(path), color: free ?? COLORS[into.series.length % COLORS.length] };
  into.series.push(series);
  into.rows.forEach((row) => row.push(null));
  // It begins with what is there: the next sample may be far off.
  if (topic.message) {
    addSample(into, topic.time, topic.message);
  }
  addChip(into, series);
  endGraph(into);
  changed(topic, path);
}

function unplot(topic, path) {
  const key = plotKey(topic, path);
  const from = plots.get(key);
  const index = from?.series.findIndex((series) => series.path === path) ?? -1;
  if (index < 0) {
    return;
  }
  from.series[index].chip.remove();
  from.series.splice(index, 1);
  from.rows.forEach((row) => row.splice(index + 1, 1));
  endGraph(from);
  if (from.series.length === 0) {
    from.element.remove();
    plots.delete(key);
  }
  changed(topic, path);
}

function changed(topic, path) {
  const shown = topic.row?.shown.get(path);
  if (shown) {
    shown.box.checked = isPlotted(topic, path);
  }
  remember();
  adjust(topic);
}

function windowMs() {
  return Number(byId("window").value) * 1000;
}

function showPoint(plot, row) {
  const values = row?.isGap ? null : row;
  plot.series.forEach((series, index) => labelChip(plot, series, values?.[index + 1] ?? null));
  showUnit(plot);
}

// Only the mouse zooms: a finger on a plot scrolls the page.
function interaction() {
  const { mousedown, dblclick } = Dygraph.defaultInteractionModel;
  return { mousedown, dblclick };
}

function draw(plot, right) {
  const range = [right - windowMs(), right];
  const file = plot.rows.length > 0 ? plot.rows : [[new Date(right), ...plot.series.map(() => null)]];
  if (plot.graph) {
    plot.graph.updateOptions({ file, dateWindow: range });
    return;
  }
  plot.graph = new Dygraph(plot.canvas, file, {
    labels: ["time", ...plot.series.map((series) => series.path)],
    colors: plot.series.map((series) => series.color),
    dateWindow: range,
    legend: "never",
    strokeWidth: 1.6,
    axisLabelFontSize: 12,
    gridLineColor: style("--line"),
    axisLineColor: style("--line"),
    axes: { y: { axisLabelWidth: 60, axisLabelFormatter: short }, x: { pixelsPerLabel: 80 } },
    interactionModel: interaction(),
    zoomCallback: () => setPaused(true),
    highlightCallback: (event, x, points, index) => {
      plot.hovered = true;
      showPoint(plot, plot.rows[index]);
    },
    unhighlightCallback: () => (plot.hovered = false),
  });
}

function drawAll() {
  if (!document.hidden && window.Dygraph && clockOffset !== null) {
    const right = paused ? pausedAt : Date.now() + clockOffset;
    // One that is paused stays as it is, zoomed perhaps.
    plots.forEach((plot) => (paused && plot.graph) || draw(plot, right));
  }
  setTimeout(() => requestAnimationFrame(drawAll), DRAW_MS);
}

function showValues() {
  if (!document.hidden && !paused) {
    topics.forEach(showFields);
    for (const plot of plots.values()) {
      if (!plot.hovered) {
        showPoint(plot, plot.rows.at(-1));
      }
    }
  }
  setTimeout(showValues, VALUES_MS);
}

function addSample(plot, time, message) {
  const { rows } = plot;
  // Of two at one time, or of a clock that was set back, no line can be drawn.
  if (rows.length > 0 && time < rows.at(-1)[0].getTime()) {
    rows.length = 0;
  }
  rows.push([new Date(time), ...plot.series.map((series) => series.get(message))]);
  const oldest = (paused ? pausedAt : time) - 1000 * 310;
  let gone = Math.max(rows.length - ROWS_MAX, 0);
  while (gone < rows.length && rows[gone][0].getTime() < oldest) {
    gone++;
  }
  // Not at each sample: what is behind moves up.
  if (gone > 256) {
    rows.splice(0, gone);
  }
}

function setPaused(on) {
  paused = on;
  pausedAt = Date.now() + (clockOffset ?? 0);
  byId("pause").setAttribute("aria-pressed", String(on));
  byId("pause").textContent = on ? "Resume" : "Pause";
}

// --- the connection ---

function onChannel(channel) {
  const topic = topicOf(channel.topic);
  topic.channel = { id: channel.id, type: null, error: null };
  try {
    topic.channel.type = parse(channel.schemaName, channel.schema);
  } catch (error) {
    topic.channel.error = `this page cannot read its type: ${error.message}`;
  }
  adjust(topic);
}

// What comes after a gap is not joined to what was before it.
function breakLines(topic) {
  for (const plot of plots.values()) {
    const last = plot.rows.at(-1);
    if (plot.topic === topic && last) {
      const gap = [new Date(last[0].getTime()), ...plot.series.map(() => NaN)];
      gap.isGap = true;
      plot.rows.push(gap);
    }
  }
}

function dropChannel(topic) {
  subscriptions.delete(topic.subscription);
  topic.channel = null;
  topic.subscription = 0;
  topic.message = null;
  breakLines(topic);
}

function onText(text) {
  const message = JSON.parse(text);
  if (message.op === "advertise") {
    message.channels.forEach(onChannel);
    // Many topics come in several messages.
    clearTimeout(unitsTimer);
    unitsTimer = setTimeout(askUnits, UNITS_MS);
  } else if (message.op === "unadvertise") {
    const gone = new Set(message.channelIds);
    topics.forEach((topic) => gone.has(topic.channel?.id) && dropChannel(topic));
  } else if (message.op === "status" && message.level > 0 && !message.id?.startsWith("stale/")) {
    notice(message.id ?? message.message, message.message);
  } else if (message.op === "removeStatus") {
    message.statusIds.forEach((id) => notice(id, null));
  }
}

function onSample(buffer) {
  const view = new DataView(buffer);
  const topic = view.getUint8(0) === 1 ? subscriptions.get(view.getUint32(1, true)) : undefined;
  if (!topic?.channel?.type) {
    return;
  }
  const time = Number(view.getBigUint64(5, true)) / 1e6;
  try {
    topic.message = decode(topic.channel.type, new Uint8Array(buffer, 13));
  } catch (error) {
    topic.channel.error = `this page cannot read its messages: ${error.message}`;
    return;
  }
  topic.time = time;
  clockOffset = Math.max(clockOffset ?? -Infinity, time - Date.now());
  for (const plot of plots.values()) {
    if (plot.topic === topic) {
      addSample(plot, time, topic.message);
    }
  }
}

function onClose(event) {
  topics.forEach((topic) => topic.channel && dropChannel(topic));
  subscriptions = new Map();
  [...notices.keys()].forEach((id) => notice(id, null));
  clockOffset = null;
  showState("connection lost, trying again", "lost");
  if (event.reason) {
    notice("closed", `slipring view ended the connection: ${event.reason}`);
  }
  setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
}

function connect() {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  byId("url").textContent = url;
  socket = new WebSocket(url, ["foxglove.sdk.v1", "foxglove.websocket.v1"]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    failures = 0;
    showState("live", "live");
  });
  socket.addEventListener("message", (event) =>
    typeof event.data === "string" ? onText(event.data) : onSample(event.data));
  socket.addEventListener("close", onClose);
}

byId("pause").addEventListener("click", () => setPaused(!paused));
byId("window").addEventListener("change", () => plots.forEach(endGraph));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(endGraph));
if (window.Dygraph) {
  // Its legend sets style attributes, which the policy of the page refuses; ours are the chips.
  Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
} else {
  byId("hint").textContent =
    "There are no plots: this slipring was built without libjs-dygraphs. Install it and build slipring again.";
}
recall();
remember();
connect();
askTable();
showValues();
drawAll();
