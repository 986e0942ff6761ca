// Elements, texts and copying. All text becomes a text node: nothing is parsed as HTML.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

export function visible(text) {
  return String(text).replace(HIDDEN, (found) => {
    const code = found.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

// Header fields and paths are bytes, one character each; most of them are UTF-8.
export function decoded(text) {
  text = String(text);
  if (/^[\u0000-\u007f]*$/.test(text)) return text;
  try {
    const bytes = Uint8Array.from(text, (character) => {
      if (character.charCodeAt(0) > 255) throw new RangeError();
      return character.charCodeAt(0);
    });
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return text;
  }
}

export function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat(4).filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (one instanceof Node ? one : visible(decoded(one)))));
  return made;
}

export function ms(seconds) {
  const value = seconds * 1000;
  if (value >= 10000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

export function bytes(number) {
  if (number < 1024) return `${number} B`;
  return number < 1 << 20 ? `${(number / 1024).toFixed(1)} KiB` : `${(number / (1 << 20)).toFixed(1)} MiB`;
}

export function clock(seconds) {
  const time = new Date(seconds * 1000);
  return time.toLocaleTimeString([], { hour12: false }) + "." + String(time.getMilliseconds()).padStart(3, "0");
}

let hiding = 0;
export function toast(text, bad = false) {
  const place = document.getElementById("toast");
  place.textContent = visible(text);
  place.classList.toggle("bad", bad);
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, bad ? 6000 : 2000);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not allowed, or the page is not at a loopback address
    const area = el("textarea", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${what} copied`);
}

export function copyable(text, what, kind = "") {
  return el("div.block", null,
    el("pre" + kind, null, text),
    el("button.copy", { type: "button", "aria-label": `Copy ${what}`, onclick: () => copy(text, what) }, "Copy"));
}

// --- requests to the API ---

const parameters = new URLSearchParams(location.search);
if (parameters.has("token")) {
  try { sessionStorage.setItem("token", parameters.get("token")); } catch { /* not allowed */ }
}
function stored() {
  try { return sessionStorage.getItem("token"); } catch { return null; }
}
export const token = parameters.get("token") || stored() || "";

export async function api(path, method = "GET") {
  const response = await fetch(path, { method, headers: token ? { "X-Live-Token": token } : {} });
  let value = {};
  try { value = await response.json(); } catch { /* a page of the proxy */ }
  if (!response.ok) throw new Error(value.error || `status ${response.status}`);
  return value;
}
