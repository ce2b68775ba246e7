// The page: which section is shown, and how it stays up to date.

import { h, say } from "./dom.js";
import * as models from "./models.js";
import * as money from "./money.js";
import * as views from "./views.js";
import { window_, windows } from "./windows.js";

const SECTIONS = [
  ["", "Overview", views.overview], ["rounds", "Rounds", views.rounds],
  ["windows", "Windows", windows],
  ["contributors", "Contributors", money.members], ["money", "Money", money.money],
  ["models", "Models", models.models], ["verification", "Verification", models.verification],
];
// Pages of one thing, and the section that they belong to.
const PAGES = {
  round: [views.round, "rounds"], contributor: [money.contributor, "contributors"],
  window: [window_, "windows"], model: [models.model, "models"], search: [views.search, null],
};
// Where no contract judges updates, there are no windows to look at.
const JUDGED = new Set(["windows"]);
const SLOW_MS = 250;

const main = document.getElementById("main");
const notice = document.getElementById("notice");
let state = null;
let answers = new Map();
let drawing = 0;
let known = null;
let navigated = null;

class Refused extends Error {}

// The answer to a question; asked once for each version of the index.
function api(path) {
  if (!answers.has(path)) {
    const asked = fetch(path, { headers: { Accept: "application/json" } }).then(async (response) => {
      const value = await response.json().catch(() => null);
      if (!response.ok) throw new Refused(value?.error ?? (response.status === 404 ? "There is nothing of this name." : `The server says ${response.status}.`));
      return value;
    });
    asked.catch(() => answers.delete(path));
    answers.set(path, asked);
  }
  return answers.get(path);
}

function place() {
  const [, name = "", ...rest] = location.hash.split("/");
  let value = rest.join("/");
  try {
    value = decodeURIComponent(value);
  } catch {
    // Not what this page writes: searched for as it is.
  }
  if (name in PAGES && value) return { view: PAGES[name][0], section: PAGES[name][1], value };
  const found = SECTIONS.find(([key]) => key === name) ?? SECTIONS[0];
  return { view: found[2], section: found[0], value: "" };
}

function navigation(section) {
  const now = `${section} ${Boolean(state?.federation?.judged)}`;
  if (now === navigated) return;
  navigated = now;
  const shown = SECTIONS.filter(([key]) => state?.federation?.judged || !JUDGED.has(key) || key === section);
  document.getElementById("nav").replaceChildren(...shown.map(([key, name]) =>
    h("li", {}, h("a", { href: `#/${key}`, "aria-current": key === section ? "page" : null }, name))));
}

async function show({ moved }) {
  const own = (drawing += 1);
  const { view, section, value } = place();
  navigation(section);
  main.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => {
    if (own === drawing && (moved || !main.querySelector("h1"))) main.replaceChildren(loading());
  }, SLOW_MS);
  let parts;
  try {
    state ??= await api("/api/state");
    told(state);
    navigation(section);
    parts = unread(state) ? noIndex() : await view(api, { state, value });
  } catch (error) {
    if (!(error instanceof Refused || error instanceof TypeError)) throw error;
    parts = failed(error);
  } finally {
    clearTimeout(slow);
  }
  if (own !== drawing) return;
  replace(parts.flat().filter(Boolean), moved);
  main.setAttribute("aria-busy", "false");
}

// What the reader had opened, and where the focus was, stays as it was when rows are renewed.
function replace(parts, moved) {
  const before = [...main.querySelectorAll("details")];
  const there = new Set(before.map((one) => one.id));
  const open = new Set(before.filter((one) => one.open).map((one) => one.id));
  const focused = main.contains(document.activeElement) ? trail(document.activeElement) : null;
  main.replaceChildren(...parts);
  const heading = main.querySelector("h1");
  document.title = heading ? `${heading.textContent} · ddcai` : "ddcai";
  if (moved) {
    if (moved === "user") heading?.focus({ preventScroll: true });
    if (moved === "user") scrollTo(0, 0);
    return;
  }
  for (const one of main.querySelectorAll("details")) {
    if (there.has(one.id)) one.open = open.has(one.id);
  }
  if (focused) follow(focused)?.focus({ preventScroll: true });
}

function trail(element) {
  const path = [];
  for (let one = element; one !== main; one = one.parentElement) {
    path.unshift([...one.parentElement.children].indexOf(one));
  }
  return path;
}

const follow = (path) => path.reduce((element, index) => element?.children[index], main);

const loading = () => h("div", { class: "loading" }, h("p", { role: "status" }, "Reading the index"),
  h("div", { class: "bone" }), h("div", { class: "bone" }), h("div", { class: "bone" }));

// Before the first blocks are in.
const unread = (now) => now.federation === null || now.federation.synced_block < 0;

function noIndex() {
  const waiting = state.following
    ? "The server is reading the chain; the page fills by itself."
    : ["Make one with ", h("code", {}, "ddcai audit sync"), ", or start the page with an endpoint of the chain. It appears here by itself."];
  return [h("section", { class: "panel lonely" }, h("h1", { tabindex: "-1" }, "No federation in the index yet"), h("p", {}, waiting))];
}

function failed(error) {
  const gone = error instanceof TypeError;
  const again = h("button", { type: "button", onclick: () => show({ moved: "user" }) }, "Try again");
  return [h("section", { class: "panel lonely" },
    h("h1", { tabindex: "-1" }, gone ? "The server does not answer" : "This cannot be shown"),
    h("p", {}, gone ? "Is ddcai dashboard still running? The page goes on by itself when it answers." : error.message), again)];
}

function told(now) {
  const block = unread(now) ? "" : ` · block ${now.federation.synced_block}`;
  const [kind, text] = now.trouble === "unreachable" || now.trouble === "refused" ? ["stale", "Stale"]
    : unread(now) ? ["waiting", "No index yet"]
      : now.following ? ["fresh", `Live${block}`] : ["index", `Index${block}`];
  live(kind, text);
  const since = now.stale_since?.replace("T", " ").replace("Z", " UTC");
  const from = now.federation?.synced?.replace("T", " ").replace("Z", " UTC");
  warn(kind !== "stale" ? "" : `${now.trouble === "unreachable" ? "The chain has not answered" : "The chain could not be read"} since ${since}.`
    + (from ? ` What is shown is from block ${now.federation.synced_block}, ${from}.` : ""));
}

function live(kind, text) {
  document.getElementById("live").className = `live ${kind}`;
  document.getElementById("live-text").textContent = text;
}

function warn(text) {
  notice.hidden = !text;
  if (notice.textContent !== text) notice.textContent = text;
}

// Says what is new, for those who do not see it appear.
async function announce() {
  const judged = state.federation.judged ? api("/api/windows") : [];
  const found = await Promise.all([api("/api/rounds"), judged]).catch(() => null);
  if (found === null) return;
  const [rounds, windows_] = found.map((rows) => rows.map((row) => [row.number, row.state]));
  const now = new Map([...rounds.map(([one, is]) => [`Round ${one}`, is]), ...windows_.map(([one, is]) => [`Window ${one}`, is])]);
  if (known !== null) {
    const news = [...now].filter(([name, is]) => known.get(name) !== is);
    if (news.length) say(news.map(([name, is]) => `${name} is ${is}`).join(". "));
  }
  known = now;
}

function listen() {
  const events = new EventSource("/api/events");
  let version = null;
  let lost = false;
  events.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    const now = JSON.stringify([state.version, state.metrics, state.report, state.federation]);
    told(state);
    if (now !== version || lost) {
      answers = new Map([["/api/state", Promise.resolve(state)]]);
      show({ moved: null });
      if (!unread(state)) announce();
    }
    version = now;
    lost = false;
  });
  events.addEventListener("error", () => {
    if (!lost) {
      live("stale", "Disconnected");
      warn("The page's server does not answer. What is shown is from before; it goes on by itself.");
    }
    lost = true;
  });
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = document.getElementById("search-text").value.trim();
  if (text) location.hash = `#/search/${encodeURIComponent(text)}`;
});
// The part after # names a section here, so that the link cannot jump by it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => show({ moved: "user" }));
show({ moved: "first" });
listen();
