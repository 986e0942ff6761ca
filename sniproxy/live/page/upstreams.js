// The tab of upstreams: groups with the state of their peers, caches and zones of limits.

import { bytes, el } from "./dom.js";

const table = (heads, rows) => el("div.scroll", null, el("table", null,
  el("thead", null, el("tr", null, heads.map((text) => el("th", { scope: "col" }, text)))),
  el("tbody", null, rows.map((cells) => el("tr", null, cells.map((cell) => el("td", null, cell)))))));

const name = (worker) => `${worker.index}${worker.is_ending ? " (ending)" : ""}`;

// The groups of all workers, in the order of the first: each with its state in each worker.
function groups(workers) {
  const found = new Map();
  for (const worker of workers) {
    for (const group of worker.upstreams) {
      const key = JSON.stringify([group.name, group.is_group, group.zone, group.places]);
      if (!found.has(key)) found.set(key, []);
      found.get(key).push({ worker, group });
    }
  }
  return [...found.values()];
}

function peer(one) {
  return [
    [el("code", null, one.address), one.backup ? " backup" : ""],
    el("span.pill", { "data-state": one.state }, one.state),
    `${one.fails} of ${one.max_fails}`, String(one.connections), String(one.weight), one.has_session ? "cached" : "—",
  ];
}

function idle(states) {
  const numbers = states.map(({ group }) => group.idle_connections).filter((one) => one !== null);
  return numbers.length ? `${numbers.reduce((sum, one) => sum + one, 0)} kept connections idle` : "no kept connections";
}

function card(states, several) {
  const [{ group }] = states;
  const heads = ["state", "fails", "in use", "weight", "TLS session"];
  const split = several && !group.zone;
  const shown = group.zone ? states.slice(0, 1) : states;
  const rows = group.peers.flatMap((_, at) => shown.map(({ worker, group: state }) => {
    if (!state.peers[at]) return null;
    const [address, ...cells] = peer(state.peers[at]);
    return split ? [address, name(worker), ...cells] : [address, ...cells];
  })).filter(Boolean);
  return el("article.card", null,
    el("h2", null, group.name, group.is_group ? null : el("small", null, " an address of proxy_pass")),
    el("p.soft", null, idle(states), group.zone ? ` · state shared by all workers (zone ${group.zone})` : "",
      group.places.length ? ` · ${[...new Set(group.places)].join(", ")}` : " · no location passes requests to it directly"),
    table(split ? ["peer", "worker", ...heads] : ["peer", ...heads], rows));
}

const share = (used, most) => `${used} of ${most}`;

function caches(found) {
  return found.length ? [el("h2", null, "Caches"), table(["zone", "folder", "keys", "on disk", "removed after"], found.map((one) => [
    one.name, el("code", null, one.folder), share(one.keys, one.max_keys),
    one.max_size ? `${bytes(one.size)} of ${bytes(one.max_size)}` : bytes(one.size), `${one.inactive} s without use`]))] : [];
}

function limits(found) {
  return found.length ? [el("h2", null, "Limits"), table(["zone", "directive", "key", "rate", "keys"], found.map((one) => [
    one.name, one.directive, el("code", null, one.key), one.rate ? `${one.rate} r/s` : "—", share(one.keys, one.max_keys)]))] : [];
}

export function renderUpstreams(found) {
  const several = found.workers.length > 1;
  const cards = groups(found.workers);
  return [
    el("h1", null, "Upstreams"),
    several ? el("p.soft", null, `Of ${found.workers.length} worker processes: ${found.workers.map((one) => `${name(one)} is ${one.process}`).join(", ")}. Each has a state of its own, except of groups with a zone.`) : null,
    ...cards.map((states) => card(states, several)),
    cards.length ? null : el("p", null, "No location passes requests to an upstream."),
    ...caches(found.caches), ...limits(found.limits),
  ];
}
