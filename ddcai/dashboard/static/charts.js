// Drawings: each has a text that says what it shows, and its numbers as a table below.

import { h, s, table } from "./dom.js";

const MARGIN = { top: 14, right: 14, bottom: 26, left: 52 };
export const SERIES = 8;
// After the colours were used up, their lines come again in dashes.
const DASHES = [null, "7 4", "2 3", "9 3 2 3"];
const LABEL = 34;

// Redraws at the width that there is, so that text keeps its size on a phone.
export function drawn(label, height, draw) {
  const holder = h("div", { class: "drawing", role: "img", "aria-label": label });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width || now < 40) return;
    width = now;
    const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    draw(svg, width, height);
    holder.replaceChildren(svg);
  }).observe(holder);
  holder.setAttribute("data-height", height);
  return holder;
}

export const figure = (title, note, drawing, fallback) => figureParts(title, note, drawing, null, fallback);

export function figureParts(title, note, drawing, more, fallback) {
  return h("figure", { class: "panel" },
    h("figcaption", {}, h("h2", {}, title), note && h("p", { class: "note" }, note)),
    drawing, more,
    h("details", { id: `table-${title.toLowerCase().replace(/\W+/g, "-")}` },
      h("summary", {}, "Numbers as a table"), fallback));
}

const least = (values) => values.reduce((found, one) => Math.min(found, one), Infinity);
const most = (values) => values.reduce((found, one) => Math.max(found, one), -Infinity);

function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * size).find((one) => one >= raw);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; k += 1) found.push(k * step);
  return found;
}

const tidy = (value) => String(Number(value.toPrecision(6))).replace("-", "−");

function frame(svg, width, height, xs, ys, xText, yText) {
  const x = (value) => MARGIN.left + ((value - xs[0]) / (xs[1] - xs[0] || 1)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => height - MARGIN.bottom - ((value - ys[0]) / (ys[1] - ys[0] || 1)) * (height - MARGIN.top - MARGIN.bottom);
  for (const value of ticks(ys[0], ys[1], 4)) {
    svg.append(
      s("line", { class: Math.abs(value) < 1e-12 ? "grid zero" : "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      s("text", { class: "tick", x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, yText(value)));
  }
  for (const [value, anchor] of xText.places(xs, width)) {
    svg.append(s("text", { class: "tick", x: x(value), y: height - 6, "text-anchor": anchor }, xText.text(value)));
  }
  return [x, y];
}

// rows: {round, accuracy, log_loss}
export function accuracyChart(rows) {
  const values = rows.map((row) => row.accuracy);
  const low = Math.max(0, Math.floor((Math.min(...values) - 0.02) * 10) / 10);
  const high = Math.min(1, Math.ceil((Math.max(...values) + 0.02) * 10) / 10);
  const last = rows[rows.length - 1];
  const label = `Accuracy over ${rows.length} rounds: ${rows[0].accuracy.toFixed(3)} after round ${rows[0].round}, ${last.accuracy.toFixed(3)} after round ${last.round}.`;
  const rounds = {
    places: ([from, to], width) =>
      ticks(from, to, Math.max(2, Math.floor(width / 60)))
        .filter((value) => Number.isInteger(value))
        .map((value) => [value, "middle"]),
    text: (value) => String(value),
  };
  const from = rows[0].round;
  const drawing = drawn(label, 220, (svg, width, height) => {
    const [x, y] = frame(svg, width, height, [from, Math.max(last.round, from + 1)], [low, high], rounds, (value) => value.toFixed(2));
    const points = rows.map((row) => `${x(row.round).toFixed(1)},${y(row.accuracy).toFixed(1)}`);
    svg.append(s("polyline", { class: "line c0", points: points.join(" ") }));
    for (const row of rows) {
      svg.append(s("circle", { class: "point c0", cx: x(row.round), cy: y(row.accuracy), r: 3.5 },
        s("title", {}, `round ${row.round}: ${row.accuracy.toFixed(4)}`)));
    }
  });
  return figure("Accuracy", "Reported by the coordinator, not on chain.", drawing,
    table("Accuracy by round", [
      { title: "Round", right: true, cell: (row) => row.round },
      { title: "Accuracy", right: true, cell: (row) => row.accuracy.toFixed(4) },
      { title: "Log loss", right: true, cell: (row) => row.log_loss.toFixed(4) },
    ], rows, { hideCaption: true }));
}

// series: [{name, title, href, index, points: [[seconds, ether]]}], a step at each point
export function balanceChart(shown, swatch) {
  const all = shown.flatMap((one) => one.points);
  const times = all.map(([at]) => at);
  const values = all.map(([, value]) => value).concat(0);
  const [first, last, low, top] = [least(times), most(times), least(values), most(values)];
  const spread = top - low || 1;
  const [xs, ys] = [[first, last], [low - spread * 0.06, top + spread * 0.06]];
  const named = shown.slice(0, SERIES).map((one) => `${one.name} ends at ${tidy(one.points[one.points.length - 1][1])} ether`);
  const label = `Balances over time of ${shown.length} contributors: ${named.join("; ")}${shown.length > SERIES ? `; and ${shown.length - SERIES} more` : ""}.`;
  const clock = {
    places: (ends) => [[ends[0], "start"], [ends[1], "end"]],
    text: (value) => new Date(value * 1000).toISOString().slice(0, 16).replace("T", " "),
  };
  const aparts = Math.min(2, 12 / shown.length);
  const drawing = drawn(label, 240, (svg, width, height) => {
    const [x, y] = frame(svg, width, height, xs, ys, clock, tidy);
    for (const [place, one] of shown.entries()) {
      // Equal balances lie beside each other, so that none hides another.
      const aside = (place - (shown.length - 1) / 2) * aparts;
      const at = (value) => x(value).toFixed(1);
      const level = (value) => (y(value) + aside).toFixed(1);
      let path = `M${at(one.points[0][0])},${level(0)}`;
      for (const [when, value] of one.points) path += `H${at(when)}V${level(value)}`;
      svg.append(s("path", { class: `line thin c${one.index % SERIES}`, d: `${path}H${at(xs[1])}`, "data-name": one.title,
        "stroke-dasharray": DASHES[Math.floor(one.index / SERIES) % DASHES.length] }, s("title", {}, one.name)));
    }
  });
  // Whoever is pointed at, or has the focus, stands out.
  const lit = (name) => () => {
    for (const one of drawing.querySelectorAll(".line")) one.classList.toggle("dim", name !== null && one.getAttribute("data-name") !== name);
  };
  const legend = h("ul", { class: "legend" }, shown.map((one) =>
    h("li", { onpointerenter: lit(one.title), onpointerleave: lit(null), onfocusin: lit(one.title), onfocusout: lit(null) },
      swatch(one.index), h("a", { href: one.href, title: one.title }, one.name))));
  return { drawing, legend };
}

// Ends below each other, each with room for its two lines of text.
function spread(sizes, tall) {
  const rooms = sizes.map((thick) => Math.max(thick + 6, LABEL));
  let next = (tall - rooms.reduce((sum, one) => sum + one, 0)) / 2;
  return sizes.map((thick, index) => {
    const top = next + (rooms[index] - thick) / 2;
    next += rooms[index];
    return { top, thick };
  });
}

// left: [{name, size, text, index}], right: [{name, size, text, kind}]; both sums are the same.
export function flowChart(left, right, label, fallback) {
  const rows = Math.max(left.length, right.length);
  const height = Math.max(200, rows * (LABEL + 8));
  const drawing = drawn(label, height, (svg, width, tall) => {
    const side = Math.min(190, Math.max(96, width * 0.27));
    const total = left.reduce((sum, one) => sum + one.size, 0);
    if (total <= 0) return;
    const scale = (tall * 0.6) / total;
    const middle = { x: width / 2 - 5, y: (tall - total * scale) / 2 };
    const links = (ends, atLeft) => {
      const edge = atLeft ? side : width - side;
      const [text, anchor] = atLeft ? [edge - 8, "end"] : [edge + 8, "start"];
      const places = spread(ends.map((one) => Math.max(1, one.size * scale)), tall);
      let mid = middle.y;
      for (const [index, one] of ends.entries()) {
        const { top, thick } = places[index];
        const tone = atLeft ? `c${one.index % SERIES}` : one.kind;
        const [own, join] = [top + thick / 2, mid + (one.size * scale) / 2];
        const [x1, y1, x2, y2] = atLeft
          ? [edge + 8, own, middle.x, join] : [middle.x + 10, join, edge - 8, own];
        const half = (x1 + x2) / 2;
        svg.append(
          s("path", { class: `flow ${tone}`, "stroke-width": thick.toFixed(1), d: `M${x1},${y1}C${half},${y1} ${half},${y2} ${x2},${y2}` }),
          s("rect", { class: `end ${tone}`, x: atLeft ? edge : edge - 8, y: top, width: 8, height: thick }),
          s("text", { class: "tick strong", x: text, y: own - 2, "text-anchor": anchor }, one.name),
          s("text", { class: "tick", x: text, y: own + 12, "text-anchor": anchor }, one.text));
        mid += one.size * scale;
      }
    };
    links(left, true);
    links(right, false);
    svg.append(s("rect", { class: "end middle", x: middle.x, y: middle.y, width: 10, height: total * scale }));
  });
  return figure("Deposits: where they came from, and where they are", null, drawing, fallback);
}
