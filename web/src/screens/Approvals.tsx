/** What may leave the hospital: requests, who has approved, the second voice. */

import { useState } from "react";
import { api, part } from "../api/client";
import { usePages, useSend } from "../api/hooks";
import { useMay, useSession } from "../api/session";
import type { Release } from "../api/types";
import { Button } from "../parts/Button";
import { Dialog, ReasonDialog } from "../parts/Dialog";
import { Empty } from "../parts/Empty";
import { Facts, Page } from "../parts/Page";
import { Loading, Problem } from "../parts/Problem";
import { Notice, State, type StateKind } from "../parts/State";
import { Table, type Column } from "../parts/Table";
import { useToast } from "../parts/Toast";
import { usePersonName } from "../shell/people";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { useTitles } from "../words/titles";

type Deed = { kind: "approve" | "withdraw"; release: Release };
type Standing = Release["state"] | "expired";

const SIGNS: Record<Standing, StateKind> = {
  open: "wait",
  released: "good",
  withdrawn: "off",
  expired: "warn",
};

export default function Approvals() {
  const say = useWords("approvals");
  const list = usePages<Release>("/approvals");
  const [deed, setDeed] = useState<Deed | null>(null);
  const columns = useColumns(setDeed);
  return (
    <Page title={say("title")} subtitle={say("subtitle")} wide>
      {list.isPending && <Loading />}
      {list.error && <Problem error={list.error} retry={() => void list.refetch()} />}
      {list.data && (
        <Table
          name={say("title")}
          columns={columns}
          rows={list.items}
          rowKey={(one) => one.id}
          sort={{ column: "requested", down: true }}
          more={list.more}
          isFetchingMore={list.isFetchingMore}
          filter
          empty={
            <div className="card">
              <Empty title={say("none")} icon="approve">
                {say("noneText")}
              </Empty>
            </div>
          }
        />
      )}
      {deed && <DeedDialog key={deed.release.id} {...deed} onClose={() => setDeed(null)} />}
    </Page>
  );
}

function standingOf(release: Release): Standing {
  const isOver = release.state !== "withdrawn" && new Date(release.expires).getTime() < Date.now();
  return isOver ? "expired" : release.state;
}

function useColumns(onDeed: (deed: Deed) => void): Column<Release>[] {
  const say = useWords("approvals");
  const format = useFormat();
  const name = usePersonName();
  const title = useTitles();
  return [
    {
      id: "what",
      title: say("what"),
      value: (one) => say(`kind.${one.kind}`),
      cell: (one) => (
        <>
          <strong>{say(`kind.${one.kind}`)}</strong>
          <div className="quiet mono">{shorten(one.digest)}</div>
        </>
      ),
    },
    { id: "reason", title: say("reason"), value: (one) => one.reason, cell: (one) => title(one.reason) },
    {
      id: "by",
      title: say("by"),
      value: (one) => name(one.requested_by),
      cell: (one) => name(one.requested_by),
    },
    {
      id: "requested",
      title: say("requested"),
      tight: true,
      value: (one) => one.requested,
      cell: (one) => format.time(one.requested),
    },
    {
      id: "voices",
      title: say("voices"),
      value: (one) => one.approved.length,
      cell: (one) => <Voices release={one} />,
    },
    {
      id: "state",
      title: say("state"),
      tight: true,
      value: (one) => say(`standing.${standingOf(one)}`),
      cell: (one) => (
        <State kind={SIGNS[standingOf(one)]}>{say(`standing.${standingOf(one)}`)}</State>
      ),
    },
    {
      id: "deeds",
      title: "",
      onScreen: true,
      cell: (one) => <Deeds release={one} onDeed={onDeed} />,
    },
  ];
}

function Voices({ release }: { release: Release }) {
  const say = useWords("approvals");
  const format = useFormat();
  const name = usePersonName();
  return (
    <>
      {say("count", { have: release.approved.length, needed: release.needed })}
      {release.approved.length > 0 && (
        <div className="quiet">{format.list(release.approved.map(name))}</div>
      )}
    </>
  );
}

function Deeds({ release, onDeed }: { release: Release; onDeed: (deed: Deed) => void }) {
  const say = useWords("approvals");
  const may = useMay();
  const { person } = useSession();
  const standing = standingOf(release);
  const hasSaid = release.approved.includes(person.id);
  const mayEnd = may("release.approve") || release.requested_by === person.id;
  return (
    <div className="row row-tight">
      {standing === "open" && may("release.approve") && !hasSaid && (
        <Button small kind="primary" onClick={() => onDeed({ kind: "approve", release })}>
          {say("approve")}
        </Button>
      )}
      {(standing === "open" || standing === "released") && mayEnd && (
        <Button small kind="quiet" onClick={() => onDeed({ kind: "withdraw", release })}>
          {say("withdraw")}
        </Button>
      )}
    </div>
  );
}

function DeedDialog({ kind, release, onClose }: Deed & { onClose: () => void }) {
  const say = useWords("approvals");
  const toast = useToast();
  const send = useSend(
    (reason: string) =>
      api.post<Release>(
        `/approvals/${part(release.id)}/${kind}`,
        kind === "withdraw" ? { reason } : {},
      ),
    {
      refresh: ["/approvals", "/home", "/models"],
      done: (answer) => {
        toast(say(`done.${answer.state}`));
        onClose();
      },
    },
  );
  if (kind === "withdraw")
    return (
      <ReasonDialog
        open
        danger
        title={say("withdrawTitle")}
        verb={say("withdraw")}
        busy={send.isPending}
        error={send.error}
        onClose={onClose}
        onReason={(reason) => send.mutate(reason)}
      >
        <p>{say("withdrawText")}</p>
      </ReasonDialog>
    );
  return (
    <Dialog
      open
      wide
      title={say("approveTitle")}
      onClose={onClose}
      onSubmit={() => send.mutate("")}
      actions={
        <>
          <Button onClick={onClose}>{say("notNow")}</Button>
          <Button type="submit" kind="primary" icon="check" busy={send.isPending}>
            {say("approve")}
          </Button>
        </>
      }
    >
      <ApprovalFacts release={release} />
      <Notice kind="warn">{say("approveText")}</Notice>
      {send.error && <Problem error={send.error} />}
    </Dialog>
  );
}

function ApprovalFacts({ release }: { release: Release }) {
  const say = useWords("approvals");
  const format = useFormat();
  const name = usePersonName();
  return (
    <Facts
      items={[
        [say("what"), say(`kind.${release.kind}`)],
        [say("by"), name(release.requested_by)],
        [say("reason"), release.reason],
        [say("expires"), format.time(release.expires)],
        [say("digest"), <code key="digest">{release.digest}</code>],
      ]}
    />
  );
}

const shorten = (digest: string) => `${digest.slice(0, 16)}…`;
