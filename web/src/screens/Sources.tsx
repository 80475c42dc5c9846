/** The data that this hospital has connected: how they stand, and the way to connect more. */

import { part } from "../api/client";
import { usePages } from "../api/hooks";
import { useMay } from "../api/session";
import type { DatasetRow } from "../api/reading";
import { ButtonLink, Empty, Loading, Page, Problem, State, Table, type Column } from "../parts";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { useTitles } from "./common";

export default function Sources() {
  const say = useWords("sources");
  const format = useFormat();
  const title = useTitles();
  const may = useMay()("dataset.register");
  const found = usePages<DatasetRow>("/datasets", { limit: 200 });
  const connect = may && (
    <ButtonLink kind="primary" icon="plus" to="/sources/connect">
      {say("connect")}
    </ButtonLink>
  );
  const warningsOf = (one: DatasetRow) => one.quality?.warnings?.length ?? 0;
  const columns: Column<DatasetRow>[] = [
    { id: "title", title: say("dataset"), value: (one) => title(one.title), cell: (one) => title(one.title) || one.name },
    { id: "name", title: say("name"), tight: true, value: (one) => one.name, cell: (one) => <code>{one.name}</code> },
    {
      id: "state",
      title: say("state"),
      tight: true,
      value: (one) => say(stateOf(one)),
      cell: (one) => <State kind={stateOf(one) === "ended" ? "bad" : stateOf(one) === "ending" ? "warn" : "good"}>{say(stateOf(one))}</State>,
    },
    { id: "access", title: say("access"), tight: true, value: (one) => say(one.public ? "public" : "restricted"), cell: (one) => say(one.public ? "public" : "restricted") },
    { id: "train", title: say("train"), tight: true, align: "right", value: (one) => one.n_train, cell: (one) => format.number(one.n_train) },
    { id: "held", title: say("held"), tight: true, align: "right", value: (one) => one.n_test, cell: (one) => format.number(one.n_test) },
    {
      id: "warnings",
      title: say("quality"),
      tight: true,
      value: warningsOf,
      cell: (one) => (warningsOf(one) ? <State kind="warn">{say("remarks", { count: warningsOf(one) })}</State> : <State kind="good">{say("sound")}</State>),
    },
    { id: "created", title: say("created"), tight: true, value: (one) => one.created, cell: (one) => format.date(one.created) },
  ];
  return (
    <Page title={say("title")} subtitle={say("subtitle")} actions={connect} wide>
      {found.isPending ? (
        <Loading />
      ) : found.error && !found.items.length ? (
        <Problem error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Table
          name={say("title")}
          columns={columns}
          rows={found.items}
          rowKey={(one) => one.id}
          href={(one) => `/datasets/${part(one.name)}`}
          filter
          more={found.more}
          isFetchingMore={found.isFetchingMore}
          empty={
            <Empty title={say("empty")} icon="data" action={connect}>
              {say(may ? "emptyNext" : "emptyMayNot")}
            </Empty>
          }
        />
      )}
    </Page>
  );
}

const ENDS = ["ethics_expires", "genetic_resources_expires", "retention_ends"];
const SOON_MS = 60 * 86_400_000;

/** A dataset leaves the catalogue by itself when approval, filing or retention has ended. */
function stateOf(one: DatasetRow): "offered" | "ending" | "ended" {
  const ends = ENDS.map((name) => one.governance?.[name]).filter(Boolean).map((at) => new Date(String(at)).getTime());
  const first = Math.min(...ends);
  if (first < Date.now()) return "ended";
  return first - Date.now() < SOON_MS ? "ending" : "offered";
}
