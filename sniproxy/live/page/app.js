import { api, bytes, clock, copy, el, ms, toast, token } from "./dom.js";
import { asCurl, render as renderDetail } from "./detail.js";
import { failed, parse } from "./filter.js";
import { renderUpstreams } from "./upstreams.js";

const MOST = 2000, CHUNK = 40, INTERVAL = 250;
const $ = (id) => document.getElementById(id);
const list = $("list"), listpane = $("listpane"), detail = $("detail"), filter = $("filter");

let rows = [];                 // newest first
let waiting = [];              // came while paused, oldest first
let drawn = CHUNK;             // rows in the list at most
let paused = false, selected = 0, opened = 0, lost = 0, ring = "", last = 0, connected = false;
let current = parse("");
let state = new URLSearchParams(location.hash.slice(1));

// --- state in the URL ---

function remember(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value) state.set(key, value); else state.delete(key);
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#${state}`);
}

function apply() {
  state = new URLSearchParams(location.hash.slice(1));
  filter.value = state.get("q") || "";
  refilter();
  show(state.get("view") || "requests");
  const id = Number(state.get("id"));
  if (id && id !== opened) open(id);
  if (!id && opened) close();
}

// --- the list ---

function names(row) {
  if (row.kind === "session") {
    const parts = row.sni_in ? [`SNI ${row.sni_in}`] : row.scheme === "tls" ? ["no SNI"] : [];
    if (row.peer) parts.push(...(row.peer_tls ? [row.sni_out ? `SNI ${row.sni_out}` : "no SNI"] : []), row.peer);
    return parts;
  }
  if (row.kind !== "request") return [row.sni_in ? `SNI ${row.sni_in}` : "no SNI", row.host];
  const parts = [];
  if (row.scheme === "https") parts.push(row.sni_in ? `SNI ${row.sni_in}` : "no SNI");
  parts.push(row.server || "(no name)", row.location);
  if (row.peer) parts.push(...(row.peer_tls ? [row.sni_out ? `SNI ${row.sni_out}` : "no SNI"] : []), row.peer);
  return parts;
}

function label(row) {
  if (row.kind === "handshake") return "TLS";
  if (row.kind === "connection") return "—";
  return row.status ? String(row.status) : "none";
}

function line(row) {
  const bad = failed(row);
  const what = { request: row.target, handshake: "handshake failed", session: ` ↑ ${bytes(row.received || 0)} ↓ ${bytes(row.sent)}` }[row.kind] ?? "no request";
  const made = el("div.row", { role: "option", id: `row-${row.id}`, "aria-selected": String(row.id === selected) },
    el("span.time", null, clock(row.time)),
    el("span.status", { "data-class": (row.kind === "request" || row.kind === "session") && row.status ? `s${Math.floor(row.status / 100)}` : "s5" }, label(row)),
    el("span.method", null, row.method),
    el("span.what", null, el("span.host", null, row.host), el("span.path", null, what)),
    el("span.chain", null, names(row).flatMap((part, at) => [at ? el("i", { "aria-hidden": "true" }, "→") : null, el("span", { class: part === "no SNI" ? "none" : null }, part)])),
    el("span.duration", null, ms(row.seconds)),
    row.problem ? el("span.problem", null, row.problem) : null);
  made.classList.toggle("bad", bad);
  made.dataset.id = row.id;
  return made;
}

function matching() {
  return rows.filter(current.matches);
}

function redraw() {
  const found = matching();
  list.replaceChildren(...found.slice(0, drawn).map(line));
  if (selected) list.setAttribute("aria-activedescendant", `row-${selected}`);
  describe(found.length);
  setTimeout(fill, 0);
}

function describe(number) {
  const place = $("empty");
  place.hidden = number > 0;
  if (current.wrong.length) place.textContent = `The filter does not know ${current.wrong.join(", ")}`;
  else if (rows.length) place.textContent = "No request matches the filter.";
  else place.textContent = "Nothing yet. Send a request through the proxy, and it appears here.";
  const parts = [connected ? (paused ? "paused" : "live") : "not connected"];
  parts.push(filter.value.trim() ? `${number} of ${rows.length}` : `${rows.length} requests`);
  const bad = rows.reduce((sum, row) => sum + failed(row), 0);
  if (bad) parts.push(`${bad} failed`);
  if (lost) parts.push(`${lost} older ones lost`);
  $("state").textContent = parts.join(" · ");
  $("state").className = connected ? (paused ? "paused" : "live") : "off";
}

let scheduled = false;
let incoming = [];
let inserted = 0;
function add(fresh) {
  if (paused || listpane.scrollTop > 40) {
    waiting.push(...fresh);
    waiting = waiting.slice(-MOST);
    $("fresh").hidden = false;
    $("fresh").textContent = `${waiting.length} new ${paused ? "while paused" : ""} ↑`;
    describe(matching().length);
    return;
  }
  incoming.push(...fresh);
  if (incoming.length > MOST) incoming = incoming.slice(-MOST);
  if (!scheduled) {
    scheduled = true;
    // The first row at once; a flood in few steps, so that the page stays responsive.
    setTimeout(() => requestAnimationFrame(insert), Math.max(0, inserted + INTERVAL - performance.now()));
  }
}

function insert() {
  scheduled = false;
  inserted = performance.now();
  const fresh = incoming.reverse();
  incoming = [];
  rows = fresh.concat(rows).slice(0, MOST);
  if (fresh.length > CHUNK) drawn = CHUNK;
  const found = fresh.filter(current.matches).slice(0, drawn);
  if (found.length === drawn) list.replaceChildren(...found.map(line)); else list.prepend(...found.map(line));
  setTimeout(fill, INTERVAL);
  const id = Number(state.get("id"));
  if (id && !shown) open(id);
  while (list.childElementCount > drawn) list.lastElementChild.remove();
  describe(filter.value.trim() ? matching().length : rows.length);
}

// Append rows until the list is longer than its pane.
function fill() {
  if (list.childElementCount < drawn) return;
  if (listpane.scrollTop + listpane.clientHeight < listpane.scrollHeight - 400) return;
  const found = matching();
  if (drawn >= found.length) return;
  list.append(...found.slice(drawn, drawn + CHUNK).map(line));
  drawn += CHUNK;
}

function catchUp() {
  const fresh = waiting;
  waiting = [];
  $("fresh").hidden = true;
  listpane.scrollTop = 0;
  if (fresh.length) add(fresh);
}

function refilter() {
  current = parse(filter.value);
  drawn = CHUNK;
  $("failed").setAttribute("aria-pressed", String(/(^|\s)is:failed(\s|$)/.test(filter.value)));
  redraw();
}

function pause(on = !paused) {
  paused = on;
  $("pause").setAttribute("aria-pressed", String(on));
  $("pause").textContent = on ? "Go on" : "Pause";
  if (!on) catchUp();
  describe(matching().length);
}

function mark(id) {
  for (const one of list.querySelectorAll("[aria-selected=true]")) one.setAttribute("aria-selected", "false");
  selected = id;
  const row = $(`row-${id}`);
  if (row) {
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    list.setAttribute("aria-activedescendant", row.id);
  }
}

function move(by) {
  const found = matching();
  if (!found.length) return;
  const at = found.findIndex((row) => row.id === selected);
  const next = found[Math.min(Math.max(at < 0 ? 0 : at + by, 0), found.length - 1)];
  if (found.indexOf(next) >= drawn) { drawn += CHUNK; redraw(); }
  mark(next.id);
  if (opened) open(next.id);
}

// --- details ---

async function open(id, reveal = false) {
  const row = rows.find((one) => one.id === id);
  opened = id;
  mark(id);
  remember({ id, view: "" });
  if (!row) {
    if (connected) toast("That request is not recorded any more", true);
    return;
  }
  try {
    const data = row.detail ? await api(`/api/requests/${id}${reveal ? "?reveal=1" : ""}`) : {};
    if (opened !== id) return;
    const scrolled = reveal ? detail.scrollTop : 0;
    detail.replaceChildren(renderDetail(row, data, { close, replay, diagnose, reveal: (on) => open(id, on) }));
    detail.hidden = false;
    document.body.classList.add("open");
    detail.scrollTop = scrolled;
    shown = { row, data };
  } catch (error) {
    toast(error.message, true);
  }
}

let shown = null;

function close() {
  opened = 0;
  shown = null;
  detail.hidden = true;
  document.body.classList.remove("open");
  remember({ id: "" });
  list.focus({ preventScroll: true });
}

async function replay(id) {
  if (!token) return toast("Replay needs the URL with the token that sniproxy has printed", true);
  toast("sent again …");
  try {
    const answer = await api(`/api/requests/${id}/replay`, "POST");
    toast(`Replayed: ${answer.status || "no response"}`);
  } catch (error) {
    toast(`Not replayed: ${error.message}`, true);
  }
}

async function diagnose(id, place) {
  if (!token) return toast("Diagnosis needs the URL with the token that sniproxy has printed", true);
  put(place, el("p.soft.busy", null, "Connecting to the upstream in different ways …"));
  place.scrollIntoView({ block: "nearest" });
  try {
    const found = await api(`/api/requests/${id}/diagnose`, "POST");
    put(place, 
      el("pre.report", { tabindex: 0 }, found.text),
      found.diff ? el("pre.diff", { tabindex: 0 }, found.diff.split("\n").map((text) => el("span", { class: text.startsWith("+") ? "plus" : text.startsWith("-") ? "minus" : null }, text + "\n"))) : null,
      found.diff ? el("button", { type: "button", onclick: () => copy(found.diff, "diff") }, "Copy the diff") : null);
  } catch (error) {
    put(place, el("p.problem", null, error.message));
  }
}

// Show these elements in a place; null stands for none.
function put(place, ...children) {
  place.replaceChildren(...children.filter((one) => one !== null));
}

// --- the other views ---

function show(view) {
  if (!["requests", "upstreams", "configuration"].includes(view)) view = "requests";
  for (const name of ["requests", "upstreams", "configuration"]) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "requests" ? "sniproxy live" : `${view} · sniproxy live`;
  if (view === "upstreams") upstreams();
  if (view === "configuration") configuration();
}

async function upstreams() {
  const place = $("upstreams");
  try {
    put(place, ...renderUpstreams(await api("/api/upstreams")));
  } catch (error) {
    put(place, el("p.problem", null, error.message));
  }
}

// The state of upstreams changes by itself: look again while it is shown.
setInterval(() => {
  if (!$("upstreams").hidden && !document.hidden && !String(getSelection())) upstreams();
}, 2000);

async function configuration() {
  const place = $("configuration");
  try {
    const found = await api("/api/configuration");
    const number = found.findings.length;
    put(place, el("h1", null, "Configuration"),
      el("p.soft", null, `As it runs. The lint has ${number ? `${number} finding${number > 1 ? "s" : ""}` : "no findings"}.`),
      ...found.files.map((file) => el("article", null, el("h2", null, file.name),
        el("ol.source", null, file.text.replace(/\n$/, "").split("\n").map((text, at) => {
          const here = found.findings.filter((one) => one.line === at + 1 && (one.file === file.name || found.files.length === 1));
          return el("li", { id: `L${at + 1}`, class: here.length ? "found" : null }, el("code", null, text || " "),
            here.map((one) => el("p", { class: one.advice ? "advice" : "finding" }, one.text, el("small", null, ` (${one.rule})`))));
        })))));
    const wanted = state.get("line") && $(`L${state.get("line")}`);
    if (wanted) { wanted.classList.add("here"); wanted.scrollIntoView({ block: "center" }); }
  } catch (error) {
    put(place, el("p.problem", null, error.message));
  }
}

// --- events ---

let source = null;
function connect() {
  const query = new URLSearchParams();
  if (token) query.set("token", token);
  if (ring) { query.set("ring", ring); query.set("after", last); }
  source = new EventSource(`/api/events?${query}`);
  source.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    if (ring !== hello.ring) { rows = []; waiting = []; lost = 0; redraw(); }
    ring = hello.ring;
    connected = true;
    describe(matching().length);
  });
  source.addEventListener("rows", (event) => {
    last = Number(event.lastEventId);
    add(JSON.parse(event.data));
  });
  source.addEventListener("lost", (event) => { if (last) lost += JSON.parse(event.data).number; });
  source.onerror = () => {
    // A new connection continues where this one ended, which EventSource itself does not say.
    source.close();
    connected = false;
    describe(matching().length);
    setTimeout(connect, 1000);
  };
}

// --- events of the page ---

filter.addEventListener("input", () => { remember({ q: filter.value.trim() }); refilter(); });
$("tools").addEventListener("submit", (event) => { event.preventDefault(); list.focus(); });
$("failed").addEventListener("click", () => {
  const words = filter.value.split(/\s+/).filter(Boolean);
  filter.value = words.includes("is:failed") ? words.filter((word) => word !== "is:failed").join(" ") : [...words, "is:failed"].join(" ");
  filter.dispatchEvent(new Event("input"));
});
$("pause").addEventListener("click", () => pause());
$("fresh").addEventListener("click", () => (paused ? pause(false) : catchUp()));
$("clear").addEventListener("click", () => { rows = []; waiting = []; lost = 0; $("fresh").hidden = true; redraw(); });
function help(on = $("helptext").hidden) {
  $("helptext").hidden = !on;
  $("help").setAttribute("aria-expanded", String(on));
}
$("help").addEventListener("click", () => help());
list.addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (row && !String(getSelection())) open(Number(row.dataset.id));
});
listpane.addEventListener("scroll", () => {
  if (listpane.scrollTop <= 40 && waiting.length && !paused) catchUp();
  fill();
}, { passive: true });
addEventListener("hashchange", apply);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target instanceof Element && event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    event.preventDefault();  // Chromium would clear the filter
    if (writing) list.focus(); else if (!$("helptext").hidden) help(false); else if (opened) close();
    return;
  }
  if (writing) return;
  const views = ["requests", "upstreams", "configuration"];
  const keys = {
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
    "/": () => { location.hash.includes("view=") && (location.hash = ""); filter.focus(); filter.select(); },
    p: () => pause(), "?": () => help(),
    c: () => (shown && shown.data.trace ? copy(asCurl(shown.row, shown.data), "curl command") : toast("Open a request first", true)),
    r: () => (selected ? replay(selected) : toast("Select a request first", true)),
    Enter: () => selected && open(selected),
  };
  if (event.key === "Enter" && event.target instanceof Element && event.target.closest("button, a, summary")) return;
  if (/^Arrow/.test(event.key) && event.target !== list) return;
  if (/^[123]$/.test(event.key)) { remember({ view: views[event.key - 1] }); show(views[event.key - 1]); }
  else if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
});

apply();
describe(0);
connect();
