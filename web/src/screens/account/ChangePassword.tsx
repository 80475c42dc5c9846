/** Another password of one's own: the old one proves who asks. */

import { useState } from "react";
import { api } from "../../api/client";
import { useSend } from "../../api/hooks";
import { Button } from "../../parts/Button";
import { TextField } from "../../parts/Field";
import { Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";

const SHORTEST = 12;

export function ChangePassword() {
  const say = useWords("account");
  const toast = useToast();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && again !== fresh;
  const isReady = old !== "" && fresh.length >= SHORTEST && again === fresh;
  const change = useSend(() => api.post("/session/password", { old, new: fresh }), {
    refresh: ["/sessions"],
    done: () => {
      toast(say("password.done"));
      [setOld, setFresh, setAgain].forEach((clear) => clear(""));
    },
  });
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) change.mutate(undefined);
      }}
    >
      <TextField
        label={say("password.old")}
        type="password"
        autoComplete="current-password"
        value={old}
        onValue={setOld}
      />
      <TextField
        label={say("password.new")}
        help={say("password.newHelp", { least: SHORTEST })}
        type="password"
        autoComplete="new-password"
        value={fresh}
        onValue={setFresh}
      />
      <TextField
        label={say("password.again")}
        error={differs ? say("password.differs") : undefined}
        type="password"
        autoComplete="new-password"
        value={again}
        onValue={setAgain}
      />
      {change.error && <Problem error={change.error} />}
      <div>
        <Button type="submit" busy={change.isPending} disabled={!isReady}>
          {say("password.change")}
        </Button>
      </div>
    </form>
  );
}
