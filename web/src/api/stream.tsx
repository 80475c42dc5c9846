/**
 * The one stream of events of this tab. After a break it goes on from the last event seen, so
 * nothing is lost; what events make stale is read anew, at most twice a second.
 */

import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { API, askToSignIn } from "./client";
import { wordsOf } from "./hooks";
import { Lines, type StreamEvent } from "./lines";

export type { StreamEvent } from "./lines";
type Hearer = (event: StreamEvent) => void;

/** What each kind of event makes stale, as paths. */
const STALE: Record<string, (data: Record<string, unknown>) => string[]> = {
  study: (data) => ["/home", "/overview", ...(data.study ? [`/studies/${data.study}`] : []), "/studies/*"],
  queue: () => ["/home", "/queue", "/approvals"],
  link: () => ["/home", "/nodes", "/catalog"],
  agreement: () => ["/home", "/agreements", "/queue"],
  release: () => ["/home", "/approvals", "/models"],
};
const GATHER_MS = 500;
const RETRY_MS = [1000, 2000, 5000, 10_000];
const SILENT_MS = 45_000;

type Stream = { isLive: boolean; hear: (kind: string, hearer: Hearer) => () => void };
const Streaming = createContext<Stream>({ isLive: true, hear: () => () => undefined });

export function StreamProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [isLive, setLive] = useState(true);
  const hearers = useRef(new Map<string, Set<Hearer>>());
  useEffect(() => {
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const gather = () => {
      timer = undefined;
      for (const path of stale) {
        const exact = path.endsWith("/*");
        const queryKey = wordsOf(path.replace("/*", ""));
        // `/studies/*` is the list alone: its key has one word and the question.
        void client.invalidateQueries(
          exact
            ? { queryKey, predicate: (one) => typeof one.queryKey[1] === "object" }
            : { queryKey },
        );
      }
      stale.clear();
    };
    const ended = new AbortController();
    void follow(ended.signal, setLive, (event) => {
      hearers.current.get(event.kind)?.forEach((hearer) => hearer(event));
      STALE[event.kind]?.(event.data).forEach((path) => stale.add(path));
      timer ??= setTimeout(gather, GATHER_MS);
    });
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [client]);
  const stream = useMemo<Stream>(
    () => ({
      isLive,
      hear: (kind, hearer) => {
        const all = hearers.current.get(kind) ?? new Set();
        hearers.current.set(kind, all.add(hearer));
        return () => void all.delete(hearer);
      },
    }),
    [isLive],
  );
  return <Streaming.Provider value={stream}>{children}</Streaming.Provider>;
}

/** Whether the node can be reached. */
export const useIsLive = () => useContext(Streaming).isLive;

/** Hear the events of one kind. */
export function useEvent(kind: string, hearer: Hearer): void {
  const { hear } = useContext(Streaming);
  const latest = useRef(hearer);
  useEffect(() => {
    latest.current = hearer;
  });
  useEffect(() => hear(kind, (event) => latest.current(event)), [hear, kind]);
}

/** Read the stream until told to stop; open it again whenever it breaks. */
async function follow(
  stop: AbortSignal,
  setLive: (isLive: boolean) => void,
  hear: Hearer,
): Promise<void> {
  let last = "";
  let failures = 0;
  while (!stop.aborted) {
    try {
      await listen(stop, last, {
        opened: () => {
          failures = 0;
          setLive(true);
        },
        heard: (event) => {
          last = event.id || last;
          hear(event);
        },
      });
    } catch {
      if (stop.aborted) return;
    }
    failures += 1;
    if (failures > 1) setLive(false);
    await pause(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1]!, stop);
  }
}

async function listen(
  stop: AbortSignal,
  last: string,
  on: { opened: () => void; heard: Hearer },
): Promise<void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  stop.addEventListener("abort", end, { once: true });
  let timer = setTimeout(end, SILENT_MS);
  const answer = await fetch(`${API}/events`, {
    headers: {
      Accept: "text/event-stream",
      "X-Consilium-Background": "1",
      ...(last ? { "Last-Event-ID": last } : {}),
    },
    signal: ending.signal,
    cache: "no-store",
  });
  // An ended session is no broken line: whoever works is asked to sign in again at once.
  if (answer.status === 401) {
    on.opened();
    return askToSignIn();
  }
  if (!answer.ok || !answer.body) throw new Error(String(answer.status));
  on.opened();
  const lines = new Lines();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(end, SILENT_MS);
      lines.read(value).forEach(on.heard);
    }
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", end);
  }
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
