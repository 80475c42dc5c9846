/** One agreement: the sentences people agreed to beside the policy machines judge, who signed, its end. */

import { useState } from "react";
import { useParams } from "react-router";
import { api, part } from "../api/client";
import { useGet, usePages, useSend } from "../api/hooks";
import { useMay } from "../api/session";
import type { Agreement, AgreementRow, Change } from "../api/reading";
import type { QueueItem } from "../api/types";
import { Await, Button, ButtonLink, Card, Empty, Facts, Notice, Page, ReasonDialog, SelectField, State, Tabs, saveFile } from "../parts";
import { Diff } from "../parts/Diff";
import { Timeline, type Moment } from "../parts/Timeline";
import { Code } from "../parts/Code";
import { useWords } from "../words";
import { useFormat, useSentence } from "../words/format";
import { AgreementState, Identifier, shortName, useTitles } from "./common";

export default function Contract() {
  const { agreement: id = "" } = useParams();
  const say = useWords("contract");
  const title = useTitles();
  const found = useGet<Agreement>(`/agreements/${id}`);
  const data = found.data;
  return (
    <Page
      title={data ? title(data.dataset_title) : say("title")}
      back={{ to: "/contracts", title: say("back") }}
      subtitle={
        data && (
          <span className="subline">
            <AgreementState state={data.state} />
            <span>{say("between", { provider: title(data.provider_title), consumer: title(data.consumer_title) })}</span>
          </span>
        )
      }
      actions={data && <Revoke agreement={data} />}
      wide
    >
      <Await of={found}>{(agreement) => <Whole agreement={agreement} />}</Await>
    </Page>
  );
}

function Revoke({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const may = useMay()("agreement.revoke");
  const [open, setOpen] = useState(false);
  const path = `/agreements/${part(agreement.id)}`;
  const revoke = useSend((reason: string) => api.post(`${path}/revocation`, { reason }), {
    refresh: ["/agreements", "/models", "/home"],
    done: () => setOpen(false),
  });
  if (agreement.state !== "FINALIZED" || !may) return null;
  return (
    <>
      <Button kind="danger" icon="cross" onClick={() => setOpen(true)}>
        {say("revoke")}
      </Button>
      <ReasonDialog
        open={open}
        title={say("revokeTitle")}
        verb={say("revoke")}
        danger
        busy={revoke.isPending}
        error={revoke.error}
        onClose={() => setOpen(false)}
        onReason={(reason) => revoke.mutate(reason)}
      >
        <p>{say("revokeMeans")}</p>
      </ReasonDialog>
    </>
  );
}

function Whole({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  return (
    <>
      <Standing agreement={agreement} />
      <Tabs
        name={say("views")}
        tabs={[
          { id: "terms", title: say("terms"), panel: () => <Terms agreement={agreement} /> },
          { id: "signed", title: say("signed"), panel: () => <Signed agreement={agreement} /> },
          { id: "compare", title: say("compare"), panel: () => <Compare agreement={agreement} /> },
        ]}
      />
    </>
  );
}

/** In force until when; ended by whom and why; or whose signature is awaited. */
function Standing({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const format = useFormat();
  const title = useTitles();
  const nameOf = (who: string) =>
    who === agreement.provider ? title(agreement.provider_title) : who === agreement.consumer ? title(agreement.consumer_title) : shortName(who);
  const ended = agreement.revocation;
  if (ended)
    return (
      <Notice kind="bad" title={say("revokedBy", { name: nameOf(ended.by), time: format.time(ended.time) })}>
        <p>{say("because", { reason: title(ended.reason) })}</p>
        <p>{say(ended.counterpart_told ? "told" : "notTold")}</p>
      </Notice>
    );
  if (agreement.state === "FINALIZED") {
    const isOver = new Date(agreement.terms.not_after).getTime() < Date.now();
    return isOver ? (
      <Notice kind="warn" title={say("over", { time: format.time(agreement.terms.not_after) })}>
        {say("overNext")}
      </Notice>
    ) : (
      <Notice kind="good" title={say("inForce", { time: format.time(agreement.terms.not_after) })} />
    );
  }
  return <Waiting agreement={agreement} />;
}

/** It still waits for somebody's word: ours, in the queue, or theirs. */
function Waiting({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const title = useTitles();
  const queue = usePages<QueueItem>("/queue", { limit: 200 });
  const item = queue.items.find((one) => !one.ruling && [agreement.id, agreement.negotiation].includes(one.subject));
  const other = title(agreement.role === "consumer" ? agreement.provider_title : agreement.consumer_title);
  if (agreement.state === "TERMINATED") return <Notice kind="off" title={say("terminated")} />;
  return item ? (
    <Notice
      kind="wait"
      title={say("waitsForUs")}
      actions={
        <ButtonLink kind="primary" small icon="edit" to={`/queue?item=${part(item.id)}`}>
          {say("sign")}
        </ButtonLink>
      }
    />
  ) : (
    <Notice kind="wait" title={say("waitsFor", { name: other })}>
      {say("waitsForNext")}
    </Notice>
  );
}

function Terms({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const sentence = useSentence();
  const policy = JSON.stringify(agreement.policy, null, 2);
  return (
    <div className="split">
      <Card title={say("inWords")} hint={say("inWordsHint")}>
        <ul className="sentences">
          {agreement.words.map((one) => (
            <li key={one.term + one.en}>
              {sentence(one)}
              <small className="term-name">{one.term}</small>
            </li>
          ))}
        </ul>
      </Card>
      <Card
        title={say("odrl")}
        hint={say("odrlHint")}
        actions={
          <Button small icon="download" onClick={() => saveFile("agreement.json", policy, "application/ld+json")}>
            {say("save")}
          </Button>
        }
      >
        <Code tall label={say("odrl")}>{policy}</Code>
      </Card>
    </div>
  );
}

function Signed({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const common = useWords("common");
  const format = useFormat();
  const title = useTitles();
  const nameOf = (role: string) => title(role === "provider" ? agreement.provider_title : agreement.consumer_title);
  const moments: Moment[] = (agreement.history ?? []).map((step, index) => ({
    key: `${step.state} ${index}`,
    kind: step.state === "FINALIZED" ? "good" : step.state === "TERMINATED" ? "bad" : "info",
    title: say("step", { name: nameOf(step.sender), state: common(`agreement.${step.state}`) }),
    time: step.at,
    children: step.reason ? <p>{step.reason}</p> : null,
  }));
  return (
    <div className="split">
      <Card title={say("signatures")} hint={say("signaturesHint")}>
        <div className="stack">
          {(agreement.signatures ?? []).map((one) => (
            <div key={one.role} className="signature">
              <State kind={agreement.state === "FINALIZED" || agreement.state === "REVOKED" ? "good" : "wait"}>{common(`role.${one.role}`)}</State>
              <strong>{nameOf(one.role)}</strong>
              <Facts
                items={[
                  [say("time"), format.time(one.time)],
                  [say("key"), <Identifier key="key" value={one.key} length={20} />],
                ]}
              />
            </div>
          ))}
        </div>
        <div className="card-end">
          <Facts
            items={[
              [say("number"), <Identifier key="id" value={agreement.id} length={36} />],
              [say("contract"), agreement.contract_id ? <Identifier key="contract" value={agreement.contract_id} length={47} /> : "–"],
            ]}
          />
          {agreement.contract_placeholder && <p className="hint">{say("placeholder")}</p>}
        </div>
      </Card>
      <Card title={say("history")}>
        <Timeline label={say("history")} moments={moments} />
      </Card>
    </div>
  );
}

function Compare({ agreement }: { agreement: Agreement }) {
  const say = useWords("contract");
  const format = useFormat();
  const sentence = useSentence();
  const title = useTitles();
  const all = usePages<AgreementRow>("/agreements", { limit: 200 });
  const others = all.items
    .filter((one) => one.id !== agreement.id)
    .sort((one, other) => Number(other.dataset === agreement.dataset) - Number(one.dataset === agreement.dataset));
  const [other, setOther] = useState("");
  const chosen = other || others[0]?.id || "";
  const found = useGet<{ changed: Change[] }>(`/agreements/${agreement.id}/compare/${chosen}`, {}, { enabled: Boolean(chosen) });
  if (!others.length)
    return (
      <Empty title={say("noOther")} icon="contract">
        {say("noOtherNext")}
      </Empty>
    );
  return (
    <Card title={say("compare")} hint={say("compareHint")}>
      <SelectField
        label={say("with")}
        value={chosen}
        onValue={setOther}
        options={others.map((one) => ({
          value: one.id,
          title: `${title(one.dataset_title)} · ${title(one.role === "consumer" ? one.provider_title : one.consumer_title)} · ${format.date(one.agreed)}${one.dataset === agreement.dataset ? say("sameDataset") : ""}`,
        }))}
      />
      <div className="card-end">
        <Await of={found}>
          {({ changed }) =>
            changed.length ? (
              <Diff
                label={say("compare")}
                changes={changed.map((one) => ({
                  key: one.term,
                  name: <code>{one.term}</code>,
                  before: one.before && sentence(one.before),
                  after: one.after && sentence(one.after),
                }))}
              />
            ) : (
              <Notice kind="good" title={say("same")} />
            )
          }
        </Await>
      </div>
    </Card>
  );
}
