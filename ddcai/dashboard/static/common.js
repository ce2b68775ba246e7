// What several sections show.

import { h, hash } from "./dom.js";

export const SHOWN = 8; // colours
export const seconds = (iso) => Date.parse(iso) / 1000;
export const contributors = (money) => money.filter((row) => row.address !== "all");
export const href = (kind, value) => `#/${kind}/${encodeURIComponent(value)}`;
export const modelHash = (value, what = "model digest") => hash(value, what, value && href("model", value));
export const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

export function title(text, ...after) {
  return h("div", { class: "title" }, h("h1", { tabindex: "-1" }, text), after);
}
