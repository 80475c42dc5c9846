/** Signing in: name and password, then the one-time code of whoever has a second factor. */

import { useState } from "react";
import { api } from "../api/client";
import type { ApiProblem } from "../api/problem";
import { useStanding } from "../api/session";
import type { Session } from "../api/types";
import { Button } from "../parts/Button";
import { TextField } from "../parts/Field";
import { Problem } from "../parts/Problem";
import { Threshold } from "../shell/Threshold";
import { useWords } from "../words";

export default function SignIn() {
  const say = useWords("signin");
  const { enter } = useStanding();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksCode, setAsksCode] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      enter(await api.post<Session>("/session", { name, password, code }, { quiet: true }));
    } catch (error) {
      const found = error as ApiProblem;
      setAsksCode(asksCode || found.code === "persons.code_needed");
      if (found.code !== "persons.code_needed" || code) setProblem(found);
      setBusy(false);
    }
  };
  const back = () => {
    setAsksCode(false);
    setCode("");
    setProblem(null);
  };
  return (
    <Threshold title={asksCode ? say("codeTitle") : say("title")} onSubmit={() => void send()}>
      {asksCode ? (
        <TextField
          key="code"
          label={say("code")}
          help={say("codeHelp")}
          inputMode="numeric"
          autoComplete="one-time-code"
          maxLength={8}
          value={code}
          onValue={setCode}
          autoFocus
        />
      ) : (
        <>
          <TextField
            label={say("name")}
            autoComplete="username"
            value={name}
            onValue={setName}
            autoFocus
          />
          <TextField
            label={say("password")}
            type="password"
            autoComplete="current-password"
            value={password}
            onValue={setPassword}
          />
        </>
      )}
      {problem && <Problem error={problem} />}
      <Button
        type="submit"
        kind="primary"
        busy={isBusy}
        disabled={!name || !password || (asksCode && !code)}
      >
        {say("enter")}
      </Button>
      {asksCode ? (
        <Button kind="quiet" onClick={back}>
          {say("back")}
        </Button>
      ) : (
        <p className="hint">{say("lost")}</p>
      )}
    </Threshold>
  );
}
