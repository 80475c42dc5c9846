/** My account: roles, password, second factor, and where I am signed in. */

import "./account/account.css";
import { useState } from "react";
import { useSession } from "../api/session";
import { Button } from "../parts/Button";
import { Card, Page } from "../parts/Page";
import { State } from "../parts/State";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { ChangePassword } from "./account/ChangePassword";
import { SecondFactorDialog } from "./account/SecondFactor";
import { SessionsTable } from "./persons/SessionsTable";

export default function Account() {
  const say = useWords("account");
  const roles = useWords("roles");
  const format = useFormat();
  const { person, second_factor: hasSecond, ends } = useSession();
  const [isPairing, setPairing] = useState(false);
  return (
    <Page title={say("title")} subtitle={say("subtitle", { name: person.name })}>
      <Card title={say("roles")} hint={say("rolesHint")}>
        {person.grants.length === 0 && <p className="quiet">{say("noRoles")}</p>}
        <ul className="grants">
          {person.grants.map((one) => (
            <li key={`${one.role} ${one.study} ${one.organisation}`}>
              <strong>{roles(one.role)}</strong>
              <span className="quiet">
                {[roles(`does.${one.role}`), one.study, one.organisation]
                  .filter(Boolean)
                  .join(" · ")}
              </span>
            </li>
          ))}
        </ul>
      </Card>
      <div className="columns">
        <Card title={say("password.title")} hint={say("password.hint")}>
          <ChangePassword />
        </Card>
        <Card title={say("second.title")} hint={say("second.hint")}>
          <div className="stack account-second">
            <State kind={hasSecond ? "good" : "warn"}>{say(hasSecond ? "second.on" : "second.off")}</State>
            <p>{say(hasSecond ? "second.onText" : "second.offText")}</p>
            <Button kind={hasSecond ? "plain" : "primary"} icon="key" onClick={() => setPairing(true)}>
              {say(hasSecond ? "second.again" : "second.begin")}
            </Button>
          </div>
        </Card>
      </div>
      <Card title={say("sessions")} hint={say("sessionsHint", { ends: format.time(ends) })}>
        <SessionsTable />
      </Card>
      {isPairing && <SecondFactorDialog onClose={() => setPairing(false)} />}
    </Page>
  );
}
