// Elements and the forms in which values are shown. Text from a chain becomes text nodes or the
// values of attributes that hold no address and no script; nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

// Amounts come as decimal strings of wei.
export function ether(wei, { sign = false } = {}) {
  const amount = BigInt(wei);
  const size = amount < 0n ? -amount : amount;
  const rest = (size % 10n ** 18n).toString().padStart(18, "0").replace(/0+$/, "");
  const text = `${(size / 10n ** 18n).toString()}${rest ? `.${rest}` : ""}`;
  const before = amount < 0n ? "−" : sign && amount > 0n ? "+" : "";
  return before + text;
}

// For places in a drawing alone.
export function etherNumber(wei) {
  return Number(BigInt(wei) / 10n ** 6n) / 1e12;
}

// At most six decimals; the whole amount is in the title.
export function amount(wei, options = {}) {
  const exact = ether(wei, options);
  const [whole, rest = ""] = exact.split(".");
  const text = rest.length > 6 ? `${whole}.${rest.slice(0, 6)}…` : exact;
  return h("span", { class: "number", title: `${exact} ETH` }, text);
}

export function number(value) {
  return h("span", { class: "number" }, String(value).replace(/\B(?=(\d{3})+$)/g, " "));
}

export function short(value) {
  return value.length > 14 ? `${value.slice(0, 6)}…${value.slice(-4)}` : value;
}

export function time(iso, { date = true } = {}) {
  const [day, clock] = iso.replace("Z", "").split("T");
  return h("time", { datetime: iso, title: `${day} ${clock} UTC` }, date ? `${day} ${clock}` : clock);
}

// A digest, address or transaction: shortened, whole on hover, copied by its button.
export function hash(value, what, href = null) {
  if (!value) return h("span", { class: "none" }, "none");
  const text = href
    ? h("a", { href, title: value, class: "mono" }, short(value))
    : h("span", { title: value, class: "mono" }, short(value));
  const copy = h(
    "button",
    { type: "button", class: "copy", title: `Copy ${value}`, "aria-label": `Copy ${what} ${value}` },
    s("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
      s("rect", { x: 5.5, y: 5.5, width: 8, height: 8, rx: 1.5 }),
      s("path", { d: "M3.5 10.5h-1v-8h8v1" })),
  );
  copy.addEventListener("click", () => copyText(value, copy));
  return h("span", { class: "hash" }, text, copy);
}

async function copyText(value, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    done = copyBySelection(value);
  }
  button.classList.toggle("copied", done);
  say(done ? `Copied ${value}` : "The browser does not let this page copy");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

// Where the page came over plain HTTP from another machine there is no clipboard to ask.
function copyBySelection(value) {
  const field = h("textarea", { class: "hidden", readonly: true });
  field.value = value;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

export function say(text) {
  document.getElementById("news").textContent = text;
}

export const account = (address) =>
  hash(address, "account", `#/contributor/${encodeURIComponent(address)}`);
export const roundLink = (value) =>
  h("a", { href: `#/round/${encodeURIComponent(value)}`, class: "number" }, `Round ${value}`);

export const windowLink = (value) =>
  h("a", { href: `#/window/${encodeURIComponent(value)}`, class: "number" }, `Window ${value}`);

export const TONES = {
  finalized: "good", agreed: "good", returned: "plain", assessed: "plain", refunded: "good",
  sealed: "busy", open: "busy", committed: "busy", submitted: "busy",
  filling: "busy", full: "busy", judged: "busy", standing: "good",
  lapsed: "warn", disputed: "warn", fallen: "warn",
  cancelled: "plain", forfeited: "bad", reported: "bad",
  PASS: "good", FAIL: "bad", MISSING: "warn", SKIPPED: "plain",
};

export function badge(text, tone = TONES[text] ?? "plain") {
  return h("span", { class: `badge ${tone}` }, text);
}

// A table that becomes a list of cards on a narrow screen: roles are given, because a browser
// drops those of a table that is not laid out as one.
export function table(caption, columns, rows, { empty = "Nothing yet.", hideCaption = false } = {}) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  const head = columns.map((one) =>
    h("th", { scope: "col", role: "columnheader", class: one.right ? "right" : null }, one.title));
  const body = rows.map((row) =>
    h("tr", { role: "row", class: row.marked ? "marked" : null },
      columns.map((one) =>
        h("td", { role: "cell", class: one.right ? "right" : null },
          h("span", { class: "label", "aria-hidden": "true" }, one.title),
          h("span", { class: "value" }, one.cell(row))))));
  return h("div", { class: "scroll" },
    h("table", { role: "table" },
      h("caption", { class: hideCaption ? "hidden" : null }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, body)));
}

export function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), children);
}
