/** The file and its name; its first lines are looked at here, in the browser. */

import { useState, type ChangeEvent, type DragEvent } from "react";
import { CheckField, Icon, Notice, TextField } from "../../parts";
import { useWords } from "../../words";
import { useFormat } from "../../words/format";
import type { StepProps } from "../Connect";
import { usualRule } from "./answers";
import { understand } from "./guess";

const TABLES = ".csv,.tsv,.txt,.parquet,.npz";
const LOOKED_INTO = /\.(csv|tsv|txt)$/i;

export function FileStep({
  answers,
  change,
  file,
  onFile,
}: StepProps & { file: File | null; onFile: (file: File) => void }) {
  const say = useWords("connect");
  const format = useFormat();
  const [isOver, setOver] = useState(false);
  const take = async (given: File | undefined) => {
    if (!given) return;
    onFile(given);
    const stem = given.name.replace(/\.[^.]+$/, "");
    const name = stem.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+|-+$/g, "");
    const same = given.name === answers.fileName && answers.columns.length > 0;
    change({ fileName: given.name, name: answers.name || name, title: answers.title || stem });
    if (same || !LOOKED_INTO.test(given.name)) return;
    const { columns, encoding, delimiter } = await understand(given);
    const label = columns.find((one) => one.use === "label");
    const isNumber = label?.kind === "number";
    change({ columns, encoding, delimiter, rule: usualRule(label), targetKind: isNumber ? "number" : "binary" });
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files[0]);
  };
  const readSchema = async (event: ChangeEvent<HTMLInputElement>) => {
    const given = event.target.files?.[0];
    if (given) change({ schemaText: await given.text() });
  };
  return (
    <div className="form">
      <label
        className={isOver ? "drop drop-over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <input type="file" className="visually-hidden" accept={TABLES} onChange={(event) => void take(event.target.files?.[0])} />
        <Icon name={file ? "good" : "upload"} size={32} />
        <strong>{file ? file.name : say("choose")}</strong>
        <span className="hint">{file ? format.bytes(file.size) : say("chooseHint")}</span>
      </label>
      {!file && answers.fileName && <Notice kind="info" title={say("fileAgainName", { name: answers.fileName })}>{say("fileAgainWhy")}</Notice>}
      {file && answers.columns.length > 0 && (
        <Notice kind="good" title={say("understood", { count: answers.columns.length, rows: format.number(answers.columns[0]?.seen) })}>
          {say("understoodMore", { encoding: answers.encoding.toUpperCase() })}
        </Notice>
      )}
      <div className="form-row">
        <TextField label={say("name")} help={say("nameHelp")} value={answers.name} onValue={(name) => change({ name })} required />
        <TextField label={say("titleField")} help={say("titleHelp")} value={answers.title} onValue={(title) => change({ title })} />
      </div>
      <CheckField label={say("public")} help={say("publicHelp")} checked={answers.public} onChecked={(checked) => change({ public: checked })} />
      <details className="fine">
        <summary>{say("haveSchema")}</summary>
        <p className="hint">{say("haveSchemaHint")}</p>
        <input type="file" accept=".toml" aria-label={say("haveSchema")} onChange={(event) => void readSchema(event)} />
        {answers.schemaText && <Notice kind="good" title={say("schemaRead")} />}
      </details>
    </div>
  );
}
