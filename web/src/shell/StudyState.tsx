/** How a study stands, wherever one is named. */

import { State, type StateKind } from "../parts/State";
import { useWords } from "../words";

const KINDS: Record<string, StateKind> = {
  completed: "good",
  failed: "bad",
  stopped: "off",
  running: "busy",
  recruiting: "wait",
};

export function StudyState({ state }: { state: string }) {
  const say = useWords("states");
  const name = state.toLowerCase();
  return <State kind={KINDS[name] ?? "info"}>{say(`study.${name}`, { defaultValue: state })}</State>;
}
