/** A study's events in words. What has no words yet is shown by its kind. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { StudyEvent } from "../api/reading";
import { useEvent } from "../api/stream";
import { useLanguage, useWords } from "../words";
import { useFormat } from "../words/format";
import { shortName } from "./common";

const KNOWN = new Set([
  "recruiting",
  "agreed",
  "declined",
  "recruited",
  "signed",
  "opened",
  "submitted",
  "running",
  "segment_begun",
  "segment_ended",
  "round_started",
  "round_closed",
  "evaluation_started",
  "evaluated",
  "answered",
  "presence",
  "finished",
  "completed",
  "waiting",
  "refused",
  "left",
  "failed",
  "failure",
  "stopped",
]);

export function useEventWords(names: ReadonlyMap<string, string>): (event: StudyEvent) => string {
  const say = useWords("events");
  const format = useFormat();
  const language = useLanguage();
  return useCallback(
    (event) => {
      const facts = event.facts;
      const nameOf = (who: unknown) => names.get(String(who)) || shortName(String(who));
      const list = (value: unknown) =>
        Array.isArray(value) ? value.map(nameOf).join(say("comma")) : "";
      const missing = list(facts.missing);
      const own = (facts[language] ?? facts.reason ?? "") as string;
      const values = {
        who: facts.participant ? nameOf(facts.participant) : "",
        round: facts.round as number,
        segment: facts.segment as number,
        attempt: facts.attempt as number,
        outcome: own || (facts.outcome === "finished" ? say("asPlanned") : String(facts.outcome ?? "")),
        away: list(facts.away) || say("nobody"),
        answered: list(Object.keys((facts.sites as Record<string, number>) ?? {})),
        sites: Array.isArray(facts.sites) ? facts.sites.length : (facts.sites as number),
        seconds: format.number(facts.seconds as number, 1),
        bytes: format.bytes(facts.bytes_up as number),
        names: list(facts.for),
        why: own ? say("why", { own }) : "",
        missing: missing ? say("missing", { names: missing }) : "",
      };
      return KNOWN.has(event.kind) ? say(event.kind, values) : event.kind;
    },
    [format, language, names, say],
  );
}

const MOST_LINES = 2000;
const DRAWN_EACH_MS = 250;

/**
 * A study's log: what the node keeps of it, and every event that this page hears. In a storm of
 * events the node's newest two hundred may pass between two readings; what was heard stays.
 */
export function useLog(study: string | undefined, kept: StudyEvent[]): StudyEvent[] {
  const [heard, setHeard] = useState<StudyEvent[]>([]);
  const waiting = useRef<StudyEvent[]>([]);
  useEvent("study", ({ data }) => {
    const event = data as StudyEvent & { study?: string };
    if (event.study === study) waiting.current.push(event);
  });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!waiting.current.length) return;
      const fresh = waiting.current.splice(0);
      setHeard((before) => [...before, ...fresh].slice(-MOST_LINES));
    }, DRAWN_EACH_MS);
    return () => clearInterval(timer);
  }, []);
  return useMemo(() => {
    const all = new Map([...kept, ...heard].map((one) => [one.id, one]));
    return [...all.values()].sort((one, other) => one.id - other.id).slice(-MOST_LINES);
  }, [kept, heard]);
}
