// Windows of judged rounds: where each stands, its verdict, and what became of its deposits.

import { fact, href, title } from "./common.js";
import { account, amount, badge, h, hash, number, panel, roundLink, table, time, windowLink } from "./dom.js";

const MEANS = {
  filling: "Rounds are still added.",
  full: "It waits for a verdict.",
  lapsed: "No verdict came in time: every deposit goes back.",
  judged: "Its verdict can be disputed.",
  disputed: "It waits for a fresh quorum to resolve the dispute.",
  fallen: "Nobody resolved the dispute in time: anyone may close it.",
  standing: "Its verdict stands.",
};
const NEXT = { filling: "verdict", full: "verdict", judged: "dispute", disputed: "resolution" };
const NONE = "No window yet. The first judged round that is finalised opens one, and it appears here by itself.";

const WINDOW_COLUMNS = [
  { title: "Window", cell: (row) => windowLink(row.number) },
  { title: "State", cell: (row) => badge(row.state) },
  { title: "Rounds", cell: (row) => between(row.rounds) },
  { title: "Verdict", cell: (row) => verdict(row) },
  { title: "Deposits", right: true, cell: (row) => amount(row.deposits_wei) },
  { title: "Returned", right: true, cell: (row) => amount(row.returned_wei) },
  { title: "Forfeited", right: true, cell: (row) => known(row.forfeited_wei) },
  { title: "Can be claimed", right: true, cell: (row) => amount(row.claimable_wei) },
  { title: "When", cell: (row) => when(row) },
];

function between(rounds) {
  const [first, last] = [rounds[0], rounds[rounds.length - 1]];
  return first === last ? roundLink(first) : [roundLink(first), " to ", h("a", { href: href("round", last), class: "number", "aria-label": `Round ${last}` }, last)];
}

const verdict = (row) => row.verdict_digest === null ? "none yet" : hash(row.verdict_digest, "verdict digest");
const known = (wei) => wei === null ? h("span", { class: "none" }, "–") : amount(wei);

function when(row) {
  if (row.until !== null) return [`${NEXT[row.state] ?? "next"} until `, time(row.until)];
  if (row.stands !== null) return ["since ", time(row.stands)];
  return ["last round ", time(row.last_round)];
}

export function windowTable(rows) {
  return table("Windows of judged rounds, newest first", WINDOW_COLUMNS, [...rows].reverse(), { empty: NONE, hideCaption: true });
}

export async function windows(api, { state }) {
  if (!state.federation.judged) {
    return [title("Windows"), panel("No windows", h("p", { class: "empty" },
      "Updates of this federation are not judged: deposits are settled round by round. ", h("a", { href: "#/rounds" }, "Rounds"), "."))];
  }
  const rows = await api("/api/windows");
  return [
    title("Windows", h("p", { class: "note" },
      "Where updates are judged, the deposits of several rounds wait together for one verdict, which a quorum of contributors signs and each of them may dispute.")),
    h("section", { class: "panel" }, h("h2", { class: "hidden" }, "All windows"), windowTable(rows)),
  ];
}

export async function window_(api, { value }) {
  const [members, all] = await Promise.all([api(`/api/windows/${encodeURIComponent(value)}`), api("/api/windows")]);
  const row = all.find((one) => one.number === Number(value));
  return [
    title(`Window ${value}`, row && h("p", {}, badge(row.state), " ", MEANS[row.state] ?? ""), row && h("dl", { class: "facts" },
      fact("Rounds", between(row.rounds)), fact("Updates", number(row.updates)), fact("Points", number(row.points)),
      fact("Deposits", [amount(row.deposits_wei), " ETH"]), fact("Returned", [amount(row.returned_wei), " ETH"]),
      fact("Forfeited", row.forfeited_wei === null ? "–" : [amount(row.forfeited_wei), " ETH"]),
      fact("Pot", [amount(row.pot_wei), " ETH"]), fact("Paid of the pot", [amount(row.taken_wei), " ETH"]))),
    row && panel("What happened", steps(row)),
    h("section", { class: "panel" }, h("h2", {}, "Contributors"),
      table(`Contributors with updates in window ${value}`, MEMBER_COLUMNS, members, { hideCaption: true })),
  ];
}

const MEMBER_COLUMNS = [
  { title: "Contributor", cell: (row) => account(row.account) },
  { title: "Updates", right: true, cell: (row) => number(row.updates) },
  { title: "Deposits", cell: (row) => [comeBack(row.agreed), row.disputed && [" ", badge("disputed it", "warn")]] },
  { title: "Points", right: true, cell: (row) => number(row.points) },
  { title: "Returned", right: true, cell: (row) => amount(row.returned_wei) },
  { title: "Forfeited", right: true, cell: (row) => known(row.forfeited_wei) },
  { title: "From the pot", right: true, cell: (row) => amount(row.taken_wei) },
  { title: "Can claim", right: true, cell: (row) => amount(row.claimable_wei) },
];

export const comeBack = (agreed) => agreed === null ? badge("open") : agreed ? badge("come back", "good") : badge("forfeited");

// What came, and what the window waits for.
function steps(row) {
  const step = (done, what, note) => h("li", { class: done ? "done" : "ahead" }, h("span", { class: "what" }, what), h("span", { class: "note" }, note));
  const over = row.state === "lapsed";
  return h("ol", { class: "stages" },
    step(true, "Last round finalised", time(row.last_round)),
    step(row.judged !== null, row.judged === null ? "Verdict" : ["Verdict ", hash(row.verdict_digest, "verdict digest"), " by ", account(row.poster)],
      row.judged !== null ? time(row.judged) : over ? "none in time" : ["until ", time(row.until)]),
    row.disputes > 0 && step(true, `Disputed by ${row.disputes}`, "with a bond each"),
    row.disputes > 0 && step(row.settled !== null, "Dispute ended",
      row.settled !== null ? time(row.settled) : row.until !== null && row.state === "disputed" ? ["until ", time(row.until)] : "not yet"),
    !over && step(row.state === "standing", "Verdict stands", row.stands === null ? "not yet" : ["from ", time(row.stands)]));
}
