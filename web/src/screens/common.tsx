/** What several screens share: titles in two languages, identifiers to copy, states in words, drafts. */

import { useCallback, useEffect, useState, type ReactNode } from "react";
import type { Phase } from "../api/reading";
import { Icon } from "../parts/Icon";
import { State, type StateKind } from "../parts/State";
import { useWords } from "../words";
import "./screens.css";

export { titleIn, useTitles } from "../words/titles";

/** The last word of an identifier: `north` of `did:web:demo:north`. */
export const shortName = (identifier: string): string =>
  identifier.startsWith("did:") ? (identifier.split(":").at(-1) ?? identifier) : identifier;

/** The beginning of a long identifier, with the whole of it to copy. */
export function Identifier({ value, length = 12 }: { value: string; length?: number }) {
  const say = useWords("common");
  const [copied, setCopied] = useState(false);
  if (!value) return <>–</>;
  const bare = value.replace(/^(sha256:|urn:uuid:)/, "");
  const copy = async () => {
    await navigator.clipboard?.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <span className="identifier">
      <code title={value}>{bare.length > length ? `${bare.slice(0, length)}…` : bare}</code>
      <button type="button" className="identifier-copy" aria-label={say("copy", { value })} onClick={() => void copy()}>
        <Icon name={copied ? "check" : "copy"} size={14} />
      </button>
    </span>
  );
}

export const LIVE_STATES = new Set(["RECRUITING", "SUBMITTED", "RUNNING"]);
export const STUDY_STATES = ["RUNNING", "RECRUITING", "SUBMITTED", "COMPLETED", "FAILED", "STOPPED"];

const AGREEMENT: Record<string, StateKind> = {
  REQUESTED: "wait",
  OFFERED: "wait",
  ACCEPTED: "wait",
  AGREED: "wait",
  VERIFIED: "wait",
  FINALIZED: "good",
  REVOKED: "bad",
  TERMINATED: "off",
};

export function AgreementState({ state }: { state: string }) {
  const say = useWords("common");
  return <State kind={AGREEMENT[state] ?? "info"}>{say(`agreement.${state}`)}</State>;
}

const PHASES: Record<Phase, StateKind> = {
  invited: "wait",
  ready: "good",
  training: "busy",
  sent: "good",
  evaluating: "busy",
  done: "good",
  lost: "bad",
  left: "off",
};

export function PhaseState({ phase }: { phase: Phase }) {
  const say = useWords("common");
  return <State kind={PHASES[phase] ?? "info"}>{say(`phase.${phase}`)}</State>;
}

/** State that survives a reload: what is typed lies in this browser until it is sent. */
export function useKept<Value>(
  name: string,
  initial: Value,
): [value: Value, change: (next: Partial<Value>) => void, forget: () => void] {
  const key = `consilium.draft.${name}`;
  const [value, setValue] = useState<Value>(() => {
    try {
      return { ...initial, ...(JSON.parse(localStorage.getItem(key) ?? "{}") as Partial<Value>) };
    } catch {
      return initial;
    }
  });
  const [dirty, setDirty] = useState(false);
  useEffect(() => {
    if (dirty) localStorage.setItem(key, JSON.stringify(value));
  }, [dirty, key, value]);
  const change = useCallback((next: Partial<Value>) => {
    setDirty(true);
    setValue((before) => ({ ...before, ...next }));
  }, []);
  const forget = useCallback(() => {
    setDirty(false);
    localStorage.removeItem(key);
    setValue(initial);
    // A fresh start means the first value of this screen.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return [value, change, forget];
}

/** What a person is led through, and where he stands. */
export function Steps({
  names,
  at,
  reached = at,
  onStep,
  label,
}: {
  names: string[];
  at: number;
  /** The last step that may be opened. */
  reached?: number;
  onStep?: (step: number) => void;
  label: string;
}) {
  const say = useWords("common");
  return (
    <ol className="steps" aria-label={label}>
      {names.map((name, index) => {
        const mood = index === at ? "now" : index < at ? "done" : "ahead";
        const body = (
          <>
            <span className="steps-number" aria-hidden="true">
              {mood === "done" ? <Icon name="check" size={14} /> : index + 1}
            </span>
            <span>{name}</span>
            {mood === "done" && <span className="visually-hidden">{say("stepDone")}</span>}
          </>
        );
        return (
          <li key={name} className={`steps-${mood}`} aria-current={index === at ? "step" : undefined}>
            {onStep ? (
              <button type="button" disabled={index > reached} onClick={() => onStep(index)}>
                {body}
              </button>
            ) : (
              <span className="steps-item">{body}</span>
            )}
          </li>
        );
      })}
    </ol>
  );
}

/** A figure that is read from afar, with its name. */
export function Tile({
  name,
  value,
  note,
}: {
  name: string;
  value: ReactNode;
  note?: ReactNode;
}) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
      {note && <dd className="tile-note">{note}</dd>}
    </div>
  );
}

export function Tiles({ children }: { children: ReactNode }) {
  return <dl className="tiles">{children}</dl>;
}
