/** Speaks with the node: one function for each way to ask, the session's token in every change. */

import { ApiProblem, readProblem, unreachable } from "./problem";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** A part of a long list; `next` is handed back as `cursor`. */
export type Paged<Item> = { items: Item[]; next: string | null };

export const API = "/api";
const NO_SESSION = "persons.no_session";
const PRESENT_MS = 60_000;

let token = "";
let signInAgain: (() => Promise<void>) | null = null;

let touched = Date.now();
for (const kind of ["pointerdown", "keydown", "wheel"])
  globalThis.addEventListener?.(kind, () => void (touched = Date.now()), { passive: true });

/** Whether nobody is at the page: what it then reads by itself keeps no session alive. */
const isAlone = () => Date.now() - touched > PRESENT_MS;

/** Keep the token that changes must carry. */
export function keepToken(given: string): void {
  token = given;
}

/** Name what asks the person to sign in again; a request that failed for it is sent once more. */
export function onExpiry(ask: (() => Promise<void>) | null): void {
  signInAgain = ask;
}

/** Ask the person to sign in again: the stream heard before any screen that the session is over. */
export async function askToSignIn(): Promise<void> {
  await signInAgain?.();
}

export function address(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return API + path + (text ? `?${text}` : "");
}

type Sending = {
  query?: Query;
  body?: unknown;
  /** The same key and body give the same answer: a second click makes no second thing. */
  key?: string;
  signal?: AbortSignal;
  /** Whether an ended session is the caller's own business (only the session's routes). */
  quiet?: boolean;
};

async function send(method: string, path: string, how: Sending = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && token) headers["X-Consilium-Token"] = token;
  if (isAlone()) headers["X-Consilium-Background"] = "1";
  if (how.key) headers["Idempotency-Key"] = how.key;
  let body: BodyInit | undefined;
  if (how.body instanceof FormData) body = how.body;
  else if (how.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(how.body);
  }
  try {
    return await fetch(address(path, how.query), {
      method,
      headers,
      body,
      signal: how.signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
}

async function request<Answer>(method: string, path: string, how: Sending = {}): Promise<Answer> {
  let answer = await send(method, path, how);
  if (answer.status === 401 && !how.quiet) {
    const problem = await readProblem(answer);
    if (problem.code !== NO_SESSION || signInAgain === null) throw problem;
    await signInAgain();
    answer = await send(method, path, how);
  }
  if (!answer.ok) throw await readProblem(answer);
  if (answer.status === 204) return undefined as Answer;
  return (await answer.json()) as Answer;
}

export const api = {
  get: <Answer>(path: string, query?: Query, how: Sending = {}) =>
    request<Answer>("GET", path, { ...how, query }),
  post: <Answer>(path: string, body: unknown = {}, how: Sending = {}) =>
    request<Answer>("POST", path, { ...how, body }),
  put: <Answer>(path: string, body: unknown = {}, how: Sending = {}) =>
    request<Answer>("PUT", path, { ...how, body }),
  delete: <Answer = void>(path: string, body?: unknown, how: Sending = {}) =>
    request<Answer>("DELETE", path, { ...how, body }),
};

/** A key for one deed: made when a form opens, so that a repeated click is the same deed. */
export function newKey(): string {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
}

/** One part of an address: identifiers carry colons and slashes. */
export const part = (identifier: string): string => encodeURIComponent(identifier);

export { ApiProblem };
