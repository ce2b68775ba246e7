// A model's lineage: a graph of rounds and contributors, and the same as a list with links.

import { drawn } from "./charts.js";
import { SHOWN, href, modelHash } from "./common.js";
import { account, badge, h, hash, panel, roundLink, s, short, table } from "./dom.js";

const LANES = 16;
const [LANE, TOP, BOTTOM] = [22, 58, 26];
// Rounds at either end, and around the model that is looked at, that are listed at once.
const [ENDS, AROUND] = [3, 4];

// initial: its digest; chain: rounds {round, model_digest, head_digest, release, updates} from the
// first to the last; place: whose model is looked at, -1 for the first one; members: addresses.
export function lineagePanel({ initial, chain, place, update, members }) {
  const models = [{ model_digest: initial, updates: [] }, ...chain];
  return panel("From the first model to the current one",
    chain.length === 0 ? h("p", { class: "empty" }, "No round was finalised yet: the federation has its first model.")
      : [graph(models, place + 1, update, members),
        h("p", { class: "note" }, "Each column is a model, made by the round below it from the updates of the contributors marked in it. What lies before the marked model led to it; what lies after rests on it.")],
    h("ol", { class: "lineage" }, listed(models, place + 1, update, members, chain.length)));
}

const kept = (index, at, last) => index < ENDS || index > last - ENDS || Math.abs(index - at) <= AROUND;

// All models, with stretches of them folded where there are many.
function listed(models, at, update, members, last) {
  const rows = [];
  for (let index = 0; index <= last; index += 1) {
    if (kept(index, at, last)) {
      rows.push(node(models[index], index, { at, update, members, last }));
      continue;
    }
    const from = index;
    while (!kept(index + 1, at, last)) index += 1;
    rows.push(folded(models.slice(from, index + 1), (row, place) => node(row, from + place, { at, update, members, last })));
  }
  return rows;
}

function folded(rows, draw) {
  const [first, final] = [rows[0].round, rows[rows.length - 1].round];
  const list = h("ol", { class: "lineage" });
  const unfold = () => { if (!list.hasChildNodes()) list.append(...rows.map(draw)); };
  return h("li", { class: "gap" }, h("details", { id: `rounds-${first}-${final}`, ontoggle: unfold },
    h("summary", {}, `Rounds ${first} to ${final}`), list));
}

function node(row, index, { at, update, members, last }) {
  const first = index === 0;
  const kind = [first && "first", index === at && "shown", index > at && "after"].filter(Boolean).join(" ");
  const marks = [
    index === at && !update && badge("this model", "busy"), index === last && badge("current", "good"),
    !first && row.release !== null && badge(`release ${row.release}`, "good"),
  ];
  return h("li", { class: kind || null, "aria-current": index === at ? "true" : null },
    h("p", {}, first ? "First model " : [roundLink(row.round), " made "], modelHash(row.model_digest), marks,
      !first && h("span", { class: "note" }, "classifier ", hash(row.head_digest, "classifier digest"))),
    !first && h("p", { class: "note chips" }, row.updates.length === 0 ? "from no update" : "from ",
      row.updates.slice(0, LANES).map(([by, digest]) => chip(by, digest, update, members)),
      row.updates.length > LANES && h("a", { href: href("round", row.round) }, `and ${row.updates.length - LANES} more`)),
    !first && row.updates.length > 0 && h("details", { id: `updates-${row.round}` },
      h("summary", {}, row.updates.length === 1 ? "1 update" : `${row.updates.length} updates`),
      table(`Updates in round ${row.round}`, [
        { title: "Contributor", cell: ([by]) => account(by) },
        { title: "Update", cell: ([, digest]) => modelHash(digest, "update digest") },
      ], row.updates, { hideCaption: true })));
}

function chip(by, digest, update, members) {
  return h("a", { href: href("contributor", by), title: by, class: digest === update ? "chip mono marked" : "chip mono" },
    h("span", { class: `key c${members.indexOf(by) % SHOWN}`, "aria-hidden": "true" }), short(by));
}

function graph(models, at, update, members) {
  const seen = members.filter((address) => models.some((row) => row.updates.some(([by]) => by === address)));
  const lanes = seen.slice(0, LANES);
  const rounds = models.length - 1;
  const releases = models.filter((row) => row.release !== null && row.release !== undefined).length;
  const label = `Lineage over ${rounds === 1 ? "1 round" : `${rounds} rounds`}: ${rounds ? models.slice(1).map((row) => row.updates.length).reduce((sum, one) => sum + one, 0) : 0} updates of ${seen.length} contributors, ${releases} releases. The list below has them all.`;
  const height = TOP + Math.max(1, lanes.length) * LANE + BOTTOM;
  return drawn(label, height, (svg, width) => {
    const [left, right] = [lanes.length ? 104 : 24, 30];
    const room = Math.max(2, Math.floor((width - left - right) / 34) + 1);
    // Where not all fit, those around the one that is looked at.
    const from = Math.max(0, Math.min(models.length - room, at - Math.floor(room / 2)));
    const columns = models.slice(from, from + room);
    const step = Math.min(200, (width - left - right) / Math.max(1, columns.length - 1));
    const x = (place) => left + 14 + place * step;
    const lane = (by) => TOP + lanes.indexOf(by) * LANE + 10;
    for (const by of lanes) {
      svg.append(s("line", { class: "grid", x1: left, x2: x(columns.length - 1), y1: lane(by), y2: lane(by) }),
        s("text", { class: "tick", x: 0, y: lane(by) + 4 }, short(by)));
    }
    if (from > 0) svg.append(s("line", { class: "rail faded", x1: left - 14, x2: x(0), y1: 30, y2: 30 }));
    for (const [place, row] of columns.entries()) {
      const index = from + place;
      if (place > 0) svg.append(s("line", { class: index > at ? "rail after" : "rail", x1: x(place - 1), x2: x(place), y1: 30, y2: 30 }));
    }
    for (const [place, row] of columns.entries()) {
      const index = from + place;
      for (const [by, digest] of row.updates) {
        if (!lanes.includes(by)) continue;
        const tone = `c${members.indexOf(by) % SHOWN}`;
        const [back, y] = [x(place) - Math.min(16, step / 2), lane(by)];
        svg.append(s("path", { class: `link ${tone}`, d: `M${back},${y}C${x(place)},${y} ${x(place)},${y - 8} ${x(place)},36` }),
          s("circle", { class: `point ${tone}`, cx: back, cy: y, r: digest === update ? 7 : 4.5 }));
      }
      svg.append(s("circle", { class: `model${index === 0 ? " first" : ""}${index > at ? " after" : ""}`, cx: x(place), cy: 30, r: index === at && !update ? 9 : 6 }));
      if (row.release !== null && row.release !== undefined) {
        svg.append(s("text", { class: "tick strong", x: x(place), y: 12, "text-anchor": "middle" }, step < 70 ? `r${row.release}` : `release ${row.release}`));
      }
      svg.append(s("text", { class: index === at ? "tick strong" : "tick", x: x(place), y: height - 6, "text-anchor": "middle" },
        index === 0 ? "first" : step < 70 ? String(row.round) : `round ${row.round}`));
    }
  });
}
