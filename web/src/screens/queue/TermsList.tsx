/** Terms in plain words: what would be allowed, until when, how often. */

import type { Terms } from "../../api/types";
import { Facts } from "../../parts/Page";
import { useWords } from "../../words";
import { useFormat } from "../../words/format";

export function TermsList({ terms }: { terms: Terms }) {
  const say = useWords("terms");
  const format = useFormat();
  const named = (group: string, words: string[]) =>
    format.list(words.map((one) => say(`${group}.${one}`, { defaultValue: one })));
  const lines: [string, string | null][] = [
    [say("purposes"), named("purpose", terms.purposes)],
    [say("until"), format.date(terms.not_after)],
    [say("studies"), say("times", { count: terms.count })],
    [say("rounds"), format.number(terms.max_rounds)],
    [say("cohort"), say("patients", { count: terms.min_cohort })],
    [say("hospitals"), terms.min_participants === null ? null : format.number(terms.min_participants)],
    [say("privacy"), terms.epsilon === null ? null : `ε ≤ ${format.number(terms.epsilon)}`],
    [say("outputs"), terms.outputs.length ? named("output", terms.outputs) : null],
    [
      say("sums"),
      terms.secure_aggregation === null ? null : say(terms.secure_aggregation ? "yes" : "no"),
    ],
    [say("places"), terms.spatial.length ? format.list(terms.spatial) : null],
  ];
  return <Facts items={lines.filter((line): line is [string, string] => line[1] !== null)} />;
}
