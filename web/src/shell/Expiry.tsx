/**
 * The session has ended while somebody works: ask for the password above the page. What was
 * typed stays, and what was asked for meanwhile is sent once more afterwards.
 */

import { useEffect, useRef, useState } from "react";
import { api, onExpiry } from "../api/client";
import type { ApiProblem } from "../api/problem";
import { useStanding } from "../api/session";
import type { Session } from "../api/types";
import { Button } from "../parts/Button";
import { Dialog } from "../parts/Dialog";
import { TextField } from "../parts/Field";
import { Problem } from "../parts/Problem";
import { useWords } from "../words";

export function Expiry() {
  const { session, enter } = useStanding();
  const say = useWords("shell");
  const [isAsking, setAsking] = useState(false);
  const waiting = useRef<(() => void)[]>([]);
  useEffect(() => {
    onExpiry(
      () =>
        new Promise((resolve) => {
          waiting.current.push(resolve);
          setAsking(true);
        }),
    );
    return () => onExpiry(null);
  }, []);
  const back = (given: Session) => {
    // Another person must not go on in what this one began.
    if (given.person.id !== session?.person.id) return void window.location.assign("/");
    enter(given);
    setAsking(false);
    waiting.current.splice(0).forEach((resolve) => resolve());
  };
  if (!isAsking || !session) return null;
  return <AskAgain name={session.person.name} title={say("expired.title")} onBack={back} />;
}

function AskAgain({
  name,
  title,
  onBack,
}: {
  name: string;
  title: string;
  onBack: (session: Session) => void;
}) {
  const say = useWords("shell");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [needsCode, setNeedsCode] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      onBack(await api.post<Session>("/session", { name, password, code }, { quiet: true }));
    } catch (error) {
      const found = error as ApiProblem;
      setNeedsCode(needsCode || found.code === "persons.code_needed");
      setProblem(found.code === "persons.code_needed" && !code ? null : found);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      firm
      title={title}
      onClose={() => undefined}
      onSubmit={() => void send()}
      actions={
        <>
          <Button kind="quiet" onClick={() => window.location.assign("/")}>
            {say("expired.other")}
          </Button>
          <Button type="submit" kind="primary" busy={isBusy} disabled={!password}>
            {say("expired.enter")}
          </Button>
        </>
      }
    >
      <p>{say("expired.text")}</p>
      <TextField label={say("expired.name")} value={name} onValue={() => undefined} readOnly />
      <TextField
        label={say("expired.password")}
        type="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
      />
      {needsCode && (
        <TextField
          label={say("expired.code")}
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onValue={setCode}
          autoFocus
        />
      )}
      {problem && <Problem error={problem} />}
    </Dialog>
  );
}
