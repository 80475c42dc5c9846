/** What a person answers about a new study, and the draft that follows from it. */

import type { Recipe, Setting, Study } from "../../api/reading";

export type Invited = {
  participant: string;
  title: string;
  dataset: string;
  description: string;
  rows_band: string;
};

export type Answers = {
  step: number;
  reached: number;
  touched: boolean;
  title: string;
  question: string;
  purpose: string;
  modality: string;
  kind: string;
  target: string;
  fields: string[];
  recipe: string;
  invite: Invited[];
  read: string[];
  rule: string;
  ruleSettings: Record<string, string>;
  settings: Record<string, string>;
  rounds: string;
  quorum: string;
  deadline: string;
  preset: "" | "audit" | "standard" | "strict";
  secure: boolean;
  clip: string;
  maxCases: string;
  subgroups: string;
  days: string;
};

export const FIRST: Answers = {
  step: 0,
  reached: 0,
  touched: false,
  title: "",
  question: "",
  purpose: "medical-research",
  modality: "",
  kind: "",
  target: "",
  fields: [],
  recipe: "",
  invite: [],
  read: [],
  rule: "fedavg",
  ruleSettings: {},
  settings: {},
  rounds: "15",
  quorum: "",
  deadline: "",
  preset: "",
  secure: false,
  clip: "10",
  maxCases: "",
  subgroups: "",
  days: "30",
};

const FEWEST = 2;

/** What is still missing on one step, as keys of words. */
export function flawsOf(answers: Answers, step: string, recipe: Recipe | undefined): string[] {
  const flaws: Record<string, [string, boolean][]> = {
    question: [
      ["title", !answers.title.trim()],
      ["purpose", !answers.purpose.trim()],
      ["recipe", !recipe],
    ],
    invite: [["invite", answers.invite.length < FEWEST]],
    agree: [["read", answers.invite.some((one) => !answers.read.includes(one.participant))]],
    configure: [
      ["rounds", !isWhole(answers.rounds, 1)],
      ["quorum", answers.quorum !== "" && !isWhole(answers.quorum, FEWEST, answers.invite.length)],
      ["deadline", answers.deadline !== "" && !(Number(answers.deadline) > 0)],
      ["settings", (recipe?.settings ?? []).some((one) => isOutside(answers.settings[one.name], one))],
    ],
    review: [],
  };
  return (flaws[step] ?? []).filter(([, isFlaw]) => isFlaw).map(([name]) => name);
}

function isWhole(text: string, low: number, high = Infinity): boolean {
  const value = Number(text);
  return text !== "" && Number.isInteger(value) && value >= low && value <= high;
}

export function isOutside(
  text: string | undefined,
  setting: Pick<Setting, "kind" | "low" | "low_open" | "high">,
): boolean {
  if (text === undefined || text === "" || !isNumeric(setting.kind)) return false;
  const value = Number(text);
  const low = setting.low ?? -Infinity;
  if (Number.isNaN(value) || value > (setting.high ?? Infinity)) return true;
  return value < low || (setting.low_open && value === low);
}

export const isNumeric = (kind: string): boolean =>
  ["number", "integer", "float", "int", "whole number"].includes(kind);

/** The answers as the node takes them: the names of a draft. */
export function answersOf(answers: Answers): Record<string, unknown> {
  return {
    title: answers.title.trim(),
    question: answers.question.trim(),
    purpose: answers.purpose.trim(),
    recipe: answers.recipe,
    rule: answers.rule,
    rounds: Number(answers.rounds),
    invite: answers.invite.map(({ participant, dataset }) => ({ participant, dataset })),
    settings: typed(answers.settings),
    rule_settings: typed(answers.ruleSettings),
    days: Number(answers.days) || 30,
    subgroups: answers.subgroups.split(/[\s;，、]+/).filter(Boolean),
    ...(answers.deadline ? { deadline_s: Number(answers.deadline) } : {}),
    ...(answers.quorum ? { quorum: Number(answers.quorum) } : {}),
    ...(answers.preset ? { privacy: { preset: answers.preset } } : {}),
    ...(answers.secure
      ? { secure: { clip: Number(answers.clip), max_cases: Number(answers.maxCases) || 0 } }
      : {}),
  };
}

function typed(settings: Record<string, string>): Record<string, unknown> {
  const said = Object.entries(settings).filter(([, text]) => text !== "");
  return Object.fromEntries(said.map(([name, text]) => [name, valueOf(text)]));
}

function valueOf(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return text.trim() !== "" && !Number.isNaN(number) ? number : text;
}

/** Answers that would give an earlier study's plan again; titles of hospitals follow from the catalogue. */
export function answersFrom({ plan }: Study): Partial<Answers> {
  const asTexts = (value: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]));
  const preset = String(plan.privacy.preset ?? "") as Answers["preset"];
  return {
    ...FIRST,
    touched: true,
    title: plan.title,
    question: plan.question,
    purpose: plan.purpose,
    recipe: plan.recipe,
    rule: plan.rule,
    rounds: String(plan.rounds),
    quorum: plan.quorum ? String(plan.quorum) : "",
    deadline: String(plan.deadline_s),
    days: String(plan.days),
    preset,
    subgroups: plan.subgroups.join(" "),
    settings: asTexts(plan.settings),
    ruleSettings: asTexts(plan.rule_settings),
    secure: plan.secure !== null,
    ...(plan.secure
      ? { clip: String(plan.secure.clip), maxCases: String(plan.secure.max_cases) }
      : {}),
    invite: plan.invite.map((one) => ({ ...one, title: "", description: "", rows_band: "" })),
  };
}

/** Which step an answer belongs to, by the field that the node names. */
export function stepOf(field: string): number {
  if (["title", "question", "purpose", "recipe", "modalities"].includes(field)) return 0;
  return field === "invite" ? 1 : 3;
}
