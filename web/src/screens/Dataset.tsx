/** One dataset of this hospital: is it fit, who may use it, what has it cost, how is it described. */

import { useParams } from "react-router";
import { part } from "../api/client";
import { useGet } from "../api/hooks";
import type { AgreementRow, Dataset as DatasetRecord, FieldProfile, Quality } from "../api/reading";
import { Await, Button, Card, Empty, Facts, Notice, Page, State, Table, Tabs, saveFile, type Column } from "../parts";
import { Bars, Meter } from "../parts/Bars";
import { Code } from "../parts/Code";
import { useWords } from "../words";
import { useFormat, useSentence } from "../words/format";
import { AgreementState, Identifier, Tile, Tiles, useTitles } from "./common";

export default function Dataset() {
  const { dataset: name = "" } = useParams();
  const say = useWords("dataset");
  const title = useTitles();
  const found = useGet<DatasetRecord>(`/datasets/${part(name)}`);
  return (
    <Page
      title={found.data ? title(found.data.title) : name}
      back={{ to: "/sources", title: say("back") }}
      subtitle={
        found.data && (
          <span className="subline">
            <State kind={found.data.public ? "good" : "info"}>{say(found.data.public ? "public" : "restricted")}</State>
            <code>{found.data.name}</code>
          </span>
        )
      }
      wide
    >
      <Await of={found}>{(dataset) => <Whole dataset={dataset} />}</Await>
    </Page>
  );
}

function Whole({ dataset }: { dataset: DatasetRecord }) {
  const say = useWords("dataset");
  const format = useFormat();
  const quality = dataset.quality;
  const rows = quality.rows;
  return (
    <>
      <Tiles>
        <Tile name={say("patients")} value={format.number(quality.patients)} note={rows && say("rowsRead", { read: rows.read })} />
        <Tile name={say("train")} value={format.number(dataset.n_train)} note={say("trainNote")} />
        <Tile name={say("held")} value={format.number(dataset.n_test)} note={say("heldNote")} />
        <Tile name={say("complete")} value={rows ? format.percent(rows.read ? rows.complete / rows.read : null) : "–"} note={rows && say("completeNote", { count: rows.complete })} />
      </Tiles>
      <Warnings quality={quality} />
      <Tabs
        name={say("views")}
        tabs={[
          { id: "profile", title: say("profile"), panel: () => <Profile fields={dataset.profile} /> },
          { id: "quality", title: say("quality"), panel: () => <QualityCards quality={quality} /> },
          { id: "use", title: say("use"), count: dataset.agreements.length, panel: () => <Use dataset={dataset} /> },
          { id: "governance", title: say("governance"), panel: () => <Governance dataset={dataset} /> },
          { id: "descriptor", title: say("descriptor"), panel: () => <Descriptor dataset={dataset} /> },
        ]}
      />
    </>
  );
}

function Warnings({ quality }: { quality: Quality }) {
  const say = useWords("dataset");
  const sentence = useSentence();
  const warnings = quality.warnings ?? [];
  if (!warnings.length) return <Notice kind="good" title={say("noWarnings")} />;
  return (
    <Notice kind="warn" title={say("warnings", { count: warnings.length })}>
      <ul>
        {warnings.map((one, index) => (
          <li key={`${one.code} ${index}`}>
            {one.en && one.zh ? sentence({ en: one.en, zh: one.zh }) : one.code}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

function Profile({ fields }: { fields: FieldProfile[] }) {
  const say = useWords("dataset");
  const format = useFormat();
  const range = (one: FieldProfile) =>
    one.min !== null && one.min !== undefined ? `${format.number(one.min)} – ${format.number(one.max)}` : "";
  const groups = (one: FieldProfile) =>
    (one.categories ?? []).map((group) => (group.count === null ? group.name : `${group.name} (${group.count})`)).join(say("comma"));
  const columns: Column<FieldProfile>[] = [
    { id: "name", title: say("field"), tight: true, value: (one) => one.name, cell: (one) => <strong>{one.name}</strong> },
    { id: "kind", title: say("kind"), tight: true, value: (one) => say(`kinds.${one.kind}`), cell: (one) => say(`kinds.${one.kind}`, { defaultValue: one.kind }) },
    { id: "unit", title: say("unit"), tight: true, value: (one) => one.unit, cell: (one) => one.unit || "–" },
    {
      id: "missing",
      title: say("missing"),
      value: (one) => one.missing,
      cell: (one) =>
        one.missing === null || one.missing === undefined ? (
          <span className="hint">{say("suppressed")}</span>
        ) : (
          <span className="share">
            <span className="share-track" aria-hidden="true">
              <i className={one.missing > 0.1 ? "share-high" : ""} style={{ width: `${100 * one.missing}%` }} />
            </span>
            {format.percent(one.missing)}
          </span>
        ),
    },
    { id: "range", title: say("range"), value: range, cell: (one) => range(one) || groups(one) || "–" },
  ];
  return (
    <>
      <p className="hint">{say("profileHint")}</p>
      <Table name={say("profile")} columns={columns} rows={fields} rowKey={(one) => one.name} filter />
    </>
  );
}

function QualityCards({ quality }: { quality: Quality }) {
  const say = useWords("dataset");
  const dropped = Object.entries(quality.rows?.dropped ?? {});
  const drift = Object.entries(quality.drift ?? {});
  const doubled = Object.entries(quality.duplicates ?? {});
  const classes = quality.classes;
  return (
    <div className="split">
      {classes && (
        <Card title={say("classes")} hint={classes.positive && say("positive", { name: classes.positive })}>
          <Bars
            label={say("classes")}
            bars={(["train", "held_out"] as const).flatMap((side, index) =>
              Object.entries(classes[side]).map(([name, count]) => ({
                key: `${side} ${name}`,
                label: say(`side.${side}`, { name: say(`class.${name}`, { defaultValue: name }) }),
                value: count,
                hue: index + 1,
              })),
            )}
          />
        </Card>
      )}
      <Card title={say("dropped")} hint={say("droppedHint")}>
        <Bars label={say("dropped")} most={Math.max(quality.rows?.read ?? 0, 1)} bars={dropped.map(([name, count]) => ({ key: name, label: say(`drop.${name}`, { defaultValue: name }), value: count, hue: 2 }))} />
      </Card>
      <Card title={say("doubled")}>
        <Facts items={doubled.map(([name, count]) => [say(`double.${name}`, { defaultValue: name }), count])} />
      </Card>
      <Card title={say("drift")} hint={say("driftHint")}>
        {drift.every(([, names]) => !names.length) ? (
          <State kind="good">{say("noDrift")}</State>
        ) : (
          <Facts items={drift.filter(([, names]) => names.length).map(([name, names]) => [say(`drifts.${name}`, { defaultValue: name }), names.join(say("comma"))])} />
        )}
      </Card>
      {quality.source && (
        <Card title={say("source")}>
          <Facts
            items={[
              [say("sourceKind"), quality.source.kind.toUpperCase()],
              [say("encoding"), quality.source.encoding ?? "–"],
              [say("split"), quality.split ? say("splitBy", { by: say(`by.${quality.split.by}`, { defaultValue: quality.split.by }) }) : "–"],
              [say("fingerprint"), <Identifier key="print" value={quality.source.fingerprint} />],
            ]}
          />
        </Card>
      )}
    </div>
  );
}

function Use({ dataset }: { dataset: DatasetRecord }) {
  const say = useWords("dataset");
  const format = useFormat();
  const sentence = useSentence();
  const title = useTitles();
  const { budget, words = [] } = dataset;
  const columns: Column<AgreementRow>[] = [
    { id: "who", title: say("consumer"), value: (one) => title(one.consumer_title), cell: (one) => title(one.consumer_title) },
    { id: "state", title: say("state"), tight: true, value: (one) => one.state, cell: (one) => <AgreementState state={one.state} /> },
    { id: "agreed", title: say("agreed"), tight: true, value: (one) => one.agreed, cell: (one) => format.date(one.agreed) },
    { id: "ends", title: say("ends"), tight: true, value: (one) => one.terms.not_after, cell: (one) => format.date(one.terms.not_after) },
  ];
  return (
    <>
      <div className="split">
        <Card title={say("budget")} hint={say("budgetHint")}>
          <div className="stack">
            <Meter label="ε" value={budget.spent?.epsilon ?? 0} most={budget.epsilon} shown={say("spent", { spent: format.number(budget.spent?.epsilon ?? 0, 2), most: format.number(budget.epsilon, 2) })} />
            <Meter label="δ" value={budget.spent?.delta ?? 0} most={budget.delta} shown={say("spent", { spent: format.number(budget.spent?.delta ?? 0, 7), most: format.number(budget.delta, 7) })} />
          </div>
        </Card>
        <Card title={say("offer")} hint={say("offerHint")}>
          <ul className="sentences">
            {words.map((one) => (
              <li key={one.en}>{sentence(one)}</li>
            ))}
          </ul>
        </Card>
      </div>
      <Card title={say("agreements")} plain>
        <Table
          name={say("agreements")}
          columns={columns}
          rows={dataset.agreements}
          rowKey={(one) => one.id}
          href={(one) => `/contracts/${part(one.id)}`}
          empty={
            <Empty title={say("noAgreements")} icon="contract">
              {say("noAgreementsNext")}
            </Empty>
          }
        />
      </Card>
    </>
  );
}

const MOMENTS = new Set(["ethics_expires", "genetic_resources_expires", "retention_ends"]);
const SOON_MS = 60 * 86_400_000;

function Governance({ dataset }: { dataset: DatasetRecord }) {
  const say = useWords("dataset");
  const format = useFormat();
  const title = useTitles();
  const show = (name: string, value: string | boolean) => {
    if (typeof value === "boolean") return say(value ? "yes" : "no");
    return MOMENTS.has(name) ? format.date(value) : title(value);
  };
  const entries = Object.entries(dataset.governance).filter(([, value]) => value !== null && value !== "");
  const ending = entries.filter(([name, value]) => MOMENTS.has(name) && new Date(String(value)).getTime() - Date.now() < SOON_MS);
  return (
    <Card title={say("governance")} hint={say("governanceHint")}>
      {ending.length > 0 && (
        <Notice kind="warn" title={say("ending", { names: ending.map(([name]) => say(`govern.${name}`)).join(say("comma")) })}>
          {say("endingNext")}
        </Notice>
      )}
      <Facts items={entries.map(([name, value]) => [say(`govern.${name}`, { defaultValue: name }), show(name, value)])} />
    </Card>
  );
}

function Descriptor({ dataset }: { dataset: DatasetRecord }) {
  const say = useWords("dataset");
  const text = JSON.stringify(dataset.descriptor, null, 2);
  return (
    <Card
      title={say("descriptor")}
      hint={say("descriptorHint")}
      actions={
        <Button icon="download" onClick={() => saveFile(`${dataset.name}.jsonld`, text, "application/ld+json")}>
          {say("save")}
        </Button>
      }
    >
      <Code tall label={say("descriptor")}>{text}</Code>
    </Card>
  );
}
