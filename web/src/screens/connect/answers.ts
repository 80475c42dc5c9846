/** What a steward answers about new data, and the schema and registration that follow. */

import type { ColumnGuess } from "./guess";

export type TargetKind = "binary" | "classes" | "number";

export type Answers = {
  step: number;
  reached: number;
  fileName: string;
  encoding: string;
  delimiter: string;
  columns: ColumnGuess[];
  schemaText: string;
  name: string;
  title: string;
  public: boolean;
  targetKind: TargetKind;
  positive: string;
  rule: string;
  missing: "drop" | "keep" | "refuse";
  trainShare: string;
  governance: Record<string, string>;
  genetic: boolean;
  purposes: string;
  recipients: string[];
  algorithms: string[];
  until: string;
  count: string;
  maxRounds: string;
  minCohort: string;
  minParticipants: string;
  epsilon: string;
};

export const GOVERNANCE = [
  "ethics_approval",
  "ethics_expires",
  "consent_basis",
  "deidentification",
  "retention",
  "owner",
  "contact",
] as const;

const YEAR_MS = 365 * 86_400_000;
const dayAhead = (ms: number) => new Date(Date.now() + ms).toISOString().slice(0, 10);

export const FIRST: Answers = {
  step: 0,
  reached: 0,
  fileName: "",
  encoding: "utf-8",
  delimiter: ",",
  columns: [],
  schemaText: "",
  name: "",
  title: "",
  public: false,
  targetKind: "binary",
  positive: "",
  rule: "",
  missing: "drop",
  trainShare: "0.66",
  governance: {},
  genetic: false,
  purposes: "medical-research",
  recipients: [],
  algorithms: [],
  until: dayAhead(YEAR_MS),
  count: "10",
  maxRounds: "100",
  minCohort: "20",
  minParticipants: "",
  epsilon: "",
};

const NAME = /^[a-z][a-z0-9-]{1,39}$/;
const isCount = (text: string) => /^[1-9][0-9]*$/.test(text);

/** What is missing on a step, as keys of words. */
export function flawsOf(answers: Answers, step: string, hasFile: boolean): string[] {
  const label = answers.columns.find((one) => one.use === "label");
  const read = answers.columns.filter((one) => one.use === "feature");
  const ownSchema = answers.schemaText !== "";
  const flaws: Record<string, [string, boolean][]> = {
    file: [
      ["file", !hasFile],
      ["name", !NAME.test(answers.name)],
    ],
    columns: [
      ["label", !ownSchema && !label],
      ["features", !ownSchema && read.length === 0],
      ["categories", !ownSchema && read.some((one) => one.kind === "category" && !one.categories.trim())],
      ["rule", !ownSchema && answers.targetKind === "binary" && !answers.rule.trim()],
    ],
    governance: [["governance", GOVERNANCE.some((name) => !answers.governance[name]?.trim())]],
    terms: [
      ["purposes", !answers.purposes.trim()],
      ["recipients", answers.recipients.length === 0],
      ["algorithms", answers.algorithms.length === 0],
      ["until", !answers.until],
      ["counts", ![answers.count, answers.maxRounds, answers.minCohort].every(isCount)],
    ],
    connect: [["file", !hasFile]],
  };
  return (flaws[step] ?? []).filter(([, isFlaw]) => isFlaw).map(([name]) => name);
}

const quote = (text: string) => JSON.stringify(text);
const listOf = (text: string) =>
  text
    .split(/[,，;；、]/)
    .map((one) => one.trim())
    .filter(Boolean);

/** The schema as TOML, in the words of docs/schema.md. */
export function schemaOf(answers: Answers): string {
  if (answers.schemaText) return answers.schemaText;
  const patient = answers.columns.find((one) => one.use === "patient");
  const dropped = answers.columns.filter((one) => one.use === "drop").map((one) => quote(one.source));
  const label = answers.columns.find((one) => one.use === "label");
  const lines = [
    `title = ${quote(answers.title || answers.name)}`,
    ...(patient ? [`patient = ${quote(patient.source)}`] : []),
    `missing = ${quote(answers.missing)}`,
    `drop = [${dropped.join(", ")}]`,
    "",
    "[source]",
    `delimiter = ${quote(answers.delimiter)}`,
    `encoding = ${quote(answers.encoding)}`,
    "",
    "[label]",
    `kind = ${quote(answers.targetKind)}`,
    `field = ${quote(label?.name ?? "")}`,
    ...(answers.targetKind === "binary" ? [`rule = ${quote(answers.rule)}`] : []),
    ...(answers.targetKind === "binary" && answers.positive ? [`positive = ${quote(answers.positive)}`] : []),
    "",
    "[split]",
    `train_size = ${Number(answers.trainShare) || 0.66}`,
  ];
  const fields = answers.columns.filter((one) => one.use === "feature" || one.use === "label");
  return [...lines, ...fields.flatMap(fieldLines), ""].join("\n");
}

function fieldLines(one: ColumnGuess): string[] {
  const range = [one.low, one.high].map(Number);
  const hasRange = one.low !== "" && one.high !== "" && range.every(Number.isFinite);
  return [
    "",
    "[[fields]]",
    `name = ${quote(one.name)}`,
    `source = ${quote(one.source)}`,
    `kind = ${quote(one.kind)}`,
    ...(one.unit ? [`unit = ${quote(one.unit)}`] : []),
    ...(one.kind === "number" && hasRange ? [`range = [${range.join(", ")}]`] : []),
    ...(one.kind === "category" ? [`categories = [${listOf(one.categories).map(quote).join(", ")}]`] : []),
  ];
}

/** What goes beside the file: a registration without a path. */
export function aboutOf(answers: Answers): Record<string, unknown> {
  const whole = (text: string) => Number.parseInt(text, 10);
  const expires = answers.governance.ethics_expires ?? "";
  return {
    schema: schemaOf(answers),
    schema_name: answers.fileName ? `${answers.name}.toml` : "schema",
    name: answers.name,
    title: answers.title || answers.name,
    public: answers.public,
    governance: {
      ...answers.governance,
      ethics_expires: expires.includes("T") ? expires : `${expires}T00:00:00Z`,
      human_genetic_resources: answers.genetic,
    },
    terms: {
      purposes: listOf(answers.purposes),
      recipients: answers.recipients,
      algorithms: answers.algorithms,
      not_after: `${answers.until}T00:00:00Z`,
      count: whole(answers.count),
      max_rounds: whole(answers.maxRounds),
      min_cohort: whole(answers.minCohort),
      ...(answers.minParticipants ? { min_participants: whole(answers.minParticipants) } : {}),
      ...(answers.epsilon ? { epsilon: Number(answers.epsilon), delta: 1e-5 } : {}),
    },
  };
}

/** A rule that fits what the label's column holds. */
export function usualRule(label: ColumnGuess | undefined): string {
  if (!label) return "";
  if (label.kind === "number") return "> 0";
  const last = listOf(label.categories).at(-1);
  return last === undefined ? "" : `== ${quote(last)}`;
}
