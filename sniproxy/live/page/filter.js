// The filter language: words that all have to match; "-" before one excludes.

export function failed(row) {
  return !["request", "session"].includes(row.kind) || !row.status || row.status >= 400 || Boolean(row.problem);
}

export function side(row) {
  if (!failed(row)) return "";
  return ["request", "session"].includes(row.kind) && row.peer && row.problem ? "upstream" : "client";
}

const has = (text, part) => String(text ?? "").toLowerCase().includes(part);

function compare(number, text) {
  const found = /^(<=|>=|<|>|=)?(\d+(?:\.\d+)?)(?:ms)?$/.exec(text);
  if (!found) return false;
  const limit = Number(found[2]);
  switch (found[1]) {
    case "<": return number < limit;
    case ">": return number > limit;
    case "<=": return number <= limit;
    case ">=": return number >= limit;
    default: return number === limit;
  }
}

const sni = (value, part) => (part === "none" ? value === null || value === undefined : has(value, part));

const KEYS = {
  status: (row, text) => (/^\dxx$/.test(text) ? Math.floor(row.status / 100) === Number(text[0]) : compare(row.status, text)),
  host: (row, text) => has(row.host, text),
  path: (row, text) => has(row.target, text),
  method: (row, text) => row.method.toLowerCase() === text,
  server: (row, text) => has(row.server, text),
  location: (row, text) => has(row.location, text),
  peer: (row, text) => has(row.peer, text),
  client: (row, text) => has(row.client, text),
  in: (row, text) => (row.scheme === "https" || row.kind === "session") && sni(row.sni_in, text),
  out: (row, text) => Boolean(row.peer_tls) && sni(row.sni_out, text),
  sni: (row, text) => KEYS.in(row, text) || KEYS.out(row, text),
  side: (row, text) => side(row) === text,
  time: (row, text) => compare(row.seconds * 1000, text),
  is: (row, text) => (text === "failed" ? failed(row) : text === "ok" ? !failed(row) : row.kind === text),
};

function anywhere(row, text) {
  return [row.method, row.host, row.target, row.status, row.sni_in, row.sni_out, row.server, row.location,
    row.peer, row.client, row.problem].some((value) => has(value, text));
}

// A function of a row, and the words that mean nothing.
export function parse(text) {
  const tests = [], wrong = [];
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const excludes = word.length > 1 && word.startsWith("-");
    const plain = excludes ? word.slice(1) : word;
    const colon = plain.indexOf(":");
    const key = colon > 0 ? plain.slice(0, colon) : "", value = plain.slice(colon + 1);
    let test = (row) => anywhere(row, plain);
    if (Object.hasOwn(KEYS, key)) {
      if (!value) continue;
      test = (row) => KEYS[key](row, value);
    } else if (key && /^[a-z]+$/.test(key) && !value.startsWith("//")) {
      wrong.push(key + ":");
    }
    tests.push(excludes ? (row) => !test(row) : test);
  }
  return { matches: (row) => tests.every((test) => test(row)), wrong };
}
