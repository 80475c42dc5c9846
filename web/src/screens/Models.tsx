/** The models that came of studies here, newest first; marked ones are seen at once. */

import { part } from "../api/client";
import { usePages } from "../api/hooks";
import type { ModelRow } from "../api/reading";
import { ButtonLink, Empty, Loading, Page, Problem, State, Table, type Column } from "../parts";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { Identifier, useTitles } from "./common";

export default function Models() {
  const say = useWords("models");
  const format = useFormat();
  const title = useTitles();
  const found = usePages<ModelRow>("/models", { limit: 200 });
  const columns: Column<ModelRow>[] = [
    { id: "name", title: say("name"), value: (one) => title(one.name), cell: (one) => title(one.name) },
    { id: "label", title: say("label"), value: (one) => one.label, cell: (one) => one.label },
    {
      id: "state",
      title: say("state"),
      tight: true,
      value: (one) => one.marks.length,
      cell: (one) => (one.marks.length ? <State kind="warn">{say("marked", { count: one.marks.length })}</State> : <State kind="good">{say("sound")}</State>),
    },
    { id: "recipe", title: say("recipe"), tight: true, value: (one) => one.recipe, cell: (one) => one.recipe ?? "–" },
    { id: "sites", title: say("sites"), tight: true, align: "right", value: (one) => one.sites, cell: (one) => one.sites ?? "–" },
    { id: "rounds", title: say("rounds"), tight: true, align: "right", value: (one) => one.rounds, cell: (one) => one.rounds ?? "–" },
    { id: "created", title: say("created"), tight: true, value: (one) => one.created, cell: (one) => format.date(one.created) },
    { id: "digest", title: say("digest"), tight: true, value: (one) => one.digest, cell: (one) => <Identifier value={one.digest} length={10} /> },
  ];
  return (
    <Page title={say("title")} subtitle={say("subtitle")} wide>
      {found.isPending ? (
        <Loading />
      ) : found.error && !found.items.length ? (
        <Problem error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Table
          name={say("title")}
          columns={columns}
          rows={found.items}
          rowKey={(one) => one.digest}
          href={(one) => `/models/${part(one.digest)}`}
          filter
          more={found.more}
          isFetchingMore={found.isFetchingMore}
          empty={
            <Empty
              title={say("empty")}
              icon="model"
              action={
                <ButtonLink kind="primary" to="/studies">
                  {say("toStudies")}
                </ButtonLink>
              }
            >
              {say("emptyNext")}
            </Empty>
          }
        />
      )}
    </Page>
  );
}
