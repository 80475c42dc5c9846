/** What the node says when it refuses or fails: a code, the facts, one sentence in each language. */

export type Facts = Record<string, string | number | boolean | null>;

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly en: string;
  readonly zh: string;
  readonly facts: Facts;

  constructor(given: { status: number; code: string; en: string; zh: string; facts?: Facts }) {
    super(given.en);
    this.name = "ApiProblem";
    this.status = given.status;
    this.code = given.code;
    this.en = given.en;
    this.zh = given.zh;
    this.facts = given.facts ?? {};
  }
}

/** No answer at all: the node is down, or the network between. */
export const UNREACHABLE = "console.unreachable";

export function unreachable(): ApiProblem {
  return new ApiProblem({ status: 0, code: UNREACHABLE, en: "", zh: "" });
}

/** Read the body of an answer that is no success. */
export async function readProblem(answer: Response): Promise<ApiProblem> {
  let body: Record<string, unknown> = {};
  try {
    body = (await answer.json()) as Record<string, unknown>;
  } catch {
    // Not JSON: a proxy between, or a process that ended while it spoke.
  }
  const text = (...names: string[]) => {
    const found = names.map((name) => body[name]).find((value) => typeof value === "string");
    return (found as string | undefined) ?? "";
  };
  return new ApiProblem({
    status: answer.status,
    code: text("code") || `http.${answer.status}`,
    en: text("en", "title"),
    zh: text("zh", "title_zh"),
    facts: (body.facts as Facts | undefined) ?? {},
  });
}
