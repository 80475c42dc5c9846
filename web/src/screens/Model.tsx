/** One model: its passport in words, its card, what is marked on it, and how it may leave. */

import { useState } from "react";
import { useParams } from "react-router";
import { api, newKey, part } from "../api/client";
import { useGet, useSend } from "../api/hooks";
import { useMay } from "../api/session";
import type { Model as ModelRecord, Passport } from "../api/reading";
import { Await, Button, ButtonLink, Card, Dialog, Empty, Facts, Notice, Page, Problem, ReasonDialog, State, Table, Tabs, TextField, saveFile, useToast } from "../parts";
import { Forest, type ForestRow } from "../parts/Forest";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { Identifier, Tile, Tiles, shortName, useTitles } from "./common";
import { Markdown } from "./Markdown";

const LEADING = ["auroc", "auroc_macro", "concordance", "dice", "mae", "accuracy"];
const CANDIDATES = ["federated", "recalibrated", "fine_tuned", "personalised", "local", "majority"];

export default function Model() {
  const { digest = "" } = useParams();
  const say = useWords("model");
  const title = useTitles();
  const found = useGet<ModelRecord>(`/models/${digest}`);
  return (
    <Page
      title={found.data ? title(found.data.name) : say("title")}
      back={{ to: "/models", title: say("back") }}
      subtitle={
        found.data && (
          <span className="subline">
            {found.data.marks.length ? <State kind="warn">{say("marked")}</State> : <State kind="good">{say("sound")}</State>}
            <Identifier value={found.data.digest} />
          </span>
        )
      }
      actions={found.data && <Release model={found.data} />}
      wide
    >
      <Await of={found}>{(model) => <Whole model={model} />}</Await>
    </Page>
  );
}

/** A model leaves only after two persons said yes; then it is written to a folder of the node's machine. */
function Release({ model }: { model: ModelRecord }) {
  const say = useWords("model");
  const toast = useToast();
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const [carrying, setCarrying] = useState(false);
  const [folder, setFolder] = useState("");
  const ask = useSend((reason: string) => api.post("/approvals", { kind: "model", digest: model.digest, reason }, { key: newKey() }), {
    refresh: ["/models", "/approvals", "/home"],
    done: () => {
      setAsking(false);
      toast(say("asked"));
    },
  });
  const carry = useSend((to: string) => api.post(`/models/${part(model.digest)}/export`, { to }), {
    done: () => {
      setCarrying(false);
      toast(say("carried"));
    },
  });
  const open = model.releases.some((one) => one.state === "open");
  const released = model.releases.some((one) => one.state === "released");
  return (
    <>
      {may("release.request") && !open && !released && (
        <Button kind="primary" icon="approve" onClick={() => setAsking(true)}>
          {say("ask")}
        </Button>
      )}
      {may("model.export") && released && (
        <Button kind="primary" icon="download" onClick={() => setCarrying(true)}>
          {say("carry")}
        </Button>
      )}
      <ReasonDialog open={asking} title={say("askTitle")} verb={say("ask")} busy={ask.isPending} error={ask.error} onClose={() => setAsking(false)} onReason={(reason) => ask.mutate(reason)}>
        <p>{say("askMeans")}</p>
      </ReasonDialog>
      <Dialog
        open={carrying}
        title={say("carry")}
        onClose={() => setCarrying(false)}
        onSubmit={() => folder && carry.mutate(folder)}
        actions={
          <Button type="submit" kind="primary" busy={carry.isPending} disabled={!folder}>
            {say("carryNow")}
          </Button>
        }
      >
        <TextField label={say("folder")} help={say("folderHelp")} value={folder} onValue={setFolder} autoFocus />
        {carry.error && <Problem error={carry.error} />}
      </Dialog>
    </>
  );
}

function Whole({ model }: { model: ModelRecord }) {
  const say = useWords("model");
  const format = useFormat();
  const title = useTitles();
  const { passport, marks, releases } = model;
  const privacy = Number(passport.privacy.epsilon ?? Number.NaN);
  const open = releases.find((one) => one.state === "open");
  const signed = useSigned();
  return (
    <>
      {marks.length > 0 && (
        <Notice kind="warn" title={say("marksTitle")}>
          {marks.map((mark) => (
            <p key={mark.agreement}>
              {say("mark", { name: shortName(mark.participant), time: format.date(mark.time), rounds: mark.rounds, reason: title(mark.reason) })}{" "}
              <ButtonLink small kind="quiet" to={`/contracts/${part(mark.agreement)}`}>
                {say("toContract")}
              </ButtonLink>
            </p>
          ))}
        </Notice>
      )}
      {open && (
        <Notice kind="wait" title={say("waitsRelease", { given: open.approved.length, needed: open.needed })} actions={<ButtonLink small to="/approvals">{say("toApprovals")}</ButtonLink>}>
          {title(open.reason)}
        </Notice>
      )}
      <Notice kind="info" title={signed(passport.intended_use)} />
      <Tiles>
        <Tile name={say("predicts")} value={passport.capability.label} note={passport.capability.classes.join(say("comma")) || signed(passport.capability.task)} />
        <Tile name={say("sites")} value={passport.sites.length} note={say("roundsNote", { count: passport.lineage.rounds })} />
        <Tile name={say("privacy")} value={Number.isNaN(privacy) ? say("noNoise") : `ε ${format.number(privacy, 2)}`} note={say("privacyNote")} />
        <Tile name={say("issued")} value={format.date(passport.created)} note={shortName(passport.issuer)} />
      </Tiles>
      <Tabs
        name={say("views")}
        tabs={[
          { id: "passport", title: say("passport"), panel: () => <PassportPanel passport={passport} study={model.study} /> },
          { id: "figures", title: say("figures"), panel: () => <Figures passport={passport} /> },
          { id: "inputs", title: say("inputs"), count: passport.capability.inputs.length, panel: () => <Inputs passport={passport} /> },
          { id: "card", title: say("card"), panel: () => <CardPanel model={model} /> },
        ]}
      />
    </>
  );
}

/** Sentences that passports carry word for word, so that their signature holds. */
const SIGNED: Record<string, string> = {
  "Research use. Not a medical device; not for decisions about single patients.": "researchOnly",
  "No differential privacy was applied; updates were bounded in shape and number only.": "noNoise",
  "Each training patient is hidden by noise at the epsilon and delta said under privacy; inputs are scaled by the declared ranges.": "noise",
  "binary classification": "binary",
  classification: "classes",
  regression: "number",
  "survival analysis": "survival",
  segmentation: "mask",
};

function useSigned(): (text: string) => string {
  const say = useWords("model");
  return (text) => (SIGNED[text] ? say(`signed.${SIGNED[text]}`) : text);
}

function PassportPanel({ passport, study }: { passport: Passport; study: string }) {
  const say = useWords("model");
  const format = useFormat();
  const title = useTitles();
  const { capability, lineage } = passport;
  const signed = useSigned();
  return (
    <>
      <div className="split">
        <Card title={say("what")}>
          <Facts
            items={[
              [say("fact.recipe"), `${capability.recipe} ${capability.recipe_version}`],
              [say("fact.task"), signed(capability.task)],
              [say("fact.family"), capability.family],
              [say("fact.weights"), <Identifier key="w" value={passport.weights} />],
              [say("fact.recipeDigest"), <Identifier key="r" value={capability.recipe_digest} />],
            ]}
          />
          <div className="card-end">
            <h3>{say("limits")}</h3>
            <ul className="sentences">
              {passport.limitations.map((one) => (
                <li key={one}>{signed(one)}</li>
              ))}
            </ul>
          </div>
        </Card>
        <Card
          title={say("from")}
          actions={
            <ButtonLink small icon="study" to={`/studies/${part(study)}`}>
              {say("toStudy")}
            </ButtonLink>
          }
        >
          <Facts
            items={[
              [say("fact.question"), title(lineage.question) || "–"],
              [say("fact.purpose"), lineage.purpose],
              [say("fact.lead"), shortName(lineage.lead)],
              [say("fact.rule"), lineage.rule],
              [say("fact.rounds"), lineage.rounds],
              [say("fact.seed"), String(lineage.seed)],
              [say("fact.plan"), <Identifier key="p" value={lineage.plan} />],
              [say("fact.start"), <Identifier key="s" value={lineage.start} />],
              [say("fact.parents"), lineage.parents.length ? lineage.parents.map((one) => <Identifier key={one} value={one} />) : say("fresh")],
            ]}
          />
        </Card>
      </div>
      <Card title={say("part")} plain>
        <Table
          name={say("part")}
          rows={passport.sites}
          rowKey={(one) => one.participant}
          columns={[
            { id: "site", title: say("hospital"), value: (one) => shortName(one.participant), cell: (one) => shortName(one.participant) },
            { id: "rounds", title: say("fact.rounds"), align: "right", value: (one) => one.rounds, cell: (one) => one.rounds },
            { id: "train", title: say("train"), align: "right", value: (one) => one.n_train, cell: (one) => format.number(one.n_train) },
            { id: "test", title: say("test"), align: "right", value: (one) => one.n_test, cell: (one) => format.number(one.n_test) },
            { id: "data", title: say("fingerprint"), cell: (one) => <Identifier value={one.fingerprint} /> },
            { id: "agreement", title: say("agreement"), cell: (one) => <ButtonLink small kind="quiet" to={`/contracts/${part(one.agreement)}`}>{say("toContract")}</ButtonLink> },
          ]}
        />
      </Card>
    </>
  );
}

function Figures({ passport }: { passport: Passport }) {
  const say = useWords("model");
  const common = useWords("common");
  const metric = LEADING.find((one) => passport.sites.some((site) => site.rows.federated?.[one])) ?? LEADING[0]!;
  const rows: ForestRow[] = passport.sites.flatMap((site) => [
    { key: site.participant, heading: true, value: null, label: shortName(site.participant) },
    ...CANDIDATES.filter((one) => site.rows[one]?.[metric]).map((one) => {
      const figure = site.rows[one]![metric]!;
      const hasInterval = typeof figure.low === "number" && typeof figure.high === "number";
      return {
        key: `${site.participant} ${one}`,
        label: common(`candidate.${one}`),
        value: figure.value,
        interval: hasInterval ? ([figure.low, figure.high] as [number, number]) : null,
        strong: one === site.chosen,
        hue: one === "local" ? 2 : one === "majority" ? 5 : 1,
      };
    }),
  ]);
  if (!rows.length) return <Empty title={say("noFigures")} icon="info" />;
  return (
    <Card title={common(`metric.${metric}`)} hint={say("figuresHint")}>
      <Forest rows={rows} caption={common(`metric.${metric}`)} reference={metric.startsWith("auroc") ? 0.5 : undefined} bounds={metric === "mae" ? undefined : [0, 1]} />
    </Card>
  );
}

function Inputs({ passport }: { passport: Passport }) {
  const say = useWords("model");
  const kinds = useWords("dataset");
  return (
    <Table
      name={say("inputs")}
      rows={passport.capability.inputs}
      rowKey={(one) => one.name}
      filter
      columns={[
        { id: "name", title: say("field"), value: (one) => one.name, cell: (one) => <strong>{one.name}</strong> },
        { id: "kind", title: say("kind"), value: (one) => kinds(`kinds.${one.kind}`), cell: (one) => kinds(`kinds.${one.kind}`) },
        { id: "unit", title: say("unit"), value: (one) => one.unit, cell: (one) => one.unit || "–" },
        { id: "more", title: say("more"), value: (one) => one.categories.join(" "), cell: (one) => one.categories.join(say("comma")) || one.shape.join(" × ") || "–" },
      ]}
    />
  );
}

function CardPanel({ model }: { model: ModelRecord }) {
  const say = useWords("model");
  return (
    <Card
      title={say("card")}
      hint={say("cardHint")}
      actions={
        <>
          <Button small icon="download" onClick={() => saveFile("model-card.md", model.card, "text/markdown")}>
            {say("save")}
          </Button>
          <Button small icon="print" onClick={() => window.print()}>
            {say("print")}
          </Button>
        </>
      }
    >
      <Markdown text={model.card} />
    </Card>
  );
}
