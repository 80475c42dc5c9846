/** Make an account and give it its first role. */

import { useState } from "react";
import { api, part } from "../../api/client";
import { useSend } from "../../api/hooks";
import { ROLES, type Person, type Role } from "../../api/types";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { SelectField, TextField } from "../../parts/Field";
import { Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { useWords } from "../../words";

const SHORTEST = 12;
const BYTES = 12;

/** A password that nobody has thought of: 16 letters, digits and signs. */
function inventPassword(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return btoa(String.fromCharCode(...bytes));
}

export function AddPerson({ onClose }: { onClose: () => void }) {
  const say = useWords("persons");
  const roles = useWords("roles");
  const toast = useToast();
  const [name, setName] = useState("");
  const [password, setPassword] = useState(inventPassword);
  const [role, setRole] = useState<Role>("steward");
  const [made, setMade] = useState<Person | null>(null);
  const add = useSend(
    async () => {
      // A second try after the role was refused must not make a second account.
      const person = made ?? (await api.post<Person>("/persons", { name, password }));
      setMade(person);
      return api.post<Person>(`/persons/${part(person.id)}/roles`, { role });
    },
    {
      refresh: ["/persons"],
      done: () => {
        toast(say("added", { name }));
        onClose();
      },
    },
  );
  const isReady = name.trim() !== "" && password.length >= SHORTEST;
  return (
    <Dialog
      open
      wide
      title={say("add")}
      onClose={onClose}
      onSubmit={() => isReady && add.mutate(undefined)}
      actions={
        <>
          <Button onClick={onClose}>{say("cancel")}</Button>
          <Button type="submit" kind="primary" busy={add.isPending} disabled={!isReady}>
            {say("make")}
          </Button>
        </>
      }
    >
      <div className="columns">
        <TextField
          label={say("name")}
          help={say("nameHelp")}
          autoComplete="off"
          value={name}
          onValue={setName}
        />
        <TextField
          label={say("password")}
          help={say("passwordHelp", { least: SHORTEST })}
          className="mono"
          autoComplete="off"
          spellCheck={false}
          value={password}
          onValue={setPassword}
        />
      </div>
      <SelectField
        label={say("firstRole")}
        help={roles(`does.${role}`)}
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={ROLES.map((one) => ({ value: one, title: roles(one) }))}
      />
      {add.error && <Problem error={add.error} />}
    </Dialog>
  );
}
