/** How items of the queue are named. */

import { useCallback } from "react";
import type { QueueItem } from "../../api/types";
import { State, type StateKind } from "../../parts/State";
import { useLanguage, useWords } from "../../words";

/** The node's own title, or the kind of thing that waits. */
export function useItemTitle(): (item: QueueItem) => string {
  const say = useWords("queue");
  const language = useLanguage();
  return useCallback(
    (item) => {
      const told = language === "zh" ? item.title_zh : item.title;
      return told || say(`kind.${item.kind}`, { defaultValue: item.kind });
    },
    [say, language],
  );
}

const SIGNS: Record<string, StateKind> = { proceed: "good", refuse: "bad", lapse: "off" };

export function Ruling({ ruling }: { ruling: string }) {
  const say = useWords("queue");
  return <State kind={SIGNS[ruling] ?? "info"}>{say(`ruling.${ruling}`)}</State>;
}
