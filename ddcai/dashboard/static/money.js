// Contributors, and the money.

import { balanceFigure, balancesOf, swatch } from "./balances.js";
import { flowChart } from "./charts.js";
import { contributors, fact, modelHash, title } from "./common.js";
import { account, amount, badge, ether, etherNumber, h, hash, number, panel, roundLink, short, table, time, windowLink } from "./dom.js";
import { comeBack } from "./windows.js";

export async function members(api) {
  const [money, reports, shared] = await Promise.all([
    api("/api/money"), api("/api/contributors"), api("/api/contributions"),
  ]);
  const parts = [
    title("Contributors"),
    h("section", { class: "panel" }, h("h2", { class: "hidden" }, "All contributors"),
      table("All contributors", [
        { title: "Contributor", cell: (row) => [swatch(row.index), account(row.address)] },
        { title: "Takes part", cell: (row) => row.active ? badge("yes", "good") : badge("left") },
        { title: "Rounds", right: true, cell: (row) => row.rounds },
        { title: "Points", right: true, cell: (row) => number(row.points) },
        { title: "Paid in", right: true, cell: (row) => amount(row.deposited_wei) },
        { title: "Held", right: true, cell: (row) => amount(row.held_wei) },
        { title: "Net", right: true, cell: (row) => amount(row.net_wei, { sign: true }) },
      ], reports, { empty: "Nobody joined yet.", hideCaption: true })),
    await balanceFigure(api, money),
  ];
  if (shared.length) {
    parts.push(panel("Public data that was contributed", table("Contributions to trainers", [
      { title: "Time", cell: (row) => time(row.time) },
      { title: "Contributor", cell: (row) => account(row.contributor) },
      { title: "Label", right: true, cell: (row) => row.label },
      { title: "Deposit", right: true, cell: (row) => amount(row.price_wei) },
      { title: "Outcome", cell: (row) => badge(row.outcome) },
    ], shared, { hideCaption: true })));
  }
  return parts;
}

export async function contributor(api, { value }) {
  const path = `/api/contributors/${encodeURIComponent(value)}`;
  const [report, flows, claimable] = await Promise.all([
    api(path), api(`${path}/flows`), api("/api/claimable"),
  ]);
  const own = claimable.filter((row) => row.account === report.address);
  const parts = [
    title("Contributor", h("p", { class: "whole mono" }, report.address), h("dl", { class: "facts" },
      fact("Member", number(report.index)), fact("Takes part", report.active ? "yes" : "left"),
      fact("Points", number(report.points)), fact("Paid in", [amount(report.deposited_wei), " ETH"]),
      fact("Net", [amount(report.net_wei, { sign: true }), " ETH"]),
      fact("Held", [amount(report.held_wei), " ETH"]), fact("Gas", number(report.gas)))),
    h("section", { class: "panel" }, h("h2", {}, "Rounds"),
      table("Rounds of this contributor", [
        { title: "Round", cell: (row) => roundLink(row.round) },
        { title: "Outcome", cell: (row) => badge(row.outcome) },
        { title: "Update", cell: (row) => modelHash(row.update_digest, "update digest") },
        { title: "Signed", cell: (row) => row.attested ? "yes" : "no" },
        { title: "Deposit", right: true, cell: (row) => amount(row.deposit_wei) },
        { title: "Refunded", right: true, cell: (row) => amount(row.refunded_wei) },
        { title: "Taken", right: true, cell: (row) => amount(row.taken_wei) },
        { title: "Held", right: true, cell: (row) => amount(row.held_wei) },
      ], [...report.rounds].reverse(), { empty: "It took part in no round yet.", hideCaption: true })),
  ];
  if (report.windows.length) {
    parts.push(panel("Windows of judged rounds", table("Windows of judged rounds", [
      { title: "Window", cell: (row) => windowLink(row.window) },
      { title: "Judged", cell: (row) => row.judged === null ? "not yet" : time(row.judged) },
      { title: "Updates", right: true, cell: (row) => row.updates },
      { title: "Deposits", cell: (row) => comeBack(row.agreed) },
      { title: "Points", right: true, cell: (row) => number(row.points) },
    ], [...report.windows].reverse(), { hideCaption: true })));
  }
  if (flows.length) parts.push(balancesOf({ address: report.address, index: report.index }, flows));
  parts.push(h("section", { class: "panel" }, h("h2", {}, "Money"),
    table("Every amount that was paid", FLOW_COLUMNS, [...flows].reverse(), { empty: "Nothing was paid yet.", hideCaption: true })));
  if (own.length) parts.push(panel("Can claim now", claimTable(own)));
  return parts;
}

const FLOW_COLUMNS = [
  { title: "Time", cell: (row) => time(row.time) },
  { title: "What", cell: (row) => row.what },
  { title: "For", cell: (row) => row.round !== null ? roundLink(row.round) : row.window !== null ? windowLink(row.window) : "–" },
  { title: "Amount", right: true, cell: (row) => amount(row.direction === "out" ? `-${row.amount_wei}` : row.amount_wei, { sign: true }) },
  { title: "Balance", right: true, cell: (row) => amount(row.balance_wei, { sign: true }) },
  { title: "Transaction", cell: (row) => hash(row.tx_hash, "transaction") },
];

const claimTable = (rows) => table("What can be claimed now", [
  { title: "Account", cell: (row) => account(row.account) },
  { title: "For", cell: (row) => row.round !== null ? roundLink(row.round) : row.window !== null ? windowLink(row.window) : "bonds" },
  { title: "Refund", right: true, cell: (row) => amount(row.refund_wei) },
  { title: "Share", right: true, cell: (row) => amount(row.take_wei) },
], rows, { hideCaption: true, empty: "Nobody can claim anything now." });

const WHERE = [
  ["refunded_wei", "Refunded", "good"], ["taken_wei", "Shared out", "busy"],
  ["assessed_wei", "Being judged", "warn"], ["held_wei", "Still held", "plain"],
];

export async function money(api) {
  const [rows, claimable, gas] = await Promise.all([
    api("/api/money"), api("/api/claimable"), api("/api/gas"),
  ]);
  const all = rows.find((row) => row.address === "all");
  const columns = [
    { title: "Contributor", cell: (row) => row.address === "all" ? h("strong", {}, "All") : account(row.address) },
    { title: "Paid in", right: true, cell: (row) => amount(row.deposited_wei) },
    { title: "Refunded", right: true, cell: (row) => amount(row.refunded_wei) },
    { title: "Taken", right: true, cell: (row) => amount(row.taken_wei) },
    { title: "Forfeited", right: true, cell: (row) => amount(row.forfeited_wei) },
    { title: "Judged", right: true, cell: (row) => amount(row.assessed_wei) },
    { title: "Held", right: true, cell: (row) => amount(row.held_wei) },
  ];
  const listed = table("Deposits by contributor, in ETH", columns,
    rows.map((row) => ({ ...row, marked: row.address === "all" })), { hideCaption: true, empty: "Nobody joined yet." });
  const paying = contributors(rows)
    .map((row, index) => ({ name: short(row.address), index, size: etherNumber(row.deposited_wei), text: `${ether(row.deposited_wei)} ETH` }))
    .filter((one) => one.size > 0);
  const ends = all ? WHERE.filter(([field]) => all[field] !== "0").map(([field, name, kind]) =>
    ({ name, kind, size: etherNumber(all[field]), text: `${ether(all[field])} ETH` })) : [];
  const drawing = paying.length === 0 ? null : paying.length > 16
    ? panel("Deposits", listed)
    : flowChart(paying, ends, `${ether(all.deposited_wei)} ether of deposits: ${ends.map((one) => `${one.name} ${one.text}`).join(", ")}.`, listed);
  return [
    title("Money"),
    drawing ?? panel("Deposits", h("p", { class: "empty" }, "Nobody paid a deposit yet.")),
    h("section", { class: "panel" }, h("h2", {}, "Can be claimed now"), claimTable(claimable)),
    h("section", { class: "panel" }, h("h2", {}, "Gas by action"),
      table("Gas by action", [
        { title: "Action", cell: (row) => h("span", { class: "mono" }, row.action) },
        { title: "Transactions", right: true, cell: (row) => number(row.transactions) },
        { title: "Mean gas", right: true, cell: (row) => number(row.gas_mean) },
        { title: "Total gas", right: true, cell: (row) => number(row.gas_total) },
        { title: "Fees, ETH", right: true, cell: (row) => amount(row.fees_wei) },
      ], gas, { hideCaption: true })),
  ];
}
