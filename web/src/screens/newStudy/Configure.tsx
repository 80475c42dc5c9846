/** Step four: how to learn, asked in words; every number has a usual value. */

import type { Setting } from "../../api/reading";
import { CheckField, ChoiceField, SelectField, TextField } from "../../parts";
import { useWords } from "../../words";
import { useFormat, useSentence } from "../../words/format";
import type { AskProps } from "../NewStudy";
import { isNumeric, isOutside, type Answers } from "./answers";

const PRESETS = ["audit", "standard", "strict"] as const;

export function Configure({ answers, change, recipes, rules }: AskProps) {
  const say = useWords("newStudy");
  const sentence = useSentence();
  const recipe = recipes.find((one) => one.name === answers.recipe);
  const allowed = rules.filter((one) => !recipe?.rules?.length || recipe.rules.includes(one.name));
  const rule = allowed.find((one) => one.name === answers.rule);
  return (
    <div className="form">
      <ChoiceField
        label={say("ruleAsk")}
        help={say("ruleHelp")}
        value={answers.rule}
        onValue={(name) => change({ rule: name, ruleSettings: {}, secure: answers.secure && Boolean(rules.find((one) => one.name === name)?.secure) })}
        options={allowed.map((one) => ({ value: one.name, title: one.name, help: sentence(one.help) }))}
      />
      <div className="form-row">
        <TextField
          label={say("rounds")}
          help={say("roundsHelp")}
          inputMode="numeric"
          value={answers.rounds}
          onValue={(rounds) => change({ rounds })}
        />
        <TextField
          label={say("quorum")}
          help={say("quorumHelp", { count: answers.invite.length })}
          inputMode="numeric"
          value={answers.quorum}
          placeholder={say("usual", { value: Math.max(2, Math.ceil((2 * answers.invite.length) / 3)) })}
          onValue={(quorum) => change({ quorum })}
        />
        <TextField
          label={say("deadline")}
          help={say("deadlineHelp")}
          inputMode="numeric"
          value={answers.deadline}
          placeholder={say("usual", { value: usualDeadline(recipe?.modalities ?? []) })}
          onValue={(deadline) => change({ deadline })}
        />
      </div>
      {recipe?.noise ? (
        <ChoiceField
          label={say("privacyAsk")}
          help={say("privacyHelp")}
          value={answers.preset}
          onValue={(preset) => change({ preset: preset as Answers["preset"] })}
          options={["", ...PRESETS].map((one) => ({
            value: one,
            title: say(`privacy.${one || "none"}`),
            help: say(`privacyMeans.${one || "none"}`),
          }))}
        />
      ) : (
        <p className="hint">{say("noNoise")}</p>
      )}
      <CheckField
        label={say("secure")}
        help={say("secureHelp")}
        disabled={!rule?.secure}
        checked={answers.secure && Boolean(rule?.secure)}
        onChecked={(secure) => change({ secure })}
      />
      {answers.secure && rule?.secure && (
        <div className="form-row">
          <TextField label={say("clip")} help={say("clipHelp")} value={answers.clip} onValue={(clip) => change({ clip })} />
          <TextField
            label={say("maxCases")}
            help={say("maxCasesHelp")}
            value={answers.maxCases}
            placeholder={say("asCatalogued")}
            onValue={(maxCases) => change({ maxCases })}
          />
        </div>
      )}
      <TextField
        label={say("subgroups")}
        help={say("subgroupsHelp")}
        value={answers.subgroups}
        onValue={(subgroups) => change({ subgroups })}
        optional
      />
      <Fine title={say("fineRecipe")} settings={recipe?.settings ?? []} values={answers.settings} onValues={(settings) => change({ settings })} />
      <Fine title={say("fineRule")} settings={rule?.settings ?? []} values={answers.ruleSettings} onValues={(ruleSettings) => change({ ruleSettings })} />
    </div>
  );
}

/** Seconds that the node gives a round when nobody says: pictures take longer than tables. */
const usualDeadline = (modalities: string[]): number =>
  modalities.every((one) => one === "table") ? 60 : 900;

/** Settings with a usual value each: nobody must open them. */
function Fine({
  title,
  settings,
  values,
  onValues,
}: {
  title: string;
  settings: Setting[];
  values: Record<string, string>;
  onValues: (values: Record<string, string>) => void;
}) {
  const say = useWords("newStudy");
  const format = useFormat();
  const sentence = useSentence();
  if (!settings.length) return null;
  const helpOf = (one: Setting) => {
    const range =
      isNumeric(one.kind) && one.low !== null && one.high !== null
        ? say("range", { low: format.number(one.low, 9), high: format.number(one.high) })
        : "";
    return [sentence(one.help), range].filter(Boolean).join(" ");
  };
  const fieldOf = (one: Setting) => {
    const common = { label: one.name, help: helpOf(one), value: values[one.name] ?? "" };
    const set = (value: string) => onValues({ ...values, [one.name]: value });
    const usual = say("usual", { value: String(one.default) });
    return one.choices.length ? (
      <SelectField
        key={one.name}
        {...common}
        onValue={set}
        options={[{ value: "", title: usual }, ...one.choices.map((choice) => ({ value: choice, title: choice }))]}
      />
    ) : (
      <TextField
        key={one.name}
        {...common}
        onValue={set}
        placeholder={usual}
        error={isOutside(values[one.name], one) ? say("outside") : undefined}
      />
    );
  };
  return (
    <details className="fine">
      <summary>{title}</summary>
      <div className="form-row">{settings.map(fieldOf)}</div>
    </details>
  );
}
