/** What the node gives to the screens about data, agreements, studies, models, the space and its proof. */

import type { Paged } from "./client";
import type { Release, Sentence, StudyRow } from "./types";

export type Refusal = Sentence & { code: string };

// --- datasets and catalogue ---------------------------------------------------

export type FieldShown = { name: string; kind: string; unit: string };
export type OfferShown = { id: string; words: Said[] };
export type Access = "public" | "restricted" | "non-public";

export type Listing = {
  participant: string;
  title: string;
  dataset: string;
  name: string;
  description: string;
  modality: string;
  modalities: string[];
  /** Empty where the count is not shown. */
  rows_band: string;
  fields: (FieldShown & { modality: string })[];
  label: string;
  target: string;
  labels: string[];
  offers: OfferShown[];
  access: Access;
  mine: boolean;
};

export type Unreachable = { participant: string; title: string; error: Refusal };

export type FieldProfile = {
  name: string;
  kind: string;
  unit: string;
  /** Share of rows without a value, 0 to 1. */
  missing?: number | null;
  min?: number | null;
  max?: number | null;
  /** A count is null where it is too small to be shown. */
  categories?: { name: string; count: number | null }[];
};

export type Quality = {
  rows?: { read: number; complete: number; dropped: Record<string, number> };
  patients?: number | null;
  duplicates?: Record<string, number>;
  drift?: Record<string, string[]>;
  classes?: { positive?: string; train: Record<string, number>; held_out: Record<string, number> };
  split?: { by: string; stratified: boolean };
  source?: { kind: string; encoding?: string; bytes?: number; fingerprint: string };
  fields?: Record<string, Record<string, number | string>>;
  warnings?: (Partial<Refusal> & { code: string })[];
};

export type Budget = { epsilon: number; delta: number; spent?: { epsilon: number; delta: number } };

export type DatasetRow = {
  id: string;
  name: string;
  title: string;
  public: boolean;
  n_train: number | null;
  n_test: number | null;
  created: string;
  quality: Quality;
  governance: Record<string, string | boolean>;
};

export type Dataset = DatasetRow & {
  fingerprint: string;
  arrays: string;
  offer: string;
  schema: Record<string, unknown>;
  profile: FieldProfile[];
  descriptor: Record<string, unknown>;
  terms: Record<string, unknown>;
  words?: Said[];
  agreements: AgreementRow[];
  budget: Budget;
};

export type Task = {
  id: string;
  kind: string;
  state: "running" | "done" | "failed";
  progress: Record<string, unknown> | null;
  result: Record<string, unknown> | null;
  error: Refusal | null;
};

// --- agreements -----------------------------------------------------------------

export type AgreementRow = {
  id: string;
  role: "consumer" | "provider";
  dataset: string;
  provider: string;
  consumer: string;
  state: string;
  agreed: string;
  terms: { not_after: string } & Record<string, unknown>;
  contract_id: string | null;
  contract_placeholder?: boolean | null;
  dataset_title: string;
  provider_title: string;
  consumer_title: string;
};

export type Said = Sentence & { term: string };

export type Signature = { participant: string; role: string; time: string; key: string };
export type Step = { state: string; sender: string; code: string; reason: string; at: string };

export type Agreement = AgreementRow & {
  provider_key: string;
  consumer_key: string;
  policy: Record<string, unknown>;
  negotiation: string;
  words: Said[];
  signatures?: Signature[];
  history?: Step[];
  revocation: {
    by: string;
    time: string;
    reason: string;
    person: string;
    counterpart_told: boolean;
  } | null;
};

export type Change = { term: string; before: Sentence | null; after: Sentence | null };

// --- studies ----------------------------------------------------------------------

export type StudyEvent = { id: number; time: string; kind: string; facts: Record<string, unknown> };

export type Plan = {
  title: string;
  question: string;
  purpose: string;
  recipe: string;
  rule: string;
  rounds: number;
  invite: { participant: string; dataset: string }[];
  settings: Record<string, unknown>;
  rule_settings: Record<string, unknown>;
  privacy: Record<string, unknown>;
  quorum: number;
  deadline_s: number;
  seed: number;
  days: number;
  modalities: string[];
  subgroups: string[];
  secure: Record<string, unknown> | null;
  signed: {
    digest: string;
    recipe: string;
    label: string;
    fields: FieldShown[];
    created: string;
    expires: string;
    sites: { participant: string; dataset: string; agreement: string; lacks: string[] }[];
  } | null;
};

export type Study = StudyRow & {
  plan: Plan;
  agreements: AgreementRow[];
  marks: Mark[];
  events: StudyEvent[];
};

export type Phase =
  | "invited"
  | "ready"
  | "training"
  | "sent"
  | "evaluating"
  | "done"
  | "lost"
  | "left";

export type RunSite = {
  participant: string;
  title: string;
  phase: Phase;
  last_heard: string | null;
  error: Refusal | null;
  rounds_done: number;
  bytes_up: number | null;
  bytes_down: number | null;
  epsilon_spent: number | null;
  loss: [round: number, value: number][];
};

export type Run = {
  state: string;
  reason: Sentence | null;
  phase: string;
  round: number | null;
  rounds: number | null;
  waiting_for: string[];
  eta_s: number | null;
  sites: RunSite[];
  loss: [round: number, value: number][];
  log: StudyEvent[];
  /** Whether the node can go on with it. */
  can_resume?: boolean;
};

export type Figures = Record<string, number | null>;
export type Intervals = Record<string, Record<string, [number, number] | null>>;
export type Bin = { predicted: number; observed: number; n: number };

export type ResultSite = {
  id: string;
  title: string;
  n_train: number | null;
  n_test: number | null;
  chosen: string;
  intervals: Intervals;
  undefined: Record<string, string>;
  calibration: Record<string, Bin[]>;
  classes: (Record<string, unknown> & { index: number; n?: number })[];
  confusion?: Record<string, number[][]>;
  choice?: { by: string; folds: number; scores: Figures };
  subgroups?: Record<string, unknown>[];
} & Record<string, unknown>;

export type Result = {
  study: string;
  recipe: string;
  rule: string;
  seed: number;
  rounds: number;
  target: { kind: string; label: string; classes: string[]; unit: string };
  sites: ResultSite[];
  mean: Record<string, Figures>;
  worst: Record<string, Figures>;
  timing: { total_s: number; command_to_first_round_s: number | null };
  bytes: { up: number; down: number };
  evidence: { entries: number; verified: boolean };
  model: { digest: string; passport: string };
  notes: string[];
};

export type Compared = { studies: { id: string; title: string; result: Result }[] };

export type Setting = {
  name: string;
  kind: string;
  low: number | null;
  /** Whether `low` itself is not allowed. */
  low_open: boolean;
  high: number | null;
  default: number | string;
  choices: string[];
  help: Sentence;
};

export type Recipe = {
  name: string;
  version: string;
  digest: string;
  title: Sentence;
  modalities: string[];
  targets: string[];
  family: string;
  discloses: Sentence;
  personal: boolean;
  noise: boolean;
  /** Rules that it goes with; empty for all. */
  rules: string[];
  settings: Setting[];
};

export type Rule = { name: string; help: Sentence; secure: boolean; settings: Setting[] };

export type Candidate = {
  dataset: string;
  name: string;
  description: string;
  rows_band: string;
  access: Listing["access"];
  mine: boolean;
  fits: boolean;
  /** Modalities that it does not have, and the recipe can do without. */
  lacks: string[];
  /** The first reason why it does not fit; `flaws` holds all. */
  why: Said | null;
  flaws: Said[];
  /** An agreement that stands already. */
  agreement: { id: string; ends: string } | null;
  offers: Listing["offers"];
};

export type CohortHospital = {
  participant: string;
  title: string;
  mine: boolean;
  datasets: Candidate[];
};

export type Cohort = {
  recipe: string;
  label: string;
  target: string;
  fields: string[];
  /** Labels that datasets of the recipe have. */
  targets: string[];
  items: CohortHospital[];
  fitting: number;
};

export type Flaw = Refusal & { field: string; participant: string };

/** What begins a study, and what hospitals would refuse of it; no draft if it cannot be at all. */
export type Drafted = { draft: Record<string, unknown> | null; flaws: Flaw[] };

// --- models -------------------------------------------------------------------------

export type Mark = {
  agreement: string;
  participant: string;
  by: string;
  time: string;
  reason: string;
  rounds: number;
};

export type ModelRow = {
  digest: string;
  name: string;
  label: string;
  study: string;
  issuer: string;
  created: string;
  recipe?: string;
  sites?: number;
  rounds?: number;
  marks: Mark[];
};

export type SiteFigure = {
  value: number | null;
  low?: number | null;
  high?: number | null;
  n?: number;
  reason?: string | null;
};

export type Passport = {
  weights: string;
  name: string;
  issuer: string;
  created: string;
  intended_use: string;
  limitations: string[];
  privacy: Record<string, unknown>;
  capability: {
    task: string;
    family: string;
    recipe: string;
    recipe_version: string;
    recipe_digest: string;
    settings: Record<string, unknown>;
    inputs: (FieldShown & { categories: string[]; modality: string; shape: number[] })[];
    label: string;
    classes: string[];
    unit: string;
  };
  lineage: {
    study: string;
    plan: string;
    title: string;
    question: string;
    purpose: string;
    lead: string;
    rule: string;
    rounds: number;
    seed: number;
    start: string;
    parents: string[];
  };
  sites: {
    participant: string;
    agreement: string;
    fingerprint: string;
    n_train: number | null;
    n_test: number | null;
    rounds: number;
    rows: Record<string, Record<string, SiteFigure>>;
    chosen: string;
  }[];
};

export type Model = ModelRow & { passport: Passport; card: string; releases: Release[] };

// --- the space and its proof ----------------------------------------------------------

export type NodeRow = {
  participant: string;
  title: string;
  admitted: boolean;
  last_seen: string | null;
  online: boolean | null;
  /** Known of this node alone. */
  versions: Record<string, string> | null;
  certificate_until: string | null;
  joined: string;
  location: string;
  fingerprint: string;
  mine: boolean;
};

export type Finding = Refusal & { hop: string; state: string; ok: boolean };

export type EvidenceRow = {
  seq: number;
  time: string;
  kind: string;
  subject: string;
  facts: Record<string, unknown>;
  digest: string;
};

export type Verified = {
  entries: number;
  verified: boolean;
  checkpoint: { origin: string; size: number; root: string } | null;
  witnesses: { participant: string; size: number; time: string }[];
  error: Refusal | null;
};

export type Overview = {
  members: { participant: string; title: string; online: boolean | null; datasets: number }[];
  studies: { running: number; completed: number; list: StudyRow[] };
  models: number;
  contributions: { participant: string; title: string; rounds: number; agreements: number }[];
  evidence: { entries: number; latest: { time: string; kind: string }[] };
  rows_band_total: string;
};

/** A list that comes whole or in parts. */
export const itemsOf = <Item>(list: Paged<Item> | Item[] | undefined | null): Item[] =>
  Array.isArray(list) ? list : (list?.items ?? []);
