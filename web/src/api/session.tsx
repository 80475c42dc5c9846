/** Who is signed in, and what may be done: read once, given to every screen. */

import { useQueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { api, keepToken } from "./client";
import { ApiProblem } from "./problem";
import type { Action, Session } from "./types";

/** `unknown` until the node has answered once; `first` where no person exists yet. */
export type Standing = "unknown" | "out" | "first" | "in" | "unreachable";

type Given = {
  standing: Standing;
  session: Session | null;
  /** Take a new session, from signing in or from the first account. */
  enter: (session: Session) => void;
  leave: () => Promise<void>;
  /** Ask the node again who is signed in. */
  look: () => Promise<void>;
};

const Who = createContext<Given | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [session, setSession] = useState<Session | null>(null);
  const [standing, setStanding] = useState<Standing>("unknown");
  const enter = useCallback((given: Session) => {
    keepToken(given.csrf);
    setSession(given);
    setStanding("in");
  }, []);
  const look = useCallback(async () => {
    try {
      enter(await api.get<Session>("/session", undefined, { quiet: true }));
    } catch (error) {
      const problem = error instanceof ApiProblem ? error : null;
      if (problem?.status === 401) setStanding(problem.code === "persons.no_first" ? "first" : "out");
      else setStanding("unreachable");
    }
  }, [enter]);
  const leave = useCallback(async () => {
    try {
      await api.delete("/session", undefined, { quiet: true });
    } finally {
      client.clear();
      setSession(null);
      setStanding("out");
    }
  }, [client]);
  useEffect(() => void look(), [look]);
  const given = useMemo(
    () => ({ standing, session, enter, leave, look }),
    [standing, session, enter, leave, look],
  );
  return <Who.Provider value={given}>{children}</Who.Provider>;
}

export function useStanding(): Given {
  const given = useContext(Who);
  if (!given) throw new Error("outside SessionProvider");
  return given;
}

/** The session of a screen behind the door. */
export function useSession(): Session {
  const { session } = useStanding();
  if (!session) throw new Error("nobody is signed in");
  return session;
}

/** Whether the person may do something; buttons for what may not be done are not shown. */
export function useMay(): (action: Action) => boolean {
  const { session } = useStanding();
  return useCallback((action) => session?.actions.includes(action) ?? false, [session]);
}
