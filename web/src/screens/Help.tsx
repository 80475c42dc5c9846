/** Help: how the work goes on, who does what, and the keys. */

import "./help.css";
import { ROLES } from "../api/types";
import { Card, Page } from "../parts/Page";
import { KeySheet } from "../shell/Keys";
import { useWords } from "../words";

const STEPS = ["find", "agree", "settle", "plan", "run", "release"] as const;

export default function Help() {
  const say = useWords("help");
  const roles = useWords("roles");
  return (
    <Page title={say("title")} subtitle={say("subtitle")}>
      <Card title={say("way.title")}>
        <ol className="way">
          {STEPS.map((step, index) => (
            <li key={step}>
              <span className="way-number" aria-hidden="true">
                {index + 1}
              </span>
              <div>
                <h3>{say(`way.${step}`)}</h3>
                <p>{say(`way.${step}Text`)}</p>
              </div>
            </li>
          ))}
        </ol>
      </Card>
      <Card title={say("roles")}>
        <dl className="facts">
          {ROLES.map((role) => (
            <div key={role}>
              <dt className="strong">{roles(role)}</dt>
              <dd>{roles(`does.${role}`)}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <Card title={say("keys")}>
        <KeySheet />
      </Card>
    </Page>
  );
}
