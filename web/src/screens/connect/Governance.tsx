/** Under which approval the data are held; without it nothing can be offered. */

import { CheckField, TextField } from "../../parts";
import { useWords } from "../../words";
import type { StepProps } from "../Connect";
import { GOVERNANCE } from "./answers";

export function Governance({ answers, change }: StepProps) {
  const say = useWords("connect");
  const names = useWords("dataset");
  const set = (name: string, value: string) => change({ governance: { ...answers.governance, [name]: value } });
  return (
    <div className="form">
      <p className="hint">{say("governanceHint")}</p>
      <div className="form-row">
        {GOVERNANCE.map((name) => (
          <TextField
            key={name}
            type={name === "ethics_expires" ? "date" : "text"}
            label={names(`govern.${name}`)}
            help={say(`govern.${name}`)}
            value={answers.governance[name] ?? ""}
            onValue={(value) => set(name, value)}
            required
          />
        ))}
      </div>
      <CheckField label={names("govern.human_genetic_resources")} help={say("govern.human_genetic_resources")} checked={answers.genetic} onChecked={(genetic) => change({ genetic })} />
    </div>
  );
}
