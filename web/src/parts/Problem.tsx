/** What went wrong, what it means and what to do: never a bare failure. */

import { useEffect, useRef, type ReactNode } from "react";
import { ApiProblem, UNREACHABLE } from "../api/problem";
import { useWords } from "../words";
import { useSentence } from "../words/format";
import { Button } from "./Button";
import { Icon } from "./Icon";

/** The sentence of a problem in the chosen language. */
export function useProblemText(): (error: unknown) => string {
  const say = useWords("parts");
  const sentence = useSentence();
  return (error) => {
    if (!(error instanceof ApiProblem)) return say("problem.unknown");
    if (error.code === UNREACHABLE) return say("problem.unreachable");
    if (error.en || error.zh) return sentence(error);
    return error.status >= 500 ? say("problem.failed") : say("problem.unknown");
  };
}

export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const say = useWords("parts");
  const text = useProblemText();
  const code = error instanceof ApiProblem ? error.code : "";
  const box = useRef<HTMLDivElement>(null);
  // Where a form or dialog is long, what went wrong would stand below its edge.
  useEffect(() => void box.current?.scrollIntoView({ block: "nearest" }), [error]);
  return (
    <div className="problem" role="alert" ref={box}>
      <Icon name="bad" />
      <div>
        <p>{text(error)}</p>
        {code && (
          <p className="problem-code">
            {say("problem.code")} <code>{code}</code>
          </p>
        )}
      </div>
      {retry && (
        <Button small icon="refresh" onClick={retry}>
          {say("again")}
        </Button>
      )}
    </div>
  );
}

type Asked<Answer> = {
  data: Answer | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
};

/** Show what was asked for once it is there; until then that it comes, or why it does not. */
export function Await<Answer>({
  of,
  children,
}: {
  of: Asked<Answer>;
  children: (answer: Answer) => ReactNode;
}) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.error) return <Problem error={of.error} retry={() => void of.refetch()} />;
  return <Loading />;
}

export function Loading() {
  const say = useWords("parts");
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">{say("loading")}</span>
      <i />
      <i />
      <i />
    </div>
  );
}
