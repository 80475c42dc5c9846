/** The first account of a new node: whoever reads the code in the node's terminal makes it. */

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

const SHORTEST = 12;

export default function Welcome() {
  const say = useWords("welcome");
  const { enter } = useStanding();
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const differs = again !== "" && again !== password;
  const isReady = code && name && password.length >= SHORTEST && again === password;
  const send = async () => {
    if (!isReady) return;
    setBusy(true);
    setProblem(null);
    try {
      const given = { code: code.trim(), name, password };
      enter(await api.post<Session>("/welcome", given, { quiet: true }));
    } catch (error) {
      setProblem(error as ApiProblem);
      setBusy(false);
    }
  };
  return (
    <Threshold title={say("title")} intro={say("intro")} onSubmit={() => void send()}>
      <TextField
        label={say("code")}
        help={say("codeHelp")}
        autoComplete="off"
        spellCheck={false}
        value={code}
        onValue={setCode}
        autoFocus
      />
      <TextField label={say("name")} autoComplete="username" value={name} onValue={setName} />
      <TextField
        label={say("password")}
        help={say("passwordHelp", { least: SHORTEST })}
        type="password"
        autoComplete="new-password"
        value={password}
        onValue={setPassword}
      />
      <TextField
        label={say("again")}
        error={differs ? say("differs") : undefined}
        type="password"
        autoComplete="new-password"
        value={again}
        onValue={setAgain}
      />
      {problem && <Problem error={problem} />}
      <Button type="submit" kind="primary" busy={isBusy} disabled={!isReady}>
        {say("make")}
      </Button>
    </Threshold>
  );
}
