/** Give a colleague who forgot the password another one. */

import { useState } from "react";
import { api, part } from "../../api/client";
import { useSend } from "../../api/hooks";
import type { Person } from "../../api/types";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { TextField } from "../../parts/Field";
import { Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";

const SHORTEST = 12;

export function SetPassword({ person, onClose }: { person: Person; onClose: () => void }) {
  const say = useWords("persons");
  const toast = useToast();
  const [password, setPassword] = useState("");
  const send = useSend(() => api.post(`/persons/${part(person.id)}/password`, { password }), {
    refresh: ["/persons", "/sessions"],
    done: () => {
      toast(say("done.password", { name: person.name }));
      onClose();
    },
  });
  return (
    <Dialog
      open
      title={say("passwordTitle", { name: person.name })}
      onClose={onClose}
      onSubmit={() => send.mutate(undefined)}
      actions={
        <>
          <Button onClick={onClose}>{say("cancel")}</Button>
          <Button
            type="submit"
            kind="primary"
            busy={send.isPending}
            disabled={password.length < SHORTEST}
          >
            {say("setPassword")}
          </Button>
        </>
      }
    >
      <TextField
        label={say("password")}
        help={say("passwordHelp", { least: SHORTEST })}
        className="mono"
        autoComplete="off"
        spellCheck={false}
        value={password}
        onValue={setPassword}
      />
      {send.error && <Problem error={send.error} />}
    </Dialog>
  );
}
