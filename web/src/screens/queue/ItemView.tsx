/** One item: who asks what, on which terms; let it proceed, refuse it, or hand it on. */

import { useState } from "react";
import { api, part } from "../../api/client";
import { useGet, useSend } from "../../api/hooks";
import { useSession } from "../../api/session";
import type { QueueItem } from "../../api/types";
import { Button, ButtonLink } from "../../parts/Button";
import { ReasonDialog } from "../../parts/Dialog";
import { Card, Facts } from "../../parts/Page";
import { Await } from "../../parts/Problem";
import { Notice } from "../../parts/State";
import { useToast } from "../../parts/Toast";
import { usePersonName } from "../../shell/people";
import { useWords } from "../../words";
import { useFormat } from "../../words/format";
import { HandOn } from "./HandOn";
import { TermsList } from "./TermsList";
import { Ruling, useItemTitle } from "./words";

type Deed = "proceed" | "refuse" | "handOn";

export function ItemView({ id, onDone }: { id: string; onDone: () => void }) {
  const item = useGet<QueueItem>(`/queue/${part(id)}`);
  return (
    <div className="stack-l">
      <Await of={item}>{(found) => <Item item={found} onDone={onDone} />}</Await>
    </div>
  );
}

function Item({ item, onDone }: { item: QueueItem; onDone: () => void }) {
  const say = useWords("queue");
  const title = useItemTitle();
  const { about = {} } = item;
  return (
    <>
      <Card title={title(item)}>
        <About item={item} />
        {item.ruling ? <Settled item={item} /> : <Decision item={item} onDone={onDone} />}
      </Card>
      {about.terms && (
        <Card
          title={say("terms")}
          hint={say("termsHint")}
          actions={
            about.agreement && (
              <ButtonLink small kind="quiet" to={`/contracts/${part(about.agreement)}`}>
                {say("agreement")}
              </ButtonLink>
            )
          }
        >
          <TermsList terms={about.terms} />
        </Card>
      )}
    </>
  );
}

function About({ item }: { item: QueueItem }) {
  const say = useWords("queue");
  const roles = useWords("roles");
  const format = useFormat();
  const name = usePersonName();
  const { about = {} } = item;
  return (
    <Facts
      items={[
        [say("from"), about.peer ?? item.organisation],
        ...(about.dataset ? ([[say("dataset"), about.dataset]] as [string, string][]) : []),
        ...(about.study ? ([[say("study"), about.study]] as [string, string][]) : []),
        [say("asked"), format.time(item.asked)],
        [say("dueAt"), format.time(item.due)],
        [say("who"), item.delegate ? name(item.delegate) : roles(item.role)],
      ]}
    />
  );
}

function Settled({ item }: { item: QueueItem }) {
  const say = useWords("queue");
  const name = usePersonName();
  const format = useFormat();
  return (
    <div className="queue-settled">
      <Ruling ruling={item.ruling} />
      <p>{item.settled_reason}</p>
      <p className="quiet">
        {name(item.settled_by)} · {format.time(item.settled)} · {say("kept")}
      </p>
    </div>
  );
}

function Decision({ item, onDone }: { item: QueueItem; onDone: () => void }) {
  const say = useWords("queue");
  const toast = useToast();
  const { person, actions } = useSession();
  const [deed, setDeed] = useState<Deed | null>(null);
  const settle = useSend(
    (given: { ruling: string; reason: string }) =>
      api.post<QueueItem>(`/queue/${part(item.id)}/settle`, given),
    {
      refresh: ["/queue", "/home", "/agreements", "/studies"],
      done: (answer) => {
        toast(say(answer.ruling ? `done.${answer.ruling}` : "done.first"));
        setDeed(null);
        onDone();
      },
    },
  );
  // As the node judges: its delegate, or whoever has its role and has not handed it on.
  const hasRole = actions.includes("queue.settle") && person.grants.some((one) => one.role === item.role);
  const isMine = item.delegate === person.id || (hasRole && item.delegated_by !== person.id);
  const hasSaid = item.consented.includes(person.id);
  const missing = item.needed - item.consented.length;
  if (!isMine || hasSaid)
    return <Notice kind="wait">{say(hasSaid ? "said" : "notYours", { count: missing })}</Notice>;
  return (
    <>
      {item.needed > 1 && <p className="hint">{say("two", { have: item.consented.length })}</p>}
      <div className="queue-deeds">
        <Button kind="primary" icon="check" onClick={() => setDeed("proceed")}>
          {say("proceed")}
        </Button>
        <Button kind="danger" icon="cross" onClick={() => setDeed("refuse")}>
          {say("refuse")}
        </Button>
        <Button kind="quiet" icon="person" onClick={() => setDeed("handOn")}>
          {say("handOn")}
        </Button>
      </div>
      {(deed === "proceed" || deed === "refuse") && (
        <ReasonDialog
          open
          title={say(`${deed}Title`)}
          verb={say(deed)}
          danger={deed === "refuse"}
          busy={settle.isPending}
          error={settle.error}
          onClose={() => setDeed(null)}
          onReason={(reason) => settle.mutate({ ruling: deed, reason })}
        >
          <p>{say(`${deed}Text`)}</p>
        </ReasonDialog>
      )}
      {deed === "handOn" && <HandOn item={item} onClose={() => setDeed(null)} />}
    </>
  );
}
