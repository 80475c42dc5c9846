/** What the node's routes give and take. One section for each part of the API. */

// --- sessions and persons -------------------------------------------------

export type Role =
  | "administrator"
  | "steward"
  | "research-lead"
  | "doctor"
  | "ethics-officer"
  | "auditor"
  | "office";

export const ROLES: Role[] = [
  "steward",
  "research-lead",
  "doctor",
  "ethics-officer",
  "auditor",
  "office",
  "administrator",
];

export type Action =
  | "person.manage"
  | "backup.make"
  | "dataset.register"
  | "agreement.request"
  | "agreement.revoke"
  | "study.run"
  | "study.stop"
  | "queue.settle"
  | "release.request"
  | "release.approve"
  | "model.export"
  | "evidence.export"
  | "evidence.read"
  | "annotation.write"
  | "assistant.ask"
  | "member.admit";

export type Grant = { role: Role; study: string; organisation: string };

export type Session = {
  person: { id: string; name: string; grants: Grant[] };
  actions: Action[];
  csrf: string;
  second_factor: boolean;
  ends: string;
  node: { title: string; participant: string; space: string; version: string };
};

export type SecondFactor = { secret: string; uri: string; qr_svg: string };

export type OpenSession = {
  id: string;
  person: string;
  name: string;
  agent: string;
  began: string;
  used: string;
  ends: string;
  current: boolean;
};

export type Person = {
  id: string;
  name: string;
  is_active: boolean;
  grants: Grant[];
  created: string;
  second_factor?: boolean;
};

// --- what waits -------------------------------------------------------------

export type Sentence = { en: string; zh: string };

export type QueueItem = {
  id: string;
  kind: string;
  subject: string;
  reason: string;
  due: string;
  role: Role;
  study: string;
  organisation: string;
  needed: number;
  delegate: string;
  delegated_by: string;
  ruling: "" | "proceed" | "refuse" | "lapse";
  settled_by: string;
  settled_reason: string;
  asked: string;
  settled: string;
  consented: string[];
  overdue: boolean;
  title?: string;
  title_zh?: string;
  href?: string;
  about?: About;
};

/** What an item is about, as far as the node knows. */
export type About = {
  peer?: string;
  state?: string;
  dataset?: string;
  agreement?: string;
  study?: string;
  terms?: Terms;
};

/** What an agreement allows; null and an empty list mean that it says nothing about it. */
export type Terms = {
  purposes: string[];
  not_after: string;
  count: number;
  max_rounds: number;
  min_cohort: number;
  recipients: string[];
  algorithms: string[];
  min_participants: number | null;
  epsilon: number | null;
  delta: number | null;
  outputs: string[];
  secure_aggregation: boolean | null;
  spatial: string[];
};

export type Release = {
  id: string;
  kind: string;
  digest: string;
  reason: string;
  study: string;
  organisation: string;
  needed: number;
  requested_by: string;
  state: "open" | "released" | "withdrawn";
  requested: string;
  expires: string;
  changed: string;
  approved: string[];
};

// --- home -------------------------------------------------------------------

export type StudyRow = {
  id: string;
  title: string;
  state: string;
  created: string;
  updated: string;
  reason: string;
  lead?: string;
  sites?: number;
  recipe?: string;
  round?: number | null;
  rounds?: number | null;
};

export type Health = {
  ready: boolean;
  online: boolean;
  engine_running: boolean;
  disk_free_bytes: number;
  disk_total_bytes: number;
  evidence: number;
};

export type Alert = { code: string; en: string; zh: string; href: string };

export type Home = {
  waiting: QueueItem[];
  releases: Release[];
  studies: StudyRow[];
  health: Health;
  alerts: Alert[];
};

// --- settings ---------------------------------------------------------------

type Plain = string | number | boolean | null | string[];

export type Settings = {
  language: string;
  version: string;
  console: { host: string; port: number; certificate: string; [name: string]: Plain };
  approvals: {
    agreements: string;
    studies: string;
    exports: string;
    due_hours: number;
    release_days: number;
  };
  node: { space: string; title: string; hub: string; name: string; [name: string]: Plain };
  /** Where all of it is set. */
  file: string;
};

/** A backup that was proved when it was made. */
export type Backup = { name: string; made: string; size: number };

export type Backups = { folder: string; beside: boolean; items: Backup[] };
