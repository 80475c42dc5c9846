/** What was understood of the columns, to be corrected: meaning and kinds, never a cell. */

import { ChoiceField, Empty, Notice, SelectField, TextField } from "../../parts";
import { Code } from "../../parts/Code";
import { useWords } from "../../words";
import { useFormat } from "../../words/format";
import type { StepProps } from "../Connect";
import { usualRule, type Answers, type TargetKind } from "./answers";
import type { ColumnGuess, Kind, Use } from "./guess";

const USES: Use[] = ["feature", "label", "patient", "drop"];
const KINDS: Kind[] = ["number", "category", "text"];
const TARGETS: TargetKind[] = ["binary", "classes", "number"];

export function Columns({ answers, change }: StepProps) {
  const say = useWords("connect");
  const { columns } = answers;
  if (answers.schemaText)
    return (
      <>
        <Notice kind="info" title={say("ownSchema")}>{say("ownSchemaHint")}</Notice>
        <Code tall label={say("ownSchema")}>{answers.schemaText}</Code>
      </>
    );
  if (!columns.length)
    return (
      <Empty title={say("noColumns")} icon="data">
        {say("noColumnsNext")}
      </Empty>
    );
  const set = (source: string, next: Partial<ColumnGuess>) => {
    const only = next.use === "label" || next.use === "patient" ? next.use : null;
    const after = columns.map((one) => {
      if (one.source === source) return { ...one, ...next };
      return only && one.use === only ? { ...one, use: "feature" as const } : one;
    });
    const label = after.find((one) => one.use === "label");
    change(only === "label" ? { columns: after, rule: usualRule(label) } : { columns: after });
  };
  return (
    <>
      <h2>{say("columnsTitle")}</h2>
      <p className="hint">{say("columnsHint")}</p>
      <div className="matrix-scroll">
        <table className="columns-table">
          <thead>
            <tr>
              <th scope="col">{say("column")}</th>
              <th scope="col">{say("use")}</th>
              <th scope="col">{say("kind")}</th>
              <th scope="col">{say("detail")}</th>
              <th scope="col">{say("missing")}</th>
            </tr>
          </thead>
          <tbody>
            {columns.map((one) => (
              <Line key={one.source} one={one} set={(next) => set(one.source, next)} />
            ))}
          </tbody>
        </table>
      </div>
      <Target answers={answers} change={change} />
    </>
  );
}

function Line({ one, set }: { one: ColumnGuess; set: (next: Partial<ColumnGuess>) => void }) {
  const say = useWords("connect");
  const format = useFormat();
  const isRead = one.use === "feature" || one.use === "label";
  return (
    <tr className={isRead ? undefined : "columns-left"}>
      <th scope="row">{one.source}</th>
      <td>
        <select aria-label={say("useOf", { name: one.source })} value={one.use} onChange={(event) => set({ use: event.target.value as Use })}>
          {USES.map((use) => (
            <option key={use} value={use}>
              {say(`uses.${use}`)}
            </option>
          ))}
        </select>
      </td>
      <td>
        {isRead && (
          <select aria-label={say("kindOf", { name: one.source })} value={one.kind} onChange={(event) => set({ kind: event.target.value as Kind })}>
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {say(`kinds.${kind}`)}
              </option>
            ))}
          </select>
        )}
      </td>
      <td>
        {isRead && one.kind === "number" && (
          <span className="columns-detail">
            <input aria-label={say("unitOf", { name: one.source })} placeholder={say("unit")} value={one.unit} onChange={(event) => set({ unit: event.target.value })} />
            <input aria-label={say("lowOf", { name: one.source })} placeholder={say("low")} inputMode="decimal" value={one.low} onChange={(event) => set({ low: event.target.value })} />
            <input aria-label={say("highOf", { name: one.source })} placeholder={say("high")} inputMode="decimal" value={one.high} onChange={(event) => set({ high: event.target.value })} />
          </span>
        )}
        {isRead && one.kind === "category" && (
          <input aria-label={say("categoriesOf", { name: one.source })} placeholder={say("categories")} value={one.categories} onChange={(event) => set({ categories: event.target.value })} />
        )}
      </td>
      <td className="figure">{one.seen ? format.percent(one.empty / one.seen) : "–"}</td>
    </tr>
  );
}

function Target({ answers, change }: StepProps) {
  const say = useWords("connect");
  const label = answers.columns.find((one) => one.use === "label");
  return (
    <div className="form columns-target">
      <h2>{say("targetTitle")}</h2>
      {!label && <Notice kind="warn" title={say("flaw.label")} />}
      {label && (
        <>
          <ChoiceField
            label={say("targetAsk", { name: label.name })}
            value={answers.targetKind}
            onValue={(kind) => change({ targetKind: kind as TargetKind })}
            options={TARGETS.map((kind) => ({
              value: kind,
              title: say(`target.${kind}`),
              help: say(`targetHelp.${kind}`),
              disabled: (kind === "classes" && label.kind !== "category") || (kind === "number" && label.kind !== "number"),
            }))}
          />
          {answers.targetKind === "binary" && (
            <div className="form-row">
              <TextField label={say("rule")} help={say("ruleHelp")} value={answers.rule} onValue={(rule) => change({ rule })} />
              <TextField label={say("positive")} help={say("positiveHelp")} value={answers.positive} onValue={(positive) => change({ positive })} optional />
            </div>
          )}
        </>
      )}
      <div className="form-row">
        <SelectField
          label={say("missingAsk")}
          help={say("missingHelp")}
          value={answers.missing}
          onValue={(missing) => change({ missing: missing as Answers["missing"] })}
          options={["drop", "keep", "refuse"].map((one) => ({ value: one, title: say(`missings.${one}`) }))}
        />
        <TextField label={say("trainShare")} help={say("trainShareHelp")} inputMode="decimal" value={answers.trainShare} onValue={(trainShare) => change({ trainShare })} />
      </div>
    </div>
  );
}
