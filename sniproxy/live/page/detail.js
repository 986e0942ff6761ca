// The details of one entry.

import { bytes, clock, copy, copyable, decoded, el, ms, visible } from "./dom.js";

const section = (title, ...children) => el("section", null, el("h2", null, title), ...children);
const facts = (pairs) => el("dl.facts", null, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
  .flatMap(([name, value]) => [el("dt", null, name), el("dd", null, value)]));

function place(text) {
  if (!text) return null;
  const line = /:(\d+)$/.exec(text);
  return line ? el("a.place", { href: `#view=configuration&line=${line[1]}` }, text.replace(/^.*\//, "")) : el("span.place", null, text);
}

// --- the way through the configuration ---

function step(kind, name, why, where, ...below) {
  return el("li", { "data-kind": kind }, el("span.kind", null, kind), el("div", null,
    el("b", null, name), why ? el("span.soft", null, ` ${why}`) : null, " ", place(where), ...below));
}

function way(trace) {
  const steps = [];
  const tls = trace.tls;
  if (tls) {
    const name = tls.handshake.server_name;
    steps.push(step("SNI in", name === null ? "none" : name, tls.server ? `chooses ${tls.server.name}: ${tls.server.why}` : "", tls.server && tls.server.place));
  }
  if (trace.server) steps.push(step("server", trace.server.name, trace.server.why, trace.server.place));
  for (const one of trace.steps) {
    if (one.kind === "location") steps.push(step("location", one.location, `for ${one.path}: ${one.why}`, one.place,
      one.passed_over.length ? el("div.soft", null, `passed over: ${one.passed_over.join(", ")}`) : null));
    else if (one.kind === "redirect") steps.push(step("redirect", one.by, one.to ? `to ${one.to}` : "sent the response", one.place));
    else if (one.kind === "files") steps.push(step("files", one.path, "", ""));
    else {
      steps.push(step("upstream", one.url, one.kind, one.place,
        one.variables.length ? facts(one.variables.map(([name, value]) => [`$${name}`, value === null ? "(none)" : value])) : null));
      if (one.names) steps.push(step("SNI out", one.names.not_sent ? "none" : one.names.name,
        one.names.not_sent ? `since ${one.names.not_sent}; the name is ${one.names.name}, from ${one.names.name_source}` : `from ${one.names.name_source}`, "",
        el("div.soft", null, /^not verified/.test(one.names.verified) ? one.names.verified : `verified: ${one.names.verified}`)));
      for (const peer of one.peers) steps.push(step(peer.failure ? "failed" : "peer", peer.address,
        peer.failure || `${peer.status ?? "no response"}${peer.reused ? ", over a kept connection" : ""}`, ""));
    }
  }
  return el("ol.way", null, steps);
}

// --- times ---

function bars(trace) {
  if (!trace.answer) return null;
  const total = trace.answer.seconds || 1e-6, found = [];
  const bar = (kind, name, from, length) => {
    const piece = el("span", { class: kind, title: `${name}: ${ms(length)}` });
    piece.style.left = `${Math.min(100, 100 * from / total)}%`;
    piece.style.width = `max(2px, ${Math.min(100, 100 * length / total)}%)`;
    return el("div.bar", null, el("span.name", null, name), el("span.track", null, piece), el("span.value", null, ms(length)));
  };
  let at = 0;
  for (const one of trace.steps.filter((stop) => stop.peers)) {
    for (const peer of one.peers) {
      const connect = peer.connect || 0, shake = peer.handshake ? peer.handshake.duration : 0;
      const head = peer.header_time, end = peer.response_time ?? head ?? connect + shake;
      if (!peer.reused && peer.connect !== null) found.push(bar("connect", `connect ${peer.address}`, at, connect));
      if (peer.handshake) found.push(bar(peer.handshake.failure ? "bad" : "tls", "TLS with the upstream", at + connect, shake));
      if (head !== null) found.push(bar("wait", "waiting for the head", at + connect + shake, Math.max(head - connect - shake, 0)));
      if (head !== null && end > head) found.push(bar("body", "response", at + head, end - head));
      at += end;
    }
  }
  found.push(bar("all", "request", 0, total));
  const client = trace.tls && trace.tls.handshake;
  return el("div", null, el("div.bars", null, found),
    client && client.duration ? el("p.soft", null, `TLS with the client took ${ms(client.duration)} before.`) : null);
}

// --- TLS ---

function handshake(one, extra = []) {
  return facts([
    ...extra,
    ["result", one.failure ? el("span.problem", null, one.failure.message) : one.resumed ? "done, session resumed" : "done, new session"],
    ["SNI", one.server_name === null ? "none" : one.server_name],
    ["protocol", one.protocol && [one.protocol, one.cipher, one.group].filter(Boolean).join(", ")],
    ["ALPN", one.alpn],
    ["session", one.offered_session ? (one.resumed ? "offered, resumed" : "offered, not resumed") : ""],
    ["verified", one.verified_name ? `for ${one.verified_name}: ${one.verify_error}` : ""],
    ["time", one.duration ? ms(one.duration) : ""],
  ]);
}

function certificates(chain) {
  if (!chain || !chain.length) return null;
  const date = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const now = Date.now() / 1000;
  return el("ol.certificates", null, chain.map((one) => el("li", null,
    el("b", null, one.names.length ? one.names.slice(0, 12).join(", ") : one.subject),
    el("div.soft", null, one.subject, " · issued by ", one.issuer),
    one.not_after ? el("div", { class: now > one.not_after || now < one.not_before ? "problem" : "soft" },
      `valid ${date(one.not_before)} to ${date(one.not_after)}`, now > one.not_after ? " — expired" : now < one.not_before ? " — not valid yet" : "") : null)));
}

// --- heads and bodies ---

function head(value, title) {
  if (!value) return null;
  const text = [value.line, ...value.fields.map(([name, content]) => `${name}: ${content}`)].map((one) => visible(decoded(one))).join("\n");
  return el("div", null, title ? el("h3", null, title) : null, copyable(text, "head", ".head"));
}

function fieldOf(value, name) {
  const found = value && value.fields.find(([one]) => one.toLowerCase() === name);
  return found ? found[1] : "";
}

function hex(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, 1024); at += 16) {
    const piece = data.slice(at, at + 16);
    lines.push(at.toString(16).padStart(6, "0") + "  " + [...piece].map((one) => one.toString(16).padStart(2, "0")).join(" ").padEnd(48)
      + " " + [...piece].map((one) => (one > 31 && one < 127 ? String.fromCharCode(one) : ".")).join(""));
  }
  return lines.join("\n");
}

function body(value, of) {
  if (!value || !value.length) return null;
  const data = Uint8Array.from(atob(value.data), (one) => one.charCodeAt(0));
  const type = fieldOf(of, "content-type").split(";")[0].trim().toLowerCase();
  const plain = !fieldOf(of, "content-encoding");
  const note = el("p.soft", null, `${bytes(value.length)}${value.complete ? "" : `, the first ${bytes(data.length)} of them`}${type ? `, ${type}` : ""}`);
  if (plain && /^image\/(png|jpeg|gif|webp|avif|bmp|x-icon)$/.test(type) && value.complete) {
    const url = URL.createObjectURL(new Blob([data], { type }));
    return el("div", null, note, el("img.body", { src: url, alt: "the body, an image", onload: () => URL.revokeObjectURL(url) }));
  }
  try {
    if (!plain) throw new TypeError("compressed");
    let text = new TextDecoder("utf-8", { fatal: value.complete }).decode(data);
    if (/\u0000/.test(text)) throw new TypeError("binary");
    if (/[/+]json$/.test(type)) {
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it came */ }
    }
    return el("div", null, note, copyable(text, "body", ".body"));
  } catch {
    return el("div", null, note, el("pre.body", null, hex(data)));
  }
}

// --- causes and cures ---

const code = (text) => String(text).split(/(`[^`]+`)/).map((part) => (/^`.+`$/.test(part) ? el("code", null, part.slice(1, -1)) : part));

function cure(cause) {
  return cause.fixes.map((fix) => el("div", null,
    el("p", { class: fix.weakens ? "beware" : null }, fix.optional ? "Or, " : "", code(fix.when), " ", el("small", null, `(${fix.context})`), fix.weakens ? ` Lost: ${fix.weakens}` : ""),
    fix.instruction ? el("p", null, code(fix.instruction)) : null,
    fix.directives.length ? copyable(fix.directives.join("\n"), "cure", ".cure") : null));
}

function cause(group) {
  const [first, ...others] = group.details;
  return el("article.cause", null,
    el("p.plain", null, group.plain),
    group.background ? el("p.soft", null, code(group.background)) : null,
    el("div.card.fix", null, el("h3", null, first.title), cure(first), group.hint ? el("p.soft", null, code(group.hint)) : null,
      first.misconception ? el("p.beware", null, "Beware: ", code(first.misconception)) : null),
    el("details", null, el("summary", null, "Why"), el("p", null, code(group.meaning)), el("p", null, code(first.explains)),
      first.likely.length ? el("ul", null, first.likely.map((one) => el("li", null, code(one)))) : null),
    others.slice(0, 4).map((one) => el("details", null, el("summary", null, `Or: ${one.title}`), el("p", null, code(one.explains)), cure(one))));
}

// --- copies ---

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const OWN = new Set(["host", "content-length", "connection", "transfer-encoding"]);

// The address and the port that the client has connected to.
function address(data) {
  const [host, port] = data.address;
  return [host.includes(":") && !host.startsWith("unix:") ? `[${host}]` : host, port];
}

function textBody(data) {
  const value = data.bodies && data.bodies.request;
  if (!value || !value.length || !value.complete) return "";
  return new TextDecoder().decode(Uint8Array.from(atob(value.data), (one) => one.charCodeAt(0)));
}

export function asCurl(row, data) {
  const { trace } = data, [host, port] = address(data);
  const [, target] = trace.request.line.split(" ");
  const name = row.scheme === "https" && row.sni_in ? row.sni_in : host;
  const words = ["curl"];
  if (row.scheme === "https") words.push("-k");
  if (name !== host) words.push(`--connect-to ${quoted(`${name}:${port}:${host}:${port}`)}`);
  if (trace.request.line.split(" ")[0] !== "GET") words.push(`-X ${trace.request.line.split(" ")[0]}`);
  for (const [field, value] of trace.request.fields) {
    const lower = field.toLowerCase();
    if (lower === "host" ? value !== `${name}:${port}` && value !== name : !OWN.has(lower)) words.push(`-H ${quoted(`${field}: ${value}`)}`);
  }
  const sent = textBody(data);
  if (sent) words.push(`--data-binary ${quoted(sent)}`);
  words.push(quoted(`${row.scheme}://${name}:${port}${target.startsWith("/") ? target : "/"}`));
  return words.join(" ");
}

const python = (text) => JSON.stringify(String(text)).replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

export function asTest(row, data) {
  const { trace } = data, [host, port] = address(data);
  const [method, target] = trace.request.line.split(" ");
  const name = `test_${method}_${row.location}_is_${row.status}`.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/_+$/, "");
  const file = (trace.server ? trace.server.place : "nginx.conf:1").replace(/:\d+$/, "");
  const fields = trace.request.fields.filter(([field]) => !["content-length", "connection", "transfer-encoding"].includes(field.toLowerCase()));
  const tls = row.scheme === "https", sent = textBody(data);
  return [
    "import http.client", "import socket", ...(tls ? ["import ssl"] : []), "from pathlib import Path", "",
    `CONFIG = Path(${python(file)})`, "", "",
    `def ${name}(sniproxy_serve):`,
    "    proxy = sniproxy_serve(CONFIG)",
    `    sock = socket.create_connection((${python(host.replace(/[[\]]/g, ""))}, ${port}))`,
    ...(tls ? ["    context = ssl.create_default_context()", "    context.check_hostname = False", "    context.verify_mode = ssl.CERT_NONE",
      `    sock = context.wrap_socket(sock, server_hostname=${row.sni_in ? python(row.sni_in) : "None"})`] : []),
    `    client = http.client.HTTPConnection(${python(host)}, ${port})`,
    "    client.sock = sock",
    `    client.putrequest(${python(method)}, ${python(target)}, skip_host=True, skip_accept_encoding=True)`,
    ...fields.map(([field, value]) => `    client.putheader(${python(field)}, ${python(value)})`),
    ...(sent ? [`    client.putheader("Content-Length", "${new TextEncoder().encode(sent).length}")`] : []),
    `    client.endheaders(${sent ? `${python(sent)}.encode()` : ""})`,
    `    assert client.getresponse().status == ${row.status}`,
    ...(row.problem ? [`    assert any(line.message.startswith(${python(row.problem.slice(0, 60))}) for line in proxy.error_log)`] : []),
    "    client.close()", "",
  ].join("\n");
}

// --- all of it ---

export function render(row, data, actions) {
  const trace = data.trace, request = trace && trace.request;
  const title = row.kind === "request" ? (trace ? trace.url : row.host + row.target) : row.kind === "handshake" ? "SSL handshake failed" : row.kind === "session" ? `Session of ${row.host}` : "Closed without a request";
  const outcome = el("div", { "aria-live": "polite" });
  const button = (text, action, attributes = {}) => el("button", { type: "button", onclick: action, ...attributes }, text);
  const upstream = trace ? trace.steps.filter((one) => one.peers) : [];
  const masked = data.masked && /\(masked\)/.test(JSON.stringify(trace ?? ""));
  const has = row.kind === "request" || row.kind === "session";
  const bad = !has || row.status >= 400 || !row.status;
  return el("div", null,
    el("div.title", null,
      el("button.close", { type: "button", "aria-label": "Close the details", onclick: actions.close }, "✕"),
      el("p", null, el("span.status", { "data-class": bad ? "s5" : `s${Math.floor(row.status / 100)}` }, has ? row.status || "none" : "TLS"),
        el("span.soft", null, ` ${ms(row.seconds)} · ${clock(row.time)} · from ${row.client}${row.connection ? `, connection *${row.connection}` : ""}`)),
      el("h1", null, row.method ? el("span.method", null, `${row.method} `) : null, title),
      row.problem ? el("p.problem", null, row.problem) : null),
    el("div.actions", null,
      request ? button("Copy as curl", () => copy(asCurl(row, data), "curl command")) : null,
      request ? button("Copy as pytest test", () => copy(asTest(row, data), "test")) : null,
      request ? button("Replay", () => actions.replay(row.id), { disabled: !data.can_replay, title: data.can_replay ? "Send it again" : "It was not recorded completely" }) : null,
      upstream.some((one) => one.names) ? button("Diagnose this upstream", () => actions.diagnose(row.id, outcome)) : null,
      masked ? button("Reveal secrets", () => actions.reveal(true)) : null,
      data.masked === false ? button("Mask secrets", () => actions.reveal(false)) : null),
    outcome,
    row.kind === "session" ? section("Session", facts([
      ["transport", row.scheme], ["SNI in", row.sni_in], ["peer", row.peer], ["SNI out", row.sni_out],
      ["received", bytes(row.received)], ["sent", bytes(row.sent)]])) : null,
    row.detail || row.kind === "session" ? null : el("p.beware", null, "No details: too many requests came at once, and serving them goes first."),
    data.causes && data.causes.length ? section("What it means, and what cures it", data.causes.map(cause)) : null,
    trace ? section("The way", way(trace)) : null,
    trace && trace.answer ? section("Time", bars(trace)) : null,
    trace && trace.tls ? section("TLS with the client", handshake(trace.tls.handshake, [["certificate", trace.tls.certificate && `${trace.tls.certificate.names.slice(0, 6).join(", ")} (ssl_certificate ${trace.tls.certificate.source})`]]),
      certificates(data.certificates && data.certificates.client)) : null,
    request ? section("Request", head(request), body(data.bodies && data.bodies.request, request)) : null,
    ...peers(upstream, data),
    trace && trace.answer ? section("Response", head(trace.answer.head), body(data.bodies && data.bodies.response, trace.answer.head),
      el("p.soft", null, `${bytes(trace.answer.sent)} sent, ${bytes(trace.answer.body_sent)} of them the body${trace.answer.complete ? "" : "; incomplete"}`)) : null,
    data.variables ? section("Variables", el("details", null, el("summary", null, `${Object.keys(data.variables).length} variables`), facts(Object.entries(data.variables).map(([name, value]) => [`$${name}`, value])))) : null,
    logs(trace ? [...trace.error_log, ...trace.access_log] : data.lines));
}

function peers(upstream, data) {
  let at = 0;
  return upstream.flatMap((one) => one.peers.map((peer) => {
    const chain = data.certificates && data.certificates.peers[at++];
    return section(`Upstream ${peer.address}`,
      peer.handshake ? handshake(peer.handshake) : null,
      certificates(chain),
      head(peer.request, "sent"), head(peer.response, "received"),
      peer.failure ? el("p.problem", null, peer.failure) : null);
  }));
}

function logs(lines) {
  return lines && lines.length ? section("Log lines", copyable(lines.map(visible).join("\n"), "log lines", ".log")) : null;
}
