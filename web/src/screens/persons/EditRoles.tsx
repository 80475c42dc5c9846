/** Roles of one account: what it has, each withdrawn by a click, and one to add. */

import "../account/account.css";
import { useState } from "react";
import { api, part } from "../../api/client";
import { useSend } from "../../api/hooks";
import { ROLES, type Grant, type Person, type Role } from "../../api/types";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { SelectField, TextField } from "../../parts/Field";
import { Problem } from "../../parts/Problem";
import { useToast } from "../../parts/Toast";
import { GrantTags } from "../../shell/GrantTags";
import { useWords } from "../../words";

export function EditRoles({ person, onClose }: { person: Person; onClose: () => void }) {
  const say = useWords("persons");
  const roles = useWords("roles");
  const toast = useToast();
  const [role, setRole] = useState<Role>("steward");
  const [study, setStudy] = useState("");
  const [organisation, setOrganisation] = useState("");
  const change = useSend(
    (given: Grant & { withdraw: boolean }) =>
      api.post<Person>(`/persons/${part(person.id)}/roles`, given),
    {
      refresh: ["/persons"],
      done: (_, given) => {
        toast(say(given.withdraw ? "done.withdrawn" : "done.granted", { role: roles(given.role) }));
      },
    },
  );
  const give = () => change.mutate({ role, study, organisation, withdraw: false });
  return (
    <Dialog
      open
      wide
      title={say("rolesTitle", { name: person.name })}
      onClose={onClose}
      onSubmit={give}
      actions={<Button onClick={onClose}>{say("ready")}</Button>}
    >
      <ul className="grants">
        {person.grants.map((one) => (
          <li key={`${one.role} ${one.study} ${one.organisation}`}>
            <GrantTags grants={[one]} />
            <span className="quiet">{roles(`does.${one.role}`)}</span>
            <Button
              small
              kind="quiet"
              icon="cross"
              disabled={change.isPending}
              onClick={() => change.mutate({ ...one, withdraw: true })}
            >
              {say("withdraw")}
            </Button>
          </li>
        ))}
        {person.grants.length === 0 && <li className="quiet">{say("noRoles")}</li>}
      </ul>
      <fieldset className="inset">
        <legend>{say("giveRole")}</legend>
        <div className="columns">
          <SelectField
            label={say("role")}
            help={roles(`does.${role}`)}
            value={role}
            onValue={(value) => setRole(value as Role)}
            options={ROLES.map((one) => ({ value: one, title: roles(one) }))}
          />
          <TextField
            label={say("onlyStudy")}
            optional
            help={say("onlyStudyHelp")}
            value={study}
            onValue={setStudy}
          />
          <TextField
            label={say("onlyOrganisation")}
            optional
            help={say("onlyOrganisationHelp")}
            value={organisation}
            onValue={setOrganisation}
          />
        </div>
        <div>
          <Button type="submit" kind="primary" busy={change.isPending}>
            {say("give")}
          </Button>
        </div>
      </fieldset>
      {change.error && <Problem error={change.error} />}
    </Dialog>
  );
}
