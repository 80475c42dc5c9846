/** Every study that this node leads or takes part in, newest first. */

import { useState } from "react";
import { part } from "../api/client";
import { api } from "../api/client";
import { usePages } from "../api/hooks";
import { useMay } from "../api/session";
import type { Paged } from "../api/client";
import type { StudyRow } from "../api/types";
import { Button, ButtonLink, Empty, Loading, Page, Problem, Table, type Column } from "../parts";
import { StudyState } from "../shell/StudyState";
import { useWords } from "../words";
import { useFormat } from "../words/format";
import { LIVE_STATES, STUDY_STATES, shortName, useTitles } from "./common";

const MOST_COMPARED = 6;

export default function Studies() {
  const say = useWords("studies");
  const states = useWords("states");
  const may = useMay()("study.run");
  const [state, setState] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const studies = usePages<StudyRow>("/studies", { limit: 100 });
  const columns = useColumns(chosen, setChosen);
  const rows = studies.items.filter((one) => !state || one.state === state);
  const start = may && (
    <ButtonLink kind="primary" icon="plus" to="/studies/new">
      {say("new")}
    </ButtonLink>
  );
  const [first, ...others] = chosen;
  return (
    <Page title={say("title")} subtitle={say("subtitle")} actions={start} wide>
      {studies.isPending ? (
        <Loading />
      ) : studies.error && !studies.items.length ? (
        <Problem error={studies.error} retry={() => void studies.refetch()} />
      ) : (
        <Table
          name={say("title")}
          columns={columns}
          rows={rows}
          rowKey={(one) => one.id}
          href={(one) => `/studies/${part(one.id)}`}
          filter
          more={studies.more}
          isFetchingMore={studies.isFetchingMore}
          all={allStudies}
          tools={
            studies.items.length > 0 && (
              <>
                <label className="tool-select">
                  <span className="visually-hidden">{say("state")}</span>
                  <select value={state} onChange={(event) => setState(event.target.value)}>
                    <option value="">{say("anyState")}</option>
                    {STUDY_STATES.map((one) => (
                      <option key={one} value={one}>
                        {states(`study.${one.toLowerCase()}`)}
                      </option>
                    ))}
                  </select>
                </label>
                {first && (
                  <ButtonLink icon="run" to={`/studies/${part(first)}/compare${others.length ? `?with=${others.map(part).join(",")}` : ""}`}>
                    {say("compare", { count: chosen.length })}
                  </ButtonLink>
                )}
                {chosen.length > 0 && (
                  <Button kind="quiet" onClick={() => setChosen([])}>
                    {say("chooseNone")}
                  </Button>
                )}
              </>
            )
          }
          empty={
            state ? (
              <Empty title={say("noneOfState")} icon="study" />
            ) : (
              <Empty title={say("empty")} icon="study" action={start}>
                {say("emptyNext")}
              </Empty>
            )
          }
        />
      )}
    </Page>
  );
}

async function allStudies(): Promise<StudyRow[]> {
  const found: StudyRow[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: Paged<StudyRow> = await api.get<Paged<StudyRow>>("/studies", { limit: 200, cursor });
    found.push(...page.items);
    cursor = page.next;
  }
  return found;
}

function useColumns(chosen: string[], choose: (ids: string[]) => void): Column<StudyRow>[] {
  const say = useWords("studies");
  const states = useWords("states");
  const format = useFormat();
  const title = useTitles();
  const toggle = (id: string) =>
    choose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]);
  return [
    { id: "title", title: say("name"), cell: (one) => title(one.title), value: (one) => title(one.title) },
    {
      id: "state",
      title: say("state"),
      tight: true,
      cell: (one) => <StudyState state={one.state} />,
      value: (one) => states(`study.${one.state.toLowerCase()}`),
    },
    {
      id: "round",
      title: say("round"),
      tight: true,
      align: "right",
      cell: (one) => `${one.round ?? 0} / ${one.rounds ?? "–"}`,
      value: (one) => one.round ?? 0,
    },
    { id: "sites", title: say("sites"), tight: true, align: "right", cell: (one) => one.sites ?? "–", value: (one) => one.sites },
    { id: "recipe", title: say("recipe"), tight: true, cell: (one) => one.recipe ?? "–", value: (one) => one.recipe },
    { id: "lead", title: say("lead"), tight: true, cell: (one) => shortName(one.lead ?? "") || "–", value: (one) => shortName(one.lead ?? "") },
    {
      id: "updated",
      title: say("updated"),
      tight: true,
      cell: (one) => <span title={format.time(one.updated)}>{LIVE_STATES.has(one.state) ? format.ago(one.updated) : format.time(one.updated)}</span>,
      value: (one) => one.updated,
    },
    {
      id: "compare",
      title: say("toCompare"),
      onScreen: true,
      cell: (one) =>
        one.state === "COMPLETED" ? (
          <input
            type="checkbox"
            aria-label={say("choose", { title: title(one.title) })}
            checked={chosen.includes(one.id)}
            disabled={!chosen.includes(one.id) && chosen.length >= MOST_COMPARED}
            onChange={() => toggle(one.id)}
          />
        ) : null,
    },
  ];
}
