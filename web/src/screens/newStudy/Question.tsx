/** Step one: what is asked, of what kind of data, and the recipe that answers it. */

import { AreaField, ChoiceField, Empty, SelectField, Tag, TextField } from "../../parts";
import { useWords } from "../../words";
import { useSentence } from "../../words/format";
import type { AskProps } from "../NewStudy";

export function Question({ answers, change, recipes }: AskProps) {
  const say = useWords("newStudy");
  const sentence = useSentence();
  const modalities = [...new Set(recipes.flatMap((one) => one.modalities))];
  const kinds = [...new Set(recipes.flatMap((one) => one.targets))];
  const fitting = recipes.filter(
    (one) =>
      (!answers.modality || one.modalities.includes(answers.modality)) &&
      (!answers.kind || one.targets.includes(answers.kind)),
  );
  const choose = (name: string) => {
    const rules = recipes.find((one) => one.name === name)?.rules ?? [];
    const rule = rules.length && !rules.includes(answers.rule) ? rules[0]! : answers.rule;
    change({ recipe: name, settings: {}, rule, ruleSettings: rule === answers.rule ? answers.ruleSettings : {} });
  };
  const option = (group: string, value: string) => ({ value, title: say(`${group}.${value}`) });
  return (
    <div className="form">
      <TextField
        label={say("name")}
        help={say("nameHelp")}
        value={answers.title}
        onValue={(title) => change({ title })}
        maxLength={200}
        required
      />
      <AreaField
        label={say("question")}
        help={say("questionHelp")}
        value={answers.question}
        onValue={(question) => change({ question })}
        maxLength={1000}
        optional
      />
      <TextField
        label={say("purpose")}
        help={say("purposeHelp")}
        value={answers.purpose}
        onValue={(purpose) => change({ purpose })}
        required
      />
      <div className="form-row">
        <SelectField
          label={say("modalityAsk")}
          value={answers.modality}
          onValue={(modality) => change({ modality, recipe: "", invite: [], read: [] })}
          options={[{ value: "", title: say("any") }, ...modalities.map((one) => option("modality", one))]}
        />
        <SelectField
          label={say("kindAsk")}
          value={answers.kind}
          onValue={(kind) => change({ kind, recipe: "", invite: [], read: [] })}
          options={[{ value: "", title: say("any") }, ...kinds.map((one) => option("kind", one))]}
        />
        <TextField
          label={say("target")}
          help={say("targetHelp")}
          value={answers.target}
          onValue={(target) => change({ target })}
          optional
        />
      </div>
      {fitting.length ? (
        <ChoiceField
          label={say("recipeAsk")}
          help={say("recipeHelp")}
          value={answers.recipe}
          onValue={choose}
          options={fitting.map((one) => ({
            value: one.name,
            title: sentence(one.title) || one.name,
            help: (
              <>
                {sentence(one.discloses)}
                <span className="tags">
                  <Tag>{one.name}</Tag>
                  {one.targets.map((kind) => (
                    <Tag key={kind}>{say(`kind.${kind}`)}</Tag>
                  ))}
                  {one.noise && <Tag>{say("canNoise")}</Tag>}
                  {one.personal && <Tag>{say("canPersonal")}</Tag>}
                </span>
              </>
            ),
          }))}
        />
      ) : (
        <Empty title={say("noRecipe")} icon="search">
          {say("noRecipeNext")}
        </Empty>
      )}
    </div>
  );
}
