/** Connect a table in five steps: file, columns, approval, terms, done. Nothing typed is lost. */

import { useEffect, useState } from "react";
import { api, newKey, part } from "../api/client";
import { useGet, useSend } from "../api/hooks";
import { useMay } from "../api/session";
import type { Task } from "../api/reading";
import { Button, ButtonLink, Card, Facts, Notice, Page, Problem } from "../parts";
import { Code } from "../parts/Code";
import { useWords } from "../words";
import { useSentence } from "../words/format";
import { Steps, useKept } from "./common";
import { FIRST, aboutOf, flawsOf, schemaOf, type Answers } from "./connect/answers";
import { Columns } from "./connect/Columns";
import { FileStep } from "./connect/FileStep";
import { Governance } from "./connect/Governance";
import { Terms } from "./connect/Terms";

const STEPS = ["file", "columns", "governance", "terms", "connect"] as const;
const EVERY_MS = 700;

export type StepProps = { answers: Answers; change: (next: Partial<Answers>) => void };

export default function Connect() {
  const say = useWords("connect");
  const may = useMay()("dataset.register");
  const [answers, change, forget] = useKept<Answers>("connect", FIRST);
  const [file, setFile] = useState<File | null>(null);
  const [shown, setShown] = useState(-1);
  const at = Math.min(answers.step, STEPS.length - 1);
  const step = STEPS[at]!;
  const flaws = flawsOf(answers, step, file !== null);
  const go = (to: number) => change({ step: to, reached: Math.max(answers.reached, to) });
  const props = { answers, change };
  return (
    <Page
      title={say("title")}
      subtitle={say("subtitle")}
      back={{ to: "/sources", title: say("back") }}
      actions={
        answers.name && (
          <Button
            kind="quiet"
            icon="trash"
            onClick={() => {
              forget();
              setFile(null);
            }}
          >
            {say("forget")}
          </Button>
        )
      }
    >
      {!may && <Notice kind="warn" title={say("mayNot")}>{say("mayNotNext")}</Notice>}
      <Steps label={say("steps")} names={STEPS.map((one) => say(`step.${one}`))} at={at} reached={answers.reached} onStep={go} />
      <Card>
        {step === "file" && <FileStep {...props} file={file} onFile={setFile} />}
        {step === "columns" && <Columns {...props} />}
        {step === "governance" && <Governance {...props} />}
        {step === "terms" && <Terms {...props} />}
        {step === "connect" && <Finish answers={answers} file={file} may={may} go={go} forget={forget} />}
      </Card>
      {shown === at && flaws.length > 0 && (
        <Notice kind="warn" title={say("before")}>
          <ul>
            {flaws.map((flaw) => (
              <li key={flaw}>{say(`flaw.${flaw}`)}</li>
            ))}
          </ul>
        </Notice>
      )}
      <div className="wizard-foot">
        {at > 0 && (
          <Button icon="left" onClick={() => go(at - 1)}>
            {say("previous")}
          </Button>
        )}
        <span className="hint">{say("kept")}</span>
        {step !== "connect" && (
          <Button kind="primary" onClick={() => (flaws.length ? setShown(at) : go(at + 1))}>
            {say("next", { step: say(`step.${STEPS[at + 1]}`) })}
          </Button>
        )}
      </div>
    </Page>
  );
}

function Finish({
  answers,
  file,
  may,
  go,
  forget,
}: {
  answers: Answers;
  file: File | null;
  may: boolean;
  go: (step: number) => void;
  forget: () => void;
}) {
  const say = useWords("connect");
  const [task, setTask] = useState("");
  const send = useSend(
    (given: File) => {
      const form = new FormData();
      form.append("file", given);
      form.append("about", JSON.stringify(aboutOf(answers)));
      return api.post<Task>("/uploads", form, { key: newKey() });
    },
    { done: ({ id }) => setTask(id) },
  );
  const read = answers.columns.filter((one) => one.use === "feature").length;
  return (
    <>
      <h2>{say("finishTitle")}</h2>
      <p className="hint">{say("finishHint")}</p>
      <Facts
        items={[
          [say("fact.file"), file?.name ?? say("noFile")],
          [say("fact.name"), answers.name],
          [say("fact.columns"), answers.schemaText ? say("ownSchema") : say("columnsRead", { read, all: answers.columns.length })],
          [say("fact.label"), answers.columns.find((one) => one.use === "label")?.name ?? "–"],
          [say("fact.recipients"), String(answers.recipients.length)],
          [say("fact.until"), answers.until],
        ]}
      />
      <details className="fine">
        <summary>{say("schemaText")}</summary>
        <Code tall label={say("schemaText")}>{schemaOf(answers)}</Code>
      </details>
      {!file && (
        <Notice kind="warn" title={say("fileAgain")} actions={<Button small onClick={() => go(0)}>{say("toFile")}</Button>}>
          {say("fileAgainWhy")}
        </Notice>
      )}
      {send.error && <Problem error={send.error} />}
      {task && <Progress id={task} name={answers.name} forget={forget} onAgain={() => go(1)} />}
      <div className="wizard-start">
        <Button kind="primary" icon="upload" busy={send.isPending} disabled={!may || !file} onClick={() => file && send.mutate(file)}>
          {say(task ? "sendAgain" : "send")}
        </Button>
      </div>
    </>
  );
}

/** The node reads the file; what it understood, or what is wrong and where. */
function Progress({ id, name, forget, onAgain }: { id: string; name: string; forget: () => void; onAgain: () => void }) {
  const say = useWords("connect");
  const sentence = useSentence();
  const task = useGet<Task>(`/tasks/${part(id)}`, {}, { every: EVERY_MS });
  const done = task.data?.state === "done";
  useEffect(() => {
    if (done) forget();
  }, [done, forget]);
  if (task.error) return <Problem error={task.error} />;
  if (task.data?.state === "failed")
    return (
      <Notice kind="bad" title={say("failed")} actions={<Button small onClick={onAgain}>{say("mend")}</Button>}>
        <p>{sentence(task.data.error)}</p>
        <p className="hint">{say("failedNext")}</p>
      </Notice>
    );
  if (done)
    return (
      <Notice kind="good" title={say("done")} actions={<ButtonLink small to={`/datasets/${part(name)}`}>{say("toDataset")}</ButtonLink>}>
        {say("doneNext")}
      </Notice>
    );
  const { step = "", done: share = 0 } = (task.data?.progress ?? {}) as { step?: string; done?: number };
  return (
    <Notice kind="busy" title={step ? say(`reading.${step}`, { defaultValue: say("readingAny") }) : say("readingAny")}>
      <div className="standing-bar">
        <i style={{ width: `${100 * share}%` }} />
      </div>
    </Notice>
  );
}
