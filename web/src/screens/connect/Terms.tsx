/** Who may compute what on the data, asked in words; it becomes the offer in the catalogue. */

import { useGet } from "../../api/hooks";
import { itemsOf, type NodeRow, type Recipe } from "../../api/reading";
import type { Paged } from "../../api/client";
import { Await, CheckField, TextField } from "../../parts";
import { useWords } from "../../words";
import { useSentence } from "../../words/format";
import { useTitles } from "../common";
import type { StepProps } from "../Connect";

export function Terms({ answers, change }: StepProps) {
  const say = useWords("connect");
  const title = useTitles();
  const sentence = useSentence();
  const nodes = useGet<Paged<NodeRow> | NodeRow[]>("/nodes");
  const recipes = useGet<Paged<Recipe> | Recipe[]>("/recipes");
  const toggled = (list: string[], one: string, isIn: boolean) => (isIn ? [...list, one] : list.filter((other) => other !== one));
  return (
    <div className="form">
      <p className="hint">{say("termsHint")}</p>
      <fieldset className="checks">
        <legend>{say("recipients")}</legend>
        <Await of={nodes}>
          {(found) =>
            itemsOf(found)
              .filter((one) => one.admitted)
              .map((one) => (
                <CheckField
                  key={one.participant}
                  label={title(one.title)}
                  checked={answers.recipients.includes(one.participant)}
                  onChecked={(isIn) => change({ recipients: toggled(answers.recipients, one.participant, isIn) })}
                />
              ))
          }
        </Await>
      </fieldset>
      <fieldset className="checks">
        <legend>{say("algorithms")}</legend>
        <Await of={recipes}>
          {(found) =>
            itemsOf(found).map((one) => (
              <CheckField
                key={one.name}
                label={sentence(one.title) || one.name}
                help={sentence(one.discloses)}
                checked={answers.algorithms.includes(one.name)}
                onChecked={(isIn) => change({ algorithms: toggled(answers.algorithms, one.name, isIn) })}
              />
            ))
          }
        </Await>
      </fieldset>
      <div className="form-row">
        <TextField label={say("purposes")} help={say("purposesHelp")} value={answers.purposes} onValue={(purposes) => change({ purposes })} />
        <TextField type="date" label={say("until")} help={say("untilHelp")} value={answers.until} onValue={(until) => change({ until })} />
        <TextField label={say("count")} inputMode="numeric" value={answers.count} onValue={(count) => change({ count })} />
        <TextField label={say("maxRounds")} inputMode="numeric" value={answers.maxRounds} onValue={(maxRounds) => change({ maxRounds })} />
        <TextField label={say("minCohort")} help={say("minCohortHelp")} inputMode="numeric" value={answers.minCohort} onValue={(minCohort) => change({ minCohort })} />
        <TextField label={say("minParticipants")} help={say("minParticipantsHelp")} inputMode="numeric" value={answers.minParticipants} onValue={(minParticipants) => change({ minParticipants })} optional />
        <TextField label={say("epsilon")} help={say("epsilonHelp")} inputMode="decimal" value={answers.epsilon} onValue={(epsilon) => change({ epsilon })} optional />
      </div>
    </div>
  );
}
