// The overview, rounds and search. Each section asks the audit's questions and shows the rows;
// sums, outcomes and balances are the audit's own.

import { balanceFigure } from "./balances.js";
import { accuracyChart } from "./charts.js";
import { fact, href, modelHash, seconds, title } from "./common.js";
import { account, amount, badge, ether, h, hash, number, panel, roundLink, table, time, windowLink } from "./dom.js";
import { windowTable } from "./windows.js";

const ROUND_COLUMNS = [
  { title: "Round", cell: (row) => roundLink(row.number) },
  { title: "State", cell: (row) => badge(row.state) },
  { title: "Opened", cell: (row) => time(row.opened) },
  { title: "Updates", right: true, cell: (row) => `${row.sealed} of ${row.contributors}` },
  { title: "Deposits", right: true, cell: (row) => amount(row.deposits_wei) },
  { title: "Gas", right: true, cell: (row) => number(row.gas) },
  { title: "New model", cell: (row) => modelHash(row.model_digest) },
];
const NO_ROUND = "No round yet. When the coordinator opens the first, it appears here by itself.";

export async function overview(api, { state }) {
  const [rounds, money, anomalies, report] = await Promise.all([
    api("/api/rounds"), api("/api/money"), api("/api/anomalies"), api("/api/report"),
  ]);
  const accuracy = state.metrics === null ? [] : await api("/api/accuracy");
  const all = money.find((row) => row.address === "all");
  const last = rounds[rounds.length - 1];
  const federation = state.federation;
  const name = state.title ? `Federation ${state.title}` : "Federation";
  const parts = [
    title(name, h("dl", { class: "facts" },
      fact("Contract", hash(federation.address, "contract address")),
      fact("Chain", federation.chain_id),
      fact("Block", federation.synced_block),
      federation.synced && fact("Block time", time(federation.synced)))),
    h("ul", { class: "tiles" },
      tile("Rounds", number(federation.rounds), last ? ["last: ", badge(last.state)] : "none yet", "#/rounds"),
      tile("Members", number(federation.members), "that ever joined", "#/contributors"),
      tile("Deposits held", amount(all ? all.held_wei : "0"), all ? `of ${ether(all.deposited_wei)} ETH paid in` : "ETH", "#/money"),
      verdictTile(report)),
  ];
  if (!last) return [...parts, panel("Rounds", h("p", { class: "empty" }, NO_ROUND))];
  const [steps, balances, windows] = await Promise.all([
    api(`/api/rounds/${last.number}`), balanceFigure(api, money), federation.judged ? api("/api/windows") : [],
  ]);
  return [
    ...parts,
    h("div", { class: "columns" },
      h("div", { class: "stack" },
        h("section", { class: "panel" },
          h("h2", {}, roundLink(last.number), " ", badge(last.state)), stages(steps)),
        h("section", { class: "panel grow" }, h("h2", {}, "To look at"),
          anomalies.length ? anomalyList(anomalies.slice(0, 3))
            : h("p", { class: "empty" }, "Nothing out of the ordinary in what the chain says."),
          anomalies.length > 3 && h("p", {}, h("a", { href: "#/rounds" }, `All ${anomalies.length}`)))),
      accuracyFigure(state, accuracy)),
    federation.judged && h("section", { class: "panel" }, h("h2", {}, "Latest windows"), windowTable(windows.slice(-3)),
      windows.length > 3 && h("p", {}, h("a", { href: "#/windows" }, `All ${windows.length} windows`))),
    balances,
    h("section", { class: "panel" },
      h("h2", {}, "Latest rounds"),
      table("The latest rounds, newest first", ROUND_COLUMNS, rounds.slice(-6).reverse(), { hideCaption: true }),
      rounds.length > 6 && h("p", {}, h("a", { href: "#/rounds" }, `All ${rounds.length} rounds`))),
  ];
}

function tile(name, value, note, to) {
  return h("li", { class: "tile" },
    h("a", { href: to, class: "name" }, name),
    h("p", { class: "figure" }, value),
    h("p", { class: "note" }, note));
}

function verdictTile(report) {
  if (report === null) return tile("Verification", "–", "no report was given", "#/verification");
  if (!report.signed) return tile("Verification", badge("unsigned", "bad"), "the report's signature does not hold", "#/verification");
  const worst = ["FAIL", "MISSING", "SKIPPED", "PASS"].find((status) => report.counts[status]);
  const rest = Object.entries(report.counts).filter(([status]) => status !== worst);
  return tile("Verification", worst ? [badge(worst), ` ${report.counts[worst]}`] : "–",
    `${rest.map(([status, count]) => `${count} ${status}, `).join("")}as of block ${report.block}`, "#/verification");
}

function accuracyFigure(state, rows) {
  if (rows.length) return accuracyChart(rows);
  const why = state.metrics === null
    ? ["Accuracy is no part of the chain. The coordinator's record shows it here: start with ", h("code", {}, "--metrics FILE"), "."]
    : "The coordinator has not measured a model yet.";
  return panel("Accuracy", h("p", { class: "empty" }, why));
}

const anomalyList = (rows) => h("ul", { class: "findings" }, rows.map((row) =>
  h("li", {}, h("p", {}, badge(row.kind, "warn"), " ", row.round !== null && roundLink(row.round),
    row.window !== null && windowLink(row.window)),
    h("p", {}, row.what),
    h("p", { class: "note" }, "since ", time(row.since), row.account && [" · ", account(row.account)]))));

const STAGES = {
  open: "Opened", submit: "Updates submitted", commit: "List committed", draw: "Randomness drawn",
  seal: "Sum sealed", finalize: "Finalized", cancel: "Cancelled", refund: "Deposits refunded",
  take: "Shares taken",
};
const STEPS = { ...STAGES, submit: "Update submitted", refund: "Deposit refunded to", take: "Share taken" };
const DIGESTS = {
  open: "base model", submit: "update", commit: "list", draw: "randomness", seal: "sum", finalize: "model",
};

// What was done, by stage, and what is still to come.
function stages(steps) {
  const ended = steps.some((step) => step.action === "cancel");
  const judged = steps.some((step) => step.action === "commit");
  const expected = Object.keys(STAGES).filter((action) =>
    steps.some((step) => step.action === action)
    || (!ended && ["submit", "seal", "finalize"].includes(action))
    || (!ended && judged && action === "draw"));
  return h("ol", { class: "stages" }, expected.map((action) => {
    const done = steps.filter((step) => step.action === action);
    const count = action === "submit" || done.length > 1 ? ` (${done.length})` : "";
    return h("li", { class: done.length ? "done" : "ahead" },
      h("span", { class: "what" }, STAGES[action], count),
      h("span", { class: "note" }, done.length ? time(done[done.length - 1].time) : "not yet"));
  }));
}

export async function rounds(api) {
  const [rows, anomalies] = await Promise.all([api("/api/rounds"), api("/api/anomalies")]);
  const columns = rows.some((row) => row.epsilon !== null)
    ? [...ROUND_COLUMNS, { title: "Epsilon", right: true, cell: (row) => row.epsilon === null ? "–" : row.epsilon.toFixed(3) }]
    : ROUND_COLUMNS;
  return [
    title("Rounds"),
    h("section", { class: "panel" }, h("h2", { class: "hidden" }, "All rounds"),
      table("All rounds, newest first", columns, [...rows].reverse(), { empty: NO_ROUND, hideCaption: true })),
    anomalies.length > 0 && panel("To look at", anomalyList(anomalies)),
  ];
}

export async function round(api, { value }) {
  const wanted = Number(value);
  const [steps, signatures, all] = await Promise.all([
    api(`/api/rounds/${encodeURIComponent(value)}`),
    api(`/api/rounds/${encodeURIComponent(value)}/attestations`),
    api("/api/rounds"),
  ]);
  const row = all.find((one) => one.number === wanted);
  const began = seconds(steps[0].time);
  return [
    title(`Round ${value}`, row && h("p", {}, badge(row.state)), row && h("dl", { class: "facts" },
      fact("Base model", modelHash(row.base_model_digest)),
      fact("New model", modelHash(row.model_digest)),
      fact("Updates in the sum", `${row.sealed} of ${row.contributors}`),
      fact("Gas", number(row.gas)))),
    panel("What happened", h("ol", { class: "timeline" }, steps.map((step) =>
      h("li", { class: step.action },
        h("p", { class: "when" }, time(step.time, { date: false }),
          h("span", { class: "note" }, `+${duration(seconds(step.time) - began)}`)),
        h("div", { class: "card" },
          h("p", {}, h("strong", {}, STEPS[step.action] ?? step.action),
            step.action === "refund" ? null : " by ", account(step.party)),
          h("p", { class: "note" },
            step.amount_wei !== "0" && h("span", {}, amount(step.amount_wei), " ETH"),
            step.digest && h("span", {}, DIGESTS[step.action], " ", hash(step.digest, "digest", href("search", step.digest))),
            h("span", {}, number(step.gas), " gas"),
            h("span", {}, "in ", hash(step.tx_hash, "transaction")))))))),
    h("section", { class: "panel" }, h("h2", {}, "Signatures under the result"),
      table("Who of the sealed contributors signed", [
        { title: "Contributor", cell: (one) => account(one.account) },
        { title: "What", cell: (one) => one.window === null ? one.what : [one.what, " of ", windowLink(one.window)] },
        { title: "Signed", cell: (one) => one.signed === null ? badge("unknown") : badge(one.signed ? "yes" : "no", one.signed ? "good" : "plain") },
        { title: "Digest", cell: (one) => hash(one.digest, "signed digest") },
      ], signatures, { empty: "This round has no signed result.", hideCaption: true })),
  ];
}

function duration(value) {
  const whole = Math.round(value);
  if (whole < 120) return `${whole} s`;
  return whole < 7200 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${(whole / 3600).toFixed(1)} h`;
}

const LINKS = {
  account: (row) => account(row.value),
  round: (row) => roundLink(row.round),
  window: (row) => windowLink(row.window),
  digest: (row) => hash(row.value, "digest", digestPage(row)),
};
const OF_MODELS = new Set(["model", "base model", "update"]);

function digestPage(row) {
  if (OF_MODELS.has(row.where)) return href("model", row.value);
  return row.window !== null ? href("window", row.window) : row.round !== null ? href("round", row.round) : null;
}

export async function search(api, { value }) {
  const rows = await api(`/api/search?text=${encodeURIComponent(value)}`);
  return [
    title("Search"),
    h("section", { class: "panel" }, h("h2", {}, "Found for “", h("span", { class: "mono" }, value), "”"),
      table("What was found", [
        { title: "Kind", cell: (row) => badge(row.kind) },
        { title: "Value", cell: (row) => (LINKS[row.kind] ?? ((one) => hash(one.value, one.kind)))(row) },
        { title: "Where", cell: (row) => row.where },
        { title: "Of", cell: (row) => row.window !== null ? windowLink(row.window) : row.round !== null ? roundLink(row.round) : "–" },
      ], rows, { empty: "Nothing in this federation. Give the beginning of an address, of a digest or of a transaction, or the number of a round or window.", hideCaption: true })),
  ];
}
