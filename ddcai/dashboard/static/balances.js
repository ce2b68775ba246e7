// Balances over time: of the contributors that the reader chooses, or of one.

import { SERIES, balanceChart, figureParts } from "./charts.js";
import { contributors, href, seconds } from "./common.js";
import { account, amount, etherNumber, h, short, table, time } from "./dom.js";

const NOTE = "In ETH: what came back less what was paid in, fees not counted.";
// Addresses that the reader chose; null until then: the first ones.
let chosen = null;

const flowsOf = (api, places) =>
  Promise.all(places.map(({ address }) => api(`/api/contributors/${address}/flows`)));

// Of the reader's choice; the choice stays when the page is renewed.
export async function balanceFigure(api, money) {
  const members = contributors(money).map((row, index) => ({ address: row.address, index }));
  const shown = h("div", { class: "stack" });
  const numbers = h("div", {});
  const said = h("p", { class: "note", role: "status" });
  const draw = (places, flows) => {
    const { drawing, legend, fallback } = parts(places, flows);
    shown.replaceChildren(drawing, ...(legend ? [legend] : []));
    numbers.replaceChildren(fallback);
    said.textContent = `${places.length} of ${members.length} contributors`;
  };
  const places = () => members.filter((one) => chosen === null ? one.index < SERIES : chosen.has(one.address));
  let asked = 0;
  const renew = async () => {
    const own = (asked += 1);
    const wanted = places();
    shown.setAttribute("aria-busy", "true");
    said.textContent = `Reading ${wanted.length} balances`;
    try {
      const flows = await flowsOf(api, wanted);
      if (own === asked) draw(wanted, flows);
    } catch (error) {
      if (own === asked) said.replaceChildren("These balances could not be read: ", error instanceof TypeError ? "the server does not answer" : error.message, " ", h("button", { type: "button", onclick: renew }, "Try again"));
    } finally {
      if (own === asked) shown.setAttribute("aria-busy", "false");
    }
  };
  const first = places();
  draw(first, await flowsOf(api, first));
  return figureParts("Balances over time", NOTE, shown, members.length > 1 && chooser(members, places, renew, said), numbers);
}

function chooser(members, places, renew, said) {
  const boxes = members.map(({ address, index }) => {
    const box = h("input", { type: "checkbox", value: address });
    box.addEventListener("change", () => choose(boxes.filter((one) => one.box.checked).map((one) => one.address)));
    return { address, box, label: h("label", { title: address }, box, swatch(index), h("span", { class: "mono" }, short(address))) };
  });
  const mark = () => {
    const now = new Set(places().map((one) => one.address));
    for (const one of boxes) one.box.checked = now.has(one.address);
  };
  const choose = (addresses) => {
    chosen = new Set(addresses);
    mark();
    renew();
  };
  mark();
  const button = (name, addresses) => h("button", { type: "button", onclick: () => choose(addresses) }, name);
  const all = members.map((one) => one.address);
  return h("details", { id: "choose-balances" }, h("summary", {}, "Choose contributors"),
    h("fieldset", { class: "choices" }, h("legend", { class: "hidden" }, "Whose balances are drawn"),
      h("p", { class: "buttons" }, button("All", all), members.length > SERIES && button(`The first ${SERIES}`, all.slice(0, SERIES)), button("None", []), said),
      boxes.map((one) => one.label)));
}

// Of one contributor.
export function balancesOf(place, flows) {
  const { drawing, legend, fallback } = parts([place], [flows]);
  return figureParts("Balances over time", NOTE, h("div", { class: "stack" }, drawing, legend), null, fallback);
}

export const swatch = (index) => {
  const key = h("span", { class: `key line-${Math.floor(index / SERIES) % 4} c${index % SERIES}`, "aria-hidden": "true" });
  return key;
};

// places: [{address, index}], of which index chooses colour and dashes
function parts(places, flows) {
  const series = places.map(({ address, index }, place) => ({
    name: short(address), title: address, index, href: href("contributor", address),
    points: flows[place].map((row) => [seconds(row.time), etherNumber(row.balance_wei)]),
  })).filter((one) => one.points.length > 0);
  if (series.length === 0) {
    const why = places.length ? "Nobody of these paid or got anything yet." : "Nobody is chosen.";
    return { drawing: h("p", { class: "empty" }, why), legend: null, fallback: h("p", { class: "empty" }, why) };
  }
  const lasts = places
    .map(({ address }, place) => ({ address, row: flows[place][flows[place].length - 1] }))
    .filter((one) => one.row);
  const fallback = table("Balance of each account now", [
    { title: "Contributor", cell: (one) => account(one.address) },
    { title: "Balance, ETH", right: true, cell: (one) => amount(one.row.balance_wei, { sign: true }) },
    { title: "Since", cell: (one) => time(one.row.time) },
  ], lasts, { hideCaption: true });
  return { ...balanceChart(series, swatch), fallback };
}
