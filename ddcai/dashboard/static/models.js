// Models and what they descend from; what a verification found.

import { contributors, fact, title } from "./common.js";
import { TONES, badge, h, hash, panel, roundLink, table, time } from "./dom.js";
import { lineagePanel } from "./lineage.js";

export async function models(api) {
  const rows = await api("/api/rounds");
  const last = rows.findLast((row) => row.model_digest);
  if (!last) return [title("Models"), panel("Lineage", h("p", { class: "empty" }, "No round was finalised yet: the federation has its first model."))];
  return model(api, { value: last.model_digest });
}

export async function model(api, { value }) {
  const found = await api(`/api/models/${encodeURIComponent(value)}`);
  const [first, money] = await Promise.all([api(`/api/models/${found.initial_model_digest}`), api("/api/money")]);
  const update = found.kind === "update";
  const used = update && found.descendants.length > 0;
  // The round that made the model; an update's is the first that rests on it.
  const made = used ? found.descendants[0].round : found.rounds.length ? found.rounds[found.rounds.length - 1].round : 0;
  const chain = first.descendants;
  return [
    title(update ? "Update" : "Model", found.current && h("p", {}, badge("current model", "good")),
      h("p", { class: "whole mono" }, found.digest),
      update && h("p", {}, used ? ["It is part of ", roundLink(made), "."] : "It is part of no sum.")),
    lineagePanel({
      initial: found.initial_model_digest, chain, place: chain.findIndex((row) => row.round === made),
      update: update ? found.digest : null, members: contributors(money).map((row) => row.address),
    }),
  ];
}

export async function verification(api, { state }) {
  const report = await api("/api/report");
  if (report === null) {
    return [title("Verification"), panel("No report", h("p", { class: "empty" },
      "This page shows rows, and verifies nothing itself. ",
      h("code", {}, "ddcai audit verify --report report.json"),
      " checks every claim from the chain and the blobs, and signs what it found; then start the page with ",
      h("code", {}, "--report report.json"), "."))];
  }
  const other = report.contract !== state.federation.address || report.chain_id !== state.federation.chain_id;
  const groups = new Map();
  for (const claim of report.claims) {
    const name = claim.round !== null ? `Round ${claim.round}` : claim.window !== null ? `Window ${claim.window}` : "The federation";
    groups.set(name, [...(groups.get(name) ?? []), claim]);
  }
  return [
    title("Verification",
      h("p", {}, Object.entries(report.counts).map(([status, count]) => [badge(`${count} ${status}`, TONES[status]), " "])),
      h("dl", { class: "facts" },
        fact("Auditor", hash(report.auditor, "auditor")),
        fact("Signature", report.signed ? badge("holds", "good") : badge("does not hold", "bad")),
        fact("Of", report.round === null ? "all rounds" : roundLink(report.round)),
        fact("As of block", report.block), fact("Block time", time(report.time)),
        fact("Software", report.software)),
      h("p", { class: "note" }, "As the auditor's report says. This page checked the signature, and none of the claims again.")),
    other && h("p", { class: "notice bad", role: "alert" }, `This report is about another federation: ${report.contract} on chain ${report.chain_id}.`),
    !report.signed && h("p", { class: "notice bad", role: "alert" }, "The auditor did not sign this: the file was changed, or somebody else made it."),
    h("div", { class: "claims" }, [...groups].map(([name, claims]) => {
      const wrong = claims.filter((claim) => claim.status !== "PASS").length;
      return h("details", { class: "panel", id: `claims-${name}`, open: wrong > 0 },
        h("summary", {}, h("h2", {}, name), " ",
          badge(wrong ? `${wrong} of ${claims.length} not shown to hold` : `${claims.length} PASS`, wrong ? "bad" : "good")),
        table(`Claims about ${name}`, CLAIM_COLUMNS, claims, { hideCaption: true }));
    })),
  ];
}

const compared = (text) => /^0x([0-9a-f]{64}|[0-9a-fA-F]{40})$/.test(text) ? hash(text, "digest") : h("span", { class: "long" }, text);

const CLAIM_COLUMNS = [
  { title: "Result", cell: (row) => badge(row.status) },
  { title: "Claim", cell: (row) => [row.name, row.subject && [" of ", hash(row.subject, "subject")]] },
  { title: "Expected", cell: (row) => compared(row.expected) },
  { title: "Found", cell: (row) => compared(row.found) },
];
